"""Two requests compared, as a document for machines: ``clusterlog.diff/1``."""

from __future__ import annotations

from typing import Any

from clusterlog.search.compare.comparison import Comparison, Lone
from clusterlog.search.compare.stretches import visit_node, visit_service
from clusterlog.search.compare.twin import Twin
from clusterlog.search.story.document import header

SCHEMA = "clusterlog.diff/1"


def document(found: Comparison, twin: Twin | None) -> dict[str, Any]:
    """The comparison as ``clusterlog.diff/1``: differences by kind, and every event of both, side by side, by id.

    ``twin`` says why ``b`` was taken; without it somebody named it. Lengths of time are in nanoseconds.
    """
    return {
        "schema": SCHEMA,
        "a": header(found.a),
        "b": header(found.b),
        "twin": twin
        and {"why": twin.why, "among": twin.among, "typical_ns": list(twin.typical_ns), "apart_ns": twin.apart_ns},
        "only_a": [_lone(each) for each in found.only_a],
        "only_b": [_lone(each) for each in found.only_b],
        "slower": [
            {
                "kind": each.kind,
                "text": each.text,
                "a_ns": each.a_ns,
                "b_ns": each.b_ns,
                "a": [event.id for event in each.a],
                "b": [event.id for event in each.b],
            }
            for each in found.delays
        ],
        "changed": [
            {
                "field": each.field,
                "text": each.text,
                "a_value": each.a,
                "b_value": each.b,
                "a": [a.id for a, _ in each.pairs],
                "b": [b.id for _, b in each.pairs],
            }
            for each in found.changes
        ],
        "order": [{"text": each.text, "a": [each.pair[0].id], "b": [each.pair[1].id]} for each in found.moved],
        "aligned": _aligned(found),
    }


def _lone(each: Lone) -> dict[str, Any]:
    return {"text": each.text, "whole": each.whole, "events": [event.id for event in each.events]}


def _aligned(found: Comparison) -> list[dict[str, Any]]:
    """Each stay with its events in order: pairs of ids, ``None`` where one side has none."""
    told = []
    for each in found.stretches:
        visit = each.a or each.b
        assert visit is not None, "one of the two is there"
        told.append(
            {
                "service": visit_service(visit),
                "a": visit_node(each.a) if each.a else None,
                "b": visit_node(each.b) if each.b else None,
                "events": [[a and a.id, b and b.id] for a, b in each.rows()],
            }
        )
    return told
