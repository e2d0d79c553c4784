"""What Kibana's saved objects may hold, written from what is known of them: strict, so that what is unknown is wrong.

A schema is a type, a list with the schema of its items, or a dict of members, whose names end in ``?`` if they may be
missing. Texts that hold JSON are parsed and held against a schema of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COLUMNS = 48


@dataclass(frozen=True)
class Json:
    """A text that holds JSON."""

    schema: Any


@dataclass(frozen=True)
class Each:
    """An object of which any names are known, with the schema of its values."""

    schema: Any


@dataclass(frozen=True)
class Matching:
    """A text of this form."""

    pattern: str


class In(tuple):
    """One of these values."""

    __slots__ = ()


class OneOf(tuple):
    """What fits one of these schemas."""

    __slots__ = ()


def violations(value: Any, schema: Any, path: str = "") -> Iterator[str]:
    """What in a value does not fit a schema, each with its place."""
    match schema:
        case In():
            if value not in schema:
                yield f"{path}: {value!r} is none of {schema}"
        case OneOf():
            found = [list(violations(value, each, path)) for each in schema]
            if all(found):
                yield min(found, key=len)[0]
        case Json():
            try:
                parsed = json.loads(value)
            except (TypeError, ValueError):
                yield f"{path}: {value!r} is no text that holds JSON"
            else:
                yield from violations(parsed, schema.schema, f"{path}()")
        case Each():
            if not isinstance(value, dict):
                yield f"{path}: {value!r} is no object"
            else:
                for name, inner in value.items():
                    yield from violations(inner, schema.schema, f"{path}.{name}")
        case Matching():
            if not isinstance(value, str) or not re.fullmatch(schema.pattern, value, re.DOTALL):
                yield f"{path}: {value!r} is not as {schema.pattern}"
        case list():
            if not isinstance(value, list):
                yield f"{path}: {value!r} is no list"
            else:
                for number, inner in enumerate(value):
                    yield from violations(inner, schema[0], f"{path}[{number}]")
        case dict():
            yield from _members(value, schema, path)
        case _ if schema is int:
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                yield f"{path}: {value!r} is no number"
        case _:
            if not isinstance(value, schema):
                yield f"{path}: {value!r} is no {schema.__name__}"


def _members(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    known = {name.removesuffix("?"): (inner, name.endswith("?")) for name, inner in schema.items()}
    for name in value.keys() - known.keys():
        yield f"{path}.{name}: is not known"
    for name, (inner, optional) in known.items():
        if name in value:
            yield from violations(value[name], inner, f"{path}.{name}")
        elif not optional:
            yield f"{path}.{name}: is missing"


TEXT = Matching(r"\S.*")
FIELD = Matching(r"[@a-z_][\w.@]*")
ID = Matching(r"clusterlog-[a-z0-9-]+(\.[a-z0-9_-]+)?")
KUERY = {"language": In(("kuery",)), "query": str}
NOTHING = In(([],))

_LINK = {
    "id": In(("url",)),
    "params": {
        "type": In(("a",)),
        "urlTemplate": Matching(r"(/app/|#/|\.\./app/|https?://|mailto:)[!-~]*\{\{(value|rawValue)\}\}[!-~]*"),
        "labelTemplate": TEXT,
        "openLinkInCurrentTab": bool,
    },
}
_DURATION = {
    "id": In(("duration",)),
    "params": {
        "inputFormat": In(("nanoseconds", "microseconds", "milliseconds", "seconds", "minutes")),
        "outputFormat": In(("humanize", "humanizePrecise", "asSeconds", "asMilliseconds")),
        "outputPrecision?": int,
        "includeSpaceWithSuffix?": bool,
        "showSuffix?": bool,
        "useShortSuffix?": bool,
    },
}
_NUMBER = {"id": In(("number", "bytes")), "params": {"pattern": TEXT}}

DATA_VIEW = {
    "title": TEXT,
    "name": TEXT,
    "timeFieldName": FIELD,
    "allowNoIndex": bool,
    "fieldFormatMap": Json(Each(OneOf((_LINK, _DURATION, _NUMBER)))),
    "fieldAttrs": Json(Each({"customDescription?": Matching(r".{1,300}"), "customLabel?": TEXT, "count?": int})),
    "runtimeFieldMap": Json(Each(dict)),
    "sourceFilters": Json([{"value": TEXT}]),
}

_SOURCE = {"query": KUERY, "filter": NOTHING}
SESSION = {
    "title": TEXT,
    "description": str,
    "columns": [FIELD],
    "sort": [[TEXT]],
    "grid": dict,
    "hideChart": bool,
    "isTextBasedQuery": In((False,)),
    "rowHeight?": int,
    "sampleSize?": int,
    "viewMode?": TEXT,
    "kibanaSavedObjectMeta": {
        "searchSourceJSON": Json({**_SOURCE, "indexRefName": In(("kibanaSavedObjectMeta.searchSourceJSON.index",))})
    },
}

_CONTROL = {
    "type": In(("optionsListControl",)),
    "order": int,
    "grow": bool,
    "width": In(("small", "medium", "large")),
    "explicitInput": {
        "id": TEXT,
        "fieldName": FIELD,
        "title": TEXT,
        "searchTechnique": In(("prefix", "exact", "wildcard")),
        "selectedOptions": [str],
        "singleSelect": bool,
        "runPastTimeout": bool,
        "sort": {"by": In(("_count", "_key")), "direction": In(("asc", "desc"))},
    },
}
_IGNORED = {"ignoreFilters": bool, "ignoreQuery": bool, "ignoreTimerange": bool, "ignoreValidations": bool}

_COLUMN = {"label": TEXT, "customLabel?": bool, "sourceField": OneOf((FIELD, In(("___records___",)))), "scale": TEXT}
_OVER_TIME = {
    **_COLUMN,
    "dataType": In(("date",)),
    "operationType": In(("date_histogram",)),
    "isBucketed": In((True,)),
    "params": {"interval": In(("auto",)), "includeEmptyRows": bool, "dropPartials": bool},
}
_TERMS = {
    **_COLUMN,
    "dataType": In(("string",)),
    "operationType": In(("terms",)),
    "isBucketed": In((True,)),
    "params": {
        "size": int,
        "orderBy": {"type": In(("column",)), "columnId": TEXT},
        "orderDirection": In(("asc", "desc")),
        "otherBucket": bool,
        "missingBucket": bool,
        "parentFormat": {"id": In(("terms",))},
    },
}
_MEASURE = {
    **_COLUMN,
    "dataType": In(("number", "date")),
    "operationType": In(("count", "unique_count", "sum", "max", "min", "median", "percentile")),
    "isBucketed": In((False,)),
    "filter?": KUERY,
    "params": {"emptyAsNull?": bool, "percentile?": int},
}
_LAYER = {
    "columns": Each(OneOf((_OVER_TIME, _TERMS, _MEASURE))),
    "columnOrder": [TEXT],
    "incompleteColumns": In(({},)),
    "sampling": In((1,)),
}
_DRAWN_LAYER = {
    "layerId": TEXT,
    "layerType": In(("data",)),
    "seriesType": In(("bar_stacked", "line")),
    "xAccessor": TEXT,
    "accessors": [TEXT],
    "splitAccessor?": TEXT,
    "position": In(("top",)),
    "showGridlines": bool,
    "yConfig?": [{"forAccessor": TEXT, "color": Matching("#[0-9a-f]{6}")}],
}
_CHART = {
    "legend": {"isVisible": bool, "position": In(("right", "bottom", "top", "left"))},
    "valueLabels": In(("hide", "show")),
    "preferredSeriesType": In(("bar_stacked", "line")),
    "fittingFunction": In(("None", "Linear", "Zero")),
    "layers": [_DRAWN_LAYER],
}
_TABLE = {
    "layerId": TEXT,
    "layerType": In(("data",)),
    "columns": [{"columnId": TEXT, "isTransposed": bool}],
    "sorting": {"columnId": TEXT, "direction": In(("asc", "desc"))},
}
_METRIC = {"layerId": TEXT, "layerType": In(("data",)), "metricAccessor": TEXT, "color?": Matching("#[0-9a-f]{6}")}


def _lens(kind: str, drawn: Any) -> dict[str, Any]:
    return {
        "title": TEXT,
        "description": str,
        "type": In(("lens",)),
        "visualizationType": In((kind,)),
        "references": [{"type": In(("index-pattern",)), "id": ID, "name": TEXT}],
        "state": {
            "visualization": drawn,
            "query": KUERY,
            "filters": NOTHING,
            "datasourceStates": {"formBased": {"layers": Each(_LAYER)}},
            "internalReferences": NOTHING,
            "adHocDataViews": In(({},)),
        },
    }


_PLACED = {
    "version": Matching(r"8\.\d+\.0"),
    "panelIndex": TEXT,
    "gridData": {"x": int, "y": int, "w": int, "h": int, "i": TEXT},
}
_CONFIG = {"title?": TEXT, "hidePanelTitles?": bool, "enhancements": In(({},))}
_PANEL = OneOf(
    (
        *(
            {
                **_PLACED,
                "type": In(("lens",)),
                "embeddableConfig": {**_CONFIG, "attributes": _lens(kind, drawn)},
            }
            for kind, drawn in (("lnsXY", _CHART), ("lnsDatatable", _TABLE), ("lnsMetric", _METRIC))
        ),
        {**_PLACED, "type": In(("search",)), "panelRefName": TEXT, "embeddableConfig": _CONFIG},
        {
            **_PLACED,
            "type": In(("visualization",)),
            "embeddableConfig": {
                **_CONFIG,
                "savedVis": {
                    "id": str,
                    "title": TEXT,
                    "description": str,
                    "type": In(("markdown",)),
                    "params": {"fontSize": int, "openLinksInNewTab": bool, "markdown": TEXT},
                    "uiState": In(({},)),
                    "data": {"aggs": NOTHING, "searchSource": _SOURCE},
                },
            },
        },
    )
)
DASHBOARD = {
    "title": TEXT,
    "description": str,
    "kibanaSavedObjectMeta": {"searchSourceJSON": Json(_SOURCE)},
    "panelsJSON": Json([_PANEL]),
    "optionsJSON": Json({"useMargins": bool, "syncColors": bool, "syncCursor": bool, "syncTooltips": bool}),
    "timeRestore": bool,
    "timeFrom": Matching(r"now-\d+[mhd]"),
    "timeTo": In(("now",)),
    "refreshInterval": {"pause": bool, "value": int},
    "controlGroupInput": {
        "controlStyle": In(("oneLine", "twoLine")),
        "chainingSystem": In(("HIERARCHICAL", "NONE")),
        "ignoreParentSettingsJSON": Json(_IGNORED),
        "panelsJSON": Json(Each(_CONTROL)),
    },
}
ATTRIBUTES = {"index-pattern": DATA_VIEW, "search": SESSION, "dashboard": DASHBOARD}


def object_violations(made: Any) -> list[str]:
    """What in a saved object is not as it may be."""
    kind = made.get("type") if isinstance(made, dict) else None
    schema = {
        "type": In(tuple(ATTRIBUTES)),
        "id": ID,
        "attributes": ATTRIBUTES.get(kind, dict),
        "references": [{"type": In(tuple(ATTRIBUTES)), "id": ID, "name": TEXT}],
        "managed": bool,
        "coreMigrationVersion": Matching(r"8\.\d+\.0"),
        "typeMigrationVersion": Matching(r"(8|10)\.\d+\.0"),
    }
    return list(violations(made, schema))
