"""What is on a server under our names and for our streams. Nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from clusterlog.store.elasticsearch.provision.comparison import Body
from clusterlog.store.elasticsearch.provision.server import check
from clusterlog.store.elasticsearch.provision.templates.bodies import INDEX, OWNER, PRIORITY, generation_of
from clusterlog.store.elasticsearch.streams import PATTERN
from clusterlog.store.elasticsearch.transport import Answer, Client

_TEMPLATE = "index_templates.index_template"
_ASKED = (
    f"index_templates.name,{_TEMPLATE}.index_patterns,{_TEMPLATE}.priority,{_TEMPLATE}.data_stream,"
    f"{_TEMPLATE}.composed_of"
)
OURS = f"{OWNER}@"
"""How the names of our component templates begin."""
_NO_INTERFACE = (400, 404, 405)
"""What a server says that has none for data streams."""
_REPLICAS = "*.settings.index.number_of_replicas,*.settings.index.auto_expand_replicas"


@dataclass(frozen=True, slots=True)
class Rival:
    """An index template of somebody else's that fits streams of ours, or is composed of templates of ours."""

    name: str
    patterns: tuple[str, ...]
    priority: int
    makes_streams: bool = True
    composed_of: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether one of its patterns fits a name that a stream of ours may have."""
        return any(overlap(pattern, PATTERN) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Stream:
    """A data stream of ours. ``version`` and ``generation`` are those its write index was made by, empty if not by us.

    ``replicas`` is ``auto`` or a number; ``lifecycle`` and ``failure_store`` are ``None`` where the server does not
    tell. ``template`` is the index template by which its next index is made.
    """

    name: str
    indices: tuple[str, ...] = ()
    version: str = ""
    generation: str = ""
    replicas: str = "auto"
    lifecycle: Body | None = None
    failure_store: bool | None = None
    template: str = INDEX


@dataclass(frozen=True, slots=True)
class Found:
    """``components`` are the component templates whose names begin as ours do, ``index`` is the index template.

    ``can_change_streams``: the server has an interface for the lifecycle and the options of a stream that is there.
    """

    components: Mapping[str, Body] = field(default_factory=dict)
    index: Body | None = None
    rivals: tuple[Rival, ...] = ()
    streams: tuple[Stream, ...] = ()
    can_change_streams: bool = False


def look(client: Client) -> Found:
    """Look at everything a plan depends on. Raises StoreUnavailable, and StoreDenied with the right that is lacking."""
    components = _named(_asked(client, f"/_component_template/{OURS}*"), "component_template")
    ours = _named(_asked(client, f"/_index_template/{INDEX}"), "index_template").get(INDEX)
    told = _named(_asked(client, "/_index_template", filter_path=_ASKED), "index_template")
    rivals = tuple(_rival(name, body) for name, body in told.items() if name != INDEX)
    rivals = tuple(each for each in rivals if each.fits or any(name.startswith(OURS) for name in each.composed_of))
    answer = client.call("GET", f"/_data_stream/{PATTERN}")
    if answer.status not in _NO_INTERFACE:
        check(answer, "view_index_metadata")
    streams, can_change = _streams(client, answer), answer.status == 200
    return Found(components, ours, rivals, tuple(_governed(each, rivals) for each in streams), can_change)


def _asked(client: Client, path: str, *, right: str = "manage_index_templates", **params: str) -> Any:
    """The body of an answer; nothing where what is asked for is not there."""
    answer = client.call("GET", path, params=params)
    if answer.status == 404:
        return {}
    check(answer, right)
    return answer.body if isinstance(answer.body, dict) else {}


def _named(told: Body, kind: str) -> dict[str, Body]:
    return {each["name"]: each.get(kind) or {} for each in told.get(f"{kind}s", ())}


def _rival(name: str, body: Body) -> Rival:
    patterns, composed_of = (tuple(body.get(key) or ()) for key in ("index_patterns", "composed_of"))
    return Rival(name, patterns, body.get("priority") or 0, "data_stream" in body, composed_of)


def _streams(client: Client, answer: Answer) -> Iterable[Stream]:
    """From ``_resolve``, which every server has; ``answer`` of ``_data_stream`` tells more where there is one."""
    listed = _asked(client, f"/_resolve/index/{PATTERN}", right="view_index_metadata").get("data_streams", ())
    if not listed:
        return
    path = f"/{PATTERN}"
    mappings = _asked(client, f"{path}/_mapping", right="view_index_metadata", filter_path="*.mappings._meta")
    settings = _asked(client, f"{path}/_settings", right="view_index_metadata", filter_path=_REPLICAS)
    more = {each["name"]: each for each in answer.body["data_streams"]} if answer.status == 200 else {}
    for each in listed:
        name, indices = each["name"], tuple(each["backing_indices"])
        write_index = indices[-1] if indices else ""
        version, generation = generation_of(mappings.get(write_index, {}).get("mappings", {}).get("_meta"))
        index = settings.get(write_index, {}).get("settings", {}).get("index", {})
        automatic = index.get("auto_expand_replicas", "false") != "false"
        told = more.get(name, {})
        yield Stream(
            name,
            indices,
            version,
            generation,
            "auto" if automatic else index.get("number_of_replicas", "1"),
            told.get("lifecycle"),
            told["failure_store"].get("enabled") if isinstance(told.get("failure_store"), dict) else None,
        )


def _governed(stream: Stream, rivals: Iterable[Rival]) -> Stream:
    above = [each for each in matching(stream.name, rivals) if each.priority > PRIORITY]
    return replace(stream, template=above[0].name) if above else stream


def matching(name: str, rivals: Iterable[Rival]) -> list[Rival]:
    """The templates whose patterns fit a stream's name, the strongest first."""
    fitting = [each for each in rivals if any(fnmatchcase(name, _glob(pattern)) for pattern in each.patterns)]
    return sorted(fitting, key=lambda each: -each.priority)


def _glob(pattern: str) -> str:
    """Of what ``fnmatch`` takes for special, only the star is special to a server."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some name fits both patterns, in which ``*`` stands for anything."""
    if not one or not other:
        return not (one or other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])
