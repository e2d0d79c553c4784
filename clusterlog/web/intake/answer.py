"""The answer to a ``_bulk`` request in Elasticsearch's form: a result for each item, in their order. Pure.

Whoever sends to Elasticsearch judges this answer the same way: 409 is a second copy, 429 comes again, 400 never fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.web.faults import BLOCKED, BUSY, CONFLICT, ILLEGAL, NO_NAME, PARSING
from clusterlog.web.intake.fates import Fate, Judged

NO_INDEX = "clusterlog"
"""The index of items that name none: there are none here, and senders expect one in an answer."""

_FAILURES: Mapping[Fate, tuple[int, str]] = {
    "conflict": (409, CONFLICT),
    "other": (400, ILLEGAL),
    "misnamed": (400, NO_NAME),
    "refused": (400, PARSING),
    "busy": (429, BUSY),
    "full": (429, BLOCKED),
}
_SHARDS = {"total": 1, "successful": 1, "failed": 0}
_LITTLE = ("took", "errors", "error", "items.*.status", "items.*.error", "items.*.failure_store")
_CREATED = {"status": 201}


def answer(judged: Sequence[Judged], took_ms: int, *, brief: bool = False) -> bytes:
    """The answer; a ``brief`` one says of each item how it ended, and nothing else."""
    items = [{each.item.action: _brief(each) if brief else _result(each)} for each in judged]
    errors = any(each.fate in _FAILURES for each in judged)
    return dumps({"took": took_ms, "errors": errors, "items": items})


def is_brief(filter_path: str) -> bool:
    """Whether a sender asks for how items ended and nothing else, as those do that judge them; empty: for everything.

    The rest of a result is as long as an event.
    """
    parts = filter_path.split(",")
    return all(any(part == each or part.startswith(f"{each}.") for each in _LITTLE) for part in parts)


def _result(judged: Judged) -> dict[str, Any]:
    about = {"_index": judged.item.target or NO_INDEX, "_id": judged.id}
    if judged.fate in _FAILURES:
        return about | _failure(judged)
    result = ("noop", 200) if judged.fate == "same" else ("created", 201)
    return {
        **about,
        "_version": 1,
        "result": result[0],
        "_shards": _SHARDS,
        "_seq_no": 0,
        "_primary_term": 1,
        "status": result[1],
    }


def _brief(judged: Judged) -> dict[str, Any]:
    if judged.fate == "created":
        return _CREATED
    return _failure(judged) if judged.fate in _FAILURES else {"status": 200}


def _failure(judged: Judged) -> dict[str, Any]:
    status, kind = _FAILURES[judged.fate]
    error = {"type": kind, "reason": judged.reason, "index": judged.item.target or NO_INDEX, "shard": "0"}
    return {"status": status, "error": error}
