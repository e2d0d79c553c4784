"""Results of a ``_bulk`` request in Elasticsearch's form, one per item and in their order. Pure.

Whoever sends to Elasticsearch judges this answer the same way: 409 is a second copy, 429 comes again, 400 never fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from clusterlog.encode.compact import dumps
from clusterlog.web.faults import BLOCKED, BUSY, CONFLICT, ILLEGAL, PARSING
from clusterlog.web.intake.bulk import Item

NO_INDEX = "clusterlog"
"""The index of items that name none: there are none here, and senders expect one in an answer."""
_SHARDS = {"total": 1, "successful": 1, "failed": 0}

Fate = Literal["created", "same", "conflict", "other", "refused", "busy", "full"]
"""What became of an item.

``created``: it is on disk. ``same``: it was there, byte for byte. ``conflict``: an event of that id was there, and
nothing was to be overwritten. ``other``: the event of that id is another one. ``refused``: it will never be taken.
``busy``, ``full``: not now, the latter for want of room on the disk.
"""

_FAILURES: dict[str, tuple[int, str]] = {
    "conflict": (409, CONFLICT),
    "other": (400, ILLEGAL),
    "refused": (400, PARSING),
    "busy": (429, BUSY),
    "full": (429, BLOCKED),
}


def result(item: Item, id: str | None, fate: Fate, reason: str = "") -> dict[str, Any]:
    """What is answered to one item. ``id`` is that of the event, made for it where it had none."""
    told: dict[str, Any] = {"_index": item.index or NO_INDEX, "_id": id}
    failure = _FAILURES.get(fate)
    if failure is None:
        told["_version"] = 1
        told["result"], told["status"] = ("noop", 200) if fate == "same" else ("created", 201)
        told["_shards"] = _SHARDS
        told["_seq_no"], told["_primary_term"] = 0, 1
    else:
        status, kind = failure
        told["status"] = status
        told["error"] = {"type": kind, "reason": reason, "index": told["_index"], "shard": "0"}
    return {item.action: told}


def answer(results: Sequence[dict[str, Any]], took_ms: int) -> bytes:
    """The whole answer."""
    errors = any("error" in told for each in results for told in each.values())
    return dumps({"took": took_ms, "errors": errors, "items": results})
