"""What an answer to an OTLP export means for what was sent. Pure.

By the specification (OTLP 1.x, "OTLP/HTTP Response"): 200 is success, as a whole or in part; 429, 502, 503 and 504 come
again, after as long as ``Retry-After`` says; any other 4xx will not do better by being sent again. A failure without a
reason of its own, 500 say, is sent again here, since to drop events for it would be worse than a double.
"""

from __future__ import annotations

from typing import Any

from clusterlog.encode.compact import loads
from clusterlog.encode.otlp.protobuf import decoded
from clusterlog.encode.otlp.schema import LOGS_ANSWER, STATUS, TRACES_ANSWER, Message
from clusterlog.encode.otlp.values import number, only_object, text
from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.judge import REASON_LIMIT, retry_after
from clusterlog.store.elasticsearch.transport import Answer

JSON, PROTOBUF = "application/json", "application/x-protobuf"
_TAKEN, _NO_CONTENT = (200, 202), 204
_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_OF_THE_BODY = (400, 422)
_WITHOUT_BRACKETS = str.maketrans("[]", "()")
"""In brackets others name a field that an event may do without: nothing of the kind is meant here."""


def rejected(answer: Answer, *, spans: bool) -> tuple[int, str]:
    """How many records will never be taken, and why; all others are.

    Raises StoreUnavailable, whose ``advice`` says how to go on, where none was taken or nobody knows.
    """
    if answer.status == _NO_CONTENT:
        return 0, ""
    if answer.status not in _TAKEN:
        raise _trouble(answer, "spans" if spans else "log records")
    told = _read(answer, TRACES_ANSWER if spans else LOGS_ANSWER)
    if told is None:
        kind = f"{_form(answer) or 'no type'}, {len(answer.content)} bytes"
        why = f"answers {answer.status} ({kind}), but not as OTLP asks: is a proxy or a log-in page in between?"
        raise StoreUnavailable(f"{answer.node}: {why}")
    partial = only_object(told.get("partialSuccess"))
    count = number(partial.get("rejectedSpans" if spans else "rejectedLogRecords"))
    return max(0, count), _line(text(partial, "errorMessage")) or "rejected without a reason"


def _trouble(answer: Answer, what: str) -> StoreUnavailable:
    status, where = answer.status, answer.node
    reason = _line(text(_read(answer, STATUS) or {}, "message"))
    because = f": {reason}" if reason else ""
    if status == 401 and not answer.credentials:
        how = "write user and password into the URL of sink, or set token_file where store is at no URL"
        return StoreDenied(f"{where}: wants to know who we are (401): {how}")
    if status in (401, 403):
        known = answer.credentials or "lack of credentials"
        return StoreDenied(f"{where}: our {known} may not send {what} ({status}){because}")
    if status in (404, 405):
        told = f"takes no {what} ({status}): is its address right, and has it a pipeline for them?"
        return StoreUnavailable(f"{where}: {told}", "wait")
    if status == 407:
        return StoreUnavailable(f"{where}: the proxy before it wants a user and password (407)", "wait")
    if status == 413:
        return StoreUnavailable(f"{where}: too much for one request (413)", "halve")
    if status in _BUSY:
        return StoreUnavailable(f"{where}: cannot take {what} now ({status}){because}", "slower", retry_after(answer))
    if status in _OF_THE_BODY:
        return StoreUnavailable(f"{where}: cannot read the request ({status}){because}", "bisect")
    if status >= 500:
        return StoreUnavailable(f"{where}: fails ({status}){because}", retry_after=retry_after(answer))
    to = answer.headers.get("location") if 300 <= status < 400 else None
    leads = f"leads elsewhere ({status})" + (f": use {to[:200]}" if to else "")
    other = leads if 300 <= status < 400 else f"does not do what OTLP asks ({status}){because}"
    return StoreUnavailable(f"{where}: {other}", "wait")


def _read(answer: Answer, message: Message) -> dict[str, Any] | None:
    """The message in an answer; ``None`` where there is none."""
    form = _form(answer)
    try:
        if form == PROTOBUF:
            return decoded(answer.content, message)
        found = loads(answer.content) if form == JSON else None
    except ValueError:
        return None
    return found if type(found) is dict else None


def _form(answer: Answer) -> str:
    return (answer.headers.get("content-type") or "").partition(";")[0].strip().lower()[:60]


def _line(told: str) -> str:
    return " ".join(told.split())[:REASON_LIMIT].translate(_WITHOUT_BRACKETS)
