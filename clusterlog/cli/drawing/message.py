"""What one line says of an event: when and where it was told, what happened, how long it took, what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clusterlog.cli.drawing.pen import Ink
from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, request_line, text

if TYPE_CHECKING:
    from clusterlog.search.story.journey import Entry, Journey

DELTA = 7
"""Columns that a length of time takes at most."""


class Message(NamedTuple):
    """What happened. ``outcome`` is what must not be cut off behind the words, ``took`` what may go first."""

    words: str
    outcome: str = ""
    took: str = ""

    @property
    def whole(self) -> str:
        """All of it."""
        return " ".join([each for each in self if each])


def where(event: Event) -> str:
    """The logger; of our own loggers, what kind of event it is."""
    return event.logger.removeprefix("clusterlog.") if event.kind != "line" else event.logger


def message(event: Event, ink: Ink) -> Message:
    """What a line says of an event; not escaped."""
    took = "" if event.duration_ns is None else spoken(event.duration_ns)
    status = "" if event.status is None else str(event.status)
    if event.kind == "access":
        asked = f"{text(event.document, 'http.request.method')} {text(event.document, 'url.path')}".strip()
        reason = text(event.document, "event.reason")
        answer = status or f"no response{reason and f' ({reason})'}"
        if asked:
            return Message(asked, f"{ink.leads_to} {answer}{_chosen(event)}", took and f"in {took}")
    if event.kind == "call" and (asked := request_line(event)):
        answer = status or ("failed" if event.failed else "")
        return Message(f"{ink.leads_to} {asked}", answer, took and f"in {took}")
    words = text(event.document, "message").rstrip("\n")  # uvicorn ends one with an empty line
    return Message(words, took=f"took {took}" if event.kind == "span" and took else "")


def _chosen(event: Event) -> str:
    """Whom a balancer sent a request to."""
    node = text(event.document, "service.node.name") if event.is_edge else ""
    return node and (f" by {node}" if event.answered else f", {node} gave no answer")


def raised(event: Event) -> str:
    """Type and message of an event's exception; empty if it has none."""
    kind, said = text(event.document, "error.type"), text(event.document, "error.message")
    return f"{kind}: {said}" if kind and said else kind or said


def mark_of(event: Event) -> str:
    """The short form of the exception's fingerprint, by which its stack trace is found below; empty without one."""
    fingerprint = text(event.document, "clusterlog.error.fingerprint")[:4]
    return f"#{fingerprint}" if fingerprint else ""


def failure(event: Event) -> str:
    """Type and message of an exception, as far as the event's message does not say them."""
    if not event.document.get("error"):
        return ""  # as nearly every event
    what = raised(event)
    if what and event.kind == "line":
        said = text(event.document, "message")
        if text(event.document, "error.type") in said and text(event.document, "error.message") in said:
            return ""
    return what


def error(event: Event) -> str:
    """As ``failure``, with the mark of the exception."""
    own = event.document.get("clusterlog")
    if not event.document.get("error") and not (isinstance(own, dict) and own.get("error")):
        return ""
    return "  ".join(filter(None, (failure(event), mark_of(event))))


def offset(journey: Journey, event: Event, *, begin: bool = False) -> str:
    """How long after the request's begin, in seconds: ``+1.421``; a question mark where nothing tells it.

    ``begin``: when what the event ends was begun.
    """
    found = journey.offset_ns(event)
    if found is not None and begin:
        found -= event.duration_ns or 0
    return "?" if found is None else f"{found / 1e9:+.3f}"


def delta(journey: Journey, above: Entry | None, entry: Entry) -> str:
    """Since the line above, unless one of the two clocks is wrong or the order is not that of the clocks."""
    if above is None:
        return ""
    before, after = journey.time_ns(above.event), journey.time_ns(entry.event)
    if before is None or after is None or after < before:
        return ""
    clocks = journey.clocks
    if above.event.clock != entry.event.clock and (clocks.clock(above.event).wrong or clocks.clock(entry.event).wrong):
        return ""
    return brief(after - before)


def brief(ns: int) -> str:
    """A length of time in seven columns at most; empty if it is of no use there, beyond millennia."""
    said = spoken(ns)
    if len(said) <= DELTA:
        return said
    lengths = (f"{ns // 1_000_000_000} s", f"{ns // 86_400_000_000_000} d")
    return next((length for length in lengths if len(length) <= DELTA), "")
