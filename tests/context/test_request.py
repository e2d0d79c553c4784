"""One request's facts under many hands, and scopes that are put back wherever a block ends."""

from __future__ import annotations

import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterlog.context import request
from clusterlog.context.request import Request, Scope, bind, bound, current, enter, restore


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads are switched as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
def test_no_annotation_is_lost_between_threads(new: Callable[[str], Request]) -> None:
    annotated = new("r1")

    def annotate(thread: int) -> None:
        for n in range(100):
            annotated.annotate({f"{thread}.{n}": n})

    threads = [threading.Thread(target=annotate, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(annotated.facts) == 400


def test_an_annotation_waits_for_the_one_that_another_thread_is_making(
    new: Callable[[str], Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated = new("r1")
    inside, begun = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait()
        begun.set()
        annotated.annotate({"other": 1})

    thread = threading.Thread(target=other)
    thread.start()
    with request._annotating():
        inside.set()
        begun.wait()
        thread.join(0.05)
        assert thread.is_alive()
        annotated.annotate({"mine": 1})
    thread.join()
    assert annotated.facts == {"mine": 1, "other": 1}


def test_a_signal_handler_may_annotate_while_its_thread_annotates(new: Callable[[str], Request]) -> None:
    """Neither waits for the other for ever, and none takes back what the other said."""
    annotated = new("r1")
    calls: list[int] = []

    def handle(*_: object) -> None:
        annotated.annotate({"inner": 1})

    def trace(frame: Any, event: str, _: object) -> Any:
        # At each line of annotate in turn: a signal, whose handler runs before the next one.
        if frame.f_code is Request.annotate.__code__ and len(calls) == 0:
            frame.f_trace_lines = True
            return interrupt
        return None

    def interrupt(frame: Any, event: str, _: object) -> Any:
        if event == "line" and "after" in frame.f_locals and not calls:
            calls.append(frame.f_lineno)
            signal.raise_signal(signal.SIGUSR1)
        return interrupt

    before = signal.signal(signal.SIGUSR1, handle)
    tracer = sys.gettrace()
    try:
        sys.settrace(trace)
        annotated.annotate({"outer": 1})
    finally:
        sys.settrace(tracer)
        signal.signal(signal.SIGUSR1, before)
    assert calls
    assert annotated.facts == {"outer": 1, "inner": 1}


def test_a_child_forked_while_a_thread_annotates_can_annotate(new: Callable[[str], Request]) -> None:
    annotated = new("r1")
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with request._annotating():
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that waits for ever ends by this
        annotated.annotate({"child": 1})
        os._exit(0 if annotated.facts == {"child": 1} else 1)
    _, status = os.waitpid(child, 0)
    free.set()
    thread.join()
    assert status == 0


def test_a_late_annotation_is_counted(new: Callable[[str], Request], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "late_annotations", 0)
    annotated = new("r1")
    annotated.annotate({"a": 1, "user": "alice"})
    annotated.told = True
    annotated.annotate({"b": 2})
    assert (annotated.late, request.late_annotations) == (1, 1)
    assert (annotated.facts, annotated.user) == ({"a": 1, "b": 2}, "alice")


def test_the_user_is_no_fact_and_can_be_taken_back(new: Callable[[str], Request]) -> None:
    annotated = new("r1")
    annotated.annotate({"user": 7})
    assert (annotated.facts, annotated.user) == ({}, "7")
    annotated.annotate({"user": None})
    assert annotated.user is None


def test_a_handed_over_scope_is_the_same_but_for_that(new: Callable[[str], Request]) -> None:
    scope = Scope(new("r1"), {"order": 7}, span_id="ef" * 8, user="alice")
    scope.rendered = "as bytes"
    handed = scope.handed(True)
    assert {name: getattr(handed, name) for name in Scope.__slots__} == {
        **{name: getattr(scope, name) for name in Scope.__slots__},
        "handed_over": True,
    }
    assert handed.handed(True) is handed
    assert scope.handed(False) is scope


def test_bound_is_over_with_its_block_whatever_was_bound_inside(new: Callable[[str], Request]) -> None:
    enter(new("r1"))
    before = current.get()
    with bound(order=7):
        bind(inner=1)
    assert current.get() is before


def test_a_bound_block_that_is_finished_in_another_context_leaves_that_one_alone(new: Callable[[str], Request]) -> None:
    def work() -> Iterator[None]:
        with bound(order=7):
            yield

    generator = work()
    contextvars.Context().run(next, generator)
    enter(new("r2"))
    bind(mine=1)
    generator.close()
    found = current.get()
    assert found is not None
    assert (found.request and found.request.id, found.labels) == ("r2", {"mine": 1})


def test_putting_back_twice_does_nothing(new: Callable[[str], Request]) -> None:
    entered = Scope(new("r1"))
    token = current.set(entered)
    restore(token, entered)
    enter(new("r2"))
    restore(token, entered)
    assert request.request_id() == "r2"
