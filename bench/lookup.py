"""Finding one request in a search server: our store's answer beside the same search sent as plain HTTP.

The plain search is what the store sends, byte for byte, over one kept connection, and its answer is read and not even
parsed. ``took`` is what the server says it has spent on searching, in whole milliseconds, without reading the question
and writing the answer.
"""

from __future__ import annotations

import gc
import http.client
import os
import secrets
import statistics
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench import progress
from bench.commands import row
from bench.events import START_NS, STEP_NS, deliveries
from bench.server import URL, running
from clusterlog.settings import load
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.provision import server
from clusterlog.store.elasticsearch.provision.templates.bodies import Choice, component_templates
from clusterlog.store.elasticsearch.transport import Answer, Client
from clusterlog.store.query import Match, Query
from clusterlog.store.wire import stamp

EVENTS = int(os.environ.get("BENCH_LOOKUP", "2000000"))
FILLED = os.environ.get("BENCH_FILLED", "")
"""The environment that an earlier run has filled on the server of ``BENCH_URL``, for whoever measures again."""
BATCH = 5_000
LOOKUPS, WARMING = 400, 200
EACH = 12
"""Events of a request."""
GOAL = 1.3


class Wire:
    """One connection to a server, kept, and nothing else."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=600)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send a request, and read the answer."""
        headers = {"content-type": "application/json"} if body is not None else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Overheard(Client):
    """Remembers the search it has sent last."""

    search: tuple[str, str, bytes] = ("", "", b"")

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """What every client does."""
        if path.endswith("/_search"):
            query = "&".join(f"{name}={value}" for name, value in (options.get("params") or {}).items())
            self.search = method, f"{path}?{query}", orjson.dumps(body)
        return super().call(method, path, body, **options)


def table() -> None:
    """Fill a server with ``BENCH_LOOKUP`` (2 M) events, which takes minutes, and ask it for requests."""
    with running() as (url, name):
        environment = FILLED or f"bench{secrets.token_hex(4)}"
        if not FILLED:
            _fill(url, environment)
        wanted = _some_requests(url, environment)
        ours, plain, took = _measured(url, environment, wanted)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"\nlook-up of a request among {EVENTS:,} events in {name}; load of the machine {load}")
        print(f"{'milliseconds':40}{'median':>12}{'p95':>12}")
        for what, times in (("find of the store", ours), ("the same search, plain HTTP", plain), ("took", took)):
            print(f"{what:40}{statistics.median(times):12.2f}{statistics.quantiles(times, n=20)[18]:12.2f}")
        ratio = statistics.median(ours) / statistics.median(plain)
        print(f"{'find / plain HTTP':40}{ratio:12.2f}   goal {GOAL}, {'reached' if ratio <= GOAL else 'NOT reached'}")
        print(f"\nfrom the start of a process to its end, milliseconds (median){'wall':>8}{'CPU':>12}")
        row("trace ID", [sys.executable, "-m", "clusterlog", "trace", wanted[-1], "--store", url])
        if URL and not FILLED:
            print(f"BENCH_FILLED={environment} measures again without filling")


def _fill(url: str, environment: str) -> None:
    """Into data streams as ``clusterlog setup elasticsearch`` makes them, by the sink of the shipper."""
    _provide(url, environment)
    settings = load({"home": "/nowhere", "sink": url}, environ={})
    production, own = b'"environment":"production"', f'"environment":"{environment}"'.encode()
    made, done = deliveries(EVENTS), 0
    with closing(ElasticsearchSink(Client.of(settings, url=url, kind="write"), settings)) as sink:
        while batch := [replace(each, body=each.body.replace(production, own)) for each in islice(made, BATCH)]:
            assert {outcome.status for outcome in sink.deliver(batch)} == {"stored"}
            done += len(batch)
            progress.say(f"look-up: {done:,} of {EVENTS:,} events", end=done >= EVENTS)
    with closing(Wire(url)) as wire:
        wire.ask("POST", f"/{_streams(environment)}/_refresh")


def _provide(url: str, environment: str) -> None:
    """A template of our bodies, for these streams alone."""
    with closing(Client.of(load({"home": "/nowhere"}, environ={}), url=url)) as client:
        bodies = component_templates(server.ask(client).present, Choice(replicas=0)).values()
    template = {name: part for body in bodies for name, part in body["template"].items()}
    made = {"index_patterns": [_streams(environment)], "priority": 900, "data_stream": {}, "template": template}
    with closing(Wire(url)) as wire:
        wire.ask("PUT", f"/_index_template/{environment}", orjson.dumps(made))


def _streams(environment: str) -> str:
    return f"logs-clusterlog.*-{environment}"


def _some_requests(url: str, environment: str) -> list[str]:
    """The ids of requests from all over the time, in no order."""
    found = []
    with closing(Wire(url)) as wire:
        for part in range(LOOKUPS + WARMING):
            since = START_NS + STEP_NS * EACH * (EVENTS // EACH * part // (LOOKUPS + WARMING))
            body = {
                "query": {"range": {"@timestamp": {"gte": stamp(since)}}},
                "sort": [{"@timestamp": "asc"}],
                "size": 1,
            }
            told = orjson.loads(wire.ask("POST", f"/{_streams(environment)}/_search", orjson.dumps(body)))
            found.append(told["hits"]["hits"][0]["_source"]["http"]["request"]["id"])
    Random(7).shuffle(found)
    return found


def _measured(url: str, environment: str, wanted: list[str]) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of the store's ``find``, of the same searches as plain HTTP, and what the server says of these.

    Each request is asked for both ways, in turns first and second: what was found just now is found faster.
    """
    ours, plain, took = [], [], []
    client = Overheard.of(load({"home": "/nowhere", "store": url}, environ={}))
    assert isinstance(client, Overheard)
    with closing(ElasticsearchStore(client, _streams(environment))) as store, closing(Wire(url)) as wire:
        assert _found(store, wanted[0]) == EACH
        method, path, body = client.search
        for number, request in enumerate(wanted):
            same = body.replace(wanted[0].encode(), request.encode())
            gc.collect()
            for way in ("ours", "plain") if number % 2 else ("plain", "ours"):
                before = time.perf_counter()
                if way == "ours":
                    assert _found(store, request) == EACH
                    ours.append((time.perf_counter() - before) * 1000)
                else:
                    content = wire.ask(method, path, same)
                    plain.append((time.perf_counter() - before) * 1000)
                    took.append(float(orjson.loads(content)["took"]))
            assert client.search == (method, path, same)
    return ours[WARMING:], plain[WARMING:], took[WARMING:]


def _found(store: ElasticsearchStore, request: str) -> int:
    return len(list(store.find(Query(Match("http.request.id", request), order="oldest", limit=None))))
