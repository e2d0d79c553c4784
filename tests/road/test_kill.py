"""Processes killed at any moment: every event whose call returned is found after shipping, once."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

# Each child logs numbered events by turns natively and by standard logging, and reports a number on its pipe
# only after the call has returned. The parent kills each at a random moment.
PROGRAM = textwrap.dedent(
    """
    import logging, os, struct, sys
    import clusterlog
    first, count, pipe = map(int, sys.argv[1:])
    clusterlog.start("kill", level="DEBUG")
    native, standard = clusterlog.get_logger("kill.native"), logging.getLogger("kill.standard")
    if os.fork():
        os.wait()
        os._exit(0)
    os.write(pipe, struct.pack("<q", -os.getpid()))
    for n in range(first, first + count):
        if n % 2:
            native.info("event", n=n, text="x" * (n % 900))
        elif n % 10 == 0:
            standard.warning("event %d", n, extra={"n": n})
        else:
            standard.debug("event", extra={"n": n, "text": "x" * (n % 700)})
        os.write(pipe, struct.pack("<q", n))
    """
)
CHILDREN, EVENTS = 4, 5_000


def one_round(home, seed):
    """Four children, each killed at a random moment; the set of numbers whose calls returned."""
    chance = random.Random(seed)
    children = []
    for child in range(CHILDREN):
        read, write = os.pipe()
        arguments = [str(child * 1_000_000 + 1), str(EVENTS), str(write)]
        environment = {"PATH": "/usr/bin:/bin", "CLUSTERLOG_HOME": str(home.path)}
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], pass_fds=[write], env=environment)
        os.close(write)
        children.append((process, os.fdopen(read, "rb")))
    returned = set()
    pids = [-int.from_bytes(pipe.read(8), "little", signed=True) for _, pipe in children]
    for at, pid in sorted((chance.random() * 0.4, pid) for pid in pids):
        time.sleep(at / len(pids))
        os.kill(pid, signal.SIGKILL)
    for process, pipe in children:
        data = pipe.read()
        pipe.close()
        process.wait()
        returned |= {int.from_bytes(data[k : k + 8], "little", signed=True) for k in range(0, len(data) - 7, 8)}
    return returned


def check_round(home, seed):
    returned = one_round(home, seed)
    home.ship()
    found = Counter(event["labels"]["n"] for event in home.found("service: kill") if "n" in event.get("labels", {}))
    assert returned - found.keys() == set(), f"seed {seed}: lost"
    assert [n for n, times in found.items() if times > 1] == [], f"seed {seed}: doubled"
    unreported = found.keys() - returned
    assert len(unreported) <= CHILDREN, f"seed {seed}: only the call in flight may be there unreported"
    assert list(home.path.glob("spool/*.seg")) == []
    return len(returned)


@pytest.mark.parametrize("seed", [7, 11])
def test_every_event_whose_call_returned_is_found_once(home, seed):
    assert check_round(home, seed) > 0


@pytest.mark.campaign
def test_fifty_rounds_of_killing_lose_and_double_nothing(home, tmp_path_factory):
    total = 0
    for seed in range(1000, 1050):
        total += check_round(type(home)(tmp_path_factory.mktemp("round") / "home"), seed)
        print(f"seed {seed}: {total} events so far")
    assert total > 50_000
