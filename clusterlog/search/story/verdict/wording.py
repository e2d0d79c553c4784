"""How a verdict names events, times and shares of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, method_and_route, name, request_line, text
from clusterlog.search.story.journey import Journey

Kind = Literal["failure", "time", "data"]

_LONGEST = 160  # characters of a foreign text within a sentence
_EVIDENCE = 200  # ids of events that one sentence stands on
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of a verdict, and the ids of the events it stands on, the most telling first."""

    kind: Kind
    text: str
    events: tuple[str, ...]


def sentence(kind: Kind, said: str, events: Iterable[Event]) -> Sentence:
    """One line, whatever foreign names it has in it."""
    ids = dict.fromkeys(event.id for event in events)
    return Sentence(kind, " ".join(said.split()), tuple(ids)[:_EVIDENCE])


def short(foreign: str, longest: int = _LONGEST) -> str:
    """A foreign text as part of a line: its white space single, its length bounded."""
    line = " ".join(foreign[: 4 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def at(journey: Journey, event: Event) -> str:
    """When, from the request's begin; of a clock known to be wrong it is said that it was that one's time."""
    offset = journey.offset_ns(event)
    if offset is None:
        return "an unknown time"
    return _moment(offset) + (" of its own clock" if journey.clocks.clock(event).wrong else "")


def begun(journey: Journey, event: Event) -> str:
    """When what an event ends began, as ``at`` says it."""
    started = journey.clocks.started_ns(event)
    if started is None or journey.started_ns is None:
        return "an unknown time"
    return _moment(started - journey.started_ns) + (" of its own clock" if journey.clocks.clock(event).wrong else "")


def _moment(offset_ns: int) -> str:
    return (
        f"{offset_ns / 1e9:+.3f} s"
        if abs(offset_ns) < 3_600_000_000_000
        else f"{'+' * (offset_ns > 0)}{spoken(offset_ns)}"
    )


def percent(part_ns: int, whole_ns: int) -> int:
    """A share of a whole, in full per cents."""
    return min(100, part_ns * 100 // whole_ns) if whole_ns else 0


def number(count: int) -> str:
    """A count within a sentence: small ones in words."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def counted(count: int, what: str) -> str:
    """A count and what is counted: ``1 event``, ``2 events``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def listed(names: Iterable[str], most: int = 3) -> str:
    """Names as a list: ``a``, ``a and b``, ``a, b, c and 4 more``."""
    every = list(dict.fromkeys(names))
    shown = every[:most] if len(every) > most + 1 else every
    rest = [f"{len(every) - len(shown)} more"] if len(every) > len(shown) else []
    parts = [*shown, *rest]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def answer(access: Event) -> str:
    """What a visit answered: ``502``, ``no response (client disconnected)``."""
    if access.status is not None:
        return str(access.status)
    if access.kind == "span":
        return "an error" if access.failed else "an answer"
    reason = short(text(access.document, "event.reason"))
    return f"no response ({reason})" if reason else "no response"


def asked(access: Event) -> str:
    """What a visit was asked: ``POST /charge``."""
    return short(method_and_route(access) or name(access))


def visited(access: Event) -> str:
    """What a visit was asked, and where: ``POST /charge on payments-1``."""
    return f"{asked(access)} on {access.node}"


def what_went_wrong(event: Event) -> str:
    """An error as one reads it: who, where, and what was raised."""
    error_type, message = text(event.document, "error.type"), text(event.document, "error.message")
    raised = ": ".join(filter(None, (short(error_type), short(message))))
    took = "" if event.duration_ns is None else f" after {spoken(event.duration_ns)}"
    if event.kind == "access" or event.serves:
        did = "answered" if event.status is not None else "gave"
        return ": ".join(filter(None, (f"{visited(event)} {did} {answer(event)}", raised)))
    if event.kind == "call":
        failed = f"was answered {event.status}" if event.status is not None else "failed"
        return ": ".join(filter(None, (f"{short(request_line(event))} from {event.node} {failed}{took}", raised)))
    if event.kind == "span":
        return ": ".join(filter(None, (f'"{short(name(event))}" on {event.node} failed{took}', raised)))
    return f"{event.logger or event.service or 'a line'} on {event.node}: {raised or short(name(event))}"
