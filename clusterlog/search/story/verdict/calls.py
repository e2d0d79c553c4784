"""Calls that belong together: attempts at one thing, and many of a kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterlog.search.instant import spoken
from clusterlog.search.story.clocks import SLACK_NS
from clusterlog.search.story.event import Event, method_and_route, request_line
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict.wording import Sentence, listed, number, percent, sentence, short

FAN_OUT = 5
"""So many calls of one kind are told together, if they took a good part of the request."""
_SHARE = 30  # per cent of the request that make a good part
_TRY_LATER = frozenset({408, 425, 429})  # asked to come again, though it is no failure of the server


@dataclass(frozen=True, slots=True)
class Attempts:
    """Calls of one visit for one thing, one after another, each but the last in vain."""

    calls: tuple[Event, ...]

    @property
    def failed(self) -> int:
        """How many were in vain."""
        return sum(map(_in_vain, self.calls))

    @property
    def made_good(self) -> tuple[Event, ...]:
        """The calls in vain, if the last attempt was not."""
        return () if _in_vain(self.calls[-1]) else self.calls[:-1]


Crowd = Sequence[Event]


def crowds(journey: Journey) -> list[Crowd]:
    """The calls of each visit that made more than one."""
    foreign = frozenset[str]().union(*(other.events for other in journey.others))
    found: list[Crowd] = []
    for visit in journey.visits:
        calls = [e for e in visit.events if e.kind == "call" and e.time_ns is not None and e.duration_ns is not None]
        if len(calls) > 1 and calls[0].id not in foreign:
            found.append(calls)
    return found


def attempts(crowds: Iterable[Crowd]) -> tuple[Attempts, ...]:
    """All runs of attempts: the same method and path, the next begun when the one before had failed."""
    found: list[Attempts] = []
    for crowd in crowds:
        if not any(map(_in_vain, crowd)):
            continue
        same: dict[str, list[Event]] = {}
        for call in crowd:
            same.setdefault(_asked(call), []).append(call)
        for calls in same.values():
            if len(calls) > 1 and any(map(_in_vain, calls)):
                found += _runs(calls)
    return tuple(found)


def retries(runs: Iterable[Attempts]) -> list[Sentence]:
    """One sentence for each thing that took more than one attempt; where many visits tried the same, for all."""
    together: dict[tuple[str, str], list[Attempts]] = {}
    for run in runs:
        first = run.calls[0]
        together.setdefault((_asked(first), first.authority), []).append(run)
    sentences = []
    for (asked, _), same in together.items():
        calls = [call for run in same for call in run.calls]
        whom = listed(short(call.authority or request_line(call)) for call in calls)
        nodes = listed(call.node for call in calls)
        failed = sum(run.failed for run in same)
        if len(same) == 1:
            first, last = calls[0], calls[-1]
            took = (last.time_ns or 0) - (first.started_ns or 0)
            said = f"{len(calls)} attempts to {whom} from {nodes} in {spoken(took)}, {_which(len(calls), failed)}"
        else:
            each = "all" if failed == len(calls) else number(failed)
            said = f"{len(calls)} attempts at {len(same)} calls to {whom} from {nodes}, {each} of them failed"
        sentences.append(sentence("time", f"{said}: {short(asked)}", calls))
    return sentences


def _which(count: int, failed: int) -> str:
    if failed == count:
        return "both failed" if count == 2 else "all failed"
    return "the first failed" if failed == 1 else f"the first {number(failed)} failed"


def fan_outs(journey: Journey, crowds: Iterable[Crowd], runs: Iterable[Attempts]) -> list[Sentence]:
    """One sentence for each crowd of calls that one visit made to one place, and the slowest of them."""
    whole = journey.duration_ns
    if not whole:
        return []
    sentences = []
    retried = {call.id for run in runs for call in run.calls}
    for crowd in crowds:
        if len(crowd) < FAN_OUT:
            continue
        alike: dict[tuple[str, str], list[Event]] = {}
        for call in crowd:
            if call.id not in retried:
                alike.setdefault((call.method, call.authority), []).append(call)
        for (method, whom), calls in alike.items():
            if len(calls) >= FAN_OUT and (told := _crowd(calls, method, whom, whole)) is not None:
                sentences.append(told)
    return sentences


def _crowd(calls: Sequence[Event], method: str, whom: str, whole: int) -> Sentence | None:
    covered, at_once = _covered(calls)
    if percent(covered, whole) < _SHARE:
        return None
    slowest = max(calls, key=lambda call: (call.duration_ns or 0, call.id))
    how = "one after another" if at_once == 1 else f"{'all' if at_once == len(calls) else f'up to {at_once}'} at once"
    what = f"{len(calls)} {short(method)} calls".replace("  ", " ")
    said = f"{what} to {short(whom)} from {slowest.node} {how}, {spoken(covered)} in all"
    worst = f"the slowest took {spoken(slowest.duration_ns or 0)}: {short(request_line(slowest))}"
    return sentence("time", f"{said}; {worst}", [slowest, *calls])


def _covered(calls: Iterable[Event]) -> tuple[int, int]:
    """For how long at least one of the calls of one process was going on, and how many were at most."""
    moments = []
    for call in calls:
        moments += [(call.started_ns or 0, 1), (call.time_ns or 0, -1)]
    covered, going_on, most, since = 0, 0, 0, 0
    for moment, change in sorted(moments):
        if going_on:
            covered += moment - since
        going_on, since = going_on + change, moment
        most = max(most, going_on)
    return covered, most


def _runs(calls: Sequence[Event]) -> Iterator[Attempts]:
    run: list[Event] = []
    for call in sorted(calls, key=lambda call: (call.started_ns or 0, call.id)):
        follows = run and _in_vain(run[-1]) and (call.started_ns or 0) >= (run[-1].time_ns or 0) - SLACK_NS
        if run and not follows:
            if len(run) > 1:
                yield Attempts(tuple(run))
            run = []
        run.append(call)
    if len(run) > 1:
        yield Attempts(tuple(run))


def _asked(call: Event) -> str:
    return method_and_route(call) or request_line(call)


def _in_vain(call: Event) -> bool:
    return call.failed or call.status in _TRY_LATER
