"""All instances a store knows of, accounted for: the questions that ``accounts`` needs answered, asked of the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clusterlog.search.accounts import Account, Spooled, account
from clusterlog.search.state import StateEvent, Told
from clusterlog.search.story.event import Document, part, text
from clusterlog.store.base import Progress, Sequences, Store, unseen
from clusterlog.store.document import parse
from clusterlog.store.query import And, Match, Not, Query

_STATE, _HEARTBEAT = Match("event.kind", "state"), Match("event.action", "heartbeat")
_HEARTBEATS = 3
"""Of the newest by time, in case a clock was set back."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances: of a service, on a node, with an event between two times (nanoseconds); ``None`` is any."""

    service: str | None = None
    node: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Spools:
    """What was found in the spools that deliver to the store, and in ``dead/``, before the store was asked.

    ``taken_ns`` is when that look began, by the wall clock. Where there are no spools to look into, ``seen`` is false.
    """

    taken_ns: int
    instances: Mapping[str, Spooled] = field(default_factory=dict)
    letters: Mapping[str, list[tuple[int, str]]] = field(default_factory=dict)
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose instance it is; empty where no event tells."""

    service: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """The accounts of the instances that were selected, in their order, and whose they are.

    ``begun_meanwhile`` counts instances that are younger than the look into the spools and left for the next audit.
    """

    accounts: tuple[Account, ...]
    origins: Mapping[str, Origin]
    begun_meanwhile: int = 0

    @property
    def complete(self) -> bool:
        """Whether no number of any of them is unexplained."""
        return all(each.complete for each in self.accounts)


def audit(store: Store, spools: Spools, selection: Selection | None = None, progress: Progress = unseen) -> Audited:
    """Account for every instance that the store or a spool knows of; ``progress`` is that of the store's own audit.

    The spools come first: what leaves them afterwards is found in the store. Raises ``StoreUnavailable``, and
    ``Incomplete`` where state events cannot be read.
    """
    selection = selection or Selection()
    stored = {each.instance: each for each in store.audit(progress)}
    told, openings = _states(store, spools)
    accounts: list[Account] = []
    origins: dict[str, Origin] = {}
    meanwhile = 0
    for instance in sorted({*stored, *told, *spools.instances}):
        sequences = stored.get(instance, Sequences(instance, ()))
        origin = _origin(store, instance, openings, spools)
        if not _is_selected(store, selection, sequences, origin):
            continue
        states = told.setdefault(instance, Told())
        if states.end() is None:
            states.states += _heartbeats(store, instance)
        found = account(
            sequences,
            states,
            spools.instances.get(instance),
            spools.letters.get(instance, ()),
            spools_seen=spools.seen,
        )
        if found.unexplained and instance not in spools.instances and _began_ns(instance) >= spools.taken_ns:
            meanwhile += 1
            continue
        accounts.append(found)
        origins[instance] = origin
    return Audited(tuple(accounts), origins, meanwhile)


def _states(store: Store, spools: Spools) -> tuple[dict[str, Told], dict[str, Origin]]:
    """Every state event but heartbeats, by instance, stored or still in a spool; and who said that it began."""
    told: dict[str, Told] = {}
    openings: dict[str, Origin] = {}
    for document in _documents(store, spools):
        state = StateEvent.read(document)
        told.setdefault(state.instance, Told()).states.append(state)
        if state.action == "open":
            openings[state.instance] = _origin_of(document)
    told.pop("", None)
    return told, openings


def _documents(store: Store, spools: Spools) -> Iterator[Document]:
    yield from _found(store, Query(And((_STATE, Not(_HEARTBEAT))), order="oldest", limit=None))
    for spooled in spools.instances.values():
        yield from spooled.states


def _heartbeats(store: Store, instance: str) -> Iterable[StateEvent]:
    about = And((_STATE, _HEARTBEAT, Match("clusterlog.state.instance", instance)))
    return map(StateEvent.read, _found(store, Query(about, limit=_HEARTBEATS)))


def _origin(store: Store, instance: str, openings: Mapping[str, Origin], spools: Spools) -> Origin:
    known = openings.get(instance)
    if known is not None:
        return known
    spooled = spools.instances.get(instance)
    if spooled is not None and spooled.first is not None:
        return _origin_of(spooled.first)
    for document in _found(store, Query(Match("process.entity_id", instance), limit=1)):
        return _origin_of(document)
    return Origin()


def _origin_of(document: Document) -> Origin:
    return Origin(text(document, "service.name"), text(part(document, "service"), "node.name"))


def _is_selected(store: Store, selection: Selection, sequences: Sequences, origin: Origin) -> bool:
    if selection.service is not None and origin.service != selection.service:
        return False
    if selection.node is not None and origin.node != selection.node:
        return False
    if selection.since is None and selection.until is None:
        return True
    own = Match("process.entity_id", sequences.instance)
    heard = Query(own, since=selection.since, until=selection.until, limit=1)
    return not sequences.stored or any(True for _ in store.find(heard))


def _found(store: Store, query: Query) -> Iterator[Document]:
    return (parse(each.body) for each in store.find(query))


def _began_ns(instance: str) -> int:
    """The time in an id of ours (RFC 9562, UUIDv7), 0 for any other."""
    try:
        return int(instance[:12], 16) * 1_000_000 if len(instance) == 32 and instance[12] == "7" else 0
    except ValueError:
        return 0
