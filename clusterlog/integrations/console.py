"""Libraries that write to the console as long as nobody else listens: a handler of clusterlog is nobody in that sense.

Flask and Werkzeug give their loggers a console handler unless one is there already. With ours on the root logger they
would fall silent, and with them the address a development server listens on and every traceback.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.integrations.instrumentation import Instrumentation, patched
from clusterlog.record.stdlib import RecordHandler


def keep() -> Instrumentation:
    """Have them look for handlers other than ours, now or when they are imported."""
    return patched(
        "console",
        ("flask.logging:has_level_handler", _looking),
        ("werkzeug._internal:_has_level_handler", _looking),
    )


def _looking(original: Any, patch: Patch | None) -> Any:
    @wraps(original)
    def has_level_handler(logger: logging.Logger) -> bool:
        if patch is None or patch.on:
            return _heard_by_others(logger)
        return bool(original(logger))

    return has_level_handler


def _heard_by_others(logger: logging.Logger) -> bool:
    level = logger.getEffectiveLevel()
    current: logging.Logger | None = logger
    while current is not None:
        for handler in current.handlers:
            if handler.level <= level and not isinstance(handler, RecordHandler):
                return True
        current = current.parent if current.propagate else None
    return False
