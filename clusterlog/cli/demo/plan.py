"""Which requests the demo makes: equal for equal seeds, with every outcome among them from three requests on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "failed", "slow"]

USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
SHOPS = ("shop-1", "shop-2")
SKUS = ("canoe", "kayak", "paddle", "tent", "lantern")
GOOD_CARD, UNANSWERED_CARD = "tok_good", "tok_unanswered"
ENDLESS_DECK = 40
"""How many requests are planned at a time where there is no end to them."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes a request fail or be slow, for a verdict to name.

    ``kind`` is that of the sentence: ``failure`` or ``time``. ``service`` is where it begins, ``target`` whom it asks,
    ``error`` the type of the exception, ``span`` the work that takes so long; what does not apply is empty.
    """

    kind: Literal["failure", "time"]
    service: str
    target: str = ""
    error: str = ""
    span: str = ""


CAUSES: dict[Outcome, Cause] = {
    "failed": Cause("failure", "payments", target="bank", error="httpx.ReadTimeout"),
    "slow": Cause("time", "orders", span="ask the far warehouse"),
}
"""What is planted in a request of each outcome; in one that goes well, nothing."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One request to be made: ``outcome`` is what its contents lead to, ``shop`` the node the balancer gives it to."""

    ticket: str
    shop: str
    user: str
    method: str
    path: str
    body: dict[str, Any] | None
    outcome: Outcome


def plan(requests: int, seed: int) -> list[Planned]:
    """``requests`` requests: one in eight fails, one in ten is slow, at most one in five stays on its node."""
    return _deck(requests, random.Random(seed), 0)


def endless(seed: int, first: int) -> Iterator[Planned]:
    """More of them, for ever; ``first`` is how many there have been."""
    chance = random.Random(f"{seed} and on")
    while True:
        yield from _deck(ENDLESS_DECK, chance, first)
        first += ENDLESS_DECK


def _deck(size: int, chance: random.Random, first: int) -> list[Planned]:
    failed = max(1, size // 8)
    slow = max(1, size // 10) if size >= 3 else 0
    browsing = asking = size // 5
    kinds = ["failed"] * failed + ["slow"] * slow + ["browse"] * browsing + ["ask"] * asking
    kinds += ["buy"] * (size - len(kinds))
    chance.shuffle(kinds)
    return [_planned(first + index, kind, chance) for index, kind in enumerate(kinds)]


def _planned(index: int, kind: str, chance: random.Random) -> Planned:
    number = chance.randrange(10_000, 100_000)
    who = {"ticket": str(index), "shop": SHOPS[index % len(SHOPS)], "user": chance.choice(USERS)}
    if kind == "browse":
        return Planned(**who, method="GET", path="/catalog", body=None, outcome="ok")
    if kind == "ask":
        return Planned(**who, method="GET", path=f"/orders/{number}", body=None, outcome="ok")
    order = {
        "number": number,
        "sku": chance.choice(SKUS),
        "quantity": chance.randint(1, 4),
        "warehouse": "far" if kind == "slow" else "near",
        "card": UNANSWERED_CARD if kind == "failed" else GOOD_CARD,
    }
    outcome: Outcome = "failed" if kind == "failed" else "slow" if kind == "slow" else "ok"
    return Planned(**who, method="POST", path="/orders", body=order, outcome=outcome)
