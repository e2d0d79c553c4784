import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.event import Event, read
from clusterlog.search.story.order import Order, ordered

CASES = settings(max_examples=60)


def order_of(documents: list[dict[str, Any]]) -> Order:
    return ordered([read(document) for document in documents])


def messages(order: Order) -> list[str]:
    return [event.document["message"] for event in order.events]


def ids(order: Order) -> list[str]:
    return [event.id for event in order.events]


def shifted(documents: list[dict[str, Any]], instance: str, seconds: int) -> list[dict[str, Any]]:
    """The same documents, had the clock of one process been off by whole seconds within the minute."""
    moved = copy.deepcopy(documents)
    for document in moved:
        if document["process"]["entity_id"] == instance:
            time = document["@timestamp"]
            hour_and_minute = divmod(30 * 60 + seconds + int(time[14:16]) * 60 + int(time[17:19]), 60)
            document["@timestamp"] = f"{time[:14]}{hour_and_minute[0] % 60:02d}:{hour_and_minute[1]:02d}{time[19:]}"
    return moved


@given(data=st.data())
@CASES
def test_no_effect_is_ever_before_its_cause(any_request: Any, data: st.DataObject) -> None:
    told, causes = data.draw(any_request)
    place = {event_id: number for number, event_id in enumerate(ids(order_of(told.documents)))}
    assert len(place) == len(told.documents)
    for cause, effect in causes:
        assert place[cause] < place[effect]
    for process in told.processes:
        own = [place[d["event"]["id"]] for d in told.documents if d["process"]["entity_id"] == process.instance]
        assert own == sorted(own)


@given(data=st.data())
@CASES
def test_the_order_is_the_same_in_whatever_order_events_arrive(any_request: Any, data: st.DataObject) -> None:
    told, _ = data.draw(any_request)
    expected = order_of(told.documents)
    arrived = data.draw(st.permutations(told.documents))
    assert order_of(list(arrived)) == expected


@given(data=st.data())
@CASES
def test_the_direct_predecessors_are_earlier_and_lead_to_every_cause(any_request: Any, data: st.DataObject) -> None:
    told, causes = data.draw(any_request)
    order = order_of(told.documents)
    known: dict[str, set[str]] = {}
    for event in order.events:
        before = order.after[event.id]
        known[event.id] = set(before).union(*(known[one] for one in before))
    assert all(cause in known[effect] for cause, effect in causes)


@given(data=st.data())
@CASES
def test_a_clock_that_is_seconds_off_changes_no_cause(any_request: Any, data: st.DataObject) -> None:
    told, causes = data.draw(any_request)
    process = data.draw(st.sampled_from(told.processes))
    order = order_of(shifted(told.documents, process.instance, data.draw(st.integers(-600, 600))))
    place = {event_id: number for number, event_id in enumerate(ids(order))}
    assert all(place[cause] < place[effect] for cause, effect in causes)
    assert order.cycles == ()
    assert order.after == order_of(told.documents).after


@given(data=st.data())
@CASES
def test_events_that_never_arrived_do_not_turn_the_others_around(any_request: Any, data: st.DataObject) -> None:
    told, causes = data.draw(any_request)
    kept = data.draw(st.lists(st.sampled_from(told.documents), unique_by=lambda d: d["event"]["id"], min_size=1))
    place = {event_id: number for number, event_id in enumerate(ids(order_of(kept)))}
    assert len(place) == len(kept)
    of = {d["event"]["id"]: d for d in kept}
    for process in told.processes:
        own = [place[i] for i in sorted(of) if of[i]["process"]["entity_id"] == process.instance]
        assert own == sorted(own)
    for cause, effect in causes:
        if cause in of and effect in of and of[effect]["event"]["dataset"] == "clusterlog.call":
            direct = of[effect]["span"]["id"] == of[cause].get("clusterlog", {}).get("parent", {}).get("span_id")
            assert not direct or place[cause] < place[effect]


def test_what_calls_leave_open_is_ordered_by_time_and_then_by_node(story: Any) -> None:
    b, a = story.process("b-1"), story.process("a-1")
    b.log(2, "b at two")
    a.log(2, "a at two")
    a.log(3, "a at three")
    b.log(2.5, "b at two and a half")
    assert messages(order_of(story.documents)) == ["a at two", "b at two", "b at two and a half", "a at three"]


def test_a_callee_that_wakes_before_its_caller_by_the_clock_still_comes_after_what_caused_it(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-5000)
    shop.log(1, "before the call", span="s1")
    orders.log(4, "in the call", span="s2")
    orders.access(5, 2, "GET /b", 200, span="s2", parent="c1")
    shop.log(3.5, "beside the call", span="s1")
    shop.call(6, 4, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(7, 7, "GET /a", 200, span="s1")
    order = order_of(story.documents)
    assert messages(order) == [
        "before the call", "in the call", "GET /b", "beside the call", "GET http://orders/b", "GET /a",
    ]  # fmt: skip
    inside, access, call = order.events[1], order.events[2], order.events[4]
    assert order.after[inside.id] == (order.events[0].id,)
    assert order.after[call.id] == (order.events[3].id, access.id)


def test_the_events_of_a_callee_belong_to_their_own_call_when_it_is_called_twice(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-60_000)
    for number, begin in enumerate((0, 10)):
        shop.log(begin + 1, f"calling {number}", span="s1")
        orders.log(begin + 3, f"serving {number}", span=f"s2{number}")
        orders.access(begin + 4, 2, f"GET /{number}", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(begin + 5, 4, f"GET http://orders/{number}", 200, span=f"c{number}", parent="s1")
    random.Random(3).shuffle(story.documents)
    assert messages(order_of(story.documents)) == [
        "calling 0", "serving 0", "GET /0", "GET http://orders/0",
        "calling 1", "serving 1", "GET /1", "GET http://orders/1",
    ]  # fmt: skip


@pytest.mark.parametrize("with_parents", [True, False])
def test_a_callees_own_calls_belong_to_its_visit_even_if_nothing_else_was_logged(
    story: Any, with_parents: bool
) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-60_000)
    bank = story.process("bank-1", skew_ms=60_000)
    shop.log(1, "calling", span="s1")
    bank.access(4, 1, "GET /c", 200, span="s3", parent="c2")
    orders.call(5, 2, "GET http://bank/c", 200, span="c2", parent="s2" if with_parents else "")
    orders.access(6, 4, "GET /b", 200, span="s2", parent="c1")
    shop.call(7, 5, "GET http://orders/b", 200, span="c1", parent="s1" if with_parents else "")
    shop.access(8, 8, "GET /a", 200, span="s1")
    order = order_of(story.documents)
    assert messages(order) == ["calling", "GET /c", "GET http://bank/c", "GET /b", "GET http://orders/b", "GET /a"]
    assert [visit.span for visit in order.visits] == ["s1", "s2", "s3"]


def test_calls_of_a_visit_that_has_told_nothing_else_yet_belong_to_that_one_visit(story: Any) -> None:
    shop = story.process("shop-1")
    shop.call(2, 1, "GET http://far.example/1", 200, span="c1", parent="s1")
    shop.call(3, 1, "GET http://far.example/2", 200, span="c2", parent="s1")
    assert [(visit.span, len(visit.events)) for visit in order_of(story.documents).visits] == [("s1", 2)]


def test_lines_within_a_step_belong_to_the_visit_of_the_step(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "in the step", span="step")
    shop.step(2, 2, "reserve", span="step", parent="s1")
    shop.access(3, 3, "GET /", 200, span="s1")
    order = order_of(story.documents)
    assert [(visit.span, len(visit.events)) for visit in order.visits] == [("s1", 3)]


def test_work_left_behind_by_a_callee_is_not_before_its_callers_call_event(story: Any) -> None:
    shop, orders = story.process("shop-1", host="one"), story.process("orders-1", host="one")
    orders.access(5, 2, "GET /b", 200, span="s2", parent="c1")
    shop.call(6, 4, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(7, 7, "GET /a", 200, span="s1")
    orders.log(9, "left behind", span="s2")
    order = order_of(story.documents)
    assert messages(order) == ["GET /b", "GET http://orders/b", "GET /a", "left behind"]


def test_work_put_into_a_queue_is_caused_by_the_request_but_holds_it_not_up(story: Any) -> None:
    """The worker names the request's own span as its parent and begins when the request is long over."""
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.log(2, "queued", span="s1")
    shop.access(3, 3, "GET /a", 200, span="s1")
    worker.log(5001, "working", span="w1")
    worker.access(5002, 1, "TASK mail", 200, span="w1", parent="s1")
    order = order_of(story.documents)
    assert messages(order) == ["queued", "GET /a", "working", "TASK mail"]
    assert [(hop.caller.span, hop.visit.span, hop.returned) for hop in order.hops] == [("s1", "w1", False)]


def test_a_call_that_gave_up_does_not_wait_for_its_callee(story: Any) -> None:
    shop, orders = story.process("shop-1", host="one"), story.process("orders-1", host="one")
    shop.log(1, "calling", span="s1")
    orders.log(3, "serving", span="s2")
    shop.call(10, 8, "GET http://orders/b", None, span="c1", parent="s1", error={"type": "ReadTimeout"})
    shop.access(11, 11, "GET /a", 502, span="s1")
    orders.access(30, 28, "GET /b", 200, span="s2", parent="c1")
    order = order_of(story.documents)
    assert messages(order) == ["calling", "serving", "GET http://orders/b", "GET /a", "GET /b"]
    assert order.cycles == ()
    assert [hop.returned for hop in order.hops] == [False]


@pytest.mark.parametrize("host", ["one", ""])
def test_a_callee_that_streams_on_after_its_answer_began_holds_nobody_up(story: Any, host: str) -> None:
    """A call ends with the headers; the callee's access event is told when the body has been sent."""
    shop, orders = story.process("shop-1", host=host), story.process("orders-1", host=host)
    shop.log(1, "calling", span="s1")
    orders.log(3, "streaming", span="s2")
    shop.call(5, 3, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.log(900, "read half of it", span="s1")
    orders.access(2000, 1998, "GET /b", 200, span="s2", parent="c1")
    shop.access(2001, 2001, "GET /a", 200, span="s1")
    assert messages(order_of(story.documents)) == [
        "calling", "streaming", "GET http://orders/b", "read half of it", "GET /b", "GET /a",
    ]  # fmt: skip


def test_a_callee_that_tells_of_its_answer_a_moment_late_is_still_before_its_caller(story: Any) -> None:
    shop, orders = story.process("shop-1", host="one"), story.process("orders-1", host="one")
    shop.call(5, 3, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.log(5.1, "went well", span="s1")
    orders.access(5.2, 2.9, "GET /b", 200, span="s2", parent="c1")
    assert messages(order_of(story.documents)) == ["GET /b", "GET http://orders/b", "went well"]


def test_an_access_event_written_late_gives_way_and_is_no_contradiction(story: Any) -> None:
    """The response went out at 3; before the access event was written, the next call had come in."""
    shop, orders = story.process("shop-1", host="one"), story.process("orders-1", host="one")
    shop.call(3.5, 2, "GET http://orders/1", 200, span="c1", parent="s1")
    shop.log(3.6, "between", span="s1")
    orders.log(4, "serving 2", span="s22")
    orders.access(4.1, 2.5, "GET /1", 200, span="s21", parent="c1")
    orders.access(5, 1.2, "GET /2", 200, span="s22", parent="c2")
    shop.call(6, 2.3, "GET http://orders/2", 200, span="c2", parent="s1")
    order = order_of(story.documents)
    assert order.cycles == ()
    assert messages(order) == [
        "GET http://orders/1", "between", "serving 2", "GET /1", "GET /2", "GET http://orders/2",
    ]  # fmt: skip


def test_visits_that_name_each_other_as_their_cause_are_reported_and_ordered_by_time(story: Any) -> None:
    a, b = story.process("a-1"), story.process("b-1")
    a.log(1, "a", span="s1")
    b.log(2, "b", span="s2")
    a.call(4, 2.5, "GET http://b/", 200, span="c1", parent="s1")
    b.call(5, 2.5, "GET http://a/", 200, span="c2", parent="s2")
    a.access(6, 6, "GET /a", 200, span="s1", parent="c2")
    b.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    order = order_of(story.documents)
    assert messages(order) == ["a", "b", "GET http://b/", "GET http://a/", "GET /a", "GET /b"]
    assert [len(cycle) for cycle in order.cycles] == [4]
    assert order.hops == ()


def test_a_visit_that_names_itself_as_its_cause_is_reported(story: Any) -> None:
    a = story.process("a-1")
    a.call(1, 1, "GET http://a/", 200, span="c1", parent="s1")
    a.access(2, 2, "GET /", 200, span="s1", parent="c1")
    order = order_of(story.documents)
    assert len(order.cycles) == 1
    assert len(order.events) == 2


def test_sequences_that_contradict_calls_are_reported_and_win(story: Any) -> None:
    """The callee's events of two calls carry sequences the wrong way round."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    bank = story.process("bank-1")
    orders.log(20, "second", span="s22")
    orders.access(21, 2, "GET /2", 200, span="s22", parent="c2")
    orders.log(10, "first", span="s21")
    orders.access(11, 2, "GET /1", 200, span="s21", parent="c1")
    bank.log(30, "apart", span="s9")
    shop.log(5, "begin", span="s1")
    shop.call(12, 4, "GET http://orders/1", 200, span="c1", parent="s1")
    shop.log(13, "between", span="s1")
    shop.call(22, 4, "GET http://orders/2", 200, span="c2", parent="s1")
    order = order_of(story.documents)
    place = {message: number for number, message in enumerate(messages(order))}
    assert place["second"] < place["GET /2"] < place["first"] < place["GET /1"]
    assert place["begin"] < place["GET http://orders/1"] < place["between"] < place["GET http://orders/2"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "instance": st.sampled_from(["a", "b", "c", ""]),
                "sequence": st.none() | st.integers(0, 6),
                "time_ns": st.none() | st.integers(0, 9),
                "kind": st.sampled_from(["line", "access", "call", "span"]),
                "span": st.sampled_from(["", "1", "2", "3", "4"]),
                "parent": st.sampled_from(["", "1", "2", "3", "4"]),
                "duration_ns": st.none() | st.integers(0, 9),
                "status": st.none() | st.just(200),
            }
        ),
        max_size=14,
    )
)
@settings(max_examples=300)
def test_whatever_events_claim_each_comes_once_and_each_process_keeps_its_sequence(
    claims: list[dict[str, Any]],
) -> None:
    blank = {"node": "n", "service": "", "clock": "", "level": "", "logger": "", "outcome": "", "document": {}}
    events = [Event(id=f"e{number}", **claim, **blank) for number, claim in enumerate(claims)]
    order = ordered(events)
    assert sorted(ids(order)) == sorted(event.id for event in events)
    place = {event_id: number for number, event_id in enumerate(ids(order))}
    assert all(place[before] < place[event_id] for event_id, found in order.after.items() for before in found)
    for instance in "abc":
        own = [e for e in order.events if e.instance == instance and e.sequence is not None]
        assert [e.sequence for e in own] == sorted(e.sequence or 0 for e in own)
    assert order == ordered(reversed(events))


def test_thousands_of_events_that_all_contradict_each_other_are_ordered_all_the_same(story: Any) -> None:
    a, b = story.process("a-1"), story.process("b-1")
    for n in range(1000):
        a.call(n, 0.5, "GET http://b/", 200, span=f"c{n}", parent=f"s{n}")
        b.call(n, 0.5, "GET http://a/", 200, span=f"d{n}", parent=f"t{n}")
        a.access(n + 1, 1, "GET /a", 200, span=f"s{n}", parent=f"d{n}")
        b.access(n + 1, 1, "GET /b", 200, span=f"t{n}", parent=f"c{n}")
    order = order_of(story.documents)
    assert len(order.events) == 4000
    assert order.cycles


def test_what_a_recorder_wrote_late_lies_where_it_was_said():
    def event(number, message, after=None):
        own = {} if after is None else {"recorded": {"after": after}}
        return read(
            {
                "event": {"id": f"e{number}", "sequence": number},
                "process": {"entity_id": "p"},
                "@timestamp": f"2026-11-03T12:00:00.{number:09d}Z",
                "http": {"request": {"id": "r"}},
                "message": message,
                "clusterlog": own,
            }
        )

    told = [
        event(1, "other life", after=900),
        event(4, "info one"),
        event(5, "info two"),
        event(6, "debug one", after=3),
        event(7, "debug two", after=3),
        event(8, "debug three", after=4),
        event(9, "boom"),
    ]
    found = ordered(told).events
    assert {each.sequence for each in found} == {1, 4, 5, 6, 7, 8, 9}, "what is counted are the numbers they have"
    said = [each.document["message"] for each in found]
    assert said == ["other life", "debug one", "debug two", "info one", "debug three", "info two", "boom"]
