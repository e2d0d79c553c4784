"""A panel's chart, table or number as Kibana's Lens has it: columns that are asked for, and how they are drawn. Pure.

Shapes are those of Kibana 8.9, which later ones read as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterlog.store.kibana.measures import Breakdown, Measure
from clusterlog.store.kibana.sources import Panel

State = dict[str, Any]

LAYER = "layer"
LAYER_REFERENCE = f"indexpattern-datasource-layer-{LAYER}"
RECORDS = "___records___"
TIME, SPLIT = "time", "split"
_OPERATIONS = {"p": "percentile", "unique": "unique_count"}
_SERIES = {"stacked bars": "bar_stacked", "lines": "line"}
_TIMES = frozenset({"@timestamp"})


def attributes(panel: Panel, view_id: str) -> State:
    """The attributes of a panel by value: what it asks for, how that is drawn, and the data view it refers to."""
    columns = dict(_columns(panel))
    drawn = {"table": _table, "number": _number}.get(panel.kind, _chart)
    kind = {"table": "lnsDatatable", "number": "lnsMetric"}.get(panel.kind, "lnsXY")
    layer = {"columns": columns, "columnOrder": list(columns), "incompleteColumns": {}, "sampling": 1}
    return {
        "title": panel.title,
        "description": "",
        "type": "lens",
        "visualizationType": kind,
        "references": [{"type": "index-pattern", "id": view_id, "name": LAYER_REFERENCE}],
        "state": {
            "visualization": drawn(panel),
            "query": kuery(panel.query),
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {LAYER: layer}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def kuery(query: str) -> State:
    """A query in KQL, as everything of Kibana's holds it."""
    return {"language": "kuery", "query": query}


def _columns(panel: Panel) -> Iterator[tuple[str, State]]:
    """Column by its id: what is divided by first, then what is measured."""
    ids = _ids(panel)
    by, direction = panel.order
    ordered = {"orderBy": {"type": "column", "columnId": ids[by]}, "orderDirection": direction}
    if panel.split:
        yield SPLIT, _terms(panel.split, ordered)
    for number, rows in enumerate(panel.rows):
        yield f"row{number}", _terms(rows, ordered)
    if panel.over:
        yield TIME, _over_time(panel.over)
    for label, measure in panel.measures.items():
        yield ids[label], _measured(label, measure)


def _ids(panel: Panel) -> dict[str, str]:
    return {label: f"measure{number}" for number, label in enumerate(panel.measures)}


def _over_time(field: str) -> State:
    return {
        "label": field,
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": field,
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }


def _terms(by: Breakdown, ordered: State) -> State:
    return {
        "label": by.field,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": by.field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": by.size,
            **ordered,
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


def _measured(label: str, measure: Measure) -> State:
    column: State = {
        "label": label,
        "customLabel": True,
        "dataType": "date" if measure.field in _TIMES and measure.function != "unique" else "number",
        "operationType": _OPERATIONS.get(measure.function, measure.function),
        "sourceField": measure.field or RECORDS,
        "isBucketed": False,
        "scale": "ratio",
        "params": {"percentile": measure.percent} if measure.percent else {"emptyAsNull": False},
    }
    if measure.function in ("max", "min", "median"):  # of nothing there is none of these
        column["params"] = {}
    if measure.where:
        column["filter"] = kuery(measure.where)
    return column


def _chart(panel: Panel) -> State:
    ids = _ids(panel)
    layer: State = {
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": _SERIES[panel.kind],
        "xAccessor": TIME,
        "accessors": list(ids.values()),
        **({"splitAccessor": SPLIT} if panel.split else {}),
        "position": "top",
        "showGridlines": False,
    }
    if panel.colours:
        layer["yConfig"] = [{"forAccessor": ids[label], "color": colour} for label, colour in panel.colours.items()]
    return {
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "preferredSeriesType": _SERIES[panel.kind],
        "fittingFunction": "Linear" if panel.kind == "lines" else "None",
        "layers": [layer],
    }


def _table(panel: Panel) -> State:
    ids = [*(f"row{number}" for number, _ in enumerate(panel.rows)), *_ids(panel).values()]
    by, direction = panel.order
    return {
        "layerId": LAYER,
        "layerType": "data",
        "columns": [{"columnId": each, "isTransposed": False} for each in ids],
        "sorting": {"columnId": _ids(panel)[by], "direction": direction},
    }


def _number(panel: Panel) -> State:
    (label, accessor), *_ = _ids(panel).items()
    colour = {"color": panel.colours[label]} if label in panel.colours else {}
    return {"layerId": LAYER, "layerType": "data", "metricAccessor": accessor, **colour}
