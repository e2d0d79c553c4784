"""All instances a store knows of, accounted for: the questions that ``accounts`` needs answered, asked of the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from clusterlog.errors import Incomplete
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
    ``own`` are the instances that these spools are of, where others deliver to the store as well.
    """

    taken_ns: int
    instances: Mapping[str, Spooled] = field(default_factory=dict)
    letters: Mapping[str, list[tuple[int, str]]] = field(default_factory=dict)
    seen: bool = True
    own: frozenset[str] | None = None

    def hold(self, instance: str) -> bool:
        """Whether what waits of an instance would be in them."""
        return self.seen and (self.own is None or instance in self.own or instance in self.instances)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose instance it is; empty where no event tells."""

    service: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """The accounts of the instances that were selected, in their order, and whose they are.

    ``begun_meanwhile`` counts instances that are younger than the look into the spools and left for the next audit.
    ``damage`` is what the store said it cannot read.
    """

    accounts: tuple[Account, ...]
    origins: Mapping[str, Origin]
    begun_meanwhile: int = 0
    damage: str = ""

    @property
    def complete(self) -> bool:
        """Whether no number of any of them is unexplained."""
        return all(each.complete for each in self.accounts)


def audit(store: Store, spools: Spools, selection: Selection | None = None, progress: Progress = unseen) -> Audited:
    """Account for every instance that the store or a spool knows of; ``progress`` is that of the store's own audit.

    The spools come first: what leaves them afterwards is found in the store. Raises ``StoreUnavailable``.
    """
    selection = selection or Selection()
    stored = {each.instance: each for each in store.audit(progress)}
    asked = _Questions(store)
    told, openings = _states(asked, spools)
    accounts: list[Account] = []
    origins: dict[str, Origin] = {}
    meanwhile = 0
    for instance in sorted({*stored, *told, *spools.instances}):
        sequences = stored.get(instance, Sequences(instance, ()))
        origin = openings.get(instance) or _origin(asked, instance, spools.instances.get(instance))
        if not _is_selected(asked, selection, sequences, origin):
            continue
        states = told.setdefault(instance, Told())
        if states.end() is None:
            states.states += asked.heartbeats(instance)
        spooled, letters = spools.instances.get(instance), spools.letters.get(instance, ())
        found = account(sequences, states, spooled, letters, spools_seen=spools.hold(instance))
        if found.unexplained and spooled is None and _began_ns(instance) >= spools.taken_ns:
            meanwhile += 1
            continue
        accounts.append(found)
        origins[instance] = origin
    return Audited(tuple(accounts), origins, meanwhile, asked.damage)


class _Questions:
    """Questions to a store that go on where it cannot read some of its events; ``damage`` says what it said then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.damage = ""

    def found(self, query: Query) -> Iterator[Document]:
        """The documents that match and can be read."""
        try:
            for each in self._store.find(query):
                yield parse(each.body)
        except Incomplete as error:
            self.damage = str(error)

    def heartbeats(self, instance: str) -> Iterator[StateEvent]:
        """The last ones of an instance."""
        about = And((_STATE, _HEARTBEAT, Match("clusterlog.state.instance", instance)))
        return map(StateEvent.read, self.found(Query(about, limit=_HEARTBEATS)))


def _states(asked: _Questions, spools: Spools) -> tuple[dict[str, Told], dict[str, Origin]]:
    """Every state event but heartbeats, by instance, stored or still in a spool; and who said that it began."""
    told: dict[str, Told] = {}
    openings: dict[str, Origin] = {}
    stored = asked.found(Query(And((_STATE, Not(_HEARTBEAT))), order="oldest", limit=None))
    for document in chain(stored, *(_parsed(each.states) for each in spools.instances.values())):
        state = StateEvent.read(document)
        told.setdefault(state.instance, Told()).states.append(state)
        if state.action == "open":
            openings[state.instance] = _origin_of(document)
    told.pop("", None)
    return told, openings


def _origin(asked: _Questions, instance: str, spooled: Spooled | None) -> Origin:
    for document in _parsed((spooled.first,) if spooled is not None else ()):
        return _origin_of(document)
    for document in asked.found(Query(Match("process.entity_id", instance), limit=1)):
        return _origin_of(document)
    return Origin()


def _origin_of(document: Document) -> Origin:
    return Origin(text(document, "service.name"), text(part(document, "service"), "node.name"))


def _parsed(bodies: Iterable[bytes]) -> Iterator[Document]:
    """What of it is JSON; a spool holds what its writer wrote."""
    for body in bodies:
        try:
            yield parse(body)
        except ValueError:
            continue


def _is_selected(asked: _Questions, selection: Selection, sequences: Sequences, origin: Origin) -> bool:
    if selection.service is not None and origin.service != selection.service:
        return False
    if selection.node is not None and origin.node != selection.node:
        return False
    if selection.since is None and selection.until is None:
        return True
    own = Match("process.entity_id", sequences.instance)
    heard = Query(own, since=selection.since, until=selection.until, limit=1)
    return not sequences.stored or any(True for _ in asked.found(heard))


def _began_ns(instance: str) -> int:
    """The time in an id of ours (RFC 9562, UUIDv7), 0 for any other."""
    try:
        return int(instance[:12], 16) * 1_000_000 if len(instance) == 32 and instance[12] == "7" else 0
    except ValueError:
        return 0
