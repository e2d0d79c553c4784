"""Whether a store may hold an event twice, because it began a new index between two sendings of it. Pure.

A data stream knows ids only within each of its backing indices. An event whose answer was lost and that is stored by
the next sending is stored once, unless the first sending got it into an older index. The name of a backing index tells
when it was made and how many there were before; what answers told of places tells the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_BACKING = re.compile(r"\.ds-(?P<stream>.+?)(?:-(?P<day>\d{4}\.\d\d\.\d\d))?-(?P<generation>\d{6,})")
_CLOCKS = timedelta(hours=1)
"""How far our clock and the server's may lie apart."""


@dataclass(slots=True)
class Places:
    """Where each stream is written to, and since when (ns) that is known."""

    _known: dict[str, tuple[str, int]] = field(default_factory=dict)

    def learn(self, place: str, now_ns: int) -> None:
        """Something was stored there now."""
        found = _BACKING.fullmatch(place)
        if found and self._known.get(found["stream"], ("",))[0] != place:
            self._known[found["stream"]] = place, now_ns

    def may_be_twice(self, place: str, sent_ns: int) -> bool:
        """Whether what was stored there now may lie elsewhere, too, if it was first sent at ``sent_ns`` or later."""
        found = _BACKING.fullmatch(place)
        if found is None or int(found["generation"]) <= 1:
            return False
        known, since_ns = self._known.get(found["stream"], ("", 0))
        if known == place and since_ns <= sent_ns:
            return False
        if found["day"] is None:
            return True
        first = datetime.fromtimestamp(sent_ns / 1e9, UTC) - _CLOCKS
        return found["day"] >= f"{first:%Y.%m.%d}"
