"""Who is asking: one ``Request`` per request, shared by everything it touches, and the ``Scope`` a task runs in.

A ``Scope`` is what the one context variable holds: the request, the fields bound in this task, and the span it is in.
Scopes are never changed, only replaced. A request's facts are replaced as well, so that a line reads one consistent
set of them, whichever thread annotates meanwhile.

Of another tracer's span, where one is joined, a scope knows by ids alone; which of both is the innermost, and holds, is
asked in ``innermost``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from os import getpid
from typing import Any, Protocol

from clusterlog.context.tracing import SpanIds, active_span

Facts = Mapping[str, Any]
NOTHING: Facts = {}

linger = 60.0
"""Seconds for which work left behind by an ended request still carries its id; set by ``start``."""


class Request:
    """Ids and facts of one request; never its scope, environment or exception.

    ``id`` is ``http.request.id``. ``span_id`` is this process's span in ``trace_id``, ``parent_span_id`` the caller's.
    ``client_request_id`` and ``client_trace_id`` are what an untrusted peer sent. ``facts`` is what ``annotate`` told.
    ``ours``: the trace id was made for this very request, and nobody else has begun a trace inside of it. ``served``:
    an access event will be told of it. ``adopted``: its span is that of another tracer, and ``began_as`` the span id
    its first lines had; ``span`` is that tracer's own object, kept until the access event is told.

    ``route`` is the template that answers, or what gives it once it is known. ``escalation``, ``granted`` and
    ``recorded`` belong to those who look after single requests (``watching``, ``record.gate``).
    """

    __slots__ = (
        "adopted",
        "began_as",
        "client_request_id",
        "client_trace_id",
        "ended",
        "escalation",
        "facts",
        "granted",
        "id",
        "late",
        "ours",
        "parent_span_id",
        "recorded",
        "route",
        "sampled",
        "served",
        "session",
        "span",
        "span_id",
        "started_ns",
        "told",
        "trace_id",
        "tracestate",
        "user",
    )

    def __init__(
        self,
        id: str,
        trace_id: str,
        span_id: str,
        *,
        parent_span_id: str = "",
        sampled: bool = True,
        tracestate: str = "",
        client_request_id: str = "",
        client_trace_id: str = "",
        session: str = "",
        started_ns: int = 0,
    ) -> None:
        self.id = id
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_span_id = parent_span_id
        self.sampled = sampled
        self.tracestate = tracestate
        self.client_request_id = client_request_id
        self.client_trace_id = client_trace_id
        self.session = session
        self.user: str | None = None
        self.started_ns = started_ns
        self.facts: Facts = NOTHING
        self.told = False
        self.late = 0
        self.ended: float | None = None
        self.ours = not parent_span_id
        self.served = False
        self.adopted = False
        self.began_as = ""
        self.span: Any = None
        self.route: str | Callable[[], str] = ""
        self.escalation: Any = None
        self.granted: Any = None
        self.recorded: Any = None

    def annotate(self, fields: Facts) -> None:
        """Add facts to the whole request. After its access event has been told they are late, and counted."""
        fields = dict(fields)
        with _annotating():
            if "user" in fields:
                user = fields.pop("user")
                self.user = None if user is None else str(user)
            while True:
                before = self.facts
                after = {**before, **fields}
                # The lock keeps threads apart; a signal handler that annotates inside of it shows here. Between the
                # comparison and the assignment CPython runs no handler.
                if self.facts is before:
                    self.facts = after
                    break
            if self.told:
                self.late += 1
                count_late()
        if watching is not None:
            watching.learned(self)

    def follow(self, ids: SpanIds, parent_span_id: str = "") -> None:
        """Its trace is from here on that of another tracer's span, perhaps its parent span as well."""
        with _annotating():
            self.trace_id, self.sampled, self.tracestate = ids.trace_id, ids.sampled, ids.tracestate
            self.parent_span_id = parent_span_id or self.parent_span_id
            self.ours = False
            self.facts = dict(self.facts)  # what scopes were serialised as holds for one mapping of facts

    def become(self, ids: SpanIds, span: Any, parent_span_id: str = "", *, entered: bool = True) -> None:
        """Its own span is from here on that of another tracer; ``entered``: it may have said lines by now."""
        if entered:
            self.began_as = self.span_id
        self.adopted = True
        self.span_id = ids.span_id
        self.span = span if self.served else None
        self.follow(ids, parent_span_id)

    def end(self) -> None:
        """The request is over; what still runs carries its id for ``linger`` seconds more."""
        if self.ended is None:
            self.ended = time.monotonic()


class Scope:
    """What a task runs in. ``rendered`` is the encoder's own: the scope as bytes.

    ``outer`` is the span of another tracer that lies around the scope's own span, by its id. ``traced`` are the ids of
    one that is the scope's own span, and ``parent`` is then the span around that, for lines to tell. ``spared`` says,
    while lines of single requests are looked after, that none of this scope needs to be (``record.gate.armed``).
    """

    __slots__ = (
        "handed_over",
        "labels",
        "outer",
        "parent",
        "rendered",
        "request",
        "span_id",
        "spared",
        "traced",
        "user",
    )

    def __init__(
        self,
        request: Request | None,
        labels: Facts = NOTHING,
        *,
        span_id: str = "",
        user: str | None = None,
        handed_over: bool = False,
        outer: str = "",
        traced: SpanIds | None = None,
        parent: str = "",
    ) -> None:
        self.request = request
        self.labels = labels
        self.span_id = span_id
        self.user = user
        self.handed_over = handed_over
        self.outer = outer
        self.traced = traced
        self.parent = parent
        self.rendered: Any = None
        self.spared: object = None
        if renderer is not None:
            renderer(self)

    @property
    def own_span(self) -> str:
        """The id of the innermost span: the scope's, or else its request's."""
        return self.span_id or ("" if self.request is None else self.request.span_id)

    def over(self) -> bool:
        """Whether the request ended longer than ``linger`` ago and was not handed over to this task."""
        request = self.request
        if request is None or request.ended is None or self.handed_over:
            return False
        return time.monotonic() - request.ended > linger

    def handed(self, over: bool) -> Scope:
        """The same scope for another thread, handed over explicitly or not; what was rendered stays rendered.

        Outside of any request nothing says for how long another tracer's span would hold in a thread that was merely
        started: it stays behind.
        """
        if not over and self.traced is not None and self.request is None:
            return Scope(None, self.labels, user=self.user)
        if self.handed_over is over:
            return self
        twin = object.__new__(Scope)
        for name in Scope.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.handed_over = over
        return twin

    def bound(self, labels: Facts, user: str | None) -> Scope:
        """The same scope with other labels and another user."""
        return within(self, self.request, labels, user, self.handed_over)


def within(
    place: Scope | None, request: Request | None, labels: Facts, user: str | None, handed_over: bool = False
) -> Scope:
    """A new scope in the very span that ``place`` is in."""
    if place is None:
        return Scope(request, labels, user=user, handed_over=handed_over)
    return Scope(
        request,
        labels,
        span_id=place.span_id,
        user=user,
        handed_over=handed_over,
        outer=place.outer,
        traced=place.traced,
        parent=place.parent,
    )


class Watching(Protocol):
    """Who looks after requests that rules of the cluster are about. No method raises."""

    def arrived(self, request: Request, tokens: Sequence[str]) -> None:
        """A caller who is believed has sent these tokens with ``request``."""

    def learned(self, request: Request) -> None:
        """Facts of ``request`` have changed."""

    def token(self, scope: Scope) -> str:
        """What those who are called from ``scope`` are told; empty for nothing."""


watching: Watching | None = None
"""Put here by the control plane, where there is one."""

renderer: Callable[[Scope], None] | None = None
"""Serialises a scope when it is made, so that what is bound is what it was then; put here by ``start``."""

current: ContextVar[Scope | None] = ContextVar("clusterlog_scope", default=None)
late_annotations = 0
_locks: dict[int, threading.RLock] = {}


def _annotating() -> threading.RLock:
    """The lock around facts: by process, so that no fork leaves it held for ever; re-entrant, for signal handlers."""
    pid = getpid()
    return _locks.get(pid) or _locks.setdefault(pid, threading.RLock())


def count_late() -> None:
    """An annotation came after the access event; ``dropped()`` tells how often."""
    global late_annotations
    late_annotations += 1


def scope() -> Scope | None:
    """The scope of this task, or ``None``; a request that is over is no request any more."""
    found = current.get()
    if found is not None and found.over():
        return None
    return found


def request() -> Request | None:
    """The request this task works for, or ``None``."""
    found = scope()
    return None if found is None else found.request


def request_id() -> str | None:
    """The id of the request this task works for, or ``None`` outside of any."""
    found = request()
    return None if found is None else found.id


def enter(new: Request, **labels: Any) -> Token[Scope | None]:
    """From here on this task works for ``new``. Nothing bound before stays: it belonged to something else.

    A middleware does not reset this in a ``finally``: the server's own lines about the request come after it.
    """
    return current.set(Scope(new, labels or NOTHING, outer=active_span()))


def leave() -> None:
    """This task works for nobody any more."""
    current.set(None)


def bind(**fields: Any) -> None:
    """Set fields on every line of this task from here on. ``user=`` names the identity, stored only as a hash."""
    current.set(_bound(fields))


def unbind(*names: str) -> None:
    """Take fields set by ``bind`` off again; unknown names are nothing."""
    found = scope()
    if found is None:
        return
    labels = {name: value for name, value in found.labels.items() if name not in names}
    user = None if "user" in names else found.user
    current.set(found.bound(labels, user))


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """``bind`` for the length of a block."""
    entered = _bound(fields)
    token = current.set(entered)
    try:
        yield
    finally:
        restore(token, entered)


def restore(token: Token[Scope | None], entered: Scope | None) -> None:
    """Put back what was before ``current.set(entered)`` gave ``token``. Never raises.

    A generator or a coroutine may be finished in another context than it began in, by the garbage collector in any.
    There the token is of no use, and the scope found is left alone unless it is the very one that was entered.
    """
    try:
        current.reset(token)
    except (ValueError, RuntimeError):
        if entered is not None and current.get() is entered:
            before = token.old_value
            current.set(None if before is Token.MISSING else before)


def annotate(**fields: Any) -> None:
    """Add facts to the whole request: every later line of it, and its access event. Outside of a request: ``bind``."""
    found = request()
    if found is None:
        bind(**fields)
    else:
        found.annotate(fields)


def _bound(fields: Facts) -> Scope:
    found = scope()
    if found is None:
        found = Scope(None)
    labels = {**found.labels, **fields}
    user = found.user
    if "user" in labels:
        named = labels.pop("user")
        user = None if named is None else str(named)
    return found.bound(labels, user)
