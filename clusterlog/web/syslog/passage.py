"""Syslog on its way to a store elsewhere: made into events here, and sent on."""

from __future__ import annotations

from collections.abc import Sequence

from clusterlog.settings import Settings
from clusterlog.ship.ingest.lines import Unreadable
from clusterlog.store.base import Delivery, Outcome, Sink
from clusterlog.web.intake.bulk import Item
from clusterlog.web.intake.events import DEEPEST, Strangers, is_deep, ours
from clusterlog.web.intake.fates import Fate, Judged

_FATES: dict[str, Fate] = {
    "stored": "created",
    "duplicate": "same",
    "retry": "busy",
    "blocked": "busy",
    "refused": "refused",
    "failure_store": "refused",
}


class Passage:
    """Takes items in for a sink; for one thread. What is sent again bears the number that it had before."""

    def __init__(self, sink: Sink, settings: Settings) -> None:
        self._sink = sink
        self._strangers = Strangers(settings, format="syslog")
        self._known: dict[int, tuple[Item, Delivery]] = {}

    def take(self, found: Sequence[Item], peer: str) -> list[Judged]:
        """Deliver these items, sent by ``peer``: how each ended, in their order. Raises StoreUnavailable."""
        refusals: dict[int, str] = {}
        with self._strangers.numbering(peer) as numbering:
            for item in found:
                if id(item) in self._known:
                    continue
                try:
                    own = ours(item)
                    if own is not None and is_deep(own.body):
                        raise ValueError(f"nested more deeply than {DEEPEST}")
                    self._known[id(item)] = item, own or numbering.event(item)
                except (ValueError, Unreadable) as error:
                    refusals[id(item)] = str(error)
        sent = [item for item in found if id(item) in self._known]
        outcomes = self._sink.deliver([self._known[id(item)][1] for item in sent]) if sent else []
        ended = {id(item): outcome for item, outcome in zip(sent, outcomes, strict=True)}
        return [self._judged(item, ended.get(id(item)), refusals.get(id(item), "")) for item in found]

    def _judged(self, item: Item, outcome: Outcome | None, refusal: str) -> Judged:
        if outcome is None:
            return Judged(item, item.id, "refused", refusal)
        fate = _FATES[outcome.status]
        _, delivery = self._known[id(item)]
        if fate != "busy":
            del self._known[id(item)]
        return Judged(item, delivery.id, fate, outcome.reason)
