"""What a line inherits, as bytes: ids of its request, fields bound around it; serialised once, copied by every line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterlog.encode.compact import dumps

Tree = dict[str, Any]


class Rendered:
    """A scope, perhaps with a logger's own fields, as fragments. Never changed once it is made.

    They follow a message fragment, which ends inside of the object ``clusterlog``: ``middle`` closes that object and
    tells the ids; ``opening`` begins the labels of a line that has its own, ``closing`` tells those of a line that has
    none. ``lead`` is middle and opening, ``plain`` is middle and closing.

    ``document`` and ``labels`` are the same as trees, ``names`` those of the labels; ``measures`` is whether there are
    metrics among them. It holds as long as the scope's facts are ``facts``, the encoder is ``maker``, and, for a
    logger's own fields, the scope is rendered as ``base``.
    """

    __slots__ = (
        "base",
        "closing",
        "document",
        "facts",
        "labels",
        "lead",
        "maker",
        "measures",
        "middle",
        "names",
        "opening",
        "plain",
    )

    def __init__(
        self,
        document: Mapping[str, Any],
        labels: Mapping[str, Any],
        metrics: frozenset[str],
        *,
        maker: object = None,
        facts: object = None,
        base: Rendered | None = None,
    ) -> None:
        own = document.get("clusterlog", {})
        numbers = measured(labels, metrics)
        if numbers:
            own = {"metrics": numbers, **own}
        ids = {name: part for name, part in document.items() if name != "clusterlog"}
        self.document = document
        self.maker = maker
        self.measures = bool(numbers)
        self.facts = facts
        self.base = base
        self._tell(after_comma(own) + b"}" + after_comma(ids), labels, dumps(labels)[1:-1])

    def with_bound(self, bound: Bound, metrics: frozenset[str]) -> Rendered:
        """This and a logger's own fields, which win where a name is in both."""
        labels = {**self.labels, **bound.labels}
        if not self.names.isdisjoint(bound.labels) or not metrics.isdisjoint(bound.labels):
            return Rendered(self.document, labels, metrics, maker=self.maker, base=self)
        joined = object.__new__(Rendered)  # what is serialised already is put together, not serialised again
        joined.document = self.document
        joined.maker = self.maker
        joined.measures = self.measures
        joined.facts = None
        joined.base = self
        joined._tell(self.middle, labels, (self.opening[len(_LABELS) :] + bound.fragment).removesuffix(b","))
        return joined

    def _tell(self, middle: bytes, labels: Mapping[str, Any], encoded: bytes) -> None:
        self.labels = labels
        self.names = frozenset(labels)
        self.middle = middle
        self.opening = _LABELS + encoded + b"," if encoded else _LABELS
        self.closing = _LABELS + encoded + b"}}" if encoded else b"}"
        self.lead = middle + self.opening
        self.plain = middle + self.closing


_LABELS = b',"labels":{'


class Bound:
    """A logger's own fields, serialised when they were bound: ``fragment`` is the inside of an object.

    ``joined`` is what they became together with the scope they were last said in.
    """

    __slots__ = ("fragment", "joined", "labels")

    def __init__(self, labels: Mapping[str, Any]) -> None:
        self.labels = labels
        self.fragment = dumps(labels)[1:-1]
        self.joined: Rendered | None = None


def measured(labels: Mapping[str, Any], metrics: frozenset[str]) -> Tree:
    """Those labels that are numbers and named in the setting ``metrics``."""
    if metrics.isdisjoint(labels):
        return {}
    return {name: labels[name] for name in labels if name in metrics and type(labels[name]) in (int, float)}


def merge(into: Tree, more: Mapping[str, Any]) -> Tree:
    """``more`` over ``into``, object by object. Returns ``into``; objects below it are replaced, never changed."""
    for name, value in more.items():
        below = into.get(name)
        if type(value) is dict:  # trees have no other mapping, and asking an abstract class costs more than the rest
            into[name] = merge(dict(below) if type(below) is dict else {}, value)
        else:
            into[name] = value
    return into


def after_comma(members: Mapping[str, Any]) -> bytes:
    """The members of an object as what follows other members; empty if there are none."""
    return b"," + dumps(members)[1:-1] if members else b""
