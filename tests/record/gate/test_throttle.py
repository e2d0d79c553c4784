"""Lines that repeat themselves: so many pass, the rest is counted, and what was held back is told, always."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.context import innermost
from clusterlog.context import request as context
from clusterlog.context.request import Request, Scope
from clusterlog.context.tracing import SpanIds
from clusterlog.record.gate import throttle
from clusterlog.record.gate.throttle import Throttle

INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR


class Watch:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class TellingRoad:
    """Remembers what passes and what is told, in order."""

    def __init__(self):
        self.said = []

    def bound(self, fields):
        return dict(fields)

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0, bound=None):
        self.said.append(event % args if type(event) is str and args else event)

    def document(self, dataset, level, logger, message, body, **options):
        self.said.append(message)

    def sample(self, event, args, fields, bound):
        return str(event) % args if args else str(event), {**(bound or {}), **fields}

    def repeated(self, told):
        self.said.append(told)

    @property
    def lines(self):
        return [each for each in self.said if not isinstance(each, throttle.Repeated)]

    @property
    def told(self):
        return [each for each in self.said if isinstance(each, throttle.Repeated)]


@pytest.fixture
def behind():
    return TellingRoad()


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def road(behind, watch):
    """Two lines alike pass in ten seconds."""
    return Throttle(behind, 2, 10.0, watch)


def say(road, event="said", *args, level=INFO, logger="shop", failure=None, ns=0, bound=None, **fields):
    road.line(level, logger, event, args, fields, failure, None, ns, bound)


def test_so_many_pass_and_the_rest_is_told_when_their_time_is_over(road, behind, watch):
    for number in range(7):
        say(road, "order %d", number, level=WARNING, ns=number + 1)
    assert behind.said == ["order 0", "order 1"]
    watch.now = 10.0
    say(road, "other")
    told = behind.said[2]
    assert (told.level, told.logger, told.count) == (WARNING, "shop", 5)
    assert (told.first_ns, told.last_ns) == (3, 7)
    assert (told.first, told.last) == (("order 2", {}), ("order 6", {}))
    assert behind.said[3:] == ["other"]


def test_when_their_time_is_over_as_many_pass_again(road, behind, watch):
    for turn in range(3):
        watch.now = 10.0 * turn
        for _ in range(3):
            say(road)
    assert behind.lines == ["said"] * 6
    assert [told.count for told in behind.told] == [1, 1]


def test_what_did_not_repeat_itself_is_told_by_nothing(road, behind, watch):
    for _ in range(2):
        say(road)
    watch.now = 100.0
    road.tell()
    assert behind.said == ["said", "said"]


@pytest.mark.parametrize("other", [{"level": WARNING}, {"logger": "x"}, {"event": "else"}, {"failure": ValueError()}])
def test_lines_are_alike_by_level_logger_template_and_type_of_exception(road, behind, other):
    for _ in range(2):
        say(road)
        say(road, **other)
    assert len(behind.lines) == 4
    say(road)
    say(road, **other)
    assert len(behind.lines) == 4


def test_fields_and_arguments_and_the_exceptions_words_make_no_difference(road, behind):
    for number in range(4):
        say(road, "order %d", number, failure=ValueError(number), ns=number, amount=number)
    assert behind.lines == ["order 0", "order 1"]
    road.tell()
    assert behind.told[0].last == ("order 3", {"amount": 3})


def test_each_request_is_counted_apart_and_told_as_its_own(road, behind):
    scopes = {}
    for name in ("a", "b"):
        context.enter(Request(name, "ab" * 16, "cd" * 8))
        scopes[name] = context.scope()
        for number in range(3):
            say(road, "%s %d", name, number)
    assert behind.lines == ["a 0", "a 1", "b 0", "b 1"]
    road.tell()
    assert [told.scope for told in behind.told] == [scopes["a"], scopes["b"]]


def test_a_request_that_only_another_tracer_knows_is_counted_apart_by_its_trace(road, behind, monkeypatch):
    scopes = [Scope(None, traced=SpanIds(each * 16, "cd" * 8, "")) for each in ("ab", "ef")]
    for scope in scopes:
        monkeypatch.setattr(innermost, "now", lambda scope=scope: scope)
        for _ in range(3):
            say(road)
            say(road, level=ERROR)
    assert len(behind.lines) == 2 * (2 + 3)
    road.tell()
    assert [told.scope for told in behind.told] == scopes


def test_what_is_told_belongs_to_nobody_if_it_was_said_outside_of_a_request(road, behind, watch):
    for _ in range(3):
        say(road)
    context.enter(Request("a", "ab" * 16, "cd" * 8))
    watch.now = 10.0
    say(road, "of a request")
    assert behind.told[0].scope.request is None


def test_what_a_request_says_at_error_always_passes_and_outside_of_requests_it_does_not(road, behind):
    for _ in range(3):
        say(road, level=ERROR)
    assert len(behind.lines) == 2
    context.enter(Request("a", "ab" * 16, "cd" * 8))
    for _ in range(5):
        say(road, level=ERROR)
    assert len(behind.lines) == 7


def test_a_request_that_ended_long_ago_is_no_request_any_more(road, behind, monkeypatch):
    request = Request("a", "ab" * 16, "cd" * 8)
    context.enter(request)
    request.end()
    monkeypatch.setattr(context, "linger", -1.0)
    for _ in range(3):
        say(road, level=ERROR)
    road.tell()
    assert len(behind.lines) == 2
    assert behind.told[0].scope.request is None


def test_a_request_is_told_before_its_access_event_and_no_other_is(road, behind):
    for name in ("a", "b"):
        context.enter(Request(name, "ab" * 16, "cd" * 8))
        for _ in range(3):
            say(road)
    road.document("clusterlog.access", INFO, "clusterlog.access", "GET /", {})
    assert behind.said[-1] == "GET /"
    assert [told.scope.request.id for told in behind.told] == ["b"]
    context.leave()
    road.document("clusterlog.access", INFO, "clusterlog.access", "GET /", {})
    assert len(behind.told) == 1


def test_the_scope_an_access_event_is_given_counts_and_not_the_one_it_comes_from(road, behind):
    context.enter(Request("a", "ab" * 16, "cd" * 8))
    given = context.scope()
    for _ in range(3):
        say(road)
    context.enter(Request("b", "ab" * 16, "cd" * 8))
    road.document("clusterlog.access", INFO, "clusterlog.access", "GET /", {}, scope=given)
    assert [told.scope.request.id for told in behind.told] == ["a"]


def test_other_events_pass_and_end_nothing(road, behind):
    context.enter(Request("a", "ab" * 16, "cd" * 8))
    for _ in range(5):
        road.document("clusterlog.call", INFO, "clusterlog.call", "call", {})
        say(road)
    assert behind.lines.count("call") == 5
    assert not behind.told


def test_what_is_told_is_how_things_were_when_they_were_held_back(road, behind):
    cart = {"items": 1}
    for number in range(4):
        cart["items"] = number
        say(road, "cart %s", cart["items"], cart=cart)
    cart["items"] = 99
    road.tell()
    assert behind.told[0].first == ("cart 2", {"cart": cart})  # the road's own sample; ours is never asked later
    said = []
    behind.sample = lambda event, args, fields, bound: said.append(fields["cart"]["items"])
    for number in range(3):
        cart["items"] = number
        say(road, "again", cart=cart)
    cart["items"] = 99
    assert said == [2]


def test_a_callers_own_dict_may_change_after_the_call(road, behind):
    fields = {"amount": 1}
    for _ in range(3):
        road.line(INFO, "shop", "said", (), fields)
    fields["amount"] = 99
    road.tell()
    assert behind.told[0].last == ("said", {"amount": 1})


def test_nothing_foreign_runs_while_the_lock_is_held(road, behind):
    free = []

    def sample(event, args, fields, bound):
        thread = threading.Thread(target=lambda: free.append(road._lock.acquire(timeout=10)))
        thread.start()
        thread.join()
        return "sample", {}

    behind.sample = sample
    for _ in range(3):
        say(road, "%s", object())
    assert free == [True]


def test_an_event_is_told_apart_by_nothing_of_its_own(road, behind):
    class Hostile:
        def __hash__(self):
            raise AssertionError

        def __eq__(self, other):
            raise AssertionError

        __repr__ = __str__ = __hash__

    behind.sample = lambda event, args, fields, bound: ("sample", {})
    for _ in range(3):
        say(road, Hostile())
    assert len(behind.lines) == 2


def test_long_texts_are_not_kept_and_still_told_apart(road, behind):
    for _ in range(3):
        say(road, "x" * 10_000)
        say(road, "x" * 9_999 + "y")
    assert len(behind.lines) == 4
    kept = [key for each in road._watches.values() for key in each.counts]
    assert all(len(str(key)) < 200 for key in kept)


def test_of_too_many_requests_the_one_watched_longest_is_told_early(road, behind, monkeypatch):
    monkeypatch.setattr(throttle, "REQUESTS", 2)
    for name in ("a", "b", "c"):
        context.enter(Request(name, "ab" * 16, "cd" * 8))
        for _ in range(3):
            say(road)
    assert [told.scope.request.id for told in behind.told] == ["a"]
    assert len(road._watches) == 2


def test_of_too_many_kinds_the_new_ones_pass(road, behind, monkeypatch):
    monkeypatch.setattr(throttle, "KINDS", 2)
    for _ in range(3):
        for event in ("a", "b", "c"):
            say(road, event)
    assert Counter(behind.lines) == {"a": 2, "b": 2, "c": 3}


def test_a_fault_of_ours_lets_the_line_pass(road, behind, monkeypatch):
    monkeypatch.setattr(road, "_held", lambda *args: 1 / 0)
    say(road)
    assert behind.said == ["said"]


def test_what_a_signal_handler_raises_reaches_the_host(road, monkeypatch):
    def interrupted(*args):
        def handler(number, frame):
            raise TimeoutError

        import sys

        handler(14, sys._getframe())

    monkeypatch.setattr(road, "_held", interrupted)
    with pytest.raises(TimeoutError):
        say(road)


def test_a_finaliser_that_logs_in_the_middle_of_it_is_counted_too(road, behind):
    class Last:
        def __del__(self):
            say(road, "finalised")

    for _ in range(5):
        held = Last()
        held.itself = held
        del held
        say(road, "said")
        gc.collect()
    road.tell()
    assert sum(told.count for told in behind.told) + len(behind.lines) == 10


def test_of_lines_from_many_threads_none_is_lost(behind):
    road = Throttle(behind, 7, 1000.0)
    meeting = threading.Barrier(4)

    def work():
        meeting.wait(10)
        for _ in range(500):
            say(road)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    road.tell()
    assert len(behind.lines) == 7
    assert [told.count for told in behind.told] == [1993]


def test_two_threads_that_say_the_first_of_a_kind_at_once_count_as_two(behind, monkeypatch):
    road = Throttle(behind, 1, 1000.0)
    other = threading.Thread(target=say, args=(road,))

    class Slow(throttle._Count):
        def __init__(self):
            super().__init__()
            if not other.ident:
                other.start()
                other.join(0.05)  # without the lock it would be through by now

    monkeypatch.setattr(throttle, "_Count", Slow)
    say(road)
    other.join()
    road.tell()
    assert behind.lines == ["said"]
    assert [told.count for told in behind.told] == [1]


def test_a_forked_child_tells_nothing_of_its_parent_and_its_lock_is_free(road, behind):
    for _ in range(3):
        say(road)
    with road._lock:  # as another thread of the parent would hold it
        child = os.fork()
        if child == 0:
            thread = threading.Thread(target=lambda: [say(road) for _ in range(3)])
            thread.start()
            thread.join(10)
            road.tell()
            counts = [told.count for told in behind.told]
            os._exit(0 if counts == [1] and len(behind.lines) == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    road.tell()
    assert [told.count for told in behind.told] == [1]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.sampled_from(["", "a", "b"]), st.sampled_from(["x", "y"])),
            st.tuples(st.just("wait"), st.sampled_from([1.0, 6.0, 11.0])),
            st.tuples(st.just("answer"), st.sampled_from(["a", "b"])),
        ),
        max_size=60,
    ),
    most=st.integers(1, 3),
)
def test_every_line_has_passed_or_is_counted_whatever_happens_when(steps, most):
    behind, watch = TellingRoad(), Watch()
    road = Throttle(behind, most, 10.0, watch)
    said = Counter()
    for step in steps:
        context.leave()
        if step[0] == "wait":
            watch.now += step[1]
            continue
        if step[1]:
            context.enter(Request(step[1], "ab" * 16, "cd" * 8))
        if step[0] == "answer":
            road.document("clusterlog.access", INFO, "clusterlog.access", "answered", {})
        else:
            said[step[1], step[2]] += 1
            say(road, step[2], who=step[1])
    context.leave()
    road.tell()
    found = Counter()
    for each in behind.told:
        found["" if each.scope.request is None else each.scope.request.id, each.last[0]] += each.count
    passed = Counter(behind.lines)
    del passed["answered"]
    for event in ("x", "y"):
        held = sum(count for (_, name), count in found.items() if name == event)
        assert passed[event] + held == sum(count for (_, name), count in said.items() if name == event)
    assert not [key for key in found if found[key] > said[key]]
    assert not road._watches
