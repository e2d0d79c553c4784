"""The type of every field that events have, by which all of them are found alike on every server.

A field that queries take as one value is a ``keyword`` even where ECS would have a ``wildcard``: those are asked for by
equality and counted far more often than searched for a part, and every server has keywords.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IGNORE_ABOVE = 8191
"""Characters. A term has at most 32,766 bytes, and a character of UTF-16 three; a longer value is kept, not found."""
_DEEPEST = 64

TEXT = "message error.message error.stack_trace"
"""Searched by words (as in ``store.document.TEXT_FIELDS``)."""

KEYWORD = """
    clusterlog.client.request_id clusterlog.client.trace_id clusterlog.control.actor clusterlog.control.after
    clusterlog.control.before clusterlog.control.change clusterlog.control.host clusterlog.control.level
    clusterlog.control.logger clusterlog.control.request clusterlog.control.rule clusterlog.control.version
    clusterlog.error.chain.message
    clusterlog.error.chain.relation clusterlog.error.chain.type clusterlog.error.fingerprint
    clusterlog.ingest.format clusterlog.ingest.time clusterlog.parent.span_id clusterlog.repeated.first.message
    clusterlog.repeated.first.time clusterlog.repeated.last.message clusterlog.repeated.last.time clusterlog.route
    clusterlog.session.hash clusterlog.span.began_as clusterlog.span.events.name clusterlog.span.kind
    clusterlog.span.links.span_id clusterlog.span.links.trace_id clusterlog.span.scope clusterlog.span.status
    clusterlog.stack clusterlog.state.instance clusterlog.state.reason clusterlog.template clusterlog.user.key_id

    agent.name agent.type client.address cloud.account.id cloud.availability_zone cloud.provider cloud.region
    container.id container.image.name container.name data_stream.dataset data_stream.namespace data_stream.type
    ecs.version error.code error.id error.type event.action event.category event.code event.dataset event.id
    event.kind event.module event.outcome event.provider event.reason event.timezone event.type host.architecture
    host.hostname host.id host.name http.request.body.content http.request.id http.request.method
    http.request.mime_type http.request.referrer http.response.mime_type http.version log.file.path log.level
    log.logger log.origin.file.name log.origin.function network.protocol observer.name orchestrator.cluster.name
    orchestrator.namespace orchestrator.resource.name organization.id organization.name process.entity_id
    process.executable process.name process.thread.name process.title server.address service.environment service.id
    service.name service.node.name service.state service.type service.version source.address span.id tags trace.id
    transaction.id url.domain url.fragment url.full url.original url.path url.query url.scheme user.hash
    user_agent.name user_agent.original user_agent.version
"""

LONG = """
    clusterlog.call.status_code clusterlog.error.left_out clusterlog.recorded.after clusterlog.repeated.count
    clusterlog.span.dropped.attributes
    clusterlog.span.dropped.events clusterlog.span.dropped.links clusterlog.span.events.offset_ns
    clusterlog.state.backlog_bytes clusterlog.state.backlog_events clusterlog.state.count clusterlog.state.first_seq
    clusterlog.state.last_seq clusterlog.state.torn_bytes clusterlog.websocket.close_code

    client.port event.duration event.sequence event.severity http.request.body.bytes http.request.bytes
    http.response.body.bytes http.response.bytes http.response.status_code log.origin.file.line process.parent.pid
    process.pid process.thread.id server.port source.port url.port
"""

DOUBLE = "clusterlog.state.oldest_age_s"

IP = "client.ip destination.ip host.ip server.ip source.ip"

DATE_NANOS = "event.created event.end event.ingested event.start"
"""Besides ``@timestamp``. Nanoseconds, as milliseconds would find times equal that are not."""

FREE = "labels clusterlog.state.dropped clusterlog.state.levels"
"""Objects whose keys nobody knows before: one field each, whatever is in it."""

METRICS = "clusterlog.metrics"
"""The numbers that somebody named in the setting ``metrics``."""

ECS = "ecs@mappings"
"""The component template of Elasticsearch's own for fields of ECS that nobody has named."""

LOOKED_UP = frozenset("clusterlog.session.hash event.id http.request.id process.entity_id trace.id user.hash".split())
"""Found by their terms, also in an index mode that indexes nothing unless it is told to."""


def properties(present: frozenset[str]) -> dict[str, Any]:
    """The mapping's ``properties``, for a server that has these features (``features.FEATURES``)."""
    types: dict[str, dict[str, Any]] = {
        TEXT: {"type": "match_only_text" if "match_only_text" in present else "text"},
        KEYWORD: {"type": "keyword", "ignore_above": IGNORE_ABOVE},
        LONG: {"type": "long"},
        DOUBLE: {"type": "double"},
        IP: {"type": "ip"},
        DATE_NANOS: {"type": "date_nanos"},
        FREE: _free(present),
        METRICS: {"type": "object", "dynamic": True, **_flat(present)},
    }
    tree: dict[str, Any] = {"@timestamp": {"type": "date_nanos", "ignore_malformed": False}}
    for names, mapping in types.items():
        for name in names.split():
            _put(tree, name, {**mapping, "index": True} if name in LOOKED_UP else dict(mapping))
    return tree


def _free(present: frozenset[str]) -> dict[str, Any]:
    if "flattened" not in present:
        return {"type": "flat_object"}
    # Made anew from columns, a flattened field would come back with its numbers as texts, sorted, without its nulls.
    kept = {"synthetic_source_keep": "all"} if "source_keep" in present else {}
    return {"type": "flattened", "ignore_above": IGNORE_ABOVE, "depth_limit": _DEEPEST, **kept}


def _flat(present: frozenset[str]) -> dict[str, Any]:
    """That dots in names make no objects: of numbers named ``a`` and ``a.b`` only one would have a place."""
    if "subobjects" in present:
        return {"subobjects": False}
    return {"disable_objects": True} if "disable_objects" in present else {}


def _put(tree: dict[str, Any], name: str, mapping: Mapping[str, Any]) -> None:
    *above, last = name.split(".")
    for part in above:
        tree = tree.setdefault(part, {"properties": {}})["properties"]
    tree[last] = mapping


def dynamic_templates() -> list[dict[str, Any]]:
    """How the numbers of one's own are mapped."""
    # Not for "*": where objects have no dotted names, the object on the way to a number would be taken for one.
    return [
        {
            f"clusterlog_metrics_{kind}": {
                "path_match": f"{METRICS}.*",
                "match_mapping_type": kind,
                "mapping": {"type": "double"},
            }
        }
        for kind in ("long", "double")
    ]


def any_text() -> dict[str, Any]:
    """How a text is mapped that has no place at all: as one value."""
    keyword = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
    return {"clusterlog_texts": {"match_mapping_type": "string", "mapping": keyword}}
