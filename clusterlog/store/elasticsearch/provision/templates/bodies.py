"""The bodies of our templates for one server and one choice of retention and replicas. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from clusterlog import __version__
from clusterlog.store.elasticsearch.provision.comparison import Body
from clusterlog.store.elasticsearch.provision.templates.fields import ECS, TEXT, any_text, dynamic_templates, properties
from clusterlog.store.elasticsearch.streams import PATTERN

SETTINGS, MAPPINGS, CUSTOM, INDEX = "clusterlog@settings", "clusterlog@mappings", "clusterlog@custom", "clusterlog"
"""Names of the component templates, of which ``CUSTOM`` is the user's own and never written, and the index template."""
PRIORITY = 200
"""Above Elasticsearch's own template for ``logs-*-*``, which has 100."""
OWNER = "clusterlog"
FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides: ``retention`` as Elasticsearch writes times (``30d``) or ``FOREVER``.

    ``replicas`` of every shard, ``None`` for one where there is a second node to hold it.
    """

    retention: str = "30d"
    replicas: int | None = None


def meta(about: str) -> Body:
    """By what our own is known from what others made; Kibana warns before it lets anybody edit what is managed."""
    return {"managed": True, "managed_by": OWNER, "version": __version__, "description": about}


def component_templates(present: frozenset[str], choice: Choice) -> dict[str, Body]:
    """Name → body of each component template of ours, for a server with these features."""
    settings, mappings = _settings(present), _mappings(present)
    digest = _digest({"settings": settings, "mappings": mappings, ECS: ECS in present})
    made_by = {OWNER: {"version": __version__, "generation": digest}}
    replicas = (
        {"index.auto_expand_replicas": "0-1"}
        if choice.replicas is None
        else {"index.number_of_replicas": str(choice.replicas)}
    )
    return {
        SETTINGS: {
            "template": {"settings": {**settings, **replicas}},
            "_meta": meta("How indices of clusterlog's events are kept"),
        },
        MAPPINGS: {
            "template": {"mappings": {"_meta": made_by, **mappings}},
            "_meta": meta("The fields of clusterlog's events"),
        },
    }


def index_template(present: frozenset[str], choice: Choice, *, custom: bool) -> Body:
    """The body of the index template; ``custom``: the user's component template is there."""
    template: Body = {}
    if "lifecycle" in present:
        template["lifecycle"] = lifecycle(choice)
    if "failure_store" in present:
        template["data_stream_options"] = {"failure_store": {"enabled": True}}
    optional = "optional_components" in present
    # Of settings and fields those of the last one win, of dynamic templates those of the first: what has one for any
    # text comes last, so that those of the user are asked before.
    composed = [SETTINGS, MAPPINGS, *([CUSTOM] if optional or custom else [])]
    if ECS in present:
        composed.append(ECS)
    else:
        template["mappings"] = {"dynamic_templates": [any_text()]}
    return {
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "data_stream": {},
        "composed_of": composed,
        **({"ignore_missing_component_templates": [CUSTOM]} if optional else {}),
        "template": template,
        "_meta": meta("Data streams of clusterlog's events"),
    }


def lifecycle(choice: Choice) -> Body:
    """How long a data stream keeps its events."""
    return {"enabled": True, **({} if choice.retention == FOREVER else {"data_retention": choice.retention})}


def generation(components: dict[str, Body]) -> str:
    """What tells indices that are made by these component templates from indices made by others of ours."""
    return generation_of(components[MAPPINGS]["template"]["mappings"]["_meta"])[1]


def generation_of(mapping_meta: object) -> tuple[str, str]:
    """Version of clusterlog and generation by which an index was made, from its mapping's ``_meta``; empty if not."""
    told = mapping_meta.get(OWNER) if isinstance(mapping_meta, dict) else None
    if not isinstance(told, dict):
        return "", ""
    return str(told.get("version") or ""), str(told.get("generation") or "")


def _settings(present: frozenset[str]) -> Body:
    """Settings under their dotted names, with values as texts, as servers tell them."""
    settings = {"index.mode": "logsdb"} if "logsdb" in present else {"index.codec": "best_compression"}
    settings["index.mapping.ignore_malformed"] = "true"
    if "spare_fields" in present:
        settings["index.mapping.total_fields.ignore_dynamic_beyond_limit"] = "true"
    return {**settings, "index.query.default_field": TEXT.split()}


def _mappings(present: frozenset[str]) -> Body:
    return {
        "date_detection": False,
        "dynamic_templates": dynamic_templates(),
        "properties": properties(present),
    }


def _digest(body: Body) -> str:
    """What two equal bodies have in common, and no other has."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]
