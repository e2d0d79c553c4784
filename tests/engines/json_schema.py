"""JSON Schema (2020-12), as much of it as published schemas need that files of this repository are held against.

A keyword that is not known here is an error: nothing is taken for valid because it was not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "number": (int, float), "integer": int,
}  # fmt: skip
_SAYS_NOTHING = {"$schema", "$id", "$defs", "title", "description", "deprecated", "default", "format"}


class Schema:
    """A schema, by which values are judged."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def faults(self, value: Any) -> list[str]:
        """What is wrong with a value, each with its place; nothing if it is valid."""
        return list(self._judge(self._root, value, "$"))

    def _judge(self, schema: Any, value: Any, at: str) -> Iterator[str]:
        if isinstance(schema, bool):
            if not schema:
                yield f"{at}: nothing is allowed here"
            return
        for keyword, wanted in schema.items():
            if keyword in _SAYS_NOTHING or keyword in (
                "additionalProperties",
                "unevaluatedProperties",
                "patternProperties",
            ):
                continue
            judge = getattr(self, f"_{keyword.strip('$')}", None)
            if judge is None:
                raise NotImplementedError(f"{at}: keyword {keyword}")
            yield from judge(wanted, value, at)
        if isinstance(value, dict):
            yield from self._members(schema, value, at)

    def _members(self, schema: Mapping[str, Any], value: dict[str, Any], at: str) -> Iterator[str]:
        patterns = schema.get("patternProperties", {})
        known = set(schema.get("properties", ()))
        for name, each in value.items():
            fitting = [sub for pattern, sub in patterns.items() if re.search(pattern, name)]
            for sub in fitting:
                yield from self._judge(sub, each, f"{at}.{name}")
            if name not in known and not fitting and "additionalProperties" in schema:
                yield from self._unknown(schema["additionalProperties"], each, f"{at}.{name}")
        if "unevaluatedProperties" in schema:
            names, expressions = self._named(schema)
            for name in value.keys() - names:
                if not any(re.search(each, name) for each in expressions):
                    yield from self._unknown(schema["unevaluatedProperties"], value[name], f"{at}.{name}")

    def _unknown(self, schema: Any, value: Any, at: str) -> Iterator[str]:
        if schema is False:
            yield f"{at}: nothing is known by this name"
        else:
            yield from self._judge(schema, value, at)

    def _named(self, schema: Mapping[str, Any]) -> tuple[set[str], set[str]]:
        names, patterns = set(schema.get("properties", ())), set(schema.get("patternProperties", ()))
        parts = [*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())]
        parts += [self._at(schema["$ref"])] if "$ref" in schema else []
        for part in parts:
            more, expressions = self._named(part)
            names |= more
            patterns |= expressions
        return names, patterns

    def _at(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _ref(self, wanted: str, value: Any, at: str) -> Iterator[str]:
        yield from self._judge(self._at(wanted), value, at)

    def _type(self, wanted: Any, value: Any, at: str) -> Iterator[str]:
        names = [wanted] if isinstance(wanted, str) else wanted
        fits = any(
            isinstance(value, _TYPES[each]) and (each == "boolean" or not isinstance(value, bool)) for each in names
        )
        if not fits:
            yield f"{at}: expected {' or '.join(names)}, found {value!r}"

    def _properties(self, wanted: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name in wanted.keys() & value.keys():
                yield from self._judge(wanted[name], value[name], f"{at}.{name}")

    def _required(self, wanted: list[str], value: Any, at: str) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (f"{at}: {name} is missing" for name in wanted if name not in value)

    def _items(self, wanted: Any, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._judge(wanted, each, f"{at}[{index}]")

    def _uniqueItems(self, wanted: bool, value: Any, at: str) -> Iterator[str]:  # noqa: N802 - the keyword's name
        if wanted and isinstance(value, list) and any(each in value[:index] for index, each in enumerate(value)):
            yield f"{at}: something is there twice"

    def _enum(self, wanted: list[Any], value: Any, at: str) -> Iterator[str]:
        if value not in wanted:
            yield f"{at}: expected one of {wanted}, found {value!r}"

    def _pattern(self, wanted: str, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, str) and not re.search(wanted, value):
            yield f"{at}: {value!r} is not {wanted}"

    def _minimum(self, wanted: float, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, int | float) and value < wanted:
            yield f"{at}: {value} is below {wanted}"

    def _maximum(self, wanted: float, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, int | float) and value > wanted:
            yield f"{at}: {value} is above {wanted}"

    def _allOf(self, wanted: list[Any], value: Any, at: str) -> Iterator[str]:  # noqa: N802
        for each in wanted:
            yield from self._judge(each, value, at)

    def _anyOf(self, wanted: list[Any], value: Any, at: str) -> Iterator[str]:  # noqa: N802
        tried = [list(self._judge(each, value, at)) for each in wanted]
        if all(tried):
            yield from min(tried, key=_far)

    def _oneOf(self, wanted: list[Any], value: Any, at: str) -> Iterator[str]:  # noqa: N802
        tried = [list(self._judge(each, value, at)) for each in wanted]
        if all(tried):
            yield from min(tried, key=_far)
        elif sum(not each for each in tried) > 1:
            yield f"{at}: {value!r} can be read in two ways"


def _far(faults: list[str]) -> tuple[int, int]:
    """How little a form of something fits: the one whose faults lie deepest is the one that was meant."""
    return -max(len(each.partition(":")[0]) for each in faults), len(faults)
