"""What the application configured: the level of each logger as it would be without rules."""

from __future__ import annotations

import logging
from typing import Self

from clusterlog.control.rules.effective import lineage


class Ruled(int):
    """A level that a rule set; ``base`` is the level that the application had set, the very object."""

    base: int

    def __new__(cls, level: int, base: int) -> Self:
        """``level`` in force over ``base``."""
        made = super().__new__(cls, level)
        made.base = base
        return made


def own_base(logger: logging.Logger) -> int:
    """The level that the application gave this logger itself; ``NOTSET`` for none."""
    level = logger.level
    return level.base if type(level) is Ruled else level


def base_level(logger: logging.Logger | None) -> int:
    """The level that would be in force for this logger if there were no rules."""
    while logger is not None:
        level = own_base(logger)
        if level:
            return level
        logger = logger.parent
    return logging.NOTSET


def nearest(name: str) -> logging.Logger:
    """The logger of a name or, where nobody has made it yet, the one it would have its level from."""
    known = logging.root.manager.loggerDict
    for each in lineage(name):
        found = known.get(each)
        if isinstance(found, logging.Logger):
            return found
    return logging.root
