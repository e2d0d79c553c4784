"""Made events for the store: seeded, about 560 bytes each, requests of twelve events over three nodes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

from clusterlog.store.base import Delivery

SERVICES = [f"service-{n}" for n in range(10)]
WORDS = "order payment stock cart user session cache query retry timeout shipped refused placed loaded saved".split()
START_NS = 1_760_000_000_000_000_000
STEP_NS = 17_000_000


def deliveries(count: int, seed: int = 7) -> Iterator[Delivery]:
    """``count`` deliveries in arrival order, 58 a second of event time."""
    chance = random.Random(seed)
    templates = [" ".join(chance.choices(WORDS, k=4)) for _ in range(200)]
    instances = [f"{chance.getrandbits(128):032x}" for _ in range(50)]
    sequences = dict.fromkeys(instances, 0)
    request, trace, nodes = "", "", []
    for n in range(count):
        if n % 12 == 0:
            request, trace = f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(128):032x}"
            nodes, user = chance.sample(range(50), 3), chance.randrange(20_000)
        node = nodes[n % 3]
        instance = instances[node]
        sequences[instance] += 1
        yield _delivery(chance, n, instance, sequences[instance], node, request, trace, user, templates)


def _delivery(
    chance: random.Random,
    n: int,
    instance: str,
    sequence: int,
    node: int,
    request: str,
    trace: str,
    user: int,
    templates: list[str],
) -> Delivery:
    seconds, fraction = divmod(START_NS + n * STEP_NS, 1_000_000_000)
    level = chance.choices(("debug", "info", "warning", "error"), (20, 70, 7, 3))[0]
    message = f"{chance.choice(templates)} {chance.randrange(10_000)}"
    document = {
        "@timestamp": _stamp(seconds, fraction),
        "process": {"pid": 1000 + node, "entity_id": instance},
        "event": {
            "id": f"{instance}-{sequence:011x}",
            "sequence": sequence,
            "kind": "event",
            "dataset": "clusterlog.app",
        },
        "log": {"level": level, "logger": f"shop.{WORDS[node % len(WORDS)]}"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": SERVICES[node % 10], "node": {"name": f"node-{node}"}, "environment": "production"},
        "host": {"name": f"host-{node}"},
        "message": message,
        "http": {"request": {"id": request}},
        "trace": {"id": trace},
        "user": {"hash": f"{user:064x}"[:24]},
        "labels": {
            "order": chance.randrange(100_000),
            "region": chance.choice(WORDS),
            "attempt": n % 3,
            "gift": n % 2 == 0,
        },
    }
    return Delivery(
        f"{instance}-{sequence:011x}", instance, sequence, orjson.dumps(document), level in ("warning", "error")
    )


def _stamp(seconds: int, fraction: int) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"
