"""What servers differ in: how each of it is asked for, and what is done without it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterlog.store.elasticsearch.provision.templates.fields import ECS


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing a server may know. ``probe`` is what an index template has that asks for it, over ``BARE``.

    ``what`` names it for people, ``without`` says what is done on a server that does not know it; empty where that is
    nobody's concern. ``reduces``: a template without it is of the reduced profile. ``or_else`` names the feature that
    serves as well.
    """

    name: str
    what: str
    without: str
    probe: Mapping[str, Any] = field(repr=False)
    reduces: bool = True
    or_else: str = ""

    def is_lacking(self, lacks: Container[str]) -> bool:
        """Whether the templates do without it on a server that ``lacks`` these features."""
        return self.name in lacks and (not self.or_else or self.or_else in lacks)


BARE: Mapping[str, Any] = {
    "index_patterns": ["clusterlog-asks-what-this-server-knows"],
    "priority": 8_529_301,
    "data_stream": {},
}
"""A template for streams that never are: it is simulated, which leaves nothing behind."""


def _template(**inside: Any) -> dict[str, Any]:
    return {"template": inside}


def _field(**mapping: Any) -> dict[str, Any]:
    return _template(mappings={"properties": {"asked": mapping}})


FEATURES: tuple[Feature, ...] = (
    Feature(
        "logsdb",
        "index mode logsdb",
        "events take more disk; the codec best_compression stands in",
        _template(settings={"index.mode": "logsdb"}),
    ),
    Feature(
        "lifecycle",
        "data stream lifecycle",
        "nothing here deletes old events: set up what this server has for it, such as Index State Management",
        _template(lifecycle={"enabled": True}),
    ),
    Feature(
        "failure_store",
        "failure store",
        "an event that does not fit the mapping is refused, and kept with the shipper (`clusterlog dead ls`)",
        _template(data_stream_options={"failure_store": {"enabled": True}}),
    ),
    Feature(
        "flattened",
        "field type flattened",
        "labels are a flat_object, which cannot be counted by value",
        _field(type="flattened"),
    ),
    Feature("flat_object", "field type flat_object", "", _field(type="flat_object"), reduces=False),
    Feature(
        "source_keep",
        "synthetic_source_keep",
        "",
        _field(type="flattened", synthetic_source_keep="all"),
        reduces=False,
    ),
    Feature(
        "subobjects",
        "objects without objects in them",
        "of two numbers named a and a.b in clusterlog.metrics one refuses the event of the other",
        _field(type="object", subobjects=False),
        or_else="disable_objects",
    ),
    Feature("disable_objects", "disable_objects", "", _field(type="object", disable_objects=True), reduces=False),
    Feature("match_only_text", "field type match_only_text", "texts are text", _field(type="match_only_text")),
    Feature(
        "spare_fields",
        "ignore_dynamic_beyond_limit",
        "an event with a field beyond the thousandth is refused",
        _template(settings={"index.mapping.total_fields.ignore_dynamic_beyond_limit": True}),
    ),
    Feature(
        "optional_components",
        "ignore_missing_component_templates",
        "clusterlog@custom takes part only if it was there when this ran: run it again after you made one",
        {"composed_of": ["clusterlog@none"], "ignore_missing_component_templates": ["clusterlog@none"]},
    ),
    Feature(
        ECS,
        f"component template {ECS}",
        "a field of ECS that clusterlog does not know is mapped by what its first value is",
        {"composed_of": [ECS]},
    ),
)


def probe(feature: Feature | None = None) -> dict[str, Any]:
    """The body to simulate: for one feature, or without one that of a template every server must take."""
    return {**BARE, **(feature.probe if feature else {})}
