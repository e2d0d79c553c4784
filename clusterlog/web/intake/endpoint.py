"""``POST /_bulk``: one request led from its bytes to its answer."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from clusterlog.errors import Incomplete, StoreUnavailable
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Match, Or, Query
from clusterlog.web.faults import JSON, UNAVAILABLE, Fault
from clusterlog.web.intake.answer import Fate, answer, result
from clusterlog.web.intake.body import RETRY_AFTER_S, Load, Share, received, unpacked
from clusterlog.web.intake.bulk import Item, items
from clusterlog.web.intake.events import Numbering, Strangers, ours, same

THREADS = 4
"""Requests that are unpacked, read and stored at once. Storing is one at a time; reading is bound to one CPU."""
_ASKED_AT_ONCE = 100
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFRESH = frozenset({"true", "wait_for", ""})


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item with what is delivered for it, or why nothing is."""

    item: Item
    delivery: Delivery | None
    refusal: str = ""


class Intake:
    """Takes events in for a store."""

    def __init__(self, store: EmbeddedStore, strangers: Strangers, load: Load | None = None) -> None:
        self._store = store
        self._strangers = strangers
        self._load = load or Load()
        self._limiter = CapacityLimiter(THREADS)

    async def bulk(self, request: Request) -> Response:
        """The answer to one request: what it calls created is on disk. Raises Fault."""
        target = request.path_params.get("target", "")
        refresh = request.query_params.get("refresh", "false") in _REFRESH
        peer = request.client.host if request.client else ""
        with self._load.begin() as share:
            body = await received(request.headers, request.stream(), share)
            told = await to_thread.run_sync(
                self._taken, request.headers, body, target, peer, refresh, share, limiter=self._limiter
            )
        return Response(told, 200, media_type=JSON)

    def _taken(self, headers: Headers, body: bytes, target: str, peer: str, refresh: bool, share: Share) -> bytes:
        begun = time.monotonic()
        found = list(items(unpacked(headers, body, share), target))
        results = self.take(found, peer)
        if refresh:
            with suppress(StoreUnavailable):  # all is safe, and found later
                self._store.flush()
        return answer(results, round((time.monotonic() - begun) * 1000))

    def take(self, found: Sequence[Item], peer: str) -> list[dict[str, Any]]:
        """Store what is new of these items, sent by ``peer``; the result of each, in their order.

        Raises Fault where none of them could be judged.
        """
        known = [None if item.refusal else ours(item) for item in found]
        with ExitStack() as stack:
            numbering: Numbering | None = None
            if any(own is None and not item.refusal for item, own in zip(found, known, strict=True)):
                numbering = stack.enter_context(self._strangers.numbering(peer))
            entries = [_entry(item, own, numbering) for item, own in zip(found, known, strict=True)]
            try:
                outcomes = iter(self._store.deliver([each.delivery for each in entries if each.delivery is not None]))
            except StoreUnavailable as error:
                if not _is_full(error):
                    retry = {"Retry-After": str(RETRY_AFTER_S)}
                    raise Fault(503, UNAVAILABLE, str(error), retry) from None
                if numbering is not None:
                    numbering.take_back()
                return [self._failed(each, "full", str(error)) for each in entries]
        judged = [(each, None if each.delivery is None else next(outcomes)) for each in entries]
        there = self._stored(judged)
        return [_judged(each, outcome, there) for each, outcome in judged]

    def _failed(self, entry: _Entry, fate: Fate, reason: str) -> dict[str, Any]:
        if entry.delivery is None:
            return _judged(entry, None, {})
        return result(entry.item, entry.item.id, fate, reason)

    def _stored(self, judged: Sequence[tuple[_Entry, Outcome | None]]) -> Mapping[str, bytes]:
        """What is stored under the ids that were to be indexed and are there already; to be compared."""
        asked = [
            each.delivery.id
            for each, outcome in judged
            if each.delivery is not None and each.item.action == "index" and outcome and outcome.status == "duplicate"
        ]
        there: dict[str, bytes] = {}
        if not asked:
            return there
        with suppress(StoreUnavailable):
            self._store.flush()
        for at in range(0, len(asked), _ASKED_AT_ONCE):
            wanted = Or(tuple(Match("event.id", id) for id in asked[at : at + _ASKED_AT_ONCE]))
            with suppress(Incomplete):
                there |= {found.key[1]: found.body for found in self._store.find(Query(wanted, limit=None))}
        return there


def _entry(item: Item, own: Delivery | None, numbering: Numbering | None) -> _Entry:
    if own is not None or item.refusal or numbering is None:
        return _Entry(item, own, item.refusal)
    try:
        return _Entry(item, numbering.event(item))
    except Exception as error:  # whatever a stranger's document does to a translation, it is that document's failure
        what = str(error) if isinstance(error, ValueError) else f"it cannot be made an event: {type(error).__name__}"
        return _Entry(item, None, what)


def _is_full(error: StoreUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _FULL


def _judged(entry: _Entry, outcome: Outcome | None, there: Mapping[str, bytes]) -> dict[str, Any]:
    """The result of one item, with what is stored under ids that were to be indexed."""
    item, delivery = entry.item, entry.delivery
    if delivery is None or outcome is None:
        return result(item, item.id, "refused", entry.refusal)
    id = delivery.id
    match outcome.status:
        case "stored":
            return result(item, id, "created")
        case "refused":
            return result(item, id, "refused", outcome.reason)
        case "duplicate" if item.action == "create":
            return result(item, id, "conflict", f"[{id}]: version conflict, document already exists")
        case "duplicate" if id in there:
            if same(delivery, there[id]):
                return result(item, id, "same")
            return result(item, id, "other", f"[{id}]: another event has this id, and events are not changed")
    return result(item, id, "busy", outcome.reason or "what is stored under this id cannot be read now")
