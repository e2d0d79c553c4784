"""One export led from its bytes to its answer: what is said to be taken is on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from clusterlog.encode.compact import dumps
from clusterlog.encode.otlp import protobuf
from clusterlog.encode.otlp.restored import is_ours
from clusterlog.encode.otlp.schema import LOGS, TRACES, Message
from clusterlog.errors import StoreUnavailable
from clusterlog.ship.ingest.lines import Unreadable, parsed
from clusterlog.web.faults import BUSY, ILLEGAL, JSON, PARSING, UNAVAILABLE, Fault, complain, internal
from clusterlog.web.intake.body import RETRY_AFTER_S, Load, Share, received, unpacked
from clusterlog.web.intake.bulk import Item
from clusterlog.web.intake.fates import Intake
from clusterlog.web.otlp.answers import PROTOBUF, failed, taken

THREADS = 2
"""Exports that are read and stored at once."""
_LATER = {"Retry-After": str(RETRY_AFTER_S)}


class Otlp:
    """Answers exports of logs and traces."""

    def __init__(self, intake: Intake, load: Load | None = None) -> None:
        self._intake = intake
        self._load = load or Load()
        self._limiter = CapacityLimiter(THREADS)

    async def logs(self, request: Request) -> Response:
        """``POST /v1/logs``."""
        return await self._answered(request, LOGS, _logs, "rejectedLogRecords")

    async def traces(self, request: Request) -> Response:
        """``POST /v1/traces``. A span that is sent again is stored once: its ids say which one it is."""
        return await self._answered(request, TRACES, _spans, "rejectedSpans")

    async def _answered(
        self, request: Request, message: Message, split: Callable[[dict[str, Any]], Iterator[Item]], counted: str
    ) -> Response:
        form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if form not in (JSON, PROTOBUF):
                raise Fault(415, ILLEGAL, f"Content-Type {form[:60]!a} is not known here: send {PROTOBUF} or {JSON}")
            with self._load.begin() as share:
                body = await received(request.headers, request.stream(), share)

                def take() -> tuple[int, str]:
                    found = list(split(_read(unpacked(request.headers, body, share), form, message)))
                    return self._taken(found, request.client.host if request.client else "", share)

                rejected, reason = await to_thread.run_sync(take, limiter=self._limiter)
            return taken(form, rejected, reason, counted)
        except Fault as fault:
            return failed(form, fault)
        except ClientDisconnect:
            raise
        except Exception as error:  # in the form that is expected
            complain(error)
            return failed(form, Fault(500, UNAVAILABLE, internal()))

    def _taken(self, found: list[Item], peer: str, share: Share) -> tuple[int, str]:
        """How many will never be taken, and why the first of them is not. Raises Fault where it may come again."""
        share.take(sum(len(each.document) for each in found))
        try:
            judged = self._intake.take(found, peer) if found else []
        except StoreUnavailable as error:
            raise Fault(503, UNAVAILABLE, str(error), _LATER) from None
        for each in judged:
            if each.fate in ("busy", "full"):
                raise Fault(503 if each.fate == "full" else 429, BUSY, each.reason, _LATER)
        refused = [each.reason for each in judged if each.fate in ("refused", "misnamed", "other")]
        return len(refused), refused[0] if refused else ""


def _read(body: bytes, form: str, message: Message) -> dict[str, Any]:
    try:
        return protobuf.decoded(body, message) if form == PROTOBUF else parsed(body)
    except Unreadable as error:
        raise Fault(400, PARSING, str(error)) from None
    except ValueError as error:
        raise Fault(400, PARSING, f"not Protocol Buffers: {error}") from None


def _logs(told: dict[str, Any]) -> Iterator[Item]:
    for document, _ in _records(told, "resourceLogs", "scopeLogs", "logRecords"):
        yield Item("create", "", None, document)


def _spans(told: dict[str, Any]) -> Iterator[Item]:
    for document, span in _records(told, "resourceSpans", "scopeSpans", "spans"):
        trace, own = span.get("traceId"), span.get("spanId")
        known = type(trace) is str and type(own) is str and trace and own and len(trace) + len(own) < 100
        known = known and not is_ours(span)  # which bears an id
        yield Item("create", "", f"span-{trace}-{own}" if known else None, document)


def _records(told: dict[str, Any], groups: str, scopes: str, records: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each record as a request of its own, and as it stands in it."""
    for group in _objects(told, groups):
        for scoped in _objects(group, scopes):
            for record in _objects(scoped, records):
                inner = {"scope": scoped.get("scope"), records: [record]}
                yield _text({groups: [{"resource": group.get("resource"), scopes: [inner]}]}), record


def _text(told: dict[str, Any]) -> bytes:
    try:
        return dumps(told)
    except TypeError:  # integers without end, which only JSON has
        return json.dumps(told).encode()


def _objects(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = told.get(name)
    return [each for each in found if type(each) is dict] if type(found) is list else []
