"""The table of foreign names: which of them fills which field, and how its value is read."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from clusterlog.encode.facts import TOPS
from clusterlog.encode.foreign import kinds
from clusterlog.errors import NotAllowed, SettingError

OWN = frozenset({"ecs.version", "event.dataset", "event.id", "event.kind", "event.sequence", "process.entity_id"})
"""Fields nobody else's name may fill: by them a document is told from all others."""

_LISTS = ("inside", "ignored")
_STAY = "stay"
_FIELD = re.compile(r"@timestamp|message|tags|[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_@-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """One name that may fill a field: ``name`` is squeezed, ``kind`` one of ``kinds.NAMES``."""

    field: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rules in the order they are asked; ``inside`` and ``ignored`` are squeezed names."""

    rules: tuple[Rule, ...]
    inside: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def before(self, other: Table) -> Table:
        """This table, and the other one for what this does not say."""
        return Table(self.rules + other.rules, self.inside | other.inside, self.ignored | other.ignored)


@lru_cache(4096)
def squeezed(name: str) -> str:
    """A name without what its writers differ in: ``X-Request-ID``, ``x_request_id`` and ``xRequestId`` are one."""
    return name.casefold().replace("_", "").replace("-", "")


@cache
def shipped() -> Table:
    """The table that comes with clusterlog."""
    text = resources.files(__package__).joinpath("names.toml").read_text(encoding="utf-8")
    return parse(text, "names.toml")


def load(file: Path | None = None) -> Table:
    """The table that comes with clusterlog, behind the one in ``file`` if there is one.

    Raises SettingError where the file is missing or is no such table, NotAllowed where it may not be read.
    """
    if file is None:
        return shipped()
    try:
        text = file.read_text(encoding="utf-8")
    except PermissionError:
        raise NotAllowed(f"cannot read {file}: permission denied") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file}: a table of names is UTF-8 text") from None
    except OSError as error:
        raise SettingError(f"cannot read {file}: {error.strerror}") from None
    return own(text, str(file))


def own(text: str, origin: str) -> Table:
    """A user's table, and the shipped one behind it. Raises SettingError as ``parse``."""
    table = parse(text, origin)
    _check_spelling(table, origin)
    return table.before(shipped())


def parse(text: str, origin: str) -> Table:
    """A table from its TOML. Raises SettingError that names ``origin`` and what is wrong in it."""
    try:
        told = tomllib.loads(text)
        lists = {name: frozenset(map(squeezed, _names(told.pop(name, []), name))) for name in _LISTS}
        rules = tuple(rule for field, by_kind in told.items() for rule in _rules(field, by_kind))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise SettingError(f"{origin}: {error}") from None
    return Table(rules, lists["inside"], lists["ignored"])


def _rules(field: str, by_kind: Any) -> Iterator[Rule]:
    if not isinstance(by_kind, Mapping):
        raise ValueError(f'"{field}" is no table: write ["{field}"], and below it keyword = ["name", ...]')
    if field != _STAY:
        _check_field(field)
    for kind, given in by_kind.items():
        if kind not in kinds.NAMES:
            near = difflib.get_close_matches(kind, kinds.NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds.NAMES)}"
            raise ValueError(f"{field}: no kind {kind!r}: {hint}")
        for name in _names(given, f"{field}: {kind}"):
            if field == _STAY:
                _check_field(name)
            yield Rule(name if field == _STAY else field, kind, squeezed(name))


def _check_field(field: str) -> None:
    if field in OWN:
        raise ValueError(f"{field} is clusterlog's own: no other name can fill it")
    known = field.partition(".")[0] in TOPS or field in ("@timestamp", "message", "tags")
    if not _FIELD.fullmatch(field) or not known:
        raise ValueError(f'no field "{field}": {_hint(field) or "a field of your own is labels.name"}')


def _check_spelling(table: Table, origin: str) -> None:
    """A field of ECS that nobody here knows may be meant; one that is nearly one of ours is a slip."""
    fields = {rule.field for rule in shipped().rules}
    for rule in table.rules:
        if rule.field not in fields and not rule.field.startswith("labels.") and (hint := _hint(rule.field)):
            raise SettingError(f'{origin}: no field "{rule.field}": {hint}')


def _hint(field: str) -> str:
    near = difflib.get_close_matches(field, {rule.field for rule in shipped().rules}, 1, 0.9)
    return f"did you mean {near[0]}?" if near else ""


def _names(given: Any, where: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
        raise ValueError(f'{where}: expected a list of names, as in ["name", "other_name"]')
    return given
