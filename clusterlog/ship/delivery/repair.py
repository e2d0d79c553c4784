"""One repair of an event that a store refuses for what stands in one field, or for its size. Pure.

The field that the refusal names is moved into ``labels``, which is mapped so that it takes anything; its value stays
findable, under its own path as the name. Under ``clusterlog.repair`` the event says what was done to it. Its id and its
number are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clusterlog.encode import limits
from clusterlog.encode.compact import dumps
from clusterlog.ship.dead.reason import redacted
from clusterlog.store import document

LONGEST_TERM = 8_000
"""Bytes of a text where one was too long to be searched as a whole (Lucene takes 32,766, logsdb 8,191 characters)."""
SMALLEST = 4 << 10
"""Bytes; an event is not cut to less: what refuses that refuses everything."""
_REASON = 200
_NAMED = re.compile(r"\[([^\]\[]{1,512})\]|field=\"([^\"]{1,512})\"")
_TOO_LONG = ("immense term", "bytes can be at most", "max length 32766")
_KEPT = ("@timestamp", "event.id", "event.sequence", "process.entity_id", "labels")
"""What says which event it is, and where it belongs."""

_Path = tuple[str, ...]


def moved(body: bytes, reason: str) -> bytes | None:
    """The event without the field that the reason names first; ``None`` where that cannot be done."""
    try:
        event = document.parse(body)
    except ValueError:
        return None
    for name in _names(reason):
        path = _path(event, name)
        if path is not None and name not in _KEPT:
            break
        if path == ("labels",):
            break
    else:
        return None
    value = _taken(event, path)
    labels = event.get("labels")
    event["labels"] = labels = labels if isinstance(labels, dict) else {}
    if path == ("labels",):
        labels["_text"] = _short(_text(value))
    elif path[0] == "labels":  # it is not mapped as it should be, and has a type of its own for each name
        _put(labels, f"{'.'.join(path[1:])}_text", _short(_text(value)))
    elif any(said in reason for said in _TOO_LONG):
        _put_back(event, path, _short(_text(value)))
    else:
        _put(labels, ".".join(path), _short(value) if isinstance(value, str) else value)
    if not labels:
        del event["labels"]
    return _noted(event, {"field": name, "reason": redacted(reason)[:_REASON]})


def shortened(body: bytes) -> bytes | None:
    """The event in at most half its bytes: the ends of its longest texts go first, what identifies it stays.

    ``None`` for one that is small already, or is no event.
    """
    if len(body) <= 2 * SMALLEST:
        return None
    try:
        event = document.parse(body)
    except ValueError:
        return None
    _noted(event, {"reason": f"too large: cut from {len(body)} bytes"})
    made = limits.fit(event, len(body) // 2, dumps)
    kept = document.parse(made)
    if document.id_of(kept) == document.id_of(event):
        return made
    # All that was left is what names a request; the event's own name belongs to it.
    kept.update({part: event[part] for part in ("@timestamp", "event", "process", "clusterlog") if part in event})
    made = dumps(kept)
    return made if len(made) < len(body) else None


def _noted(event: document.Event, note: dict[str, str]) -> bytes:
    own = event.get("clusterlog")
    event["clusterlog"] = {**own, "repair": note} if isinstance(own, dict) else {"repair": note}
    return dumps(event)


def _names(reason: str) -> Iterator[str]:
    """What a reason puts into brackets or quotes: names of fields among positions, types and ids."""
    for found in _NAMED.finditer(reason):
        yield found[1] or found[2]


def _path(event: document.Event, name: str) -> _Path | None:
    """Where a field stands, key by key; a list on the way is moved as a whole, as one of its elements cannot be."""
    node: Any = event
    path: list[str] = []
    left = name
    while left:
        if type(node) is not dict:
            return tuple(path) if type(node) is list and path else None
        key = next((key for key in _beginnings(left) if key in node), None)
        if key is None:
            return None
        path.append(key)
        node, left = node[key], left[len(key) + 1 :]
    return tuple(path) or None


def _beginnings(name: str) -> Iterator[str]:
    """The keys a dotted name may begin with, the longest first."""
    at = len(name)
    while at > 0:
        yield name[:at]
        at = name.rfind(".", 0, at)


def _taken(event: document.Event, path: _Path) -> Any:
    """Take a value out, and the objects that are empty without it."""
    nodes = [event]
    for key in path[:-1]:
        nodes.append(nodes[-1][key])
    value = nodes[-1].pop(path[-1])
    for above, key in zip(reversed(nodes[:-1]), reversed(path[:-1]), strict=True):
        if not above[key]:
            del above[key]
    return value


def _put_back(event: document.Event, path: _Path, value: Any) -> None:
    node: Any = event
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = value


def _put(labels: dict[str, Any], name: str, value: Any) -> None:
    """Under a name that no label of the caller has, or leads to."""
    while document.exists(labels, name) or any(each.startswith(f"{name}.") for each in labels):
        name += "_"
    labels[name] = value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _short(text: str) -> str:
    return text if limits.within(text, LONGEST_TERM) else limits.cut(text, LONGEST_TERM, text)
