"""The desired state of a cluster: one versioned document of rules, signed as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clusterlog.control.rules.rule import Rule

MOST_RULES = 100
MOST_BYTES = 32 << 10


class Version(NamedTuple):
    """``epoch`` is made once with a cluster's name space, ``rev`` counts its changes; clocks decide nothing."""

    epoch: str
    rev: int


@dataclass(frozen=True, slots=True)
class Document:
    """All rules of ``cluster`` at ``version``; ``issued_ns`` is the bus's clock when it was written."""

    cluster: str
    version: Version
    rules: tuple[Rule, ...] = ()
    issued_ns: int = 0
