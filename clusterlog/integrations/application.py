"""Which kind of application a callable is, ASGI or WSGI, and the middleware for it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from clusterlog.integrations.frameworks import asgi, wsgi


def wrapped(app: Any) -> Any:
    """The application with its middleware around it; itself if it has one already; None if it is no application.

    A coroutine function is ASGI. Of others the arguments they take decide: ``(environ, start_response)``, or only all
    of ``(scope, receive, send)``.
    """
    if isinstance(app, asgi.Middleware | wsgi.Middleware):
        return app
    if not callable(app) or isinstance(app, type):
        return None
    if _is_coroutine(app) or (_takes(app, 3) and not _takes(app, 2)):
        return asgi.Middleware(app)
    return wsgi.Middleware(app) if _takes(app, 2) else None


def _is_coroutine(app: Any) -> bool:
    while isinstance(app, partial):
        app = app.func
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _takes(app: Any, count: int) -> bool:
    """Whether it can be called with so many arguments by position."""
    try:
        inspect.signature(app).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True
