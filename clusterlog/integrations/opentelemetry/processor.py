"""Finished spans onto the road: one event for each, at its end, with the request it was begun in.

An access event stands for a request's own server span, a call event for the client span of that very call, and a step
tells its own: of those no second event is made.
"""

from __future__ import annotations

import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor as Processor

from clusterlog.context.request import Scope, count_late
from clusterlog.context.request import scope as scope_of_now
from clusterlog.context.tracing import lost
from clusterlog.integrations.opentelemetry import adoption, facts
from clusterlog.integrations.opentelemetry.begun import Begun, begun
from clusterlog.record.slot import slot

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

DATASET = "clusterlog.span"
"""The dataset of the events, and the logger they name, as of steps."""

_NOBODY = Scope(None)


class SpanProcessor(Processor):
    """For a ``TracerProvider`` that is not the global one: ``provider.add_span_processor(SpanProcessor())``.

    Nothing here raises, waits or starts a thread; two of them on one provider tell a span once.
    """

    def __init__(self) -> None:
        self.on = True
        self._since_ns = time.time_ns()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Read the request id: a span may end elsewhere."""
        if not self.on:
            return
        try:
            _begin(span, parent_context)
        except Exception:  # a fault of ours is counted, and never the host's
            lost["internal_error"] += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Put the event on the road, unless another one stands for it."""
        context = span.get_span_context()
        if not self.on or context is None:
            return
        try:
            found = begun.pop(context.span_id, None)
            if found is not None:
                _end(span, found)
            elif (span.start_time or 0) < self._since_ns:  # begun before this processor was there
                _tell(span, Begun(None, None, "" if span.parent is None else f"{span.parent.span_id:016x}"))
        except Exception:
            lost["internal_error"] += 1


def _begin(span: Span, parent_context: Context | None) -> None:
    context = span.get_span_context()
    if context.span_id in begun:  # a second processor of ours
        return
    scope = scope_of_now()
    # First, for it may give the request another span: the parent of all that follows.
    stands = adoption.started(span, span.kind, context, span.parent, scope) or _is_step(span)
    found = Begun(scope, weakref.ref(span, _forgotten(context.span_id)), adoption.parent(span, parent_context, scope))
    found.stands = stands
    begun[context.span_id] = found
    adoption.called(span, found)


def _is_step(span: Span) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name == facts.OURS


def _forgotten(span_id: int) -> Any:
    """A span that is thrown away without an end is counted: its event never comes."""

    def gone(_: object) -> None:
        if begun.pop(span_id, None) is not None:
            lost["span_never_ended"] += 1

    return gone


def _end(span: ReadableSpan, found: Begun) -> None:
    if not found.stands:
        _tell(span, found)
    elif found.told is not None and facts.names_beside(span) - found.told:
        count_late()


def _tell(span: ReadableSpan, found: Begun) -> None:
    road = slot.road
    context = span.get_span_context()
    if road is None or context is None:
        return
    known = facts.known(span, False)
    failed = facts.failed(span)
    ended = span.end_time or time.time_ns()
    own: dict[str, Any] = {}
    if found.parent:
        own["parent"] = {"span_id": found.parent}
    status = known.labels.get("http.response.status_code", known.labels.get("http.status_code"))
    if span.kind is trace.SpanKind.CLIENT and type(status) is int:
        own["call"] = {"status_code": status}
    body: dict[str, Any] = {
        "event": {
            "duration": max(0, ended - (span.start_time or ended)),
            "outcome": "failure" if failed else "success",
        },
        "span": {"id": f"{context.span_id:016x}"},
        "trace": {"id": f"{context.trace_id:032x}"},
        "clusterlog": own,
    }
    road.document(
        DATASET,
        logging.ERROR if failed else logging.INFO,
        DATASET,
        span.name,
        known.added_to(body, error=True),
        labels=known.labels,
        failure=known.failure,
        # Who was asking when the span began, wherever it ends; which span that was in, the body says.
        scope=found.scope or _NOBODY,
        wall_ns=ended,
    )
