"""What kind of server it is, and which of the things we would use it knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clusterlog.errors import SettingError, StoreDenied
from clusterlog.store.base import Progress, unseen
from clusterlog.store.elasticsearch.judge import trouble, without_remedies
from clusterlog.store.elasticsearch.provision.templates.features import FEATURES, Feature, probe
from clusterlog.store.elasticsearch.streams import PATTERN
from clusterlog.store.elasticsearch.transport import Answer, Client

_SIMULATED = re.compile(r"index[_ ]template \[simulate_template_[^]]*\] (?:invalid, cause )?")
"""How a server names a template that is only simulated."""
TO_SET_UP = f"setting up needs the cluster rights monitor and manage_index_templates, and manage on {PATTERN}"
_FACTS = "nodes.*.version,nodes.*.build_flavor"


@dataclass(frozen=True, slots=True)
class Server:
    """``lacks`` are the features it does not know, each with its own words for that."""

    flavour: Literal["elasticsearch", "opensearch"]
    version: str
    present: frozenset[str]
    lacks: Mapping[str, str]

    @property
    def profile(self) -> Literal["full", "reduced"]:
        """``full`` if our templates are on it all that they can be."""
        return "reduced" if any(each.reduces and each.is_lacking(self.lacks) for each in FEATURES) else "full"

    @property
    def title(self) -> str:
        """Name and version for people."""
        return f"{'Elasticsearch' if self.flavour == 'elasticsearch' else 'OpenSearch'} {self.version}"

    def left_out(self) -> tuple[tuple[Feature, str], ...]:
        """What our templates do without here, and what the server said to it."""
        lacking = [each for each in FEATURES if each.without and each.is_lacking(self.lacks)]
        return tuple((each, self.lacks[each.name]) for each in lacking)


def ask(client: Client, progress: Progress = unseen) -> Server:
    """Ask a server what it is and what it knows. Nothing is changed: templates are simulated, not made.

    ``progress`` is told how many of the questions were asked. The rights ``monitor`` and ``manage_index_templates`` are
    needed. Raises StoreUnavailable, StoreDenied where a right is lacking, and SettingError for a server that cannot
    hold our data streams at all.
    """
    flavour, version = _identity(client)
    bare = _simulated(client, None)
    if bare.status != 200:
        raise SettingError(f"{client.url}: cannot have data streams: {reason(bare)}")
    lacks = {}
    for number, feature in enumerate(FEATURES):
        answer = _simulated(client, feature)
        progress(number + 1, len(FEATURES))
        if answer.status != 200:
            lacks[feature.name] = reason(answer)
    present = frozenset(each.name for each in FEATURES) - lacks.keys()
    if not present & {"flattened", "flat_object"}:
        raise SettingError(
            f"{client.url}: has no field type for labels: clusterlog needs Elasticsearch 8 or newer, or OpenSearch 2.7"
        )
    return Server(flavour, version, present, lacks)


def _identity(client: Client) -> tuple[Literal["elasticsearch", "opensearch"], str]:
    answer = client.call("GET", "/_nodes/_local/settings", params={"filter_path": _FACTS})
    if answer.status in (404, 405, 410):  # the last one is what a serverless project says
        told = "is no Elasticsearch or OpenSearch that can be set up, as `clusterlog serve` need not be"
        raise SettingError(f"{client.url}: {told}: {reason(answer)}")
    check(answer, "monitor")
    nodes = answer.body.get("nodes") if isinstance(answer.body, dict) else None
    node = next(iter(nodes.values()), None) if isinstance(nodes, dict) else None
    if not isinstance(node, dict) or not isinstance(node.get("version"), str):
        raise SettingError(f"{client.url}: is neither Elasticsearch nor OpenSearch")
    # A build flavour is what OpenSearch's nodes do not tell; the header may be taken away on the way.
    is_elasticsearch = "build_flavor" in node or "x-elastic-product" in answer.headers
    return "elasticsearch" if is_elasticsearch else "opensearch", node["version"]


def _simulated(client: Client, feature: Feature | None) -> Answer:
    answer = client.call("POST", "/_index_template/_simulate", probe(feature))
    if answer.status not in (200, 400):
        check(answer, "manage_index_templates")
    return answer


def check(answer: Answer, right: str) -> None:
    """Raise what an answer that is not 200 means; ``right`` is the privilege that was needed."""
    if answer.status == 200:
        return
    if answer.status == 403:
        because = without_remedies(reason(answer))
        raise StoreDenied(f"{answer.node}: the right {right} is lacking: {because}; {TO_SET_UP}")
    raise trouble(answer)


def reason(answer: Answer) -> str:
    """Why a server refused something: the innermost cause, in one line."""
    error: Any = answer.body.get("error") if isinstance(answer.body, dict) else None
    while isinstance(error, dict) and isinstance(error.get("caused_by"), dict):
        error = error["caused_by"]
    told = error.get("reason") if isinstance(error, dict) else error
    text = told if isinstance(told, str) else f"status {answer.status}"
    text = _SIMULATED.sub("", " ".join(text.split()))
    return (text[1:-1] if text.startswith("[specifies") else text)[:300]
