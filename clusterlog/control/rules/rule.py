"""A level change as data: what it sets, where, for whom and until when."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from clusterlog.settings import values

ROOT = ""
"""The name of the root logger in a rule: every logger is below it."""

Kind = Literal["set", "cap"]


def level_number(name: str) -> int:
    """``DEBUG`` … ``CRITICAL``, in any case, as the number of ``logging``. Raises ValueError for any other name."""
    return int(logging.getLevelName(values.level(name)))


def level_name(level: int) -> str:
    """The name people know a level by, in upper case; ``Level 15`` where it has none."""
    return str(logging.getLevelName(level))


def logger_named(text: str) -> str:
    """The logger that an operator means: ``orders``, ``orders.*``, and ``root``, ``*`` or nothing for all of them.

    Raises ValueError for what can be no logger's name.
    """
    name = text.strip().removesuffix(".*")
    if name in ("root", "*"):
        return ROOT
    if len(name) > MOST_TEXT or not name.isprintable() or "*" in name or name.startswith(".") or name.endswith("."):
        raise ValueError("a logger such as orders.stock, which means all below it, too; nothing for all of them")
    return name


MOST_TEXT = 256
"""Characters of a name, a reason or any other text of a rule."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which workers are meant: all terms must hold, each by any of its values; without a term, the whole cluster.

    ``service``, ``host`` and ``version`` are exact names; ``node`` are globs; ``role`` is a node's role or one of its
    tags; ``worker`` are numbers of workers. ``percent`` takes that share of nodes by a stable hash of service and node.
    """

    service: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    worker: tuple[int, ...] = ()
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Predicate:
    """Which requests are meant, where a rule is not about all lines; all terms that are not empty must hold.

    ``user`` is a ``user.hash``, never a name; ``tenant`` the label ``tenant``; ``route`` a glob over the route.
    """

    request: str = ""
    user: str = ""
    tenant: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a rule may cost each worker before it is tripped there: lines a second and in all; 0 for no limit."""

    lines_per_s: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One change. ``level`` is a number of ``logging``; ``logger`` means it and all below it, on dot boundaries.

    ``cap`` makes quieter at most, and is applied last. ``created_ns`` and ``expires_ns`` are the bus's own clock;
    ``expires_ns`` 0 is a rule that stays (``--persistent``). ``rev`` is the document's revision that brought it.
    """

    id: str
    logger: str
    level: int
    kind: Kind = "set"
    selector: Selector = Selector()
    predicate: Predicate | None = None
    limits: Limits = Limits()
    created_ns: int = 0
    expires_ns: int = 0
    rev: int = 0
    actor: str = ""
    reason: str = ""
    more: str = ""
    """Canonical JSON of what another version has said here, kept for those that know it; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a selector asks of a worker; ``number`` is the worker's among those of its node, 0 where it is not known."""

    service: str
    node: str
    host: str
    role: str = ""
    tags: tuple[str, ...] = ()
    version: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a predicate asks of a request; what is not known is empty, and matches no term."""

    request: str = ""
    user: str = ""
    tenant: str = ""
    route: str = ""
