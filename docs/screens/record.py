"""Choose some requests of a demo's home for the screens, and give what is of one machine the names of a cluster.

``record.py HOME > events.ndjson``, after ``clusterlog demo --requests 30 --home HOME``. Each node gets a host of its
own, whose clock is off by what ``SKEW_MS`` says; ports and paths get names; each process's events are numbered anew,
since only some are taken. One failing request is told as if two of its events had been lost. ``draw.py`` knows the ids.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from clusterlog.search.instant import instant, rfc3339
from clusterlog.search.requests import requests
from clusterlog.search.story.event import Document, text
from clusterlog.store.document import parse
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Exists, Query

SKEW_MS = {"payments-1": -3800}
SERVED = {"/orders": "orders:8002", "/charges": "payments:8003", "/charge": "bank.example", "/stock": "orders:8002"}
PATHS = (
    (r'[^" ]*/site-packages/', "/srv/shop/.venv/lib/python3.11/site-packages/"),
    (r'[^" ]*/lib/python3\.\d+/(?!site-packages)', "/usr/lib/python3.11/"),
    (r'[^" ]*/clusterlog/cli/demo/services/', "/srv/shop/"),
    (r'[^" ]*/clusterlog/integrations/', "/srv/shop/.venv/lib/python3.11/site-packages/clusterlog/integrations/"),
)
TAKEN = {"failed": 3, "slow": 1, "large": 2, "small": 3}


def main(home: Path) -> None:
    """Write the events to standard output, one a line."""
    store = EmbeddedStore.open(home / "store", "read")
    everything = [parse(each.body) for each in store.find(Query(order="oldest", limit=None))]
    kinds = _kinds(store)
    lossy = [request for request, kind in kinds.items() if kind == "failed"][-1]
    taken = [each for each in everything if text(each, "http.request.id") in kinds]
    lost = _lost(taken, lossy)
    instances = {text(each, "process.entity_id") for each in taken}
    ends = [
        each
        for each in everything
        if text(each, "event.action") in ("open", "close") and text(each, "process.entity_id") in instances
    ]
    chosen = sorted([*taken, *ends], key=lambda each: each["event"]["sequence"])
    for event in _numbered(_named(chosen, _ports(everything)), lost):
        sys.stdout.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


def _kinds(store: EmbeddedStore) -> dict[str, str]:
    """The requests to take: so many that failed, were slow, or went well in three services or in one."""
    left, kinds = Counter(TAKEN), {}
    for row in requests(store, Query(Exists("http.request.id"), limit=None)).rows:
        size = "large" if row.events > 10 else "small"
        kind = "failed" if row.outcome == "failed" else "slow" if row.level == "warning" else size
        if kind == "slow" and "orders-1" not in row.nodes:
            continue  # the events are lost on the other node
        if left[kind]:
            left[kind] -= 1
            kinds[row.id] = kind
    return kinds


def _lost(events: list[Document], request: str) -> set[str]:
    """Two neighbouring events of orders in the midst of that request, as if the disk had been full."""
    of_orders = [each for each in events if text(each, "service.name") == "orders"]
    of_orders.sort(key=lambda each: (text(each, "process.entity_id"), each["event"]["sequence"]))
    for first in range(1, len(of_orders) - 2):
        around = of_orders[first - 1 : first + 3]
        owners = {(text(each, "process.entity_id"), text(each, "http.request.id")) for each in around}
        if len(owners) == 1 and text(around[0], "http.request.id") == request:
            return {text(each, "event.id") for each in around[1:3]}
    raise SystemExit("that request has no four neighbouring events of orders: record another run")


def _ports(events: list[Document]) -> dict[str, str]:
    """Which port of this machine served whom."""
    found = {}
    for each in events:
        port = (each.get("url") or {}).get("port")
        path = text(each, "url.path")
        if text(each, "event.dataset") == "clusterlog.call" and port:
            found[str(port)] = next((name for begin, name in SERVED.items() if path == begin), f"port-{port}")
        for address, path in re.findall(r"127\.0\.0\.1:(\d+)(/\w+)", json.dumps(each)):
            if path in SERVED:
                found.setdefault(address, SERVED[path])
    return found


def _named(events: list[Document], ports: dict[str, str]) -> list[Any]:
    named = []
    for event in events:
        written = json.dumps(event, ensure_ascii=False)
        for port, name in ports.items():
            written = written.replace(f"127.0.0.1:{port}", name)
        told = json.loads(written)
        node = text(told, "service.node.name")
        told["host"] = {"name": f"{node}.example"}
        at = instant(told["@timestamp"]) or 0
        told["@timestamp"] = rfc3339(at + SKEW_MS.get(node, 0) * 1_000_000)
        if (url := told.get("url")) and str(url.get("port")) in ports:
            domain, _, port = ports[str(url.pop("port"))].partition(":")
            url["domain"] = domain
            if port:
                url["port"] = int(port)
        if trace := (told.get("error") or {}).get("stack_trace"):
            for pattern, path in PATHS:
                trace = re.sub(pattern, path, trace)
            told["error"]["stack_trace"] = trace
        named.append(told)
    return named


def _numbered(events: list[Any], lost: set[str]) -> list[Any]:
    """Each process's events from 1 on without gaps, but for those that are lost, which a drop event accounts for."""
    numbers: Counter[str] = Counter()
    missing: dict[str, list[int]] = {}
    kept = []
    for event in events:
        instance = text(event, "process.entity_id")
        numbers[instance] += 1
        if text(event, "event.id") in lost:
            missing.setdefault(instance, []).append(numbers[instance])
            continue
        if text(event, "event.action") == "close":
            for gone in missing.pop(instance, [])[::2]:
                kept.append(_drop(event, instance, numbers[instance], gone))
                numbers[instance] += 1
            event["clusterlog"]["state"]["last_seq"] = numbers[instance]
        _number(event, instance, numbers[instance])
        kept.append(event)
    return kept


def _number(event: Any, instance: str, number: int) -> None:
    event["event"] |= {"sequence": number, "id": f"{instance}-{number:011x}"}


def _drop(close: Any, instance: str, number: int, first: int) -> Any:
    told = json.loads(json.dumps(close))
    told["event"]["action"] = "drop"
    told["log"]["level"] = "warning"
    told["message"] = f"drop {instance}"
    told["clusterlog"]["state"] = {
        "instance": instance, "first_seq": first, "last_seq": first + 1, "count": 2, "reason": "disk_full"
    }  # fmt: skip
    _number(told, instance, number)
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]))
