"""What becomes of each event of a batch that was answered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from clusterlog.ship.delivery import repair
from clusterlog.ship.delivery.batch import Batch
from clusterlog.ship.delivery.crew import Answer
from clusterlog.store.base import STORED, Delivery, Outcome

CONFLICT = "another event is stored under its id"
Cause = Literal["refused", "failure_store", "conflict"]


@dataclass(frozen=True, slots=True)
class Dead:
    """An event to be kept aside, and why."""

    delivery: Delivery
    reason: str
    cause: Cause = "refused"


@dataclass(slots=True)
class Judged:
    """The events of one batch, sorted.

    ``safe`` are stored, by this batch (``stored``) or before it; ``uncompared`` are those of them that might be other
    events under the same ids, since nobody may look. ``again`` and ``blocked`` are to be sent later, each with the
    first reason; ``repaired`` at once, in another shape. ``placed`` says where what was stored is, as far as that was
    told, and ``twice`` what of it may be elsewhere, too.
    """

    safe: Sequence[Delivery] = ()
    stored: int = 0
    uncompared: int = 0
    dead: list[Dead] = field(default_factory=list)
    repaired: list[Delivery] = field(default_factory=list)
    again: list[Delivery] = field(default_factory=list)
    again_reason: str = ""
    blocked: list[Delivery] = field(default_factory=list)
    blocked_reason: str = ""
    placed: list[tuple[Delivery, str]] = field(default_factory=list)
    twice: list[tuple[Delivery, str]] = field(default_factory=list)


def judged(answer: Answer) -> Judged | None:
    """The events of a batch by their outcomes; ``None`` if there is not one for each, which judges none of them."""
    deliveries, outcomes = answer.errand.batch.deliveries, answer.outcomes
    if len(outcomes) != len(deliveries):
        return None
    if outcomes.count(STORED) == len(outcomes):  # as nearly always
        return Judged(deliveries, len(deliveries))
    found = Judged(safe=[])
    safe: list[Delivery] = []
    for at, (delivery, outcome) in enumerate(zip(deliveries, outcomes, strict=True)):
        match outcome.status:
            case "stored":
                found.stored += 1
                safe.append(delivery)
                if outcome.place:
                    found.placed.append((delivery, outcome.place))
            case "duplicate":
                _duplicate(found, safe, answer, at)
            case "refused":
                _refused(found, delivery, outcome, answer.errand.batch)
            case "failure_store":
                found.dead.append(Dead(answer.errand.batch.original(delivery), outcome.reason, "failure_store"))
            case "retry":
                found.again.append(delivery)
                found.again_reason = found.again_reason or outcome.reason
            case "blocked":
                found.blocked.append(delivery)
                found.blocked_reason = found.blocked_reason or outcome.reason
    found.safe = safe
    return found


def _duplicate(found: Judged, safe: list[Delivery], answer: Answer, at: int) -> None:
    """An id that is known is this very event, sent before, unless somebody who could look found another one."""
    batch, outcome = answer.errand.batch, answer.outcomes[at]
    delivery = batch.deliveries[at]
    if answer.same is not None and at not in answer.same:
        found.again.append(delivery)
        found.again_reason = found.again_reason or "an event of its id is stored, and cannot be compared now"
        return
    same = True if answer.same is None else answer.same[at]
    if same is False:
        where = f", in {outcome.place}" if outcome.place else ""
        found.dead.append(Dead(batch.original(delivery), f"{CONFLICT}{where}", "conflict"))
        return
    found.uncompared += same is None
    safe.append(delivery)


def _refused(found: Judged, delivery: Delivery, outcome: Outcome, batch: Batch) -> None:
    made = None if batch.originals else repair.moved(delivery.body, outcome.reason)
    if made is None:
        found.dead.append(Dead(batch.original(delivery), outcome.reason))
        return
    found.repaired.append(replace(delivery, body=made))
