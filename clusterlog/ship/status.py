"""What is known of a home's delivery, read from its files alone: it works when the shipper is dead."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterlog.settings import Settings, without_credentials
from clusterlog.ship.acknowledged import Acknowledged, IntervalSet, replace
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.sinks.promise import promise_of
from clusterlog.spool.reader import Instance, instances, records
from clusterlog.spool.segment import Record
from clusterlog.store.base import Progress, unseen

SCHEMA = "clusterlog.status/1"


def publish(
    home: Path,
    url: str,
    error: str,
    delivery: Mapping[str, Any] | None = None,
    syslog: Mapping[str, Any] | None = None,
) -> None:
    """Write ``run/status.json``: the part of the status only the shipper knows. Failure to do so is no failure.

    ``delivery`` is what ``Dispatch.told`` gives, ``syslog`` what has come in by it where a server takes it.
    """
    told = {"url": url, "error": error, "at_ns": time.time_ns(), "delivery": delivery, "syslog": syslog}
    try:
        replace(home / "run" / "status.json", json.dumps(told).encode(), durable=False)
    except OSError:
        return


def status(settings: Settings, progress: Progress = unseen) -> dict[str, Any]:
    """``clusterlog.status/1`` of a home (CONTRACTS); ``progress`` counts bytes of the spools.

    Beside what the contract names, ``store`` has ``promise``, what it means that it takes an event
    (``ship.sinks.promise``); an instance has ``seen_s``, seconds since its last event in the spool, and
    ``waiting``, how many of its events are not delivered; ``dead_reason`` is why the first of the dead letters is one;
    ``delivery`` is how it goes while a shipper runs, ``syslog`` what came in by it where that is ``clusterlog serve``.
    """
    home = settings.home_path
    acknowledged = Acknowledged.load(home)
    pid = HomeLock.holder(home)
    told = _published(home)
    backlog = _Backlog()
    described = []
    found = instances(home / "spool")
    total = sum(sum(each.segments.values()) for each in found)
    done = 0
    for each in found:
        described.append(backlog.add(home / "spool", each, acknowledged))
        done += sum(each.segments.values())
        progress(done, total)
    described.sort(key=lambda instance: instance["state"] != "alive")
    shipped, (dead, dead_reason) = acknowledged.totals["shipped"], _letters(home)
    delivery = told.get("delivery") if pid else None
    error = told.get("error", "") if pid else ""
    url = (told.get("url") if pid else "") or settings.sink or settings.store or str(home / "store")
    return {
        "schema": SCHEMA,
        "home": str(home),
        "shipper": {"state": "running" if pid else "absent", "pid": pid if pid > 0 else None},
        "store": {
            "url": without_credentials(url),
            "state": _state(delivery, error) if pid else "unknown",
            "error": error or None,
            "promise": promise_of(url),
        },
        "backlog": {"events": backlog.events, "bytes": backlog.bytes, "oldest_age_s": backlog.oldest_age_s()},
        "accepted": shipped + dead + backlog.events,
        "shipped": shipped,
        "dropped": dict(acknowledged.dropped),
        "dead": dead,
        "dead_reason": dead_reason or None,
        "delivery": delivery,
        "syslog": told.get("syslog") if pid else None,
        "instances": described,
    }


def _state(delivery: object, error: str) -> str:
    found = delivery.get("store") if isinstance(delivery, dict) else None
    return found if isinstance(found, str) else "unreachable" if error else "reachable"


def _letters(home: Path) -> tuple[int, str]:
    """How many events lie in ``dead/``, and the first reason; what was kept twice is one."""
    ids, reason = set[str](), ""
    for letter in letters(home / "dead"):
        ids.add(letter.id)
        reason = reason or letter.reason
    return len(ids), reason


def _published(home: Path) -> dict[str, Any]:
    try:
        told = json.loads((home / "run" / "status.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


class _Backlog:
    """Counts what no far end has yet."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self._oldest_ns = 0

    def add(self, spool: Path, instance: Instance, acknowledged: Acknowledged) -> dict[str, Any]:
        """Count one instance and describe it."""
        known = acknowledged.instances.get(instance.id, IntervalSet())
        last, origin, seen_ns, before = known.last, b"", 0, self.events
        for _, item in records(spool, instance):
            if not isinstance(item, Record):
                continue
            last, origin, seen_ns = max(last, item.sequence), origin or item.payload, max(seen_ns, item.wall_ns)
            if item.sequence not in known:
                self.events += 1
                self.bytes += len(item.payload)
                self._oldest_ns = min(self._oldest_ns or item.wall_ns, item.wall_ns)
        service, node = _origin(origin)
        return {
            "id": instance.id,
            "service": service,
            "node": node,
            "pid": instance.pid if instance.pid > 0 else None,
            "state": "alive" if instance.alive else "dead",
            "sequence": last,
            "seen_s": _age_s(seen_ns),
            "waiting": self.events - before,
        }

    def oldest_age_s(self) -> float | None:
        """How long the oldest of them waits, in seconds; ``None`` if nothing waits."""
        return _age_s(self._oldest_ns)


def _age_s(ns: int) -> float | None:
    return round(max(0, time.time_ns() - ns) / 1e9, 3) if ns else None


def _origin(payload: bytes) -> tuple[str | None, str | None]:
    try:
        service = json.loads(payload)["service"]
        return service["name"], service["node"]["name"]
    except (ValueError, KeyError, TypeError):
        return None, None
