"""What a saved object shows, in a few readable lines, whatever version of Kibana has rewritten it. Pure.

It is made from the object alone, ours or one that a Kibana gave back: so two of them can be compared as people would,
and what cannot be read is said to be that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterlog.store.kibana.lens import RECORDS
from clusterlog.store.kibana.objects import DASHBOARD, DATA_VIEW, SESSION

_KINDS = {"lnsXY": "chart", "lnsDatatable": "table", "lnsMetric": "number", "lnsPie": "pie"}
_SERIES = {"bar_stacked": "stacked bars", "line": "lines", "bar": "bars", "area": "area"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel: its ``place`` is column, row, width and height; ``measures`` say what is asked for, field by field."""

    title: str
    kind: str
    query: str
    divided_by: tuple[str, ...]
    measures: tuple[str, ...]
    place: str

    @property
    def fields(self) -> str:
        """What is shown, in one line."""
        by = f" by {', '.join(self.divided_by)}" if self.divided_by else ""
        return f"{'; '.join(self.measures)}{by}"


def outline(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is shown and compared: title, queries, fields, panels by their titles."""
    attributes = _part(found, "attributes")
    kind = found.get("type")
    if kind == DATA_VIEW:
        formats = _parsed(attributes.get("fieldFormatMap"))
        told = {"title": attributes.get("name"), "pattern": attributes.get("title")}
        shown = {field: _format(each) for field, each in sorted(formats.items()) if isinstance(each, dict)}
        return {**told, "time": attributes.get("timeFieldName"), "formats": shown}
    if kind == SESSION:
        inner = _session(attributes)
        source = _parsed(_part(inner, "kibanaSavedObjectMeta").get("searchSourceJSON"))
        query = _part(source, "query").get("query")
        return {
            "title": attributes.get("title"),
            "query": query,
            "columns": inner.get("columns"),
            "sort": inner.get("sort"),
        }
    if kind == DASHBOARD:
        panels = {each.title: f"{each.place}  {_line(each)}" for each in panels_of(found)}
        since = f"{attributes.get('timeFrom')} to {attributes.get('timeTo')}"
        told = {"title": attributes.get("title"), "time": since}
        return {**told, "controls": list(_controls(attributes)), "panels": panels}
    return {"title": attributes.get("title")}


def _line(panel: Shown) -> str:
    where = f"  where {panel.query}" if panel.query else ""
    return f"{panel.kind}: {panel.fields}{where}" if panel.fields else panel.kind


def panels_of(found: Mapping[str, Any]) -> tuple[Shown, ...]:
    """The panels of a dashboard, in the order in which they are read: by rows, then from left to right."""
    read = _parsed(_part(found, "attributes").get("panelsJSON"))
    panels = [each for each in read if isinstance(each, dict)] if isinstance(read, list) else []
    panels.sort(key=lambda each: tuple(_place(each)[at] for at in (1, 0)))
    names = {each.get("name"): each.get("id") for each in found.get("references") or () if isinstance(each, dict)}
    return tuple(_panel(each, names) for each in panels)


def _panel(panel: Mapping[str, Any], names: Mapping[Any, Any]) -> Shown:
    config = _part(panel, "embeddableConfig")
    attributes = _part(config, "attributes")
    place = " ".join(str(each) for each in _place(panel))
    title = str(config.get("title") or panel.get("title") or attributes.get("title") or "")
    if panel.get("type") == SESSION:
        index = panel.get("panelIndex")
        session = str(names.get(f"{index}:panel_{index}") or "?")
        return Shown(title, "session", "", (), (session,), place)
    if panel.get("type") != "lens":
        words = str(_part(_part(config, "savedVis"), "params").get("markdown") or "")
        title = title or str(_part(config, "savedVis").get("title") or "")
        return Shown(title, "text", "", (), (f"{len(words.split())} words",), place)
    state = _part(attributes, "state")
    return Shown(title, _kind(attributes), str(_part(state, "query").get("query") or ""), *_asked(state), place)


def _kind(attributes: Mapping[str, Any]) -> str:
    name = str(attributes.get("visualizationType"))
    series = _part(_part(attributes, "state"), "visualization").get("preferredSeriesType")
    return _SERIES.get(str(series), str(series)) if series else _KINDS.get(name, name)


def _asked(state: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    layers = _part(_part(_part(state, "datasourceStates"), "formBased"), "layers")
    columns = [
        column for layer in layers.values() for column in _part(layer, "columns").values() if isinstance(column, dict)
    ]
    divided = tuple(_divided(each) for each in columns if each.get("isBucketed"))
    return divided, tuple(_measured(each) for each in columns if not each.get("isBucketed"))


def _divided(column: Mapping[str, Any]) -> str:
    size = _part(column, "params").get("size")
    return f"{column.get('sourceField')} top {size}" if size else str(column.get("sourceField"))


def _measured(column: Mapping[str, Any]) -> str:
    name, field = str(column.get("operationType")), column.get("sourceField")
    name = {"unique_count": "unique", "percentile": f"p{_part(column, 'params').get('percentile')}"}.get(name, name)
    asked = name if field == RECORDS else f"{name} {field}"
    where = _part(column, "filter").get("query")
    return f"{asked} where {where}" if where else asked


def _controls(attributes: Mapping[str, Any]) -> Iterator[str]:
    controls = _parsed(_part(attributes, "controlGroupInput").get("panelsJSON"))
    known = [each for each in controls.values() if isinstance(each, dict)] if isinstance(controls, dict) else []
    for each in sorted(known, key=lambda each: str(each.get("order"))):
        yield str(_part(each, "explicitInput").get("fieldName"))


def _session(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a session's columns stand: newer versions of Kibana keep them in tabs."""
    tabs = attributes.get("tabs")
    first = tabs[0] if isinstance(tabs, list) and tabs and isinstance(tabs[0], dict) else {}
    return _part(first, "attributes") or attributes


def _format(told: Mapping[str, Any]) -> str:
    parameters = _part(told, "params")
    shown = parameters.get("urlTemplate") or parameters.get("inputFormat") or parameters.get("pattern") or ""
    return f"{told.get('id')} {shown}".strip()


def _place(panel: Mapping[str, Any]) -> tuple[int, int, int, int]:
    grid = _part(panel, "gridData")
    column, row, width, height = (each if isinstance(each := grid.get(name), int) else 0 for name in "xywh")
    return column, row, width, height


def _part(told: Any, name: str) -> Mapping[str, Any]:
    found = told.get(name) if isinstance(told, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
