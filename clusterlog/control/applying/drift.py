"""What the application configures while rules are in force is seen at once, and not only when somebody looks again.

A program configures its logging after it was started, so that a rule that came first would be lost until the next
look; and a logger may be made long after the rule that means it. Two methods of the library are replaced for as long
as there are rules, and only then. What takes another way (``logger.level = …``) is found by ``InForce.drifted``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.record.failure import raised_by_signal


class Watch:
    """Calls ``configured(logger, made)`` after each ``setLevel``, and for each logger made under logging's lock."""

    def __init__(self, configured: Callable[[logging.Logger, bool], object]) -> None:
        self._configured = configured
        self._patches = (
            Patch("logging:Logger.setLevel", self._setting),
            Patch("logging:Manager._fixupParents", self._making),
        )
        self.on = False

    def turn(self, on: bool) -> None:
        """Watch from here on, or no more."""
        if on is self.on:
            return
        self.on = on
        for patch in self._patches:
            if on:
                patch.install()
            else:
                patch.remove()

    def _setting(self, patch: Patch) -> Any:
        original = patch.original

        @wraps(original)
        def setLevel(logger: logging.Logger, level: int | str) -> None:  # noqa: N802 - the library's name
            original(logger, level)
            if patch.on:
                self._tell(logger, made=False)

        return setLevel

    def _making(self, patch: Patch) -> Any:
        original = patch.original

        @wraps(original)
        def _fixupParents(manager: logging.Manager, logger: logging.Logger) -> None:  # noqa: N802
            original(manager, logger)
            if patch.on and manager is logging.root.manager:
                self._tell(logger, made=True)

        return _fixupParents

    def _tell(self, logger: logging.Logger, made: bool) -> None:
        try:
            self._configured(logger, made)
        except Exception as error:  # the call is the host's, and went well
            if raised_by_signal(error):
                raise
