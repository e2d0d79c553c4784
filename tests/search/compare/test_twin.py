"""Which healthy request another one is compared with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusterlog.errors import NotFound
from clusterlog.search.compare.twin import healthy_twin, typical_ns
from clusterlog.search.story.journey import journey
from clusterlog.testing.reference import ReferenceStore

NOON = 1_793_707_200_000_000_000
MS = 1_000_000


@pytest.fixture
def town(stored: Any) -> Any:
    """Answers of the shop: id → (begin in ms, duration in ms, more), beside the request in question, `sick`."""
    from stories import Story  # loaded by the conftest

    def build(told: dict[str, Any], sick: Any = (1000, 50, {"status": 502})) -> tuple[ReferenceStore, Any]:
        stories = []
        for number, (id, (at, took, more)) in enumerate({"sick": sick, **told}.items()):
            story = Story(id, 16 * number + 1)
            shop = story.process(more.get("node", "shop-1"))
            parent = {"clusterlog": {"parent": {"span_id": more["parent"]}}} if "parent" in more else {}
            shop.access(
                at + took,
                took,
                more.get("what", "POST /orders"),
                more.get("status", 201),
                span=f"{number:016x}",
                **parent,
            )
            stories.append(story)
        return stored(*stories), journey(stories[0].documents)

    return build


def chosen(town: Any, told: dict[str, Any], *sick: Any, **bounds: int) -> str:
    return healthy_twin(*town(told, *sick), **bounds).journey.id


def test_the_nearest_in_time_before_or_after_is_taken(town: Any) -> None:
    assert chosen(town, {"a": (500, 50, {}), "b": (1200, 50, {}), "c": (1900, 50, {})}) == "b"
    assert chosen(town, {"a": (900, 50, {}), "b": (1200, 50, {}), "c": (1900, 50, {})}) == "a"


def test_one_that_took_unusually_long_or_short_is_not_taken_though_it_is_nearer(town: Any) -> None:
    told = {f"usual-{n}": (2000 + n * 100, 50 + n, {}) for n in range(8)}
    assert chosen(town, {**told, "slow": (1001, 900, {}), "fast": (1002, 1, {})}) == "usual-1"


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([7], (7, 7)),
        ([7, 1], (1, 1)),
        ([9, 7, 1], (7, 7)),
        ([4, 3, 2, 1], (1, 3)),
        ([9, 1, 2, 3, 4, 5, 6, 7], (2, 6)),
    ],
)
def test_typical_is_between_the_quartiles_and_of_few_the_middle_one(durations: Any, expected: Any) -> None:
    assert typical_ns(durations) == expected


def test_what_was_asked_of_another_service_or_otherwise_or_did_not_succeed_is_no_twin(town: Any) -> None:
    strangers = {
        "other service": (1000, 50, {"node": "orders-1"}),
        "other method": (1000, 50, {"what": "GET /orders"}),
        "other route": (1000, 50, {"what": "POST /carts"}),
        "failed": (1000, 50, {"status": 500}),
        "refused": (1000, 50, {"status": 404}),
        "left": (1000, 50, {"status": None}),
        "callee": (1000, 50, {"parent": "c1"}),
    }
    with pytest.raises(NotFound, match=r"no POST /orders on shop succeeded in what is stored; name one"):
        chosen(town, strangers)
    assert chosen(town, {**strangers, "healthy": (60_000, 50, {"node": "shop-2"})}) == "healthy"


def test_a_request_that_went_well_has_a_twin_with_the_same_status(town: Any) -> None:
    told = {"other": (1010, 50, {"status": 202}), "same": (3000, 50, {})}
    assert chosen(town, told, (1000, 800, {"status": 201})) == "same"


def test_a_request_that_is_somebody_s_callee_may_have_a_twin_that_is_one(town: Any) -> None:
    told = {"other": (1010, 50, {"parent": "b1"})}
    assert chosen(town, told, (1000, 50, {"status": 502, "parent": "b0"})) == "other"


def test_a_visit_that_is_part_of_another_request_is_no_twin(town: Any, story: Any) -> None:
    store, sick = town({"part": (1010, 50, {"parent": "c9"})}, (1000, 50, {"status": 502, "parent": "b0"}))
    story.id, story.first = "part", 99
    gate = story.process("gate-1")
    gate.call(1080, 75, "POST http://shop/orders", 201, span="c9", parent="g1")
    gate.access(1090, 90, "POST /", 201, span="g1")
    store.events |= {each["event"]["id"]: json.dumps(each).encode() for each in story.documents}
    with pytest.raises(NotFound, match="is always part of another request"):
        healthy_twin(store, sick)


def test_bounds_say_where_a_twin_is_looked_for(town: Any) -> None:
    told = {"a": (500, 50, {}), "b": (1200, 50, {}), "c": (5000, 50, {})}
    assert chosen(town, told, until=NOON + 900 * MS) == "a"
    assert chosen(town, told, since=NOON + 3000 * MS) == "c"
    with pytest.raises(NotFound, match="succeeded in these times"):
        chosen(town, told, since=NOON + 9000 * MS)


def test_why_it_was_taken_is_said(town: Any) -> None:
    twin = healthy_twin(*town({"a": (500, 50, {}), "b": (1200, 52, {}), "c": (1900, 900, {})}))
    assert twin.why == ("same route and service, one of 3 near in time that succeeded; typical is 52 ms; 200 ms later")
    assert (twin.among, twin.typical_ns, twin.apart_ns) == (3, (52 * MS, 52 * MS), 200 * MS)
    alone = healthy_twin(*town({"a": (500, 50, {})}))
    assert (
        alone.why
        == "same route and service, the only one near in time that succeeded; typical is 50 ms; 500 ms earlier"
    )


def test_a_request_that_has_not_ended_has_no_twin(town: Any, story: Any) -> None:
    story.process("shop-1").log(1, "begun", span="s1")
    with pytest.raises(NotFound, match="has not ended"):
        healthy_twin(town({})[0], journey(story.documents))
