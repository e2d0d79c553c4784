"""The readable files of what clusterlog puts into Kibana, read and checked: each mistake with its file and place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from clusterlog.errors import SettingError
from clusterlog.store.kibana.measures import Breakdown, Measure, breakdown, measure, order, sorting

COLUMNS = 48
"""How wide Kibana's grid is."""
FORMATS = ("duration from nanoseconds", "duration from seconds", "bytes", "identifier")
KINDS = ("stacked bars", "lines", "table", "number", "text", "session")
_CHARTS = ("stacked bars", "lines")
_PACKAGED = Path(__file__).parent / "sources"
_CHECKOUT = Path(__file__).parents[3] / "kibana"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class DataView:
    """Which indices are looked at, and how their fields are shown: links, formats and what is said about a field."""

    name: str
    title: str
    pattern: str
    time: str
    links: Mapping[str, str]
    formats: Mapping[str, str]
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """A list of events in Discover: its query, columns and sort, each of field and ``asc`` or ``desc``."""

    name: str
    title: str
    about: str
    query: str
    columns: tuple[str, ...]
    sort: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Control:
    """A choice of values of a field above a dashboard; ``single``: one at a time."""

    field: str
    title: str
    single: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One part of a dashboard.

    ``at`` are column, row, width and height on the grid. ``over`` is the time field of a chart, ``split`` what its
    bars or lines are, ``rows`` what the rows of a table are; ``order`` is the label of the measure by which they are
    ordered, and the direction. ``text`` is Markdown, ``session`` names a session that stands here.
    """

    title: str
    kind: str
    at: tuple[int, int, int, int]
    query: str = ""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    over: str = ""
    split: Breakdown | None = None
    rows: tuple[Breakdown, ...] = ()
    order: tuple[str, str] = ("", "desc")
    colours: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    session: str = ""

    @property
    def id(self) -> str:
        """Its name within the dashboard, from its title."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels on a grid, controls above them; it opens with the time from ``since`` until now."""

    name: str
    title: str
    about: str
    since: str
    refresh_s: int
    controls: tuple[Control, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """All there is: one data view, and sessions and dashboards by their names."""

    view: DataView
    sessions: tuple[Session, ...]
    dashboards: tuple[Dashboard, ...]


def folder() -> Path:
    """Where the files are: with the package where it is installed, else in the checkout it runs from."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def read(directory: Path | None = None) -> Sources:
    """Read every file of a folder. Raises SettingError with the file, the place in it and what was expected."""
    directory = folder() if directory is None else directory
    files = sorted(directory.glob("*.toml"))
    found: list[DataView | Session | Dashboard] = [_file(path) for path in files]
    views = [each for each in found if isinstance(each, DataView)]
    if len(views) != 1:
        raise SettingError(f"{directory}: expected one data view among {len(files)} files, found {len(views)}")
    sessions = tuple(each for each in found if isinstance(each, Session))
    dashboards = tuple(each for each in found if isinstance(each, Dashboard))
    names = {each.name for each in sessions}
    for dashboard in dashboards:
        for panel in dashboard.panels:
            if panel.session and panel.session not in names:
                raise SettingError(
                    f"{directory / dashboard.name}.toml: panel {panel.title!r}: no session {panel.session!r}, there "
                    f"are {', '.join(sorted(names))}"
                )
    return Sources(views[0], sessions, dashboards)


def _file(path: Path) -> DataView | Session | Dashboard:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _made(path.stem, _Table(table))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise SettingError(f"{path}: {error}") from None


def _made(name: str, table: _Table) -> DataView | Session | Dashboard:
    kind = table.text("kind")
    makers: dict[str, Callable[[str, _Table], DataView | Session | Dashboard]] = {
        "data view": _view,
        "session": _session,
        "dashboard": _dashboard,
    }
    if kind not in makers:
        raise ValueError(f"kind = {kind!r}: expected one of {', '.join(makers)}")
    made = makers[kind](name, table)
    table.end()
    return made


def _view(name: str, table: _Table) -> DataView:
    formats = table.texts("formats")
    for each, written in formats.items():
        if written not in FORMATS:
            raise ValueError(f"format {written!r} of {each}: expected one of {', '.join(FORMATS)}")
    title, pattern, time = (table.text(key) for key in ("title", "pattern", "time"))
    return DataView(name, title, pattern, time, table.texts("links"), formats, table.texts("about"))


def _session(name: str, table: _Table) -> Session:
    title, about, query = (table.text(key) for key in ("title", "about", "query"))
    return Session(name, title, about, query, table.words("columns"), tuple(map(sorting, table.words("sort"))))


def _dashboard(name: str, table: _Table) -> Dashboard:
    controls = tuple(map(_control, table.tables("control")))
    panels = tuple(_panel(each) for each in table.tables("panel"))
    ids = [each.id for each in panels]
    if doubled := {each for each in ids if ids.count(each) > 1}:
        raise ValueError(f"two panels are called {doubled.pop()}")
    title, about, since = (table.text(key) for key in ("title", "about", "since"))
    return Dashboard(name, title, about, since, table.number("refresh_s"), controls, panels)


def _control(table: _Table) -> Control:
    made = Control(table.text("field"), table.text("title"), table.flag("single"))
    table.end()
    return made


def _panel(table: _Table) -> Panel:
    title = table.text("title")
    try:
        panel = _shown(title, table)
        table.end()
    except ValueError as error:
        raise ValueError(f"panel {title!r}: {error}") from None
    return panel


def _shown(title: str, table: _Table) -> Panel:
    kind = table.text("kind")
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}: expected one of {', '.join(KINDS)}")
    at = table.place()
    if kind == "text":
        return Panel(title, kind, at, text=table.text("text").strip())
    if kind == "session":
        return Panel(title, kind, at, session=table.text("session"))
    measures = {label: measure(written) for label, written in table.texts("measures").items()}
    if not measures or (kind == "number" and len(measures) > 1):
        raise ValueError("expected one measure" if kind == "number" else "expected measures")
    split = table.text("split", "")
    if split and len(measures) > 1:
        raise ValueError("a split chart has one measure")
    return Panel(
        title,
        kind,
        at,
        query=table.text("query", ""),
        measures=measures,
        over=table.text("over") if kind in _CHARTS else "",
        split=breakdown(split) if split else None,
        rows=tuple(map(breakdown, table.words("rows"))) if kind == "table" else (),
        order=order(table.text("order", ""), tuple(measures)),
        colours=_of_measures(table.texts("colours"), measures),
    )


def _of_measures(colours: dict[str, str], measures: Iterable[str]) -> dict[str, str]:
    for label, colour in colours.items():
        if label not in measures or not re.fullmatch("#[0-9a-f]{6}", colour):
            raise ValueError(f"colour {colour!r} of {label!r}: expected one as #bd271e, of a measure")
    return colours


class _Table:
    """A table of TOML that knows which of its keys were asked for. Every way to ask raises ValueError."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        self._asked: set[str] = set()

    def _value(self, key: str, kind: type[Read], what: str, default: Read | None = None) -> Read:
        self._asked.add(key)
        value = self._table.get(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{key}: expected {what}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text, which is not empty unless there is a default."""
        value = self._value(key, str, "a text", default)
        if not value and default is None:
            raise ValueError(f"{key}: expected a text")
        return value

    def number(self, key: str) -> int:
        """A whole number."""
        return self._value(key, int, "a whole number")

    def flag(self, key: str) -> bool:
        """A yes or no, no where nothing is said."""
        return self._value(key, bool, "true or false", False)

    def words(self, key: str) -> tuple[str, ...]:
        """Texts, one at least."""
        values: Any = self._value(key, list, "a list of texts")
        if not values or not all(isinstance(each, str) for each in values):
            raise ValueError(f"{key}: expected a list of texts")
        return tuple(values)

    def texts(self, key: str) -> dict[str, str]:
        """A table of texts; empty where there is none."""
        values: Any = self._value(key, dict, "a table of texts", {})
        for name, value in values.items():
            if not isinstance(value, str) or not value:
                raise ValueError(f"{key}.{name}: expected a text")
        return dict(values)

    def tables(self, key: str) -> tuple[_Table, ...]:
        """Tables in their order; none where nothing is said."""
        values: Any = self._value(key, list, "tables", [])
        if not all(isinstance(each, dict) for each in values):
            raise ValueError(f"{key}: expected tables")
        return tuple(map(_Table, values))

    def place(self) -> tuple[int, int, int, int]:
        """Column, row, width and height within the grid."""
        values: Any = self._value("at", list, "column, row, width and height")
        if len(values) != 4 or not all(isinstance(each, int) and each >= 0 for each in values):
            raise ValueError("at: expected column, row, width and height")
        column, row, width, height = values
        if not (width and height and column + width <= COLUMNS):
            raise ValueError(f"at: the grid has {COLUMNS} columns")
        return column, row, width, height

    def end(self) -> None:
        """Raise ValueError for what nobody has asked for."""
        if unknown := self._table.keys() - self._asked:
            raise ValueError(f"nothing is known by the name {min(unknown)!r}")
