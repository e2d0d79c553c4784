"""What clusterlog is put around and into: applications, servers and clients, by one verb that can be undone.

Nothing here imports what the application has not imported: libraries are recognised among the modules that are
loaded, or waited for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from clusterlog.context.patching import wait_no_more, when_imported
from clusterlog.errors import SettingError
from clusterlog.integrations.instrumentation import Instrumentation

_OBJECTS = (
    ("starlette.applications", "Starlette", "frameworks.starlette", "put_around"),
    ("flask", "Flask", "frameworks.flask", "put_around"),
    ("httpx", "Client", "clients.httpx", "put_into"),
    ("httpx", "AsyncClient", "clients.httpx", "put_into"),
    ("requests", "Session", "clients.requests", "put_into"),
    ("urllib3", "PoolManager", "clients.urllib3", "put_into"),
)
"""Module and class of what is instrumented in place; our module and its function for one object of that class."""

_LIBRARIES = {
    "httpx": ("clients.httpx", "put_into_all"),
    "requests": ("clients.requests", "put_into_all"),
    "urllib3": ("clients.urllib3", "put_into_all"),
    "starlette": ("frameworks.starlette", "put_around_all"),
    "flask": ("frameworks.flask", "put_around_all"),
    "uvicorn": ("servers.uvicorn", "put_into_all"),
    "gunicorn": ("servers.gunicorn", "put_into_all"),
    "structlog": ("loggers.structlog", "put_into_all"),
    "opentelemetry": ("opentelemetry.joining", "put_into_all"),
    "threads": ("threads", "put_into_all"),
}
"""Name of a library; our module and its function for all that the library makes."""

_ALIASES = {"fastapi": "starlette"}
_PACKAGES = {"opentelemetry": "opentelemetry.sdk.trace"}
"""What says that a library is there, where it is not the package of its name: of this the API alone does nothing."""

_instrumented: dict[str, Instrumentation] = {}


def instrument(x: Any, /) -> Any:
    """Put request ids, trace context and events around an application, into a client, or into a whole library.

    An application is Starlette, FastAPI or Flask, which are changed in place and returned, or an ASGI or WSGI
    callable, for which a wrapper is returned: serve that. A client is ``httpx.Client``, ``httpx.AsyncClient``,
    ``requests.Session`` or ``urllib3.PoolManager``, changed in place and returned. A library is a name, such as
    ``"httpx"``, and means every client or application of it, those that exist as well; what is returned has
    ``remove()``. Idempotent. Raises SettingError for anything else.
    """
    if isinstance(x, str):
        return _library(x)
    for module, name, ours, function in _OBJECTS:
        loaded = sys.modules.get(module)
        kind = getattr(loaded, name, None)
        if isinstance(kind, type) and isinstance(x, kind):
            _ours(ours, function)(x)
            _settle()
            return x
    from clusterlog.integrations.application import wrapped

    app = wrapped(x)
    if app is None:
        what = f"the class {x.__name__}" if isinstance(x, type) else f"an object of type {type(x).__qualname__}"
        raise SettingError(
            f"cannot instrument {what}: give an application (Starlette, FastAPI, Flask, an ASGI or WSGI callable), "
            f"a client (httpx, requests, urllib3) or one of {', '.join(sorted(_LIBRARIES))}"
        )
    _settle()
    return app


def everything() -> Instrumentation:
    """Instrument every library we know as soon as it is imported; nothing is loaded for those that never are."""
    awaited = {_PACKAGES.get(name, name): name for name in _LIBRARIES if name != "threads"}

    def imported(module: ModuleType) -> None:
        _installed(awaited[module.__name__])

    def forget() -> None:
        for name in awaited:
            wait_no_more(name, imported)
        for each in _instrumented.values():
            each.remove()

    for name in awaited:
        when_imported(name, imported)
    _installed("threads")
    return Instrumentation("everything", forget)


def _library(name: str) -> Instrumentation:
    name = _ALIASES.get(name, name)
    if name not in _LIBRARIES:
        from difflib import get_close_matches

        known = sorted((*_LIBRARIES, *_ALIASES))
        near = get_close_matches(name.lower(), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "known are " + ", ".join(known)
        raise SettingError(f"cannot instrument {name!r}: {hint}")
    package = _PACKAGES.get(name, name)
    if name != "threads" and package not in sys.modules:
        from importlib.util import find_spec

        if find_spec(name) is None or find_spec(package) is None:
            raise SettingError(f"cannot instrument {name!r}: {package} is not installed here")
    return _installed(name)


def _installed(name: str) -> Instrumentation:
    found = _instrumented.get(name)
    if found is None or found.removed:
        found = _instrumented[name] = _ours(*_LIBRARIES[name])()
    return found


def _ours(module: str, function: str) -> Any:
    return getattr(import_module(f"clusterlog.integrations.{module}"), function)


def _settle() -> None:
    from clusterlog.integrations import lines

    lines.settle()
