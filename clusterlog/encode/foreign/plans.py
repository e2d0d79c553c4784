"""What is to be done with all lines of one shape, found out once.

Lines of one logger have the same names again and again. Which rule each name falls under, and which names are plain
labels, depends on the names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from clusterlog.encode.foreign.kinds import Reader
from clusterlog.encode.foreign.names import Rule, Table, squeezed
from clusterlog.encode.sanitize import Sanitizer, free

Flat = dict[str, Any]
Getter = Callable[[Any], tuple[Any, ...]]

OWN_ID = "event.id"
DEPTH = 20
ORDINARY_LABELS = 100

# Objects whose values many lines share; all lines that agree in them begin alike, up to the message.
_SHARED = frozenset("agent cloud container event host log observer orchestrator organization process service".split())
_VARYING = frozenset({"event.created", "event.duration", "event.end", "event.start"})
IDS = {
    "http.request.id": b',"http":{"request":{"id":%b}}',
    "trace.id": b',"trace":{"id":%b}',
    "span.id": b',"span":{"id":%b}',
    "user.hash": b',"user":{"hash":%b}',
    "clusterlog.session.hash": b"",
}
"""Fields that differ from line to line, and how they are told behind the message; the last one is told elsewhere."""
_NEEDED = frozenset({"@timestamp", "message"})


class Plan:
    """A shape: the names of a line without nested objects, as they are written, in its order.

    ``steps`` are the rules to ask, in order, each with the name it is about; ``labels`` the names no rule is about;
    ``withheld`` those that may say who somebody is. A plan is ``swift`` where one rule stands for each field and all
    that is left are plain labels: then ``time``, ``message`` and ``ids`` say which of a line's values these are,
    ``head`` the rules of the others, ``get_head`` and ``get_labels`` take them out of all values, and ``spare`` says
    whether another name might fill what holds nothing.
    """

    __slots__ = (
        *("get_head", "get_labels", "head", "ids", "labels", "message", "read_time", "spare", "steps", "swift"),
        *("template", "time", "withheld"),
    )

    def __init__(
        self,
        names: tuple[str, ...],
        table: Table,
        sanitizer: Sanitizer,
        readers: Mapping[str, Reader],
        *,
        template: bool = False,
    ) -> None:
        present: dict[str, list[str]] = {}
        for name in names:
            present.setdefault(squeezed(name), []).append(name)
        self.steps = [(rule, name) for rule in table.rules for name in present.get(rule.name, ())]
        about = dict.fromkeys(name for _, name in self.steps)
        self.template = template
        self.withheld = frozenset(name for rule, name in self.steps if rule.kind == "identity")
        self.labels = tuple(name for name in names if name not in about and squeezed(name) not in table.ignored)
        self.head: tuple[Rule, ...] = ()
        self.ids: tuple[tuple[str, int, Reader, bytes], ...] = ()
        self.time = self.message = 0
        self.read_time: Reader = _nothing
        self.get_head: Getter = _nothing
        self.get_labels: Getter = _nothing
        self.spare = False
        self.swift = self._becomes_swift(names, about, sanitizer, readers)

    def _becomes_swift(
        self, names: tuple[str, ...], about: Iterable[str], sanitizer: Sanitizer, readers: Mapping[str, Reader]
    ) -> bool:
        if OWN_ID in self.labels:
            return False
        chosen: dict[str, tuple[Rule, str]] = {}
        taken: set[str] = set()
        for rule, name in self.steps:
            if rule.field not in chosen and name not in taken:
                chosen[rule.field] = rule, name
                taken.add(name)
        labels = self.labels + tuple(name for name in about if name not in taken)
        plain = all(not sanitizer.redactor.is_secret_key(name) and sanitizer.name(name) == name for name in labels)
        if not plain or len(labels) > ORDINARY_LABELS or not self.withheld <= taken:
            return False
        if not chosen.keys() >= _NEEDED or not all(map(_is_usual, chosen)):
            return False
        place = {name: number for number, name in enumerate(names)}
        (timed, time), (_, message) = chosen["@timestamp"], chosen["message"]
        self.time, self.message, self.read_time = place[time], place[message], readers[timed.kind]
        head = [step for field, step in chosen.items() if _is_shared(field)]
        self.head = tuple(rule for rule, _ in head)
        picked = [(*chosen[field], IDS[field]) for field in IDS if field in chosen]
        self.ids = tuple((rule.kind, place[name], readers[rule.kind], form) for rule, name, form in picked)
        self.get_head = _getter([place[name] for _, name in head])
        self.get_labels = _getter([place[name] for name in labels])
        self.spare = len(labels) > len(self.labels)
        self.labels = labels
        return True


def _is_shared(field: str) -> bool:
    return field.partition(".")[0] in _SHARED and field not in _VARYING


def _is_usual(field: str) -> bool:
    return field in _NEEDED or field in IDS or _is_shared(field)


def flat(document: Mapping[str, Any], inside: frozenset[str]) -> Flat:
    """A line without nested objects: ``{"log": {"level": 1}}`` as ``{"log.level": 1}``.

    Members of the objects ``inside`` come up to the top, unless something of their name is there.
    """
    out: Flat = {}
    lifted: list[tuple[str, Flat]] = []
    for name, value in document.items():
        if type(value) is not dict:
            out[name if name not in out else free(out, name)] = value
        elif squeezed(name) in inside:
            below: Flat = {}
            _flatten(value, "", below, 1)
            lifted.append((name, below))
        else:
            _flatten(value, f"{name}.", out, 1)
    for name, below in lifted:
        for inner, value in below.items():
            inner = inner if inner not in out else f"{name}.{inner}"
            out[inner if inner not in out else free(out, inner)] = value
    return out


def _flatten(node: dict[str, Any], prefix: str, out: Flat, depth: int) -> None:
    for name, value in node.items():
        path = prefix + name
        if type(value) is dict and value and depth < DEPTH:
            _flatten(value, f"{path}.", out, depth + 1)
        else:
            out[path if path not in out else free(out, path)] = value


class Nest:
    """The nested objects of a shape: takes all values out of a line at once, in the order of the plan's names.

    ``names`` are those ``flat`` would give. Each of ``nodes`` is an object in an object before it, by number and name,
    with the names it must have; ``getters`` take what is no object out of each.
    """

    __slots__ = ("getters", "names", "nodes")

    def __init__(self, names: tuple[str, ...], nodes: list[tuple[int, str, tuple[str, ...]]], getters: list[Getter]):
        self.names = names
        self.nodes = nodes
        self.getters = getters

    @classmethod
    def of(cls, document: Mapping[str, Any], inside: frozenset[str]) -> Nest | None:
        """The nest of a line's shape; ``None`` where its names would not be each a value's own."""
        found: list[tuple[str, Mapping[str, Any]]] = [("", document)]
        nodes: list[tuple[int, str, tuple[str, ...]]] = []
        names: list[str] = []
        getters: list[Getter] = []
        for number, (prefix, node) in enumerate(found):  # grows while it is walked
            leaves = [name for name, value in node.items() if type(value) is not dict]
            names += [prefix + name for name in leaves]
            getters.append(_getter(leaves))
            for name, value in node.items():
                if type(value) is dict:
                    if not value or prefix.count(".") >= DEPTH - 1:
                        return None
                    below = "" if not number and squeezed(name) in inside else f"{prefix}{name}."
                    nodes.append((number, name, tuple(value)))
                    found.append((below, value))
        return cls(tuple(names), nodes, getters) if len(names) == len(set(names)) else None

    def values(self, document: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """All values of a line, in the order of ``names``; ``None`` for one of another shape."""
        found: list[Any] = [document]
        for number, name, names in self.nodes:
            node = found[number][name]
            if type(node) is not dict or tuple(node) != names:
                return None
            found.append(node)
        values: tuple[Any, ...] = ()
        for node, take in zip(found, self.getters, strict=True):
            values += take(node)
        return values


def _getter(places: Iterable[Any]) -> Getter:
    """What takes values by names or numbers, always as a tuple."""
    given = tuple(places)
    if len(given) == 1:
        only = given[0]
        return lambda values: (values[only],)
    return itemgetter(*given) if given else _nothing


def _nothing(document: Any) -> tuple[Any, ...]:
    return ()
