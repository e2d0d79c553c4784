"""One made request of very many events: a shop that asks five others again and again, with lines, steps and calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from clusterlog.store.base import Delivery

ID = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
NODES = ("shop-1", "orders-1", "orders-2", "stock-1", "stock-2", "payments-1")
START_NS = 1_793_707_200_000_000_000
STEP_NS = 100_000
LINES = 6  # in each visit


class _Teller:
    """Numbers what is told, process by process, each event a tenth of a millisecond after the one before."""

    def __init__(self) -> None:
        self.told = 0
        self._sequences = dict.fromkeys(NODES, 0)

    def event(self, node: str, dataset: str, message: str, *, span: str, parent: str = "", **more: Any) -> Delivery:
        self.told += 1
        self._sequences[node] += 1
        sequence, instance = self._sequences[node], f"019ad0{NODES.index(node):026x}"
        at = datetime.fromtimestamp((START_NS + self.told * STEP_NS) // 1_000_000_000, UTC)
        document = {
            "@timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{(START_NS + self.told * STEP_NS) % 1_000_000_000:09d}Z",
            "process": {"pid": 7, "entity_id": instance},
            "ecs": {"version": "9.1.0"},
            "service": {"name": node.rpartition("-")[0], "node": {"name": node}, "environment": "production"},
            "host": {"name": f"host-of-{node}"},
            "message": message,
            "trace": {"id": "7" * 32},
            "span": {"id": span},
            "log": {"level": "info", "logger": f"clusterlog.{dataset}" if dataset != "app" else f"{node}.api"},
            **more,
            "event": {
                "id": f"{instance}-{sequence:011x}",
                "sequence": sequence,
                "kind": "event",
                "dataset": f"clusterlog.{dataset}",
                **more.get("event", {}),
            },
            "http": {**more.get("http", {}), "request": {"id": ID, **more.get("http", {}).get("request", {})}},
            "clusterlog": {**more.get("clusterlog", {}), **({"parent": {"span_id": parent}} if parent else {})},
        }
        return Delivery(f"{instance}-{sequence:011x}", instance, sequence, orjson.dumps(document))


def large_request(count: int) -> Iterator[Delivery]:
    """At least ``count`` events of the request ``ID``, a few more than that."""
    tell, call = _Teller(), 0
    yield tell.event("shop-1", "app", "asking for the catalogue", span="s")
    while tell.told < count - 1:
        call += 1
        node, begin = NODES[1 + call % (len(NODES) - 1)], tell.told
        for line in range(LINES):
            labels = {"sku": call, "quantity": line, "note": "a few words on what is going on"}
            yield tell.event(node, "app", f"line {line} of visit {call}", span=f"v{call}", labels=labels)
        took = {"duration": 3 * STEP_NS, "outcome": "success"}
        yield tell.event(node, "span", "reserve stock", span=f"t{call}", parent=f"v{call}", event=took)
        yield _ended(tell, node, "access", "GET", 200, begin, span=f"v{call}", parent=f"c{call}")
        yield _ended(tell, "shop-1", "call", "GET", 200, begin, span=f"c{call}", parent="s")
        yield tell.event("shop-1", "app", f"item {call} is there", span="s", labels={"item": call})
    yield _ended(tell, "shop-1", "access", "GET", 200, 0, span="s")


def _ended(
    tell: _Teller, node: str, kind: str, method: str, status: int, begin: int, *, span: str, parent: str = ""
) -> Delivery:
    event = {"duration": (tell.told - begin) * STEP_NS, "outcome": "success"}
    request = {"request": {"method": method}}
    url = {"scheme": "http", "domain": "stock", "port": 8001, "path": "/stock/9"}
    if kind == "access":
        own, http = {"route": "/stock/{sku}"}, {**request, "response": {"status_code": status}}
    else:
        own, http = {"call": {"status_code": status}}, request
    return tell.event(
        node, kind, "GET /stock", span=span, parent=parent, event=event, clusterlog=own, http=http, url=url
    )
