"""What the filters of a configuration make of an event: as much of Logstash's as our files use, read from its sources.

Ruby is handed to ``ruby``, which is given the code and the event and changes that. Events are nested objects, fields
are ``[a][b]``; what is in ``@metadata`` is part of the event here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.config import Branch, Condition, Plugin, Section, Selector, Step, resolved

Event = dict[str, Any]
Ruby = Callable[[Plugin, Event], None]

_ELEMENT = re.compile(r"\[([^\[\]]+)\]")
_REFERENCE = re.compile(r"%\{(\[[^}]+\]|@?\w+)\}")
_NAMED = re.compile(r"%\{(\w+)(?::([^}]+))?\}")
_MISSING = object()


class Raised(Exception):
    """What ends a pipeline: a filter that sets a field below something that is no object."""


def path(field: str) -> tuple[str, ...]:
    """The keys of a field."""
    return tuple(_ELEMENT.findall(field)) if field.startswith("[") else (field,)


def get(event: Event, field: str) -> Any:
    """What stands there, ``None`` if nothing does."""
    node: Any = event
    for key in path(field):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def put(event: Event, field: str, value: Any) -> None:
    """Set a field. Raises Raised where what is above it is no object."""
    *above, last = path(field)
    node = event
    for key in above:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
        if not isinstance(node, dict):
            raise Raised(f"cannot set {field}: {key} is no object")
    node[last] = value


def remove(event: Event, field: str) -> Any:
    """Take a field out, and give what stood there."""
    *above, last = path(field)
    node: Any = event
    for key in above:
        node = node.get(key) if isinstance(node, dict) else None
    return node.pop(last, None) if isinstance(node, dict) else None


def filled(event: Event, text: str) -> str:
    """A text with fields in the place of references; one that is not there stays as it is written."""

    def value(found: re.Match[str]) -> str:
        told = get(event, found[1])
        return found[0] if told is None else told if isinstance(told, str) else json.dumps(told)

    return _REFERENCE.sub(value, text)


def tag(event: Event, name: str) -> None:
    """Add a tag."""
    tags = event.setdefault("tags", [])
    if name not in tags:
        tags.append(name)


def run(section: Section, event: Event, ruby: Ruby) -> Event:
    """The event when it has passed all filters of a section."""
    _steps(section.steps, event, ruby)
    return event


def _steps(steps: tuple[Step, ...], event: Event, ruby: Ruby) -> None:
    for step in steps:
        if isinstance(step, Branch):
            arm = next((inner for condition, inner in step.arms if condition is None or _holds(condition, event)), ())
            _steps(arm, event, ruby)
            continue
        known = _FILTERS.get(step.name)
        if known is None:
            ruby(step, event)
            continue
        if known(step, event):
            _decorate(step, event)


def _decorate(plugin: Plugin, event: Event) -> None:
    """What every filter does that was successful."""
    for field, value in plugin.get("add_field", {}).items():
        name, value = filled(event, field), filled(event, value)
        there = get(event, name)
        put(event, name, value if there is None else [*(there if isinstance(there, list) else [there]), value])
    for field in plugin.get("remove_field", ()):
        remove(event, field)
    for name in plugin.get("add_tag", ()):
        tag(event, name)
    for name in plugin.get("remove_tag", ()):
        if name in event.get("tags", ()):
            event["tags"].remove(name)


def _holds(condition: Any, event: Event) -> bool:
    if not isinstance(condition, Condition):
        return _value(condition, event) not in (None, False)
    operator, operands = condition.operator, condition.operands
    if operator in ("and", "or"):
        left = _holds(operands[0], event)
        return (left and _holds(operands[1], event)) if operator == "and" else (left or _holds(operands[1], event))
    if operator == "!":
        return not _holds(operands[0], event)
    left, right = (_value(each, event) for each in operands)
    if operator == "in":
        return right is not None and left in right
    if operator in ("=~", "!~"):
        return (isinstance(left, str) and bool(python(right).search(left))) is (operator == "=~")
    assert operator in ("==", "!="), operator
    return bool((left == right) is (operator == "=="))


def _value(operand: Any, event: Event) -> Any:
    return get(event, operand.path) if isinstance(operand, Selector) else resolved(operand)


def python(pattern: str) -> re.Pattern[str]:
    """A regular expression of Ruby's in Python's: word characters by their POSIX name, ``.`` for line ends by ``m``."""
    made = pattern.replace("[^[:word:].]", r"[^\w.]").replace("(?m:", "(?s:")
    assert "[[:" not in made and "[:" not in made.replace("?[:", ""), pattern
    return re.compile(made)


def _mutate(plugin: Plugin, event: Event) -> bool:
    """In the order in which the filter does it, whatever is written first."""
    for field, value in plugin.get("replace", {}).items():
        put(event, field, filled(event, value))
    for field, kind in plugin.get("convert", {}).items():
        assert kind == "string", kind
        value = get(event, field)
        if value is not None:
            put(event, field, [str(each) for each in value] if isinstance(value, list) else _as_text(value))
    gsub = plugin.get("gsub", ())
    for field, pattern, text in zip(gsub[::3], gsub[1::3], gsub[2::3], strict=True):
        if isinstance(value := get(event, field), str):
            put(event, field, python(pattern).sub(text, value))
    for field in plugin.get("lowercase", ()):
        if isinstance(value := get(event, field), str):
            put(event, field, value.lower())
    for source, target in plugin.get("copy", {}).items():
        if (value := get(event, source)) is not None:
            put(event, target, value)
    return True


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _truncate(plugin: Plugin, event: Event) -> bool:
    for field in plugin.get("fields"):
        if isinstance(value := get(event, field), str):
            put(event, field, value.encode()[: plugin.get("length_bytes")].decode(errors="ignore"))
    return True


def _fingerprint(plugin: Plugin, event: Event) -> bool:
    assert plugin.get("concatenate_sources") == "true" and plugin.get("method") == "SHA256"
    text = "".join(f"|{field}|{_sorted(get(event, field))}" for field in sorted(plugin.get("source")))
    put(event, plugin.get("target"), hashlib.sha256(f"{text}|".encode()).hexdigest())
    return True


def _sorted(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _grok(plugin: Plugin, event: Event) -> bool:
    definitions = plugin.get("pattern_definitions", {})
    for field, patterns in plugin.get("match").items():
        text = get(event, field)
        if not isinstance(text, str):
            continue
        for pattern in (patterns,) if isinstance(patterns, str) else patterns:
            names: list[str] = []
            found = python(_spelled(pattern, definitions, names)).search(text)
            if found is None:
                continue
            for at, name in enumerate(names):
                if (value := found[f"g{at}"]) is not None and value != "":
                    if get(event, name) is not None:
                        assert name in plugin.get("overwrite", ()), f"{name} would become a list"
                    put(event, name, value)
            return True
    for name in plugin.get("tag_on_failure", ("_grokparsefailure",)):
        tag(event, name)
    return False


def _spelled(pattern: str, definitions: Mapping[str, str], names: list[str]) -> str:
    """A pattern with those it names in their places; captures become ``g0``, ``g1`` …, their fields go to ``names``."""

    def spell(found: re.Match[str]) -> str:
        name, field = found[1], found[2]
        if field is None:
            return f"(?:{_spelled(definitions[name], definitions, names)})"
        names.append(field)
        group = f"g{len(names) - 1}"
        return f"(?P<{group}>{_spelled(definitions[name], definitions, names)})"

    return _NAMED.sub(spell, pattern)


def _json(plugin: Plugin, event: Event) -> bool:
    text = get(event, plugin.get("source"))
    if not isinstance(text, str):
        return False

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        told = json.loads(text, parse_constant=refuse)
    except ValueError:
        told = _MISSING
    if not isinstance(told, dict):
        tag(event, "_jsonparsefailure")
        return False
    for name, value in told.items():
        if name != "@metadata":
            event[name] = value
    return True


def _date(plugin: Plugin, event: Event) -> bool:
    """As far as it matters here: a time that is written as ISO 8601 does is taken over."""
    field, *_ = plugin.get("match")
    value = get(event, field)
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        event["@timestamp"] = value
    return True


_FILTERS: dict[str, Callable[[Plugin, Event], bool]] = {
    "mutate": _mutate,
    "truncate": _truncate,
    "fingerprint": _fingerprint,
    "grok": _grok,
    "json": _json,
    "date": _date,
}
