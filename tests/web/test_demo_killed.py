"""A demo ships to a server that is killed again and again: nothing is missing or doubled, each request is traced."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

from clusterlog.cli import commands
from clusterlog.ship.homelock import HomeLock

pytest.importorskip("flask", reason='the demo needs an extra: pip install "clusterlog[demo]"')

WATCHED_S = 2.0
"""How long a moment is waited for that may not come."""


def files(folder):
    """Every file below, with its size."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            found[path] = path.stat().st_size
    return found


def until(changed, served, demo):
    """Wait until files of the store are another way than they were."""
    before, end = files(served.home / "store"), time.monotonic() + WATCHED_S
    while time.monotonic() < end and demo.poll() is None:
        now = files(served.home / "store")
        if changed(before, now):
            return
        before = now


def as_it_stores(served, demo):
    until(lambda before, now: sum(now.values()) > sum(before.values()), served, demo)


def as_it_compacts(served, demo):
    """Files go when what was in them has been merged into another one."""
    until(lambda before, now: before.keys() - now.keys(), served, demo)


def as_it_answers(served, demo):
    """In the middle of an answer with all there is."""
    request = (
        "POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n"
        f'Authorization: Bearer {served.ask.tokens.read}\r\n\r\n{{"limit":null}}'
    )
    with socket.create_connection((served.ask.host, served.ask.port), timeout=30) as asking:
        asking.sendall(request.encode())
        asking.recv(1)


def at_random(served, demo):
    """Nothing is waited for."""


MOMENTS = (at_random, as_it_stores, as_it_compacts, as_it_answers)


def killed_demo(serve, tmp_path, requests, seed, kills, apart, *, rate, shippers=False):
    """What a demo says that ships to a server which is killed, its home, the server, and how often it was killed.

    Its ``rate`` has it last longer than all the kills: when it ends, ``ship --once`` does not wait for a server long.
    """
    chance = random.Random(seed)
    served, home, said = serve(), tmp_path / "demo", tmp_path / "said.json"
    command = [sys.executable, "-m", "clusterlog", "demo", "--requests", requests, "--seed", seed, "--json"]
    command += ["--rate", rate]
    command += ["--home", home, "--store", served.url, "--token-file", served.home / "run" / "serve.json"]
    done = Counter()
    with (
        said.open("wb") as out,
        subprocess.Popen([*map(str, command)], stdout=out, stderr=subprocess.PIPE, cwd=tmp_path) as demo,
    ):
        while demo.poll() is None and not (home / "clusterlog.toml").exists():
            time.sleep(0.01)  # until its services have begun
        for number in range(kills):
            with suppress(subprocess.TimeoutExpired):
                demo.wait(chance.uniform(0, apart))
            moment = MOMENTS[number % len(MOMENTS)]
            moment(served, demo)
            if demo.poll() is not None:
                break
            served.kill()
            done[moment.__name__] += 1
            if shippers and 0 < (holder := HomeLock.holder(home)) != demo.pid:
                with suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGKILL)
                    done["shipper"] += 1
            served.begin()
        assert demo.wait(600) == 0, demo.stderr.read().decode()
    return json.loads(said.read_bytes()), home, served, done


def deviations(told, home, served, capsysbinary):
    """What is not as the demo has counted it: in the store, by the account of numbers, in the traces."""
    wrong = []
    events = served.ask.found()
    ids = Counter(event["event"]["id"] for event in events)
    wrong += [f"{id} is there {count} times" for id, count in ids.items() if count > 1]
    capsysbinary.readouterr()
    code = commands.call(["verify", "--home", str(home), "--json"])
    account = json.loads(capsysbinary.readouterr().out)
    if (code, account["unexplained"], account["pending"], account["duplicates"]) != (0, [], [], []):
        wrong.append(f"verify: {account}")
    for request in told["requests"]:
        code = commands.call(["trace", request["id"], "--home", str(home), "--json"])
        out, err = capsysbinary.readouterr()
        if code:
            wrong.append(f"{request['id']}: {err.decode()}")
            continue
        found = json.loads(out)
        expected = {
            "events": request["events"],
            "nodes": request["events_by_node"],
            "trace": [request["trace_id"]],
            "status": request["status"],
            "failed": request["outcome"] == "failed",
        }
        is_so = {
            "events": len(found["events"]),
            "nodes": dict(Counter(event["service"]["node"]["name"] for event in found["events"])),
            "trace": found["request"]["trace_ids"],
            "status": found["request"]["status"],
            "failed": any(sentence["kind"] == "failure" for sentence in found["verdict"]),
        }
        wrong += [f"{request['id']}: {name} {is_so[name]}" for name in expected if expected[name] != is_so[name]]
    return wrong, len(events)


def test_a_demo_is_whole_on_a_server_that_was_killed_while_it_ran(serve, tmp_path, capsysbinary):
    told, home, served, done = killed_demo(serve, tmp_path, 24, 7, 3, 0.3, rate=8)
    wrong, _ = deviations(told, home, served, capsysbinary)
    assert not wrong
    assert done.total() >= 1, done


@pytest.mark.campaign
@pytest.mark.parametrize(("seed", "shippers"), [(7, False), (8, True)])
def test_three_hundred_requests_are_whole_on_a_server_that_was_killed_ten_times(
    serve, tmp_path, capsysbinary, seed, shippers
):
    told, home, served, done = killed_demo(serve, tmp_path, 300, seed, 10, 1.0, rate=4, shippers=shippers)
    wrong, stored = deviations(told, home, served, capsysbinary)
    with capsysbinary.disabled():
        print(
            f"\nseed {seed}: {len(told['requests'])} requests, {stored} events, kills {dict(done)}, wrong {len(wrong)}"
        )
    assert not wrong
    assert done.total() - done["shipper"] == 10
