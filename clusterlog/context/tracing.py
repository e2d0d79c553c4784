"""The seam to another tracer: where one is joined its ids win, and before that nothing is asked and nothing costs.

What stands behind it is put here by an integration; nothing of it is imported, and only its ids are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from clusterlog.context.request import Request, Scope

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class SpanIds:
    """The ids of another tracer's span: ``trace_id`` (32) and ``span_id`` (16 lower-case hex digits).

    ``parent_span_id`` is the span around it as our events tell it, empty where that is not known. ``remote``: the span
    is a caller's, in another process. ``sampled`` and ``tracestate`` are what its callees are told.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    sampled: bool = True
    tracestate: str = ""
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What another tracer's span knows beside its ids, for the one event that is told of it.

    ``labels`` are its attributes, ``own`` goes under ``clusterlog``. What went wrong is ``failure``, the exception
    itself, where it is at hand; else ``error``, members of ECS ``error``, with its ``fingerprint``.
    """

    labels: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    failure: BaseException | None = None

    def added_to(self, body: Mapping[str, Any], *, error: bool) -> dict[str, Any]:
        """The body of an event with all this in it but the labels; ``error``: also what went wrong."""
        own: dict[str, Any] = {**self.own, **body.get("clusterlog", NOTHING)}
        found: dict[str, Any] = {**body}
        if error and self.error:
            found["error"] = self.error
            if self.fingerprint:
                own["error"] = {"fingerprint": self.fingerprint}
        if own:
            found["clusterlog"] = own
        return found


class Opened(Protocol):
    """A span of the other tracer that is a step of ours; no method raises."""

    ids: SpanIds

    def enter(self) -> None:
        """From here on it is the other tracer's current span."""

    def leave(self) -> None:
        """What was current before is so again, unless somebody has put something else there."""

    def end(self, error: BaseException | None) -> Known:
        """End it; what was said of it beside the step's own fields."""


class Tracer(Protocol):
    """Another tracer; no method raises."""

    def active(self) -> object | None:
        """The span this task is in, always the same object for the same span; ``None`` if there is none."""

    def ids(self, span: Any) -> SpanIds | None:
        """The ids of such an object; ``None`` if they are none."""

    def admitted(self, request: Request, around: Scope | None) -> None:
        """A request was made of a carrier, and is about to be entered from the scope ``around``."""

    def begin(self, name: str, fields: Mapping[str, Any]) -> Opened | None:
        """Start a span for a step; ``None`` if nobody records or names one."""

    def called(self, span_id: str) -> Any:
        """The client's span whose id an outgoing call carries, for the call's event to stand for it; or ``None``."""

    def known(self, span: Any, told: bool) -> Known:
        """What a span knows so far; ``told``: without the HTTP facts that an access or call event tells itself."""


joined: Tracer | None = None
"""The other tracer, while it is joined."""

lost: Counter[str] = Counter()
"""What was not told of its spans, by reason."""


def active_span() -> str:
    """The id of the other tracer's span that this task is in; empty if there is none."""
    tracer = joined
    span = None if tracer is None else tracer.active()
    ids = None if tracer is None or span is None else tracer.ids(span)
    return "" if ids is None else ids.span_id


def known(span: Any) -> Known:
    """What the other tracer's span of an access or call event knows beside it; of none, nothing."""
    return Known() if span is None or joined is None else joined.known(span, True)
