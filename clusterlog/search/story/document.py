"""One request as a document for machines: ``clusterlog.trace/1``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict import verdict

SCHEMA = "clusterlog.trace/1"


def document(journey: Journey) -> dict[str, Any]:
    """The request as ``clusterlog.trace/1``: header, verdict, lanes, and the stored documents, untouched, in order.

    What stands beside the documents, ``order``, names for each its lane, its direct causal predecessors, and whether
    it is certain that it comes after the one before it. What is not known is ``None``.
    """
    return {
        "schema": SCHEMA,
        "request": header(journey),
        "verdict": [
            {"kind": sentence.kind, "text": sentence.text, "events": list(sentence.events)}
            for sentence in verdict(journey)
        ],
        "lanes": [
            {"node": lane.node, "service": lane.service, "instance": lane.instance, "clock": asdict(lane.clock)}
            for lane in journey.lanes
        ],
        "events": [entry.event.document for entry in journey.entries],
        "order": [
            {"id": entry.event.id, "lane": entry.lane, "after": list(entry.after), "certain": entry.certain}
            for entry in journey.entries
        ],
    }


def header(journey: Journey) -> dict[str, Any]:
    """What a request is, in short: ``request`` of ``clusterlog.trace/1``."""
    return {
        "id": journey.id,
        "trace_ids": list(journey.trace_ids),
        "method": journey.method or None,
        "route": journey.route or None,
        "status": journey.status,
        "outcome": journey.outcome,
        "started": journey.started or None,
        "duration_ns": journey.duration_ns,
        "nodes": list(journey.nodes),
        "services": list(journey.services),
        "events": len(journey.entries),
        "spans": journey.spans,
    }
