"""What a change of templates means for the data streams that are there already. Pure.

A template is read when a stream or its next index is made. Mappings and settings reach a stream by a rollover, behind
which its older indices stay as they are. Retention and replicas are changed on the stream itself, if it has those its
template gave it: whatever somebody chose for one stream alone is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clusterlog.store.elasticsearch.provision.comparison import Body
from clusterlog.store.elasticsearch.provision.found import Found, Stream
from clusterlog.store.elasticsearch.provision.templates.bodies import FOREVER, INDEX, Choice, lifecycle


@dataclass(frozen=True, slots=True)
class Change:
    """One request about one stream; ``before`` and ``after`` are what is shown of it."""

    stream: str
    method: str
    path: str
    why: str
    body: Body | None = None
    before: Body | None = None
    after: Body | None = None
    rolls_over: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done before the templates change and after, and what cannot be done."""

    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def changes(found: Found, generation: str, choice: Choice, old: Choice, present: frozenset[str]) -> Changes:
    """For the streams whose next index is made by our template.

    ``generation`` is that of our templates as they will be, ``old`` the choice they were made by so far.
    """
    before: list[Change] = []
    after: list[Change] = []
    notes: list[str] = []
    ours = [each for each in found.streams if each.template == INDEX]
    for stream in ours:
        outdated = stream.generation != generation
        before += _replicas(stream, choice, old)
        if found.can_change_streams and "lifecycle" in present:
            before += _lifecycle(stream, choice, old, outdated)
            notes += _own_retention(stream, choice, old)
        if outdated and found.can_change_streams and "failure_store" in present:
            after += _failure_store(stream)
        if outdated:
            after.append(_rollover(stream))
    if ours and not found.can_change_streams and "lifecycle" in present and choice.retention != old.retention:
        notes.append(
            f"this server cannot change streams that are there: they keep events as before ({old.retention}), streams "
            f"that are made from now on {choice.retention}"
        )
    return Changes(tuple(before), tuple(after), tuple(notes))


def _replicas(stream: Stream, choice: Choice, old: Choice) -> Iterator[Change]:
    if choice.replicas == old.replicas or stream.replicas != _spoken(old.replicas):
        return
    body: Body = {"index.auto_expand_replicas": "0-1"}
    if choice.replicas is not None:
        body = {"index.auto_expand_replicas": "false", "index.number_of_replicas": str(choice.replicas)}
    before, after = ({"replicas": _spoken(each.replicas)} for each in (old, choice))
    yield Change(stream.name, "PUT", f"/{stream.name}/_settings", "other replicas were chosen", body, before, after)


def _spoken(replicas: int | None) -> str:
    return "auto" if replicas is None else str(replicas)


def _lifecycle(stream: Stream, choice: Choice, old: Choice, outdated: bool) -> Iterator[Change]:
    now = _retention(stream)
    if now is None and not outdated:
        return  # taken away by somebody
    if now is not None and not (now == old.retention and now != choice.retention):
        return
    why = "another retention was chosen" if now else "nothing limits how long its events are kept"
    before = {"retention": now} if now else None
    path = f"/_data_stream/{stream.name}/_lifecycle"
    yield Change(stream.name, "PUT", path, why, lifecycle(choice), before, {"retention": choice.retention})


def _retention(stream: Stream) -> str | None:
    if not stream.lifecycle:
        return None
    kept = stream.lifecycle.get("data_retention", FOREVER)
    return str(kept)


def _own_retention(stream: Stream, choice: Choice, old: Choice) -> Iterator[str]:
    now = _retention(stream)
    if choice.retention != old.retention and now not in (None, choice.retention, old.retention):
        yield f"data stream {stream.name} keeps its events for {now}, as somebody chose for it alone"


def _failure_store(stream: Stream) -> Iterator[Change]:
    if stream.failure_store is not False:
        return
    body = {"failure_store": {"enabled": True}}
    path = f"/_data_stream/{stream.name}/_options"
    yield Change(stream.name, "PUT", path, "it has no failure store", body, {"failure_store": False}, body)


def _rollover(stream: Stream) -> Change:
    made = f"clusterlog {stream.version}" if stream.version else "somebody else"
    why = f"its index has other mappings or settings, those of {made}; a next index gets the new ones"
    return Change(stream.name, "POST", f"/{stream.name}/_rollover", why, rolls_over=True)
