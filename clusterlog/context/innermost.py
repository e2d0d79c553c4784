"""Which span holds where two tracers are at work, ours and another one: the one that was entered last.

Every line asks, so that it is a lookup as long as no other tracer is joined, and one more as long as its span and our
scope are those of the line before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from clusterlog.context import tracing
from clusterlog.context.request import Scope, current
from clusterlog.context.tracing import SpanIds, Tracer

now: Callable[[], Scope | None] = current.get
"""The scope that holds at this moment, perhaps of a request that is over. Another function while a tracer is joined."""

_latest: ContextVar[tuple[Scope | None, object, Scope | None] | None] = ContextVar("clusterlog_traced", default=None)


def join(tracer: Tracer | None) -> None:
    """Let the ids of another tracer win from here on; with ``None``, of nobody any more."""
    global now
    tracing.joined = tracer
    now = current.get if tracer is None else _traced_by(tracer)


def here() -> Scope | None:
    """The scope that holds in this task, or ``None``; a request that is over is no request any more."""
    found = now()
    if found is not None and found.over():
        return None
    return found


def _traced_by(tracer: Tracer) -> Callable[[], Scope | None]:
    """``now`` while ``tracer`` is joined; what it asks each time is bound beforehand, for every line asks."""
    scope_of, active, latest_of = current.get, tracer.active, _latest.get

    def traced() -> Scope | None:
        found = scope_of()
        span = active()
        if span is None:
            return found
        request = None if found is None else found.request
        if found is not None and request is not None and request.ended is not None and found.over():
            found = None
        latest = latest_of()
        if latest is not None and latest[0] is found and latest[1] is span:
            return latest[2]
        made = _placed(found, tracer.ids(span))
        _latest.set((found, span, made))
        return made

    return traced


def _placed(found: Scope | None, ids: SpanIds | None) -> Scope | None:
    """A scope with another tracer's span in it; the scope itself if that span lies around it, or is its own."""
    if ids is None:
        return found
    if found is None:
        if ids.remote:  # a caller's: we are not in it, it is the cause
            return Scope(None, traced=ids, parent=ids.span_id)
        return Scope(None, span_id=ids.span_id, traced=ids, parent=ids.parent_span_id)
    if ids.span_id in (found.outer, found.own_span) or (ids.remote and found.request is not None):
        return found
    return Scope(
        found.request,
        found.labels,
        span_id="" if ids.remote else ids.span_id,
        user=found.user,
        handed_over=found.handed_over,
        outer=found.outer,
        traced=ids,
        parent=ids.span_id if ids.remote else ids.parent_span_id or found.own_span,
    )
