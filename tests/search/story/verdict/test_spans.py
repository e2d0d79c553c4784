from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict.spans import Span, critical_path, span_tree

MS = 1_000_000


def tree(story: Any, **options: Any) -> Span:
    found = span_tree(journey(story.documents, **options))
    assert found is not None
    return found


def outline(span: Span) -> dict[str, Any]:
    children = sorted(span.children, key=lambda child: child.begin_ns)
    return {child.event.document["message"]: outline(child) for child in children}


def path(story: Any, **options: Any) -> list[tuple[str, float, float]]:
    """What the request waited for when, in ms from its begin."""
    root = tree(story, **options)
    found = sorted(critical_path(root), key=lambda stretch: stretch[1:])
    return [
        (span.event.document["message"], (begin - root.begin_ns) / MS, (end - root.begin_ns) / MS)
        for span, begin, end in found
    ]


def test_steps_calls_and_visits_hang_on_what_they_were_made_in(checkout: Any) -> None:
    assert outline(tree(checkout())) == {
        "POST http://orders:8002/orders": {
            "POST /orders": {
                "POST http://payments:8003/charge": {"POST /charge": {"POST https://bank.example/charge": {}}}
            }
        }
    }


def test_a_span_whose_parent_was_not_told_hangs_on_its_visit(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(5, 2, "inner", span="i", parent="never-told")
    shop.access(9, 9, "GET /", 200, span="s1")
    assert outline(tree(story)) == {"inner": {}}


def test_the_path_is_that_of_what_ended_last_each_time(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(40, 30, "a", span="a", parent="s1")
    shop.step(50, 35, "b", span="b", parent="s1")
    shop.step(90, 35, "c", span="c", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert path(story) == [
        ("GET /", 0, 15),
        ("b", 15, 50),
        ("GET /", 50, 55),
        ("c", 55, 90),
        ("GET /", 90, 100),
    ]


def test_what_was_told_a_moment_after_the_next_began_was_waited_for_all_the_same(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(40.4, 40, "a", span="a", parent="s1")
    shop.step(90, 50, "b", span="b", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert [(name, end - begin) for name, begin, end in path(story) if name == "a"] == [("a", 39.6)]


def test_a_step_that_was_over_before_the_one_around_it_began_is_no_part_of_that(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(10, 5, "early", span="e", parent="l")
    shop.step(40, 20, "late", span="l", parent="s1")
    shop.access(50, 50, "GET /", 200, span="s1")
    assert path(story) == [("GET /", 0, 20), ("late", 20, 40), ("GET /", 40, 50)]


def test_a_visit_is_told_within_its_call_by_whatever_clock(checkout: Any) -> None:
    for skews in ((0, 0, 0), (0, 5000, -7000), (0, -3, 2)):
        for raw_times in (False, True):
            for span in tree(checkout(skews=skews), raw_times=raw_times).walk():
                for child in span.children:
                    assert span.begin_ns - 1 <= child.begin_ns <= child.end_ns <= span.end_ns + 1


def test_a_callee_of_an_unknown_client_was_waited_for_if_its_caller_was_silent_meanwhile(story: Any) -> None:
    """The caller handed on its own span, and has no call event."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    shop.log(1, "calling", span="s1")
    orders.access(80, 70, "GET /b", 200, span="s2", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert outline(tree(story)) == {"GET /b": {}}


def test_work_handed_over_was_not_waited_for_if_its_giver_went_on(story: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.log(1, "queued", span="s1")
    shop.log(50, "going on", span="s1")
    worker.access(80, 70, "TASK mail", 200, span="w1", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert outline(tree(story)) == {}


def test_there_is_no_tree_while_a_request_runs(checkout: Any) -> None:
    story = checkout()
    assert span_tree(journey(story.documents[:-1])) is None


@given(data=st.data())
@settings(max_examples=80)
def test_the_path_is_the_whole_request_and_nothing_twice(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    root = tree(story, raw_times=data.draw(st.booleans()))
    stretches = sorted(critical_path(root), key=lambda stretch: stretch[1:])
    assert stretches[0][1] == root.begin_ns
    assert stretches[-1][2] == root.end_ns
    assert all(before[2] == after[1] for before, after in pairwise(stretches))
    spans = set(root.walk())
    assert all(span in spans for span, *_ in stretches)
