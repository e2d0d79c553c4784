"""Why a request failed: its first error in causal order, and how that came to be its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict.calls import Attempts
from clusterlog.search.story.verdict.wording import Sentence, answer, at, sentence, what_went_wrong
from clusterlog.search.story.visits import Visit

_MOST_HOPS = 5


def failure(journey: Journey, runs: Iterable[Attempts]) -> Sentence | None:
    """The first error not handled, and what came of it. Errors after the response are not why."""
    if journey.outcome == "ok":
        return None
    errors = _errors(journey)
    is_handled = _Handled(journey, runs)
    reached = [event for event in errors if not is_handled(event)]
    if not reached:
        return None
    first, root = reached[0], journey.root
    if first is root:
        return sentence("failure", f"{what_went_wrong(root)} at {at(journey, root)}", [root])
    doubt = "" if _precedes_all(journey, first, reached) else " by recorded times"
    which = "first error" if first is errors[0] else "first error not handled"
    said = f"{what_went_wrong(first)} at {at(journey, first)} ({which}{doubt})"
    if root is None:
        end = "still running" if journey.outcome == "running" else "what was answered is not logged"
        return sentence("failure", f"{said}; {end}", [first])
    way, passed = _way(journey, first, root)
    return sentence("failure", f"{said}; {way} at {at(journey, root)}", [first, *passed, root])


def handled(journey: Journey, runs: Iterable[Attempts]) -> Sentence | None:
    """Errors before the response that did not become it."""
    errors = _errors(journey)
    if errors and journey.outcome != "ok":
        is_handled = _Handled(journey, runs)
        errors = [event for event in errors if is_handled(event)]
    if not errors:
        return None
    first = errors[0]
    were = "1 error was handled" if len(errors) == 1 else f"{len(errors)} errors were handled, the first"
    said = f"{were}: {what_went_wrong(first)} at {at(journey, first)}"
    return sentence("data", said, errors)


def _errors(journey: Journey) -> list[Event]:
    """The errors up to the response, in causal order."""
    events = journey.own_events()
    until = list(takewhile(lambda event: event is not journey.root, events))
    return [event for event in [*until, *([journey.root] if journey.root else [])] if event.is_error]


class _Handled:
    """Whether an error was handled: within a visit that was answered well, or in an attempt that was made good."""

    def __init__(self, journey: Journey, runs: Iterable[Attempts]) -> None:
        cause = {id(hop.visit): hop.caller for hop in journey.hops}
        self._home = {event.id: visit for visit in journey.visits for event in visit.events}
        self._good = {call.id for run in runs for call in run.made_good}
        self._visits: dict[int, bool] = {}
        for visit in journey.visits:
            self._judge(visit, cause, journey.root)

    def _judge(self, visit: Visit, cause: Mapping[int, Event], root: Event | None) -> None:
        path = []
        at: Visit | None = visit
        while at is not None and id(at) not in self._visits:
            path.append(at)
            caller = cause.get(id(at))
            at = self._home[caller.id] if caller is not None else None
        for found in reversed(path):
            access, caller = found.access, cause.get(id(found))
            well = access is not None and access is not root and not access.failed and (access.status or 200) < 400
            above = caller is not None and (caller.id in self._good or self._visits[id(self._home[caller.id])])
            self._visits[id(found)] = well or above

    def __call__(self, event: Event) -> bool:
        return event.id in self._good or self._visits[id(self._home[event.id])]


def _precedes_all(journey: Journey, first: Event, errors: Iterable[Event]) -> bool:
    """Whether every other error is known to be later: caused by the first, or told by clocks that can be compared."""
    later = {first.id}
    for entry in journey.entries:
        if not later.isdisjoint(entry.after):
            later.add(entry.event.id)
    return all(event.id in later or journey.clocks.surely_before(first, event) for event in errors)


def _way(journey: Journey, first: Event, root: Event) -> tuple[str, list[Event]]:
    """What each visit answered from the first error to the response, and their access events."""
    home = {event.id: visit for visit in journey.visits for event in visit.events}
    cause = {id(hop.visit): hop.caller for hop in journey.hops}
    answers, passed = [], []
    visit = home[first.id]
    while visit.access is not root:
        if visit.access is not first:
            access = visit.access
            answers.append(f"{answer(access) if access is not None else 'no answer'} from {visit.events[0].node}")
            passed += [access] if access is not None else []
        caller = cause.get(id(visit))
        if caller is None:  # how it got from there to the response is not known
            return f"{answer(root)} from {root.node}", []
        visit = home[caller.id]
    answers.append(f"{answer(root)} from {root.node}")
    if len(answers) > _MOST_HOPS:
        answers[2:-2] = [f"{len(answers) - 4} hops more"]
    return f"then {', '.join(answers)}", passed
