"""What a server knows of its fields, and so what may be asked of them without being refused.

Nothing is taken for granted: indices may be older than our templates, or made without them. The server is asked with
``_field_caps``, whose answer is read here.
"""

from __future__ import annotations

from collections.abc import Mapping as Members
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal[
    "keyword", "text", "whole", "float", "nanos", "date", "boolean", "ip", "flat", "flat_key", "object", "other"
]
"""Types of fields that are asked alike.

``flat`` is an object that is one field (Elasticsearch's flattened, OpenSearch's flat_object), ``flat_key`` a value in
it; ``nanos`` keeps nanoseconds, ``date`` milliseconds; of ``other`` only the existence can be asked.
"""

_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("keyword", "constant_keyword", "wildcard"), "keyword"),
    **dict.fromkeys(("text", "match_only_text", "pattern_text"), "text"),
    **dict.fromkeys(("long", "integer", "short", "byte"), "whole"),
    **dict.fromkeys(("double", "float", "half_float"), "float"),
    **dict.fromkeys(("flattened", "flat_object"), "flat"),
    **dict.fromkeys(("object", "nested"), "object"),
    "boolean": "boolean",
    "date": "date",
    "date_nanos": "nanos",
    "ip": "ip",
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """A field as some indices map it. ``indices`` is empty where all that have it map it so.

    ``exact``: numbers are kept without rounding. ``whole`` is the whole field (``labels``) of a ``flat_key``.
    ``patterns``: a pattern can be asked of it. ``asked`` is whether it is indexed at all.
    """

    field: str
    family: Family
    indices: tuple[str, ...] = ()
    exact: bool = True
    whole: str = ""
    patterns: bool = True
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Mapping:
    """The fields of the indices that are searched, and the names of these."""

    fields: Members[str, tuple[Mapped, ...]] = field(default_factory=dict)
    indices: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: Members[str, Any]) -> Mapping:
        """From the body of an answer of ``_field_caps`` for all fields."""
        fields = {}
        for name, types in (told.get("fields") or {}).items():
            found = [_mapped(name, kind, facts) for kind, facts in types.items()]
            if found and not name.startswith("_"):
                fields[name] = tuple(found)
        indices = told.get("indices") or ()
        return cls(fields, (indices,) if isinstance(indices, str) else tuple(indices))

    def of(self, name: str) -> tuple[Mapped, ...]:
        """How a field is mapped: nowhere, alike, or in several ways."""
        found = self.fields.get(name)
        if found is not None:
            return found
        above = name.rpartition(".")[0]
        while above:
            whole = self.fields.get(above)
            if whole is not None:
                return tuple(_key_of(each, name) for each in whole if each.family == "flat")
            above = above.rpartition(".")[0]
        return ()

    def beside(self, name: str, sub: str, family: Family) -> str:
        """The name of a field's multi-field ``sub``, which holds the same values in another way; empty if none is."""
        named = f"{name}.{sub}"
        return named if any(each.family == family for each in self.fields.get(named, ())) else ""

    def sortable(self, name: str) -> str:
        """A field of one word by which events can be put in order: itself, or its multi-field of whole values."""
        own = any(each.family == "keyword" for each in self.fields.get(name, ()))
        return name if own else self.beside(name, "keyword", "keyword") or name

    @property
    def keeps_nanoseconds(self) -> bool:
        """Whether every index can put events in order by their nanoseconds."""
        return all(each.family == "nanos" for each in self.fields.get("@timestamp", ()))


def _mapped(name: str, kind: str, facts: Members[str, Any]) -> Mapped:
    indices = facts.get("indices") or ()
    family = _FAMILIES.get(kind, "other")
    return Mapped(
        name,
        family,
        (indices,) if isinstance(indices, str) else tuple(indices),
        exact=kind in ("double", "long", "integer", "short", "byte"),
        patterns=kind != "flattened",
        asked=family == "object" or facts.get("searchable", True) is True,
    )


def _key_of(whole: Mapped, name: str) -> Mapped:
    return Mapped(name, "flat_key", whole.indices, whole=whole.field, patterns=whole.patterns, asked=whole.asked)
