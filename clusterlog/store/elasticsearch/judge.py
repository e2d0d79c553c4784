"""What an answer to a bulk request means for each event that was sent. Pure.

Every event is judged by its own item, and an item by its status first: 429 and 5xx come by themselves, 403 and 404 end
when a person does something, and only 400 is about the event. An answer that does not account for each event says
nothing about any: all are sent again, which their ids make harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.store.base import DUPLICATE, STORED, Outcome
from clusterlog.store.elasticsearch.streams import PATTERN
from clusterlog.store.elasticsearch.transport import Answer

REASON_LIMIT = 400
_OVERLOADED = frozenset({408, 425, 429, 503, 504})
_UNREADABLE = "not_x_content_exception"
"""What Elasticsearch answers with status 500 about a document that is no object: it will not be one next time."""
_NOT_OF_THE_EVENT = frozenset({"index_closed_exception", "invalid_index_name_exception", "validation_exception"})
"""Types of error with status 400 that every event would meet until somebody mends the server; the last one is for too
many shards in the cluster."""
_PIPELINE_IS_MISSING = "pipeline with id ["
_LACKS_A_RIGHT = ("is unauthorized", "no permissions for")
"""Of what Elasticsearch and OpenSearch say to somebody who may not do something."""
_RIGHTS_THAT_WOULD_DO = ", this action is granted by"
"""Behind it Elasticsearch lists all of them, most of which nobody should be given for it."""
TO_SHIP = (
    f"shipping needs the rights create_doc and auto_configure on {PATTERN}: "
    "`clusterlog setup elasticsearch --keys ship` makes a key with them"
)
_NOT_OF_THE_BODY = ("media_type_header_exception", "unrecognized parameter", "no handler found")
"""Parts of what is told about a request that is refused whatever its body holds."""


@lru_cache(64)
def all_created(sent: int) -> bytes:
    """The answer that is nearly always given, where no more is asked for than what matters."""
    return b'{"errors":false,"items":[%b]}' % b",".join([b'{"create":{"status":201}}'] * sent)


def judge(answer: Answer, sent: int) -> list[Outcome]:
    """One outcome for each of the ``sent`` events, in their order.

    Raises StoreUnavailable, whose ``advice`` says how to go on, where the answer judges none of them.
    """
    if answer.status != 200:
        raise trouble(answer, TO_SHIP)
    if answer.content == all_created(sent):
        return [STORED] * sent
    body = answer.body
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise StoreUnavailable(f"{answer.node}: {_no_answer(answer)}")
    if len(items) != sent:
        raise StoreUnavailable(f"{answer.node}: answers for {len(items)} of {sent} events, so for none of them")
    return [_item(each, answer) for each in items]


def _item(item: Any, answer: Answer) -> Outcome:
    told = next(iter(item.values()), None) if isinstance(item, dict) else None
    status = told.get("status") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(status, int):
        raise StoreUnavailable(f"{answer.node}: answers with items that have no status")
    if status in (200, 201):
        if told.get("failure_store") == "used":
            return Outcome("failure_store", "it does not fit the mapping, and is in the failure store of its stream")
        return Outcome("stored", place=told["_index"]) if isinstance(told.get("_index"), str) else STORED
    error = told.get("error")
    kind, reason = _told(error)
    if kind == _UNREADABLE:
        return Outcome("refused", reason)
    if status == 409:
        place = error.get("index") if isinstance(error, dict) else None
        return Outcome("duplicate", place=place) if isinstance(place, str) else DUPLICATE
    if status == 429 or status >= 500:
        return Outcome("retry", reason or f"status {status}")
    if status == 413 or (status == 400 and not (kind in _NOT_OF_THE_EVENT or _PIPELINE_IS_MISSING in reason)):
        return Outcome("refused", reason or f"status {status}")
    return Outcome("blocked", _with_need(reason, TO_SHIP) or f"status {status}")


def trouble(answer: Answer, need: str = "") -> StoreUnavailable:
    """What an answer that is not 200 means for the whole request, in one line, and what to do about it.

    ``need`` says which rights the request needs: it is told to who lacks them.
    """
    status, where = answer.status, answer.node
    kind, reason = error_of(answer)
    because = f": {_with_need(reason, need)}" if reason else ""
    if status == 401:
        if not answer.credentials:
            return StoreDenied(f"{where}: wants to know who we are (401): set token or token_file")
        return StoreDenied(f"{where}: does not accept our {answer.credentials} (401){because}")
    if status == 403:
        return StoreDenied(f"{where}: our {answer.credentials or 'lack of credentials'} may not do this (403){because}")
    if status == 407:
        return StoreUnavailable(f"{where}: the proxy before it wants a user and password (407)", "wait")
    if status == 413:
        return StoreUnavailable(f"{where}: too much for one request (413)", "halve")
    if status in _OVERLOADED:
        return StoreUnavailable(f"{where}: has too much to do ({status}){because}", "slower", retry_after(answer))
    if status == 400 and kind and not any(part in reason for part in _NOT_OF_THE_BODY):
        return StoreUnavailable(f"{where}: cannot read the request (400){because}", "bisect")
    if 300 <= status < 400:
        to = answer.headers.get("location")
        return StoreUnavailable(f"{where}: leads elsewhere ({status})" + (f": use {to[:200]}" if to else ""), "wait")
    if status >= 500:
        return StoreUnavailable(f"{where}: fails ({status}){because}", retry_after=retry_after(answer))
    return StoreUnavailable(f"{where}: does not do what a store does ({status}){because or _shown(answer)}", "wait")


def _with_need(reason: str, need: str) -> str:
    """A reason with what mends it, where a right is lacking."""
    if not any(part in reason for part in _LACKS_A_RIGHT):
        return reason
    told = without_remedies(reason)
    return f"{told}; {need}" if need else told


def without_remedies(reason: str) -> str:
    """Why somebody may not do something, without the list of rights any of which would do."""
    return reason.partition(_RIGHTS_THAT_WOULD_DO)[0]


def error_of(answer: Answer) -> tuple[str, str]:
    """The type of the error an answer tells of, and one line about it; both empty if it tells of none."""
    return _told(answer.body.get("error") if isinstance(answer.body, dict) else None)


def _told(error: Any) -> tuple[str, str]:
    """Type of an error, and type, reason and what caused it in one line."""
    if isinstance(error, str):
        return "", error[:REASON_LIMIT]
    if not isinstance(error, dict):
        return "", ""
    kind = str(error.get("type") or "")
    caused = error.get("caused_by")
    causes = [error.get("reason"), caused.get("reason") if isinstance(caused, dict) else None]
    text = ": ".join(part for part in (kind, *(str(cause) for cause in causes if cause)) if part)
    return kind, " ".join(text.split())[:REASON_LIMIT]


def _no_answer(answer: Answer) -> str:
    if not answer.content:
        return "answers 200 with nothing in it"
    if answer.body is None:
        return f"answers 200, but not as a store does{_shown(answer)}: is a proxy or a log-in page in between?"
    return "answers 200 without saying what became of the events"


def _shown(answer: Answer) -> str:
    kind = answer.headers.get("content-type") or "no type"
    return f" ({kind.partition(';')[0][:60]})"


def retry_after(answer: Answer) -> float | None:
    """Seconds a server asks to wait (RFC 9110, 10.2.3): a number or a date."""
    asked = answer.headers.get("retry-after") or ""
    if asked.strip().isdecimal():
        return float(asked)
    try:
        at = parsedate_to_datetime(asked)
    except (TypeError, ValueError):
        return None
    now = _date(answer.headers) or datetime.now(UTC)
    return max(0.0, (at.astimezone(UTC) - now).total_seconds())


def _date(headers: Mapping[str, str]) -> datetime | None:
    """When the server says it answered: its clock, not ours, is what its dates are told by."""
    try:
        return parsedate_to_datetime(headers.get("date") or "").astimezone(UTC)
    except (TypeError, ValueError):
        return None
