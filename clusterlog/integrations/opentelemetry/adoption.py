"""Which of a request's ids OpenTelemetry's take the place of, and whose child a span is on our road.

- A server span around a request, or begun inside of it before any other, is the request's own span: the request takes
  over its ids, and the access event stands for it.
- A request in a trace of our own making takes over the trace of the first root span that is begun inside of it.
- A client span that is begun inside an instrumented call, or whose ``traceparent`` the call carries, is the call: its
  event has that id, and stands for it.

What a carrier has brought along is left alone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanKind

from clusterlog.context.request import Request, Scope
from clusterlog.context.traceparent import format_tracestate
from clusterlog.context.tracing import SpanIds
from clusterlog.integrations.clients.call import under_way
from clusterlog.integrations.opentelemetry.begun import Begun, begun

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

_HTTP = ("http.request.method", "http.method", "url.full", "http.url")
"""One of these a client span has when it begins, if it is one of HTTP."""


def ids_of(context: SpanContext) -> SpanIds:
    """The ids of a span that is valid."""
    found = begun.get(context.span_id)
    state = context.trace_state
    return SpanIds(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        "" if found is None else found.parent,
        bool(context.trace_flags & 1),
        format_tracestate(state.items()) if state else "",
        context.is_remote,
    )


def around(span: Any, request: Request, before: Scope | None) -> None:
    """A request is taken on while ``span`` is current; ``before`` is the scope it is taken on in."""
    context = span.get_span_context()
    if getattr(span, "end_time", None) is not None:  # left behind by another request on the same connection
        return
    ids = ids_of(context)
    if _is_own(span, ids, request, before):
        parent = getattr(span, "parent", None)
        request.become(ids, span, "" if parent is None else f"{parent.span_id:016x}", entered=False)
        if request.served and context.span_id in begun:
            begun[context.span_id].stands = True
    elif request.ours:  # a caller's span that somebody has read from the headers, or something larger: a loop, a test
        request.follow(ids, ids.span_id)


def _is_own(span: Any, ids: SpanIds, request: Request, before: Scope | None) -> bool:
    """Whether the current span is the answering of this very request; of what is not recorded no kind is known."""
    if before is not None and before.request is not None and before.request.span_id == ids.span_id:
        return False
    if ids.remote or ids.span_id == request.parent_span_id or not _fits(ids, request):
        return False
    return getattr(span, "kind", SpanKind.SERVER) in (SpanKind.SERVER, SpanKind.CONSUMER)


def _fits(ids: SpanIds, request: Request) -> bool:
    """Whether a span may be the request's own: what the carrier has brought along is left alone."""
    return request.ours or request.trace_id == ids.trace_id


def started(span: Any, kind: SpanKind, context: SpanContext, parent: SpanContext | None, scope: Scope | None) -> bool:
    """A span has been begun, recorded or not: what the request takes over from it. Whether an event stands for it."""
    request = None if scope is None else scope.request
    if scope is None or request is None:
        return False
    outside = parent is None or parent.is_remote or f"{parent.span_id:016x}" == scope.outer
    serves = request.served and not request.told and not request.adopted and not scope.span_id
    ids = ids_of(context)
    if kind is SpanKind.SERVER and outside and serves and _fits(ids, request):
        request.become(ids, span, f"{parent.span_id:016x}" if parent and parent.is_remote else "")
        return True
    if parent is None and request.ours:
        request.follow(ids)
    return False


def parent(span: Any, parent_context: Context | None, scope: Scope | None) -> str:
    """The span around this one, as our events tell it.

    Between a caller and a span that was begun in answer to it stands the request's own; and what is around a request is
    not around what happens inside. A parent that is not recorded will never be told, so what is around it is named.
    """
    own = f"{span.get_span_context().span_id:016x}"
    found: SpanContext | None = span.parent
    told = "" if found is None else f"{found.span_id:016x}"
    enclosing = "" if scope is None else scope.own_span
    if enclosing in ("", own):
        return told
    if found is None:
        return enclosing
    if scope is None or scope.request is None or told in (enclosing, scope.request.span_id):
        return told
    if told in (scope.outer, scope.request.parent_span_id):
        return enclosing
    unrecorded = not found.is_remote and isinstance(trace.get_current_span(parent_context), NonRecordingSpan)
    return enclosing if unrecorded else told


def called(span: Any, found: Begun) -> None:
    """A client span begun inside of a call that is under way is that call, if its headers say so to the callee."""
    call = under_way() if span.kind is SpanKind.CLIENT else None
    if call is None or call.span is not None or not _is_sent() or not any(name in span.attributes for name in _HTTP):
        return
    call.become(ids_of(span.get_span_context()), span)
    found.stands = True


def _is_sent() -> bool:
    """Whether OpenTelemetry writes ``traceparent`` into what is sent."""
    propagate: Any = sys.modules.get("opentelemetry.propagate")
    return propagate is not None and "traceparent" in propagate.get_global_textmap().fields
