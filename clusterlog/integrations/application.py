"""Which kind of application a callable is, ASGI or WSGI, and the middleware for it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from clusterlog.integrations.frameworks import asgi, wsgi

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def wrapped(app: Any) -> Any:
    """The application with its middleware around it; itself if it has one already; None if it is no application.

    A coroutine function is ASGI. Of others the number of arguments decides: ``(scope, receive, send)`` or
    ``(environ, start_response)``.
    """
    if isinstance(app, asgi.Middleware | wsgi.Middleware):
        return app
    if not callable(app) or isinstance(app, type):
        return None
    taken = _arguments(app)
    if _is_coroutine(app) or taken == 3:
        return asgi.Middleware(app)
    return wsgi.Middleware(app) if taken == 2 else None


def _is_coroutine(app: Any) -> bool:
    while isinstance(app, partial):
        app = app.func
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _arguments(app: Any) -> int:
    """How many arguments must be given by position; 0 if nobody knows."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(each.kind in _POSITIONAL and each.default is each.empty for each in parameters)
