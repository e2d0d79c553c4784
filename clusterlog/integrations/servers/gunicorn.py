"""gunicorn: what its workers load is instrumented and their lines are seen to; the arbiter is left alone."""

from __future__ import annotations

from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.integrations import lines
from clusterlog.integrations.application import wrapped
from clusterlog.integrations.instrumentation import Instrumentation, patched


def put_into_all() -> Instrumentation:
    """Instrument every worker that is forked from here on."""
    done = patched("gunicorn", ("gunicorn.workers.base:Worker.load_wsgi", _loading))
    return Instrumentation("gunicorn", done.remove, lines.leave)


def _loading(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    def load_wsgi(self: Any) -> None:
        original(self)
        if patch is None or patch.on:
            lines.settle()
            self.wsgi = wrapped(self.wsgi) or self.wsgi

    return load_wsgi
