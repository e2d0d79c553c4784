"""Functions of the application in a thread of ours: bounded, fair, and told of what they were too slow for (CP-18)."""

from __future__ import annotations

import threading

import pytest

from clusterlog.control.messages.envelope import Envelope, Sender
from clusterlog.control.messages.handlers import Handlers, Subscription

PATIENCE_S = 30


def envelope(data: object) -> Envelope:
    return Envelope("f", "t", Sender("x"), 1, data)


@pytest.fixture
def handlers():
    return Handlers(lambda *_: None, lambda *_: None, most_waiting=3)


def settle(handlers: Handlers) -> None:
    done = threading.Event()
    handlers.call(done.set)
    assert done.wait(PATIENCE_S)


def stuck(handlers: Handlers) -> threading.Event:
    """Has the thread do nothing until the event is set."""
    begun, go_on = threading.Event(), threading.Event()
    handlers.call(lambda: (begun.set(), go_on.wait(PATIENCE_S)))
    assert begun.wait(PATIENCE_S)
    return go_on


def test_cp18_a_slow_function_loses_messages_is_told_of_one_gap_behind_what_it_had_and_then_hears_again(handlers):
    said: list[object] = []
    slow = Subscription("f", "t", said.append, lambda: said.append("gap"))
    go_on = stuck(handlers)
    for number in range(10):
        handlers.message(slow, envelope(number), 1)
    assert slow.dropped == 7
    go_on.set()
    settle(handlers)
    assert said == [0, 1, 2, "gap"]
    handlers.message(slow, envelope("after"), 1)
    settle(handlers)
    assert said == [0, 1, 2, "gap", "after"]


def test_cp18_after_the_first_that_found_no_room_nothing_is_heard_before_the_gap(handlers):
    """Else what comes behind the hole would be taken for what follows on what came before it."""
    said: list[object] = []

    def slow(data: object) -> None:
        said.append(data)
        if data == 0:
            handlers.message(subscription, envelope("while there is room again"), 1)

    subscription = Subscription("f", "t", slow, lambda: said.append("gap"))
    go_on = stuck(handlers)
    for number in range(4):
        handlers.message(subscription, envelope(number), 1)
    go_on.set()
    settle(handlers)
    assert said == [0, 1, 2, "gap"]
    assert subscription.dropped == 2


def test_in_a_forked_child_what_waited_is_forgotten_and_a_thread_of_its_own_calls(handlers):
    said: list[object] = []
    subscription = Subscription("f", "t", lambda data: said.append((data, threading.current_thread())))
    go_on = stuck(handlers)
    parents = next(each for each in threading.enumerate() if each.name == "clusterlog-handlers")
    for number in range(9):
        handlers.message(subscription, envelope(number), 1)
    handlers.forget()
    handlers.message(subscription, envelope("the child's"), 1)
    settle(handlers)
    go_on.set()
    ((data, thread),) = said
    assert data == "the child's"
    assert thread is not parents


def test_what_one_function_is_too_slow_for_the_others_hear(handlers):
    heard: list[object] = []
    slow, quick = Subscription("f", "t", lambda _data: None), Subscription("f", "u", heard.append)
    go_on = stuck(handlers)
    for number in range(10):
        handlers.message(slow, envelope(number), 1)
    handlers.message(quick, envelope("heard"), 1)
    go_on.set()
    settle(handlers)
    assert (slow.dropped, quick.dropped) == (7, 0)
    assert heard == ["heard"]


def test_many_bytes_fill_the_line_as_many_messages_do(handlers):
    slow = Subscription("f", "t", lambda _data: None)
    go_on = stuck(handlers)
    handlers.message(slow, envelope(1), 8 << 20)
    handlers.message(slow, envelope(2), 1)
    assert slow.dropped == 1
    go_on.set()
    settle(handlers)
    handlers.message(slow, envelope(3), 8 << 20)
    assert slow.dropped == 1


def test_gaps_that_come_while_a_function_is_busy_are_one(handlers):
    said: list[object] = []
    subscription = Subscription("f", "t", said.append, lambda: said.append("gap"))
    go_on = stuck(handlers)
    handlers.gap(subscription)
    handlers.gap(subscription)
    handlers.message(subscription, envelope(1), 1)
    go_on.set()
    settle(handlers)
    assert said == ["gap", 1]


def test_a_gap_is_nothing_to_a_subscription_that_did_not_ask_for_it(handlers):
    heard: list[object] = []
    subscription = Subscription("f", "t", heard.append)
    handlers.gap(subscription)
    handlers.message(subscription, envelope(1), 1)
    settle(handlers)
    assert (heard, subscription.failed) == ([1], 0)


def test_what_waits_is_not_called_when_the_subscription_was_cancelled_meanwhile(handlers):
    heard: list[object] = []
    subscription = Subscription("f", "t", heard.append, lambda: heard.append("gap"))
    go_on = stuck(handlers)
    handlers.message(subscription, envelope(1), 1)
    handlers.gap(subscription)
    subscription.cancel()
    go_on.set()
    settle(handlers)
    assert heard == []


def test_all_functions_are_called_in_one_daemon_thread_of_ours(handlers):
    threads: set[threading.Thread] = set()
    subscription = Subscription("f", "t", lambda _data: threads.add(threading.current_thread()))
    for number in range(3):
        handlers.message(subscription, envelope(number), 1)
    handlers.call(lambda: threads.add(threading.current_thread()))
    settle(handlers)
    (thread,) = threads
    assert (thread.name, thread.daemon) == ("clusterlog-handlers", True)


def test_a_thread_that_cannot_be_started_while_the_interpreter_ends_is_no_error(handlers, monkeypatch):
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        handlers.call(print)
    settle(handlers)


@pytest.mark.parametrize(
    ("fn", "with_message"),
    [
        (lambda data: data, False),
        (lambda data, message: message, True),
        (lambda data, message=None: message, False),
        (lambda *everything: everything, False),
        ([].append, False),
        (print, False),
    ],
)
def test_a_function_is_given_the_message_where_it_cannot_do_without(fn, with_message):
    assert Subscription("f", "t", fn)._with_message is with_message
