"""Whether a server can be reached and what we may do there, asked by those who look for what is wrong.

Shipping asks none of this: it needs no right but to create.
"""

from __future__ import annotations

from typing import Any

from clusterlog.errors import StoreUnavailable
from clusterlog.store.elasticsearch.judge import trouble
from clusterlog.store.elasticsearch.transport import Client

SHIP = ("auto_configure", "create_doc")
READ = ("read", "view_index_metadata")
TIMEOUT_S = 5.0
_KEEPS_ITS_NAME = (403, 405)
"""A server that is reached, knows us, and does not say who it is: to us, or to anybody."""


def greeted(client: Client) -> str:
    """What answers there, in words. Raises StoreUnavailable with what is wrong, StoreDenied for credentials."""
    answer = client.call("GET", "/", timeout=TIMEOUT_S)
    if answer.status in _KEEPS_ITS_NAME:
        return "a server that does not tell us its name"
    if answer.status != 200:
        raise trouble(answer)
    if not isinstance(answer.body, dict):
        raise StoreUnavailable(
            f"{answer.node}: answers, but not as a store does: is a proxy or a log-in page in between?"
        )
    ours = _part(answer.body, "clusterlog")
    if ours:
        return f"clusterlog serve {ours.get('version', '')}".strip()
    version = _part(answer.body, "version")
    name = "OpenSearch" if version.get("distribution") == "opensearch" else "Elasticsearch"
    return f"{name} {version.get('number', '')}".strip()


def lacking(client: Client, stream: str) -> dict[str, tuple[str, ...]] | None:
    """The privileges that our credentials lack to ``ship`` into a stream and to ``read`` it.

    ``None`` where the server does not say: without security everybody may do everything. Raises StoreUnavailable.
    """
    asked = {"index": [{"names": [stream], "privileges": [*SHIP, *READ]}]}
    answer = client.call("POST", "/_security/user/_has_privileges", asked, timeout=TIMEOUT_S)
    granted = _part(_part(answer.body, "index"), stream)
    if answer.status != 200 or not granted:
        return None
    wanted = {"ship": SHIP, "read": READ}
    return {what: tuple(each for each in names if granted.get(each) is not True) for what, names in wanted.items()}


def _part(told: Any, name: str) -> dict[str, Any]:
    found = told.get(name) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else {}
