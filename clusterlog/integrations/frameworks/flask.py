"""Flask: the WSGI middleware around the application's own, and the exception behind a 500 on its access event."""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

from clusterlog.context.patching import Patch, wait_no_more, when_imported
from clusterlog.integrations import console
from clusterlog.integrations.frameworks.wsgi import FAILURE, Environ, Middleware, StartResponse, serve
from clusterlog.integrations.instrumentation import Instrumentation, patched

if TYPE_CHECKING:
    from flask import Flask


def put_around(app: Flask) -> None:
    """Instrument one application; it stays the object it is. Idempotent."""
    if isinstance(app.wsgi_app, Middleware):
        return
    from flask import got_request_exception

    _keep_console()
    # Flask lets an exception through only where somebody waits for it: a debugger, or a test.
    app.wsgi_app = Middleware(app.wsgi_app, answers=False)  # type: ignore[method-assign]
    got_request_exception.connect(_unhandled, app)


def put_around_all() -> Instrumentation:
    """Instrument every application there is and will be."""
    done = patched("flask", ("flask:Flask.__call__", _calling))
    when_imported("flask", _listen)
    return Instrumentation("flask", done.remove, _stop_listening, console.keep().remove)


def _calling(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    def call(self: Any, environ: Environ, start_response: StartResponse) -> Any:
        if patch is None or patch.on:
            return serve(original.__get__(self), environ, start_response, answers=False)
        return original(self, environ, start_response)

    return call


def _keep_console() -> None:
    global _console
    if _console is None:
        _console = console.keep()


_console: Instrumentation | None = None


def _listen(flask: ModuleType) -> None:
    flask.got_request_exception.connect(_unhandled)


def _stop_listening() -> None:
    wait_no_more("flask", _listen)
    flask = sys.modules.get("flask")
    if flask is not None:
        flask.got_request_exception.disconnect(_unhandled)


def _unhandled(sender: Any, exception: BaseException | None = None, **_: Any) -> None:
    from flask import request

    if exception is not None:
        request.environ[FAILURE] = exception
