"""All sentences about a request, in the order in which they are read."""

from __future__ import annotations

from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict.afterwards import background
from clusterlog.search.story.verdict.calls import attempts, crowds, fan_outs, retries
from clusterlog.search.story.verdict.duration import duration
from clusterlog.search.story.verdict.failure import failure, handled
from clusterlog.search.story.verdict.lacks import lacks
from clusterlog.search.story.verdict.wording import Sentence


def verdict(journey: Journey) -> tuple[Sentence, ...]:
    """The sentences about a request: why it failed, where its time went and what went on after it, what is lacking.

    At most one is about its failure. A request that is answered has one at least about its time, and so has one that
    still runs.
    """
    calls = crowds(journey)
    runs = attempts(calls)
    found = [
        failure(journey, runs),
        duration(journey),
        *retries(runs),
        *fan_outs(journey, calls, runs),
        background(journey),
        handled(journey, runs),
        *lacks(journey),
    ]
    return tuple(sentence for sentence in found if sentence is not None)
