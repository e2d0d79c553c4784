"""Saved objects of Kibana, built from the readable sources: data view, Discover sessions, dashboards. Pure.

Each is stamped with the lowest versions that know what is in it: a Kibana refuses what is newer than itself, and
brings what is older up to its own day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clusterlog import __version__
from clusterlog.encode.console import addresses
from clusterlog.encode.console.addresses import object_id
from clusterlog.store.kibana import lens
from clusterlog.store.kibana.sources import Control, Dashboard, DataView, Panel, Session, Sources

Object = dict[str, Any]

DATA_VIEW, SESSION, DASHBOARD = "index-pattern", "search", "dashboard"
STAMPS = {DATA_VIEW: "8.0.0", SESSION: "8.0.0", DASHBOARD: "8.9.0"}
CORE = "8.8.0"
SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
_MARK = re.compile(r"Made by clusterlog (?P<version>[0-9][\w.+]*), (?P<generation>[0-9a-f]{12})\.")
_MARKED_FIELD = "ecs.version"
"""A data view has no description of its own; that of this field says who made it."""
_FORMATS: Mapping[str, Object] = {
    "duration from nanoseconds": {"inputFormat": "nanoseconds"},
    "duration from seconds": {"inputFormat": "seconds"},
}
_SHORT = {"outputFormat": "humanizePrecise", "outputPrecision": 2, "includeSpaceWithSuffix": True}
_SHORT_UNITS = {"showSuffix": True, "useShortSuffix": True}


def build(sources: Sources, space: str = "") -> tuple[Object, ...]:
    """Every saved object for a space, what others refer to before those that do."""
    made = [_view(sources.view, space)]
    made += [_session(each, space) for each in sources.sessions]
    made += [_dashboard(each, space) for each in sources.dashboards]
    return tuple(_marked(each) for each in made)


def ndjson(objects: Iterable[Object]) -> bytes:
    """The file that Kibana imports: one object a line."""
    return b"".join(_json(each).encode() + b"\n" for each in objects)


def mark_of(found: Mapping[str, Any]) -> tuple[str, str]:
    """Version of clusterlog and generation by which an object was made, empty if not by clusterlog."""
    attributes = found.get("attributes")
    told = attributes if isinstance(attributes, Mapping) else {}
    text = told.get("fieldAttrs" if found.get("type") == DATA_VIEW else "description")
    read = _MARK.search(text) if isinstance(text, str) else None
    return (read["version"], read["generation"]) if read else ("", "")


def is_ours(found: Mapping[str, Any]) -> bool:
    """Whether clusterlog made an object that has one of its ids.

    A Kibana that has rewritten the text with the mark still tells an object that nobody could edit.
    """
    return bool(mark_of(found)[0]) or found.get("managed") is True


def _marked(made: Object) -> Object:
    """With who made it, and from what: two that are built alike have one generation."""
    generation = hashlib.sha256(_json(made).encode()).hexdigest()[:12]
    mark = f"Made by clusterlog {__version__}, {generation}."
    attributes = dict(made["attributes"])
    if made["type"] == DATA_VIEW:
        about = json.loads(attributes["fieldAttrs"])
        attributes["fieldAttrs"] = _json({**about, _MARKED_FIELD: {"customDescription": mark}})
    else:
        attributes["description"] = f"{attributes['description']} {mark}"
    return {**made, "attributes": attributes}


def _object(kind: str, name: str, space: str, attributes: Object, references: list[Object]) -> Object:
    return {
        "type": kind,
        "id": object_id(name, space),
        "attributes": attributes,
        "references": references,
        "managed": True,  # Kibana lets nobody change it, but for a copy, so that no edit is lost by an update
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": STAMPS[kind],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _view(view: DataView, space: str) -> Object:
    formats = {field: _format(written) for field, written in view.formats.items()}
    links = {field: _link(field, space) for field in view.links}
    about = {field: {"customDescription": text} for field, text in view.about.items()}
    for field, text in view.links.items():
        told = about.get(field, {"customDescription": ""})["customDescription"]
        about[field] = {"customDescription": f"{told} A click shows {text}.".strip()}
    attributes = {
        "title": view.pattern,
        "name": view.title,
        "timeFieldName": view.time,
        "allowNoIndex": True,  # nothing need have been logged before
        "fieldFormatMap": _json({**links, **formats}),
        "fieldAttrs": _json(about),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
    }
    return _object(DATA_VIEW, view.name, space, attributes, [])


def _format(written: str) -> Object:
    if written == "bytes":
        return {"id": "bytes", "params": {"pattern": "0,0.[0] b"}}
    if written == "identifier":
        return {"id": "number", "params": {"pattern": "0"}}
    return {"id": "duration", "params": {**_FORMATS[written], **_SHORT, **_SHORT_UNITS}}


def _link(field: str, space: str) -> Object:
    """What a click on a value leads to: in the same Kibana, whatever its address is, and in the same tab."""
    placeholder = "VALUE"
    parameters = addresses.locator(space, addresses.is_(field, placeholder), addresses.EVERYTHING)
    before, after = (addresses.quoted(part) for part in parameters.split(placeholder))
    address = f"/app/r?l=DISCOVER_APP_LOCATOR&v={addresses.OLDEST}&p={before}{{{{value}}}}{after}"
    shown = {"labelTemplate": "{{value}}", "openLinkInCurrentTab": True}
    return {"id": "url", "params": {"type": "a", "urlTemplate": address, **shown}}


def _session(session: Session, space: str) -> Object:
    source = {"query": lens.kuery(session.query), "filter": [], "indexRefName": SOURCE}
    attributes = {
        "title": session.title,
        "description": session.about,
        "columns": list(session.columns),
        "sort": [list(each) for each in session.sort],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json(source)},
    }
    references = [{"type": DATA_VIEW, "id": object_id("events", space), "name": SOURCE}]
    return _object(SESSION, session.name, space, attributes, references)


def _dashboard(dashboard: Dashboard, space: str) -> Object:
    view = object_id("events", space)
    controls = {f"control-{number}": each for number, each in enumerate(dashboard.controls)}
    source = {"query": lens.kuery(""), "filter": []}
    attributes = {
        "title": dashboard.title,
        "description": dashboard.about,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json(source)},
        "panelsJSON": _json([_panel(each, view) for each in dashboard.panels]),
        "optionsJSON": _json({"useMargins": True, "syncColors": False, "syncCursor": True, "syncTooltips": False}),
        "timeRestore": True,
        "timeFrom": dashboard.since,
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": dashboard.refresh_s * 1000},
        "controlGroupInput": _controls(controls),
    }
    references = [each for panel in dashboard.panels for each in _references(panel, view, space)]
    references += [
        {"type": DATA_VIEW, "id": view, "name": f"controlGroup_{each}:optionsListDataView"} for each in controls
    ]
    return _object(DASHBOARD, dashboard.name, space, attributes, references)


def _controls(controls: Mapping[str, Control]) -> Object:
    ignored = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
    panels = {
        each: {
            "type": "optionsListControl",
            "order": number,
            "grow": True,
            "width": "medium",
            "explicitInput": {
                "id": each,
                "fieldName": control.field,
                "title": control.title,
                # What begins with the typed letters is looked up; what contains them is searched for in every value.
                "searchTechnique": "prefix",
                "selectedOptions": [],
                "singleSelect": control.single,
                "runPastTimeout": True,
                "sort": {"by": "_count", "direction": "desc"},
            },
        }
        for number, (each, control) in enumerate(controls.items())
    }
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "ignoreParentSettingsJSON": _json(ignored),
        "panelsJSON": _json(panels),
    }


def _panel(panel: Panel, view_id: str) -> Object:
    column, row, width, height = panel.at
    placed: Object = {
        "version": STAMPS[DASHBOARD],
        "panelIndex": panel.id,
        "gridData": {"x": column, "y": row, "w": width, "h": height, "i": panel.id},
    }
    if panel.kind == "session":
        config: Object = {"title": panel.title, "enhancements": {}}
        return {**placed, "type": SESSION, "panelRefName": f"panel_{panel.id}", "embeddableConfig": config}
    if panel.kind == "text":
        config = {"hidePanelTitles": True, "enhancements": {}, "savedVis": _markdown(panel)}
        return {**placed, "type": "visualization", "embeddableConfig": config}
    config = {"attributes": lens.attributes(panel, view_id), "enhancements": {}}
    if panel.kind == "number":
        config["hidePanelTitles"] = True  # the number has its label
    else:
        config["title"] = panel.title
    return {**placed, "type": "lens", "embeddableConfig": config}


def _markdown(panel: Panel) -> Object:
    source = {"query": lens.kuery(""), "filter": []}
    return {
        "id": "",
        "title": panel.title,
        "description": "",
        "type": "markdown",
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": panel.text},
        "uiState": {},
        "data": {"aggs": [], "searchSource": source},
    }


def _references(panel: Panel, view_id: str, space: str) -> Iterator[Object]:
    if panel.kind == "session":
        yield {"type": SESSION, "id": object_id(panel.session, space), "name": f"{panel.id}:panel_{panel.id}"}
    elif panel.kind != "text":
        yield {"type": DATA_VIEW, "id": view_id, "name": f"{panel.id}:{lens.LAYER_REFERENCE}"}
