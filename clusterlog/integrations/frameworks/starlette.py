"""Starlette and FastAPI: the ASGI middleware outside of the framework's own, so that its 500s carry the id as well."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from clusterlog.context.patching import Patch
from clusterlog.integrations.frameworks.asgi import Middleware, Receive, Scope, Send, serve
from clusterlog.integrations.instrumentation import Instrumentation, patched

if TYPE_CHECKING:
    from starlette.applications import Starlette


def put_around(app: Starlette) -> None:
    """Instrument one application; it stays the object it is. Idempotent.

    The stack is wrapped where it is built, because ``add_middleware`` only reaches the inside of
    ``ServerErrorMiddleware``, which answers what nobody handled.
    """
    if "build_middleware_stack" in vars(app) and getattr(app.build_middleware_stack, "clusterlog", False):
        return
    build = app.build_middleware_stack

    @wraps(build)
    def build_middleware_stack() -> Any:
        return Middleware(build())

    build_middleware_stack.clusterlog = True  # type: ignore[attr-defined]
    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]
    if app.middleware_stack is not None:  # it has run already
        app.middleware_stack = Middleware(app.middleware_stack)


def put_around_all() -> Instrumentation:
    """Instrument every application there is and will be; FastAPI's inherit what is replaced here."""
    return patched("starlette", ("starlette.applications:Starlette.__call__", _calling))


def _calling(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if patch is None or patch.on:
            await serve(original.__get__(self), scope, receive, send)
        else:
            await original(self, scope, receive, send)

    return call
