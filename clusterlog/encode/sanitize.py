"""Anything a caller says, as a tree that every strict JSON parser and every store accepts.

Only exact ``dict``, ``list``, ``tuple``, ``set``, ``frozenset`` and ``deque`` are walked, so that nothing a subclass
overrides is ever called. Every other object becomes a text (``encode.spoken``), and every name and text passes the
redactor. Bounded are the depth, the number of names and values, the length of each text and of all together.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from clusterlog.encode import limits
from clusterlog.encode.compact import dumps
from clusterlog.encode.limits import Limits, cut, within
from clusterlog.encode.spoken import called, full_name, guarded, integer, printable, real, spoken
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.redact import Redactor
from clusterlog.record.shapes import MARK

MARGIN = 4096
"""Characters behind a limit that are searched for secrets, too, so that the cut leaves no half of one."""
_CACHED_NAMES = 4096
_SEQUENCES = frozenset({list, tuple, set, frozenset, deque})
_TRIES = 5
# Bracketed names are field references to Logstash; NUL divides name and value inside Elasticsearch's flattened fields.
_LEGAL_IN_NAMES = str.maketrans({"[": "(", "]": ")", "\0": "\\x00"})


class Sanitizer:
    """Cleans what a process says; ``redactor`` finds the secrets, ``bounds`` are the limits of one event."""

    def __init__(self, redactor: Redactor, bounds: Limits | None = None) -> None:
        self.redactor = redactor
        self.limits = bounds or Limits()
        self._names: dict[str, str] = {}

    def clean(self, fields: Mapping[Any, Any]) -> dict[str, Any]:
        """A caller's own fields as they may stand under ``labels``. Never raises.

        ``labels`` is mapped flattened, so a dotted name is the path it says and stays. Where a nested field leads to
        the same path, the dotted one gets a suffix: a store would read both as two values of one field.
        """
        tree = self.tree(fields)
        try:
            return _apart(tree, "", set()) if _dotted(tree) else tree
        except RecursionError:  # said where hardly any stack was left
            return tree

    def tree(self, body: Mapping[Any, Any]) -> dict[str, Any]:
        """Nested objects, legal and without secrets. Never raises."""
        try:
            given = body if issubclass(type(body), dict) else {"value": body}
            found = _Walk(self).mapping(given, 1)  # type: ignore[arg-type]
            return found if type(found) is dict else {}
        except Exception as error:  # RecursionError where little stack was left, MemoryError
            if raised_by_signal(error):
                raise
            return {"_cut": f"fields that could not be read: {type(error).__name__}"}

    def text(self, value: str, most: int) -> str:
        """``value`` legal and without secrets, in at most ``most`` bytes of UTF-8; a cut is noted at its end."""
        whole = value if type(value) is str else str.__str__(value)
        short = within(whole, most)
        text = whole if short else whole[: most + MARGIN]
        if self.redactor.suspicious(text):
            text = self.redactor.text(text)
        if not text.isascii():
            text = _legal(text)
        # Redaction and escapes can lengthen what was short enough.
        return text if short and within(text, most) else cut(text, most, whole)

    def message(self, event: Any) -> str:
        """The ``message`` of a log call, whose event may be any object."""
        return self.text(event if type(event) is str else self._worded(event), self.limits.message)

    def formatted(self, event: Any, args: tuple[Any, ...]) -> str:
        """``event % args`` as logging does it; where they do not fit, one behind the other."""
        template = event if type(event) is str else self._worded(event)
        given: Any = tuple(map(printable, args))
        if len(args) == 1 and type(args[0]) is dict and args[0]:
            given = {name: printable(self._withheld(name, value)) for name, value in args[0].items()}
        try:
            text = guarded(lambda: template % given)
        except Exception as error:
            if raised_by_signal(error):
                raise
            shown = dumps(self.tree({"a": list(args)})["a"]).decode()
            text = f"{template} [{full_name(type(error))} with arguments {shown}]"
        return self.text(text, self.limits.message)

    def fit(self, document: dict[str, Any]) -> bytes:
        """A legal tree as JSON within the limit of an event; see ``limits.fit``."""
        return limits.fit(document, self.limits.event, dumps)

    def name(self, key: Any) -> str:
        """A field's name: legal, not empty, within its limit, without a secret."""
        text = key if type(key) is str else spoken(key, self.limits.name + MARGIN)
        found = self._names.get(text)
        if found is None:
            found = self._legal_name(text)
            if len(text) <= self.limits.name:
                if len(self._names) >= _CACHED_NAMES:
                    self._names.clear()
                self._names[text] = found
        return found

    def _legal_name(self, text: str) -> str:
        most = self.limits.name
        name = _legal(self.redactor.text(text[: most + MARGIN])).translate(_LEGAL_IN_NAMES)
        if len(name) > most:
            # Two long names with one beginning stay two, each the same in every event.
            name = f"{name[: most - 9]}_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        return ".".join(part if part.strip() else "_" for part in name.split("."))

    def _withheld(self, name: Any, value: Any) -> Any:
        number = value is None or issubclass(type(value), (int, float))
        return value if number or type(name) is not str or not self.redactor.is_secret_key(name) else MARK

    def _worded(self, event: Any) -> str:
        kind = type(event)
        if kind is dict or kind in _SEQUENCES:
            return dumps(self.tree({"m": event})["m"]).decode()
        if kind in (bytes, bytearray, memoryview) or issubclass(kind, str):
            return spoken(event, self.limits.message + MARGIN)
        return called(str, event)


class _Walk:
    """One tree on its way through, and what is left of an event's limits."""

    __slots__ = ("bytes_left", "limits", "names_left", "path", "sanitizer", "values_left")

    def __init__(self, sanitizer: Sanitizer) -> None:
        self.sanitizer = sanitizer
        self.limits = sanitizer.limits
        self.names_left = self.limits.names
        self.values_left = self.limits.values
        self.bytes_left = self.limits.event
        self.path: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        """Any value; ``depth`` counts the container it would be."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is dict:
            return self.mapping(value, depth)
        if kind in _SEQUENCES:
            return self.sequence(value, depth)
        if issubclass(kind, int):
            return integer(int.__int__(value))
        if issubclass(kind, float):
            return real(float.__float__(value))
        return self.text(spoken(value, self.limits.text + MARGIN) if self.bytes_left > 0 else "")

    def text(self, value: str) -> str:
        """A text within the limit of one and what is left for all."""
        said = self.sanitizer.text(value, max(8, min(self.limits.text, self.bytes_left)))
        self.bytes_left -= len(said) if said.isascii() else len(said.encode())
        return said

    def mapping(self, given: dict[Any, Any], depth: int) -> dict[str, Any] | str:
        """A dictionary; ``given`` may be a subclass, of which nothing is called."""
        refused = self._enter(given, depth)
        if refused:
            return refused
        out: dict[str, Any] = {}
        items = self._first(given)[: max(0, self.names_left)]
        # What this object needs is set aside before it is looked into, so that no child starves its father's others.
        self.names_left -= len(items)
        self.values_left -= len(items)
        for key, value in items:
            name = free(out, self.sanitizer.name(key))
            self.bytes_left -= len(name)
            secret = self.sanitizer.redactor.is_secret_key(key if type(key) is str else name)
            out[name] = self._withheld(value, depth) if secret else self.value(value, depth + 1)
        left = dict.__len__(given) - len(items)
        if left > 0:
            out[free(out, "_cut")] = f"{left} more"
        self.path.discard(id(given))
        return out

    def sequence(self, given: Any, depth: int) -> list[Any] | str:
        """A list, tuple, set or deque."""
        refused = self._enter(given, depth)
        if refused:
            return refused
        items = self._first(given)
        self.values_left -= len(items)
        out = [self.value(each, depth + 1) for each in items]
        left = len(given) - len(items)
        if len(items) == 2 and not left and type(items[1]) in (str, bytes) and self._names_secret(items[0]):
            out[1] = MARK
        if left > 0:
            out.append(f"[{left} more]")
        self.path.discard(id(given))
        return out

    def _enter(self, given: Any, depth: int) -> str:
        if id(given) in self.path:
            return "[circular]"
        if depth > self.limits.depth:
            return f"[{type(given).__name__} below {self.limits.depth} others]"
        self.path.add(id(given))
        return ""

    def _first(self, given: Any) -> list[Any]:
        """As many members as there is room for; none of a container that another thread does not leave alone."""
        most = max(0, min(self.limits.items, self.values_left))
        for _ in range(_TRIES):
            try:
                return list(islice(dict.items(given) if issubclass(type(given), dict) else given, most))
            except RuntimeError:  # changed size while it was read
                continue
        return []

    def _withheld(self, value: Any, depth: int) -> Any:
        """The value of a secret name: a number stays; of everything else not even the shape."""
        if value is None or issubclass(type(value), (int, float)):
            return self.value(value, depth)
        return MARK

    def _names_secret(self, first: Any) -> bool:
        """Whether a pair is a header as servers hold it, ``(b"cookie", b"…")``, and a secret one."""
        name = first[:256].decode("latin-1") if type(first) is bytes else first
        return type(name) is str and self.sanitizer.redactor.is_secret_key(name)


def _legal(text: str) -> str:
    """Without lone surrogates, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "backslashreplace").decode()


def free(taken: dict[str, Any], name: str) -> str:
    """``name``, or with the first free number behind it: of ``1`` and ``"1"`` the second becomes ``1_2``.

    What ``{"a.b": 1, "a": {"b": 2}}`` says twice stays two.
    """
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _dotted(value: Any) -> bool:
    return type(value) is dict and any("." in name or _dotted(each) for name, each in value.items())


def _apart(node: dict[str, Any], prefix: str, paths: set[str]) -> dict[str, Any]:
    """``node`` with suffixes on dotted names, so that no two leaves have one path; ``paths`` are those taken."""
    renamed: dict[str, tuple[str, Any]] = {}
    for name in sorted(node, key=lambda name: "." in name):
        value, free, number = node[name], name, 2
        while "." in name and ((free != name and free in node) or not paths.isdisjoint(_leaves(value, prefix + free))):
            free, number = f"{name}_{number}", number + 1
        if type(value) is dict and value:
            value = _apart(value, f"{prefix}{free}.", paths)
        else:
            paths.add(prefix + free)
        renamed[name] = free, value
    return dict(renamed[name] for name in node)


def _leaves(value: Any, path: str) -> Iterator[str]:
    if type(value) is dict and value:
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}")
    else:
        yield path
