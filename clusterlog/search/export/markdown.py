"""One request for a ticket: what it was, what is to be said of it, its events as a table, its exceptions in full.

Everything foreign stands in code spans and fenced blocks, where it cannot be markup, mention somebody, or end the table
(GitHub Flavored Markdown, 4.5, 4.10 and 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clusterlog.encode.console.terminal import escaped
from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, name, part, text
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict import Sentence

_BACKTICKS = re.compile("`+")
_LABELS = {"failure": "why", "time": "time", "data": "data"}


def markdown(journey: Journey, sentences: Iterable[Sentence]) -> Iterator[str]:
    """The lines of the text; ``sentences`` are the verdict, and what else is to be said."""
    yield from heading(journey, sentences)
    yield from ("", "| time | node | level | where | what |", "|---:|---|---|---|---|")
    for entry in journey.entries:
        yield _row(journey, entry.event)
    for number, events in enumerate(_exceptions(journey)):
        if not number:
            yield from ("", "#### Exceptions")
        yield from ("", *_exception(journey, events))


def heading(journey: Journey, sentences: Iterable[Sentence]) -> Iterator[str]:
    """The lines before the events: what it was, and what is to be said of it."""
    yield f"### {_title(journey)}"
    yield ""
    yield from _facts(journey)
    said = [f"- **{_LABELS.get(each.kind, each.kind)}** {code(each.text)}" for each in sentences]
    if said:
        yield from ("", *said)


def _title(journey: Journey) -> str:
    asked = f"{journey.method} {journey.route}".strip() or "Request"
    status = f" → {journey.status}" if journey.status is not None else ""
    took = f" in {spoken(journey.duration_ns)}" if journey.duration_ns is not None else ""
    return f"{code(asked)}{status}, {journey.ended}{took}"


def _facts(journey: Journey) -> Iterator[str]:
    nodes = " → ".join(code(node) for node in journey.nodes)
    count = len(journey.entries)
    yield f"Request {code(journey.id) or 'without an id'}, {journey.started or 'at an unknown time'}, on {nodes},"
    yield f"{count} event{'' if count == 1 else 's'}, {journey.spans} span{'' if journey.spans == 1 else 's'}"


def _row(journey: Journey, event: Event) -> str:
    level = event.level if event.level.isalpha() else ""
    cells = (
        _offset(journey, event),
        _cell(event.node),
        f"**{level}**" if event.is_error else level,
        _cell(event.logger.removeprefix("clusterlog.")),
        _cell(_said(event)),
    )
    return f"| {' | '.join(cells)} |"


def _said(event: Event) -> str:
    took = f" in {spoken(event.duration_ns)}" if event.duration_ns is not None else ""
    ended = "" if event.status is None else f" → {event.status}"
    if event.kind != "line" and event.status is None and event.failed:
        ended = f" failed{_in_brackets(text(event.document, 'event.reason'))}"
    what = text(event.document, "message") if event.kind == "line" else name(event)
    error = ": ".join(filter(None, (text(event.document, "error.type"), text(event.document, "error.message"))))
    labels = part(event.document, "labels")
    fields = [f"{key}={value}" for key, value in labels.items()] if isinstance(labels, dict) else []
    return "  ".join(filter(None, (f"{what}{ended}{took}", error if error not in what else "", *fields)))


def _in_brackets(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _exceptions(journey: Journey) -> list[list[Event]]:
    """The events that tell a stack trace, those of one fingerprint together: told on the way up, one is as good."""
    found: dict[str, list[Event]] = {}
    for entry in journey.entries:
        document = entry.event.document
        trace = text(document, "error.stack_trace")
        if trace:
            found.setdefault(text(document, "clusterlog.error.fingerprint") or trace, []).append(entry.event)
    return list(found.values())


def _exception(journey: Journey, events: list[Event]) -> Iterator[str]:
    first = events[0]
    trace = text(first.document, "error.stack_trace")
    times = f", told {len(events)} times" if len(events) > 1 else ""
    kind = code(text(first.document, "error.type") or "exception")
    yield f"{kind} on {code(first.node)} at {_offset(journey, first)}{times}"
    yield ""
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(trace)), default=0))
    yield f"{fence}text"
    yield from (escaped(line) for line in trace.removesuffix("\n").split("\n"))
    yield fence


def _offset(journey: Journey, event: Event) -> str:
    offset = journey.offset_ns(event)
    return "?" if offset is None else f"{offset / 1e9:+.3f} s"


def code(foreign: str) -> str:
    """A foreign text as a code span; nothing for an empty one."""
    shown = escaped(foreign)
    if not shown:
        return ""
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(shown)), default=0))
    apart = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{apart}{shown}{apart}{fence}"


def _cell(foreign: str) -> str:
    """A code span within a table, where a bar would end the cell even inside of it."""
    return code(foreign).replace("|", r"\|")
