"""Requests that are really sent through an application, in the doctor's own process, and what came of their ids.

A route that fails is put into the application for that; the process ends afterwards, and nobody else sees it.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.context.request import request_id
from clusterlog.integrations.application import wrapped
from clusterlog.integrations.frameworks import asgi, wsgi
from clusterlog.record.slot import slot

FAILING = "/clusterlog-doctor-fails"
ABSENT = "/clusterlog-doctor-asks-for-nothing"
_LOGGER = "clusterlog.doctor"
_DEEP = 12
_INSIDE = ("app", "wsgi_app", "application", "asgi_app", "_app", "__wrapped__", "middleware_stack")


@dataclass
class Road:
    """Stands in the slot while a request is sent: what would be stored is kept here."""

    lines: list[str | None] = field(default_factory=list)
    access: int = 0

    def line(self, level: int, logger: str, *_: Any, **__: Any) -> None:
        """Remember the id under which our own line was said."""
        if logger == _LOGGER:
            self.lines.append(request_id())

    def bound(self, fields: Mapping[str, Any]) -> Any:
        """Nothing is kept of what is bound."""
        return None

    def document(self, dataset: str, *_: Any, **__: Any) -> None:
        """Count access events."""
        self.access += dataset == "clusterlog.access"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request brought: status (``None`` if the application raised instead), id on the response, the road."""

    status: int | None
    id: str | None
    road: Road


def examine(app: Any, name: str) -> Iterator[Finding]:
    """Send a request that finds nothing and one that fails; ``name`` is what the application is called."""
    send = _sender(app)
    if send is None:
        text = f"{name} is neither an ASGI nor a WSGI application: no request was sent"
        yield Finding("application", "problem", text, "name the object that your server is given, as module:name")
        return
    inner = _framework(app)
    planted = inner is not None and _plant(inner)
    absent = _asked(send, ABSENT)
    if absent.id is None:
        yield _without_id(app, name)
        return
    if absent.road.access > 1:
        text = f"one request through {name} makes {absent.road.access} access events"
        yield Finding("middleware", "problem", text, "instrument() the application once, outermost")
    else:
        yield Finding("middleware", "ok", f"{name} answers with X-Request-ID, one access event a request")
    if not planted:
        yield Finding("500", "note", f"no route that fails could be put into {name}: ids on a 500 were not looked at")
        return
    failed = _asked(send, FAILING)
    if failed.id is None:
        text = f"a 500 of {name} has no X-Request-ID: something outside of the middleware answers it"
        yield Finding(
            "500", "problem", text, f"instrument() the outermost object: {name} = clusterlog.instrument({name})"
        )
    elif failed.road.lines and failed.road.lines[0] != failed.id:
        text = f"a line said while {name} fails has the id {failed.road.lines[0]}, and the response {failed.id}"
        yield Finding("500", "problem", text, f"instrument() the outermost object, once: clusterlog.instrument({name})")
    else:
        yield Finding("500", "ok", "a request that fails keeps its id, on its lines and on its response")


def _without_id(app: Any, name: str) -> Finding:
    if _middleware_inside(app):
        text = f"clusterlog's middleware is inside of {type(app).__name__}, which answers without it"
        return Finding("middleware", "problem", text, f"put instrument() around the outermost object: {name}")
    text = f"{name} answers without X-Request-ID: nothing instruments it"
    mend = f"{name} = clusterlog.instrument({name}), or run it by `clusterlog run -- CMD`"
    return Finding("middleware", "problem", text, mend)


def _asked(send: Any, path: str) -> Answer:
    road, before = Road(), slot.road
    slot.road = road
    try:
        status, headers = send(path)
    except Exception:  # the application's own; a server would answer something of its own
        status, headers = None, {}
    finally:
        slot.road = before
    return Answer(status, headers.get("x-request-id"), road)


def _sender(app: Any) -> Any:
    """A function from a path to (status, headers), or ``None`` for what is no application."""
    kind = wrapped(app)
    if isinstance(kind, asgi.Middleware):
        return lambda path: asyncio.run(_asgi(app, path))
    return (lambda path: _wsgi(app, path)) if isinstance(kind, wsgi.Middleware) else None


async def _asgi(app: Any, path: str) -> tuple[int, dict[str, str]]:
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"doctor")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        if not sent:
            raise
    start = next(each for each in sent if each["type"] == "http.response.start")
    return start["status"], {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in start.get("headers", ())}


def _wsgi(app: Any, path: str) -> tuple[int, dict[str, str]]:
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "doctor",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.append((status, headers))
        return lambda body: None

    body = app(environ, start_response)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = told[-1]
    return int(status.split(" ", 1)[0]), {key.lower(): value for key, value in headers}


def _inside(app: Any) -> Iterator[Any]:
    """The application and what it is put around, as far as the usual names lead."""
    seen: set[int] = set()
    waiting = [app]
    while waiting and len(seen) < _DEEP:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [found for name in _INSIDE if (found := getattr(each, name, None)) is not None]
        waiting += [route.app for route in getattr(each, "routes", None) or () if hasattr(route, "app")]


def _middleware_inside(app: Any) -> bool:
    return any(
        isinstance(each, asgi.Middleware | wsgi.Middleware)
        or getattr(getattr(each, "build_middleware_stack", None), "clusterlog", False)
        for each in _inside(app)
    )


def _framework(app: Any) -> Any:
    """The innermost object that routes can be put into."""
    kinds = [
        kind
        for module, name in (("starlette.applications", "Starlette"), ("flask", "Flask"))
        if isinstance(kind := getattr(sys.modules.get(module), name, None), type)
    ]
    return next((each for each in _inside(app) if isinstance(each, tuple(kinds))), None) if kinds else None


def _plant(app: Any) -> bool:
    """Put a route that fails into a Starlette or Flask application, before all others."""
    flask = sys.modules.get("flask")
    if flask is not None and isinstance(app, flask.Flask):
        from werkzeug.routing import Rule

        app.url_map.add(Rule(FAILING, endpoint="clusterlog.doctor"))
        app.view_functions["clusterlog.doctor"] = _fail
        app.config["PROPAGATE_EXCEPTIONS"] = False
        return True
    from starlette.routing import Route

    async def failing(request: Any) -> Any:
        _fail()

    app.router.routes.insert(0, Route(FAILING, failing))
    return True


def _fail() -> Any:
    logging.getLogger(_LOGGER).warning("the doctor's request is about to fail")
    raise RuntimeError("planted by clusterlog doctor")
