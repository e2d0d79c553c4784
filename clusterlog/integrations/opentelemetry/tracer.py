"""OpenTelemetry behind the seam of ``context.tracing``: its current span, and steps as spans of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
)

from clusterlog.context.innermost import here
from clusterlog.context.request import Request, Scope
from clusterlog.context.request import scope as scope_of_now
from clusterlog.context.tracing import Known, SpanIds, lost
from clusterlog.integrations.opentelemetry import adoption, facts
from clusterlog.integrations.opentelemetry.begun import begun
from clusterlog.record.slot import slot

if TYPE_CHECKING:
    from opentelemetry.context import Context

# The key is not public; a context with nothing but a span in it tells what it is.
_KEY = next(iter(trace.set_span_in_context(INVALID_SPAN, contexts.Context())))
_SCALARS = (str, bool, int, float)


class OpenTelemetry:
    """See ``context.tracing.Tracer``."""

    __slots__ = ("_provider", "_steps")

    def __init__(self) -> None:
        self._provider: trace.TracerProvider | None = None
        self._steps: trace.Tracer | None = None

    def active(self) -> object | None:
        """The current span, without the checks of ``get_current_span``, which cost half a microsecond a line."""
        return get_current().get(_KEY)

    def ids(self, span: Any) -> SpanIds | None:
        """Of whatever stands where the span should be."""
        try:
            context = span.get_span_context()
            return adoption.ids_of(context) if context.is_valid else None
        except Exception:  # somebody else's object
            lost["internal_error"] += 1
            return None

    def admitted(self, request: Request, around: Scope | None) -> None:
        """A request is about to be entered: its own span may be there already, or its trace."""
        try:
            span: Any = self.active()
            if span is not None and span.get_span_context().is_valid:
                adoption.around(span, request, around)
        except Exception:
            lost["internal_error"] += 1

    def begin(self, name: str, fields: Mapping[str, Any]) -> Step | None:
        """A step's span: none of the global provider's making, none at all."""
        try:
            around = trace.get_current_span().get_span_context()
            span = self._tracer().start_span(name, attributes=_attributes(fields))
            context = span.get_span_context()
            if not context.is_valid or context.span_id == around.span_id:
                return None
            return Step(span, adoption.ids_of(context), frozenset(fields))
        except Exception:
            lost["internal_error"] += 1
            return None

    def _tracer(self) -> trace.Tracer:
        """Asked for once of each provider: asking costs more than a span."""
        provider = trace.get_tracer_provider()
        if self._steps is None or provider is not self._provider:
            self._steps = provider.get_tracer(facts.OURS)
            self._provider = provider
        return self._steps

    def called(self, span_id: str) -> Any:
        """A call carries this id: if it is that of a client's span, the call's event stands for it."""
        found = begun.get(int(span_id, 16))
        span = None if found is None or found.span is None or found.stands else found.span()
        if found is None or span is None or span.kind is not SpanKind.CLIENT:
            return None
        found.stands = True
        return span

    def known(self, span: Any, told: bool) -> Known:
        """What a span knows; what it learns from now on comes too late, and is counted."""
        try:
            found = begun.get(span.get_span_context().span_id)
            if found is not None:
                found.told = facts.names_beside(span)
            return facts.known(span, told)
        except Exception:
            lost["internal_error"] += 1
            return Known()


class Step:
    """One step's span; see ``context.tracing.Opened``."""

    __slots__ = ("_before", "_fields", "_inside", "_span", "ids")

    def __init__(self, span: trace.Span, ids: SpanIds, fields: frozenset[str]) -> None:
        self.ids = ids
        self._span = span
        self._fields = fields
        self._before: Context | None = None
        self._inside: Context | None = None

    def enter(self) -> None:
        """Make it the current span."""
        self._before = get_current()
        self._inside = trace.set_span_in_context(self._span, self._before)
        contexts.attach(self._inside)

    def leave(self) -> None:
        """Attached, not detached: a token fails, and says so, where a generator goes on in another context."""
        if self._before is not None and get_current() is self._inside:
            contexts.attach(self._before)
        self._before = self._inside = None

    def end(self, error: BaseException | None) -> Known:
        """End the span as ``use_span`` would; what was said of it besides comes back."""
        span: Any = self._span
        try:
            if not span.is_recording():
                span.end()
                return Known()
            if isinstance(error, Exception):
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            span.end()
            found = facts.known(span, False)
            labels = {name: value for name, value in found.labels.items() if name not in self._fields}
            return Known(labels, {"span": found.own["span"]})
        except Exception:
            lost["internal_error"] += 1
            return Known()


def continued() -> Context | None:
    """The context for a span that would be a root though its request is in a trace already; else ``None``.

    That trace is the caller's, or one that OpenTelemetry has begun in this request before, perhaps in another thread.
    Never raises.
    """
    try:
        if trace.get_current_span().get_span_context().is_valid:
            return None
        scope = here()
        request = None if scope is None else scope.request
        trace_of = None if scope is None else scope.traced or request
        if scope is None or trace_of is None or (request is not None and request.ours):
            return None
        caller = "" if request is None or request.adopted else request.parent_span_id
        span_id = int(scope.span_id or caller or trace_of.span_id, 16)
        flags = TraceFlags(TraceFlags.SAMPLED if trace_of.sampled else TraceFlags.DEFAULT)
        state = TraceState.from_header([trace_of.tracestate]) if trace_of.tracestate else None
        return trace.set_span_in_context(
            NonRecordingSpan(SpanContext(int(trace_of.trace_id, 16), span_id, True, flags, state))
        )
    except Exception:
        lost["internal_error"] += 1
        return None


def unrecorded(span: trace.Span, kind: SpanKind | None, context: Context | None) -> None:
    """A span was begun that no processor is told of: its ids count all the same. Never raises."""
    try:
        own = span.get_span_context()
        around = trace.get_current_span(context).get_span_context()
        if own.is_valid and own.span_id != around.span_id:
            parent = around if around.is_valid else None
            adoption.started(span, kind or SpanKind.INTERNAL, own, parent, scope_of_now())
    except Exception:
        lost["internal_error"] += 1


def _attributes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A step's fields for OpenTelemetry's own exporters: those of plain types, and without secrets, as on the road."""
    road = slot.road
    cleaned = None if road is None or not fields else getattr(road.bound(fields), "labels", None)
    return {name: value for name, value in (cleaned or {}).items() if type(value) in _SCALARS}
