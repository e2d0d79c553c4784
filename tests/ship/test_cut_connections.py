"""From the spool to Logstash or as OTLP while connections are cut at random: each event comes, twice only by its id."""

import os
import random
import threading
import time
from collections import defaultdict
from contextlib import contextmanager

import pytest
from cutting import CuttingProxy
from logstash_http import HttpInput
from logstash_inputs import BeatsInput, drawn
from lumberjack_server import LumberjackServer
from otlp_receiver import Receiver, records

from clusterlog.settings import load
from clusterlog.ship.shipper import Shipper
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.state.voice import Voice

PATIENCE_S = 1800


@contextmanager
def shipping(home, url, **given):
    """A shipper of the home that works in a thread; pauses are short, so that there are many attempts."""
    settings = load({"home": str(home.path), "sink": url, **given}, environ={})
    sink, name, limits = open_sink(settings)
    shipper = Shipper(home.path, sink, voice=Voice(settings), sink_name=name, limits=limits, chance=lambda: 0.02)
    stop = threading.Event()
    thread = threading.Thread(target=shipper.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield shipper
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def wait_for(numbers, events):
    """The ids under which each number has come, when all have."""
    end = time.monotonic() + PATIENCE_S
    found, seen = defaultdict(set), 0
    while len(found) < numbers:
        assert time.monotonic() < end, f"{len(found)} of {numbers} have come"
        time.sleep(0.02)
        now = len(events)
        for event in events[seen:now]:
            if "n" in event:
                found[event["n"]].add(event["id"])
        seen = now
    return found


def each_arrived(home, numbers, events, url, **given):
    """How often events came twice, when all have come."""
    writer = home.writer()
    home.say(writer, *range(numbers), pad=200)
    with shipping(home, url, **given) as shipper:
        found = wait_for(numbers, events)
        end = time.monotonic() + PATIENCE_S
        while shipper.acknowledged.totals["shipped"] < numbers:
            assert time.monotonic() < end, "not everything is acknowledged"
            time.sleep(0.02)
    assert set(found) == set(range(numbers)) and all(len(ids) == 1 for ids in found.values())
    assert shipper.report.dead == 0
    return sum("n" in event for event in events) - numbers


@pytest.mark.parametrize("compression", ["on", "off"])
def test_over_lumberjack_each_event_arrives(home, compression):
    with BeatsInput(script=drawn(1, 0.2)) as beats, CuttingProxy(beats.port, 1, most=100_000) as proxy:
        url = f"lumberjack+tcp://127.0.0.1:{proxy.port}"
        each_arrived(home, 4000, beats.queue.events, url, compression=compression)
        assert proxy.cuts


def test_over_http_each_event_arrives(home):
    with HttpInput(script=drawn(2, 0.2)) as server, CuttingProxy(server.port, 2, most=100_000) as proxy:
        each_arrived(home, 4000, server.queue.events, f"logstash+http://127.0.0.1:{proxy.port}")
        assert proxy.cuts


class Otlp:
    """What a receiver of OTLP has taken, which now and then fails, before or after it has, or answers with a page."""

    def __init__(self, seed):
        self.events = []
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def answers(self, number, path, message):
        with self._lock:
            drawn = self._chance.random()
            if drawn >= 0.1:
                self.events += map(_said, records(message))
        busy = (503, {"Retry-After": "0"}, b"")
        page = (200, {"Content-Type": "text/html"}, b"<html>")
        return busy if drawn < 0.1 else b"" if drawn < 0.2 else page if drawn < 0.25 else None


def _said(record):
    told = {each.key.removeprefix("field."): each.value for each in record.attributes}
    return {"n": told["n"].int_value, "id": told["id"].string_value} if "n" in told else {}


def test_over_otlp_each_event_arrives(home):
    told = Otlp(3)
    with Receiver(told.answers) as receiver, CuttingProxy(receiver.port, 3, most=100_000) as proxy:
        each_arrived(home, 2000, told.events, f"otlp+http://127.0.0.1:{proxy.port}")
        assert proxy.cuts


@pytest.mark.campaign
def test_100_000_events_over_lumberjack_to_the_reference_server(home):
    seed = int(os.environ.get("SEED") or time.time())
    with LumberjackServer(share=0.15, seed=seed) as server, CuttingProxy(server.port, seed, most=150_000) as proxy:
        url = f"lumberjack+tcp://127.0.0.1:{proxy.port}"
        twice = each_arrived(home, 100_000, server.events, url, compression="on")
        print(f"seed {seed}: 100,000 events, {proxy.connections} connections, {proxy.cuts} cut, {twice} came twice")
        assert proxy.cuts


@pytest.mark.campaign
def test_100_000_events_over_http_to_the_stand_in(home):
    seed = int(os.environ.get("SEED") or time.time())
    with HttpInput(script=drawn(seed, 0.1)) as server, CuttingProxy(server.port, seed, most=1_000_000) as proxy:
        twice = each_arrived(home, 100_000, server.queue.events, f"logstash+http://127.0.0.1:{proxy.port}")
        print(f"seed {seed}: 100,000 events, {proxy.connections} connections, {proxy.cuts} cut, {twice} came twice")
        assert proxy.cuts
