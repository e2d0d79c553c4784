"""What becomes of each item of a request: stored, known already, refused, or to be sent again."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Literal, NamedTuple

from clusterlog.errors import Incomplete, StoreUnavailable
from clusterlog.ship.ingest.lines import Unreadable
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Match, Or, Query
from clusterlog.web.faults import complain, internal
from clusterlog.web.intake.bulk import Item
from clusterlog.web.intake.events import DEEPEST, Numbering, Strangers, is_deep, ours, same

Fate = Literal["created", "same", "conflict", "other", "misnamed", "refused", "busy", "full"]
"""How an item ended.

``created``: it is on disk. ``same``: it was there, byte for byte. ``conflict``: an event of that id was there, and
nothing was to be overwritten. ``other``: the event of that id is another one. ``misnamed``: there can be no index of
that name. ``refused``: it will never be taken.
``busy``, ``full``: not now, the latter for want of room on the disk.
"""

_ASKED_AT_ONCE = 100
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Judged(NamedTuple):
    """An item and how it ended. ``id`` is that of the event, made for it where it came without one."""

    item: Item
    id: str | None
    fate: Fate
    reason: str = ""


class _Meant(NamedTuple):
    """An item with what is delivered for it, or why nothing is."""

    item: Item
    delivery: Delivery | None
    refusal: str = ""


class Intake:
    """Takes events in for a store. Threads may share it."""

    def __init__(self, store: EmbeddedStore, strangers: Strangers) -> None:
        self.store = store
        self._strangers = strangers

    def take(self, found: Sequence[Item], peer: str) -> list[Judged]:
        """Store what is new of these items, sent by ``peer``: how each ended, in their order.

        Raises StoreUnavailable where none of them could be judged.
        """
        known = [None if item.refusal else ours(item) for item in found]
        full = ""
        with ExitStack() as stack:
            numbering: Numbering | None = None
            if any(own is None and not item.refusal for item, own in zip(found, known, strict=True)):
                numbering = stack.enter_context(self._strangers.numbering(peer))
            meant = [_meant(item, own, numbering) for item, own in zip(found, known, strict=True)]
            try:
                outcomes = self.store.deliver([each.delivery for each in meant if each.delivery is not None])
            except StoreUnavailable as error:
                if not _is_full(error):
                    raise
                if numbering is not None:
                    numbering.take_back()
                outcomes = []
                full = str(error)
        if not outcomes:
            return [_refused(each) if each.delivery is None else _without_room(each, full) for each in meant]
        return self._judged(meant, outcomes)

    def _judged(self, meant: Iterable[_Meant], outcomes: Iterable[Outcome]) -> list[Judged]:
        ended = iter(outcomes)
        pairs = [(each, None if each.delivery is None else next(ended)) for each in meant]
        asked = [
            each.delivery.id
            for each, outcome in pairs
            if outcome is not None and outcome.status == "duplicate" and each.delivery and each.item.action == "index"
        ]
        there = self._stored(asked) if asked else {}
        return [_judged(each, outcome, there) for each, outcome in pairs]

    def _stored(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The events stored under these ids, as far as they can be read now."""
        with suppress(StoreUnavailable):  # the index cannot be written: the events themselves are looked through
            self.store.flush()
        found: dict[str, bytes] = {}
        for at in range(0, len(ids), _ASKED_AT_ONCE):
            wanted = Or(tuple(Match("event.id", id) for id in ids[at : at + _ASKED_AT_ONCE]))
            with suppress(Incomplete):
                found |= {each.key[1]: each.body for each in self.store.find(Query(wanted, limit=None))}
        return found


def _meant(item: Item, own: Delivery | None, numbering: Numbering | None) -> _Meant:
    if item.refusal:
        return _Meant(item, None, item.refusal)
    try:
        if own is not None:
            return _Meant(item, None, f"nested more deeply than {DEEPEST}") if is_deep(own.body) else _Meant(item, own)
        assert numbering is not None, "no item is a stranger's"
        return _Meant(item, numbering.event(item))
    except Exception as error:  # whatever a stranger's document does to a translation, it is that document's failure
        if type(error) in (ValueError, Unreadable):
            return _Meant(item, None, str(error))
        complain(error)
        return _Meant(item, None, internal())


def _is_full(error: StoreUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _FULL


def _refused(meant: _Meant) -> Judged:
    return Judged(meant.item, meant.item.id, "misnamed" if meant.item.misnamed else "refused", meant.refusal)


def _without_room(meant: _Meant, reason: str) -> Judged:
    return Judged(meant.item, meant.item.id, "full", reason)


def _judged(meant: _Meant, outcome: Outcome | None, there: Mapping[str, bytes]) -> Judged:
    """How one item ended; ``there`` are the events under the ids that were to be indexed and were there before."""
    item, delivery = meant.item, meant.delivery
    if delivery is None or outcome is None:
        return _refused(meant)
    id = delivery.id
    if outcome.status == "stored":
        return Judged(item, id, "created")
    if outcome.status == "refused":
        return Judged(item, id, "refused", outcome.reason)
    if outcome.status == "duplicate" and item.action == "create":
        return Judged(item, id, "conflict", f"[{id}]: version conflict, document already exists")
    if outcome.status == "duplicate" and id in there:
        if same(delivery, there[id]):
            return Judged(item, id, "same")
        return Judged(item, id, "other", f"[{id}]: another event has this id, and events are not changed")
    return Judged(item, id, "busy", outcome.reason or "what is stored under this id cannot be read now")
