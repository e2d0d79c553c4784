"""What a live view shows: what matches, each event once, in order, and not late."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.instant import rfc3339
from clusterlog.search.language.parsing import parse
from clusterlog.search.live import stream
from clusterlog.search.live.stream import WINDOW_NS, Stream, without_pulse
from clusterlog.store.predicate import matches
from clusterlog.store.query import Everything

NOW = 1_793_707_200_000_000_000
MS = 1_000_000


def body(number, at_ms=0, **fields):
    event = {"@timestamp": rfc3339(NOW + at_ms * MS), "event": {"id": f"e{number}"}, "labels": fields}
    return json.dumps(event).encode()


def ids(told):
    return [each.key[1] for each in told]


def test_what_matches_comes_as_it_was_written():
    live = Stream(parse("labels.x: a"))
    wanted = body(1, x="a")
    live.offer([wanted, body(2, x="b")], NOW)
    (told,) = live.due(NOW + WINDOW_NS)
    assert (told.body, told.event["labels"], told.key) == (wanted, {"x": "a"}, (NOW, "e1"))


def test_events_are_held_for_a_moment_and_then_come_in_the_order_of_time():
    live = Stream(Everything())
    live.offer([body(2, 2)], NOW + 3 * MS)
    live.offer([body(1, 1)], NOW + 4 * MS)
    assert live.due(NOW + WINDOW_NS) == []
    assert ids(live.due(NOW + WINDOW_NS + 2 * MS)) == ["e1", "e2"]
    assert live.due(NOW + 10 * WINDOW_NS) == []


def test_what_happened_long_ago_waits_for_nothing():
    live = Stream(Everything())
    live.offer([body(1, -60_000), body(2, 0)], NOW)
    assert ids(live.due(NOW)) == ["e1"]
    assert ids(live.due(NOW + WINDOW_NS)) == ["e2"]


def test_a_clock_that_is_ahead_holds_nothing_up():
    live = Stream(Everything())
    live.offer([body(1, 3_600_000)], NOW)
    live.offer([body(2, WINDOW_NS // MS)], NOW + WINDOW_NS)
    assert ids(live.due(NOW + WINDOW_NS)) == ["e2", "e1"]


def test_by_arrival_everything_comes_at_once_and_as_it_came():
    live = Stream(Everything(), order="arrival")
    live.offer([body(2, 2), body(1, 1)], NOW)
    assert ids(live.due(NOW)) == ["e2", "e1"]


def test_a_second_copy_is_not_shown_and_events_without_an_id_all_are(monkeypatch):
    live = Stream(Everything(), order="arrival")
    nameless = json.dumps({"@timestamp": rfc3339(NOW)}).encode()
    live.offer([body(1), body(1), nameless, nameless], NOW)
    assert ids(live.due(NOW)) == ["e1", "", ""]
    live.offer([body(1)], NOW)
    assert live.due(NOW) == []


def test_ids_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(stream, "REMEMBERED", 2)
    live = Stream(Everything(), order="arrival")
    live.offer([body(1), body(2), body(3)], NOW)
    live.due(NOW)
    live.offer([body(3), body(2), body(1)], NOW)
    assert ids(live.due(NOW)) == ["e1"]


def test_what_is_older_than_since_is_left_out():
    live = Stream(Everything(), since=NOW, order="arrival")
    live.offer([body(1, -1), body(2, 0)], NOW)
    assert ids(live.due(NOW)) == ["e2"]


def test_what_is_no_event_is_passed_over():
    live = Stream(Everything(), order="arrival")
    live.offer([b"{", b"[]", b"\xff", body(1)], NOW)
    assert ids(live.due(NOW)) == ["e1"]


def test_all_gives_what_is_held_whether_it_is_due_or_not():
    live = Stream(Everything())
    live.offer([body(2, 2), body(1, 1)], NOW)
    assert ids(live.all()) == ["e1", "e2"]
    assert live.all() == []


@given(st.lists(st.lists(st.integers(-100, 100), max_size=5), max_size=10), st.sampled_from(["time", "arrival"]))
def test_every_event_comes_once_within_the_window_and_no_later_than_what_came_with_it(batches, order):
    live = Stream(Everything(), order=order)
    came, shown, number = {}, [], 0
    for turn, times in enumerate(batches):
        now = NOW + turn * 10 * MS
        for at in times:
            number += 1
            came[f"e{number}"] = now
            live.offer([body(number, at + turn * 10)], now)
        for each in live.due(now):
            shown.append(each.key[1])
            assert now - came[each.key[1]] <= WINDOW_NS
        held = set(came) - set(shown)
        assert all(now - came[id] < WINDOW_NS for id in held)
    shown += ids(live.due(NOW + 10_000 * MS))
    assert sorted(shown) == sorted(came)


STATES = [("open", "info"), ("heartbeat", "info"), ("close", "info"), ("drop", "warning"), ("crash-close", "warning")]


def state(action, level):
    return {"event": {"kind": "state", "action": action}, "log": {"level": level}}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["drop", "crash-close"]),
        ("level: info", []),
        ("event.kind: state", [action for action, _ in STATES]),
        ("event.action: heartbeat", ["heartbeat"]),
        ("not event.action: heartbeat", ["open", "close", "drop", "crash-close"]),
        ("has: clusterlog.state.reason or dataset: clusterlog.state", []),
    ],
)
def test_the_pulse_of_processes_is_shown_only_where_it_is_asked_for(query, shown):
    where = without_pulse(parse(query))
    assert [action for action, level in STATES if matches(where, state(action, level))] == shown


def test_what_the_application_says_is_never_pulse():
    assert matches(without_pulse(Everything()), {"event": {"kind": "event"}, "log": {"level": "info"}})
