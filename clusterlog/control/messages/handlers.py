"""Where the application's functions are called: one thread of ours, with a bounded line before each subscription.

A function that is too slow loses messages of its own, and no other's: from the first that finds no room until all that
wait are done. That is counted, and said to it as one gap. The thread that reads the bus never waits for it.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from clusterlog.control.messages.envelope import Envelope

MOST_WAITING = 1000
MOST_BYTES = 8 << 20

Answer = Callable[[Envelope, Any, str], None]
"""Says what a function made of a request: (the request, its answer, why there is none)."""
Trouble = Callable[[str, BaseException], None]
"""Told of an exception in a function of the application, and of what it was to do."""


@dataclass(slots=True, eq=False)
class Subscription:
    """A function that hears a topic. ``dropped`` counts messages it was too slow for, ``failed`` its exceptions."""

    functionality: str
    topic: str
    fn: Callable[..., Any]
    on_gap: Callable[[], Any] | None = None
    dropped: int = 0
    failed: int = 0
    active: bool = True
    _waiting: deque[tuple[Envelope, int]] = field(default_factory=deque)
    _bytes: int = 0
    _gap: bool = False
    _overflown: bool = False
    _with_message: bool = False

    def __post_init__(self) -> None:
        self._with_message = _takes_two(self.fn)

    def cancel(self) -> None:
        """Hear no more; what waits is not called."""
        self.active = False


def _takes_two(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` must have the message beside its data."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters) > 1


class Handlers:
    """Calls the functions of subscriptions, one at a time, in a thread that starts with the first call."""

    def __init__(self, answer: Answer, trouble: Trouble, most_waiting: int = MOST_WAITING) -> None:
        self._answer = answer
        self._trouble = trouble
        self._most_waiting = most_waiting
        self._ready: deque[Subscription | Callable[[], Any]] = deque()
        self._wanted = threading.Condition()
        self._thread: threading.Thread | None = None

    def message(self, subscription: Subscription, envelope: Envelope, size: int) -> None:
        """Let the function hear a message, when its turn comes; dropped where too much waits. Never blocks."""
        with self._wanted:
            line = subscription._waiting
            if subscription._overflown:
                subscription.dropped += 1
                return
            if len(line) >= self._most_waiting or subscription._bytes + size > MOST_BYTES:
                subscription.dropped += 1
                subscription._overflown = True
                self._is_ready(subscription)  # behind all that wait: its turn with an empty line is the gap
                return
            line.append((envelope, size))
            subscription._bytes += size
            self._is_ready(subscription)

    def gap(self, subscription: Subscription) -> None:
        """Tell it that messages may have been missed, before any that come after. Never blocks."""
        with self._wanted:
            subscription._gap = True
            self._is_ready(subscription)

    def call(self, fn: Callable[[], Any]) -> None:
        """Call ``fn`` in that thread. Never blocks."""
        with self._wanted:
            self._is_ready(fn)

    def forget(self) -> None:
        """In a forked child: there is no thread, and what waited is the parent's."""
        self._wanted = threading.Condition()
        self._thread = None
        for each in self._ready:
            if isinstance(each, Subscription):
                each._waiting.clear()
                each._bytes, each._gap, each._overflown = 0, False, False
        self._ready.clear()

    def _is_ready(self, what: Subscription | Callable[[], Any]) -> None:
        self._ready.append(what)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="clusterlog-handlers", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is going down, and nobody will hear anything any more
                return
            self._thread = thread
        self._wanted.notify()

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not self._ready:
                    self._wanted.wait()
                what = self._ready.popleft()
            if isinstance(what, Subscription):
                self._turn(what)
            else:
                self._guarded("call", what)

    def _turn(self, subscription: Subscription) -> None:
        with self._wanted:
            gap, subscription._gap = subscription._gap, False
            envelope, size = subscription._waiting.popleft() if subscription._waiting else (None, 0)
            subscription._bytes -= size
            if envelope is None and subscription._overflown:
                gap, subscription._overflown = True, False
        if not subscription.active:
            return
        if gap and subscription.on_gap is not None:
            self._guarded(f"on_gap of {subscription.functionality}", subscription.on_gap, subscription)
        if envelope is None:
            return
        arguments = (envelope.data, envelope) if subscription._with_message else (envelope.data,)
        what = f"{subscription.functionality} {subscription.topic}"
        answer, failed = self._guarded(what, lambda: subscription.fn(*arguments), subscription)
        if envelope.kind == "request":
            self._answer(envelope, answer, failed)

    def _guarded(self, what: str, fn: Callable[[], Any], subscription: Subscription | None = None) -> tuple[Any, str]:
        try:
            return fn(), ""
        except BaseException as error:  # a thread of ours must not end with what an application's function raises
            if subscription is not None:
                subscription.failed += 1
            with suppress(Exception):
                self._trouble(what, error)
            return None, f"{type(error).__name__}: {error}"[:256]
