"""One request in the Trace Event Format, which Perfetto and chrome://tracing open.

Each process of the request is one of the trace's processes. What took time is a complete event (``X``), a line an
instant (``i``), a call and what it caused are joined by a flow (``s``, ``f``). Complete events of one thread have to
nest; where work went on side by side, it is laid onto several threads. Times are microseconds since the request began,
corrected as the request's clocks are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterlog.search.story.event import Event, name, part, text, whole
from clusterlog.search.story.journey import Journey

_Slice = tuple[int, int, Event]
"""Begin and end in ns since the request began, and the event that tells it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an event is drawn: process and thread of the trace, and when it began (ns)."""

    pid: int
    tid: int
    began: int


def trace_events(journey: Journey) -> dict[str, Any]:
    """The request as the object form of the format. What has no time has no place in it, and is counted."""
    times = {entry.event.id: journey.offset_ns(entry.event) for entry in journey.entries}
    slices = _slices(journey, times)
    base = min((0, *(begin for found in slices.values() for begin, _, _ in found)))
    base = min((base, *(at for at in times.values() if at is not None)))
    places: dict[str, _Place] = {}
    told = list(_processes(journey))
    for lane, found in slices.items():
        for tid, slice_ in _laid_out(found):
            begin, end, event = slice_
            places[event.id] = _Place(lane + 1, tid, begin)
            told.append(_complete(event, places[event.id], end - begin, base))
    told += _instants(journey, times, places, base)
    told += _flows(journey, places, base)
    return {
        "traceEvents": told,
        "displayTimeUnit": "ms",
        "otherData": {
            "request": journey.id,
            "started": journey.started,
            "asked": f"{journey.method} {journey.route}".strip(),
            "outcome": journey.outcome,
            "events_without_time": sum(at is None for at in times.values()),
        },
    }


def _slices(journey: Journey, times: Mapping[str, int | None]) -> dict[int, list[_Slice]]:
    """What took time, by lane."""
    found: dict[int, list[_Slice]] = {}
    for entry in journey.entries:
        event, at = entry.event, times[entry.event.id]
        if event.kind != "line" and at is not None:
            found.setdefault(entry.lane, []).append((at - (event.duration_ns or 0), at, event))
    return found


def _laid_out(slices: list[_Slice]) -> Iterator[tuple[int, _Slice]]:
    """Each slice with its thread: its parent's if it nests in what is open there, else the first one where it does."""
    threads: list[list[int]] = []  # the ends of what is open, the innermost last
    thread_of: dict[str, int] = {}
    for slice_ in sorted(slices, key=lambda each: (each[0], -each[1], each[2].sequence or 0)):
        begin, end, event = slice_
        for open_ in threads:
            while open_ and open_[-1] <= begin:
                open_.pop()
        fit = [number for number, open_ in enumerate(threads) if not open_ or end <= open_[-1]]
        above = thread_of.get(event.parent)
        number = above if above in fit else fit[0] if fit else len(threads)
        if number == len(threads):
            threads.append([])
        threads[number].append(end)
        thread_of[event.span] = number
        yield number + 1, slice_


def _processes(journey: Journey) -> Iterator[dict[str, Any]]:
    """Names and order of the processes, as lanes of the request."""
    documents = {entry.lane: entry.event.document for entry in reversed(journey.entries)}
    for number, lane in enumerate(journey.lanes):
        pid = whole(documents.get(number), "process.pid")
        told = f"{lane.node} {lane.service}".strip() + (f" (pid {pid})" if pid is not None else "")
        yield _metadata("process_name", number + 1, {"name": told})
        yield _metadata("process_sort_index", number + 1, {"sort_index": number})


def _metadata(what: str, pid: int, args: Mapping[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": 0, "ts": 0, "args": args}


def _complete(event: Event, place: _Place, length: int, base: int) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": name(event) or event.kind,
        "cat": event.kind,
        "pid": place.pid,
        "tid": place.tid,
        "ts": _microseconds(place.began - base),
        "dur": _microseconds(length),
        "args": _args(event),
        **({"cname": "terrible"} if event.is_error else {}),
    }


def _instants(
    journey: Journey, times: Mapping[str, int | None], places: Mapping[str, _Place], base: int
) -> Iterator[dict[str, Any]]:
    """The lines, on the thread of the work they belong to."""
    threads = {entry.event.span: places[entry.event.id].tid for entry in journey.entries if entry.event.id in places}
    for entry in journey.entries:
        event, at = entry.event, times[entry.event.id]
        if event.kind == "line" and at is not None:
            yield {
                "ph": "i",
                "s": "t",
                "name": text(event.document, "message") or event.logger or "line",
                "cat": event.level or "line",
                "pid": entry.lane + 1,
                "tid": threads.get(event.span, 1),
                "ts": _microseconds(at - base),
                "args": _args(event),
                **({"cname": "terrible"} if event.is_error else {}),
            }


def _flows(journey: Journey, places: Mapping[str, _Place], base: int) -> Iterator[dict[str, Any]]:
    """From each call to the work it caused elsewhere; both ends lie at the begin of a slice, to which they bind."""
    for number, hop in enumerate(journey.hops, 1):
        access = hop.visit.access
        here, there = places.get(hop.caller.id), places.get(access.id) if access is not None else None
        if here is None or there is None:
            continue
        for phase, place, more in (("s", here, {}), ("f", there, {"bp": "e"})):
            at = {"pid": place.pid, "tid": place.tid, "ts": _microseconds(place.began - base)}
            yield {"ph": phase, "id": number, "name": "call", "cat": "call", **at, **more}


def _args(event: Event) -> dict[str, Any]:
    """What stands beside an event where somebody clicks on it."""
    document = event.document
    facts = {
        "event.id": event.id,
        "level": event.level,
        "logger": event.logger,
        "status": event.status,
        "outcome": event.outcome,
        "error": ": ".join(filter(None, (text(document, "error.type"), text(document, "error.message")))),
        "stack_trace": text(document, "error.stack_trace"),
        "labels": part(document, "labels"),
    }
    return {name: value for name, value in facts.items() if value not in (None, "", {})}


def _microseconds(ns: int) -> float:
    return ns / 1000
