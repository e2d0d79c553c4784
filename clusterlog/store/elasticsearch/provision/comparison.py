"""What two bodies have in common however they are written down: in the form in which they are compared and shown. Pure.

A server gives back what it was sent in its own way: settings as a tree of texts, defaults and dates added. Fields are
put under their dotted names, so that each of them is one line of a diff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Body = dict[str, Any]

_SERVERS_OWN = frozenset(
    """
    created_date created_date_millis modified_date modified_date_millis allow_restricted_indices transient_metadata
    effective_retention retention_determined_by timestamp_field
    """.split()
)
"""What a server adds by itself."""
_ORDER = "name index_patterns priority data_stream composed_of ignore_missing_component_templates template".split()
_LAST = ("_meta", "metadata")
_EMPTY: tuple[object, ...] = (None, False, [], {})


def canonical(body: Mapping[str, Any]) -> Body:
    """A template or role: without what servers add, settings and fields under dotted names."""
    told: Body = {}
    rest = sorted(body.keys() - {*_ORDER, *_LAST})
    for name in (*_ORDER, *rest, *_LAST):
        value = body.get(name)
        if name == "template" and value:
            told[name] = _template(value)
        elif name == "data_stream" and value is not None:
            told[name] = {key: inner for key, inner in _plain(value).items() if inner not in _EMPTY}
        elif name not in _SERVERS_OWN and value not in _EMPTY:
            told[name] = _plain(value)
    return told


def _template(template: Mapping[str, Any]) -> Body:
    told: Body = {}
    for name, value in sorted(template.items()):
        if name == "settings":
            told[name] = dict(sorted(_settings(value)))
        elif name == "mappings":
            told[name] = _mappings(value)
        elif name not in _SERVERS_OWN and value not in _EMPTY:
            told[name] = _plain(value)
    return told


def _settings(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            yield from _settings(value, f"{path}.")
        else:
            spoken = [_spoken(each) for each in value] if isinstance(value, list) else _spoken(value)
            yield path if path.startswith("index.") else f"index.{path}", spoken


def _spoken(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _mappings(mappings: Mapping[str, Any]) -> Body:
    told = {name: _plain(value) for name, value in mappings.items() if name != "properties"}
    return {**told, "properties": dict(sorted(_fields(mappings.get("properties") or {})))}


def _fields(properties: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, mapping in properties.items():
        own = {key: value for key, value in mapping.items() if key != "properties"}
        inner = mapping.get("properties")
        if own not in ({}, {"type": "object"}) or not inner:
            yield f"{above}{name}", _plain(own)
        yield from _fields(inner or {}, f"{above}{name}.")


def _plain(value: Any) -> Any:
    """In the order of names, without what servers add."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in sorted(value.items()) if name not in _SERVERS_OWN}
    return [_plain(each) for each in value] if isinstance(value, list) else value
