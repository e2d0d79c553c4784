"""What clients of Elasticsearch ask before, beside and after they send: answered as they expect it.

The version is that of the protocol which is spoken here, not of a product: clients choose by it how they write. Who
wants to know what this is finds ``clusterlog`` in ``GET /``.
"""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from clusterlog import __version__
from clusterlog.encode.compact import dumps
from clusterlog.errors import StoreUnavailable
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web.faults import JSON, UNAVAILABLE, Fault

PROTOCOL = "8.19.0"
_ID = "clusterlog"


def told(document: dict[str, Any]) -> Response:
    """A JSON answer."""
    return Response(dumps(document), media_type=JSON)


class Courtesies:
    """Answers for a server on the node ``name``."""

    def __init__(self, name: str, store: EmbeddedStore) -> None:
        self._name = name
        self._store = store

    async def root(self, request: Request) -> Response:
        """``GET /``: what this is."""
        version = {
            "number": PROTOCOL,
            "build_flavor": "clusterlog",
            "build_type": "clusterlog",
            "lucene_version": "none",
            "minimum_wire_compatibility_version": PROTOCOL,
            "minimum_index_compatibility_version": PROTOCOL,
        }
        return told(
            {
                "name": self._name,
                "cluster_name": _ID,
                "cluster_uuid": _ID,
                "version": version,
                "tagline": "clusterlog serve: takes _bulk, answers /api/v1",
                "clusterlog": {"version": __version__},
            }
        )

    async def license(self, request: Request) -> Response:
        """``GET /_license``: nothing here needs one."""
        return told({"license": {"status": "active", "uid": _ID, "type": "basic", "issued_to": _ID, "issuer": _ID}})

    async def health(self, request: Request) -> Response:
        """``GET /_cluster/health``: whoever answers is well."""
        nodes = {"number_of_nodes": 1, "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1}
        idle = dict.fromkeys(
            ("relocating_shards", "initializing_shards", "unassigned_shards", "number_of_pending_tasks"), 0
        )
        return told({"cluster_name": _ID, "status": "green", "timed_out": False, **nodes, **idle})

    async def node(self, request: Request) -> Response:
        """``GET /_nodes/_local``: the version again, where those look who do not trust ``GET /``."""
        node = {"name": self._name, "version": PROTOCOL, "build_flavor": "clusterlog", "roles": ["data", "ingest"]}
        counted = {"total": 1, "successful": 1, "failed": 0}
        return told({"_nodes": counted, "cluster_name": _ID, "nodes": {_ID: node}})

    async def refresh(self, request: Request) -> Response:
        """``_refresh``: all that was answered so far is found now. Raises Fault where that cannot be."""
        try:
            await to_thread.run_sync(self._store.flush)
        except StoreUnavailable as error:
            raise Fault(503, UNAVAILABLE, str(error)) from None
        return told({"_shards": {"total": 1, "successful": 1, "failed": 0}})
