"""uvicorn: every application it serves is instrumented, whoever configured it, and its lines are seen to."""

from __future__ import annotations

from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.integrations import lines
from clusterlog.integrations.frameworks.asgi import Middleware
from clusterlog.integrations.instrumentation import Instrumentation, patched
from clusterlog.start import pause


def put_into_all() -> Instrumentation:
    """Instrument every server that this process will run."""
    done = patched(
        "uvicorn",
        ("uvicorn.config:Config.load", _loading),
        ("uvicorn.config:Config.configure_logging", _configuring),
        ("uvicorn.server:Server._serve", _serving),
    )
    return Instrumentation("uvicorn", done.remove, lines.leave)


def _loading(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    def load(self: Any) -> None:
        original(self)
        if patch is None or patch.on:
            # Outside of uvicorn's own middleware, which replaces the peer's address by what a proxy says of the client.
            self.loaded_app = Middleware(self.loaded_app)

    return load


def _configuring(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    def configure_logging(self: Any) -> None:
        original(self)
        if patch is None or patch.on:
            lines.settle()

    return configure_logging


def _serving(original: Any, patch: Patch | None) -> Any:
    """A server that was told to stop ends itself by that very signal, without ``atexit``: so its life ends here."""

    @wraps(original)
    async def _serve(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            await original(self, *args, **kwargs)
        finally:
            if patch is None or patch.on:
                pause()

    return _serve
