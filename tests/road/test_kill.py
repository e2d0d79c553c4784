"""Processes killed at any moment: every event whose call returned is found after shipping, once."""

import os
import random
import selectors
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import suppress

import pytest

# A program that starts, forks four children and waits. Each child logs numbered events by turns natively and by
# standard logging, and reports a number on its pipe only after the call has returned.
PROGRAM = textwrap.dedent(
    """
    import logging, os, struct, sys
    import clusterlog
    count, *pipes = map(int, sys.argv[1:])
    clusterlog.start("kill", level="DEBUG")
    native, standard = clusterlog.get_logger("kill.native"), logging.getLogger("kill.standard")
    for child, pipe in enumerate(pipes):
        if os.fork() == 0:
            break
    else:
        for _ in pipes:
            os.wait()
        os._exit(0)
    first = child * 1_000_000 + 1
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
CHILDREN, EVENTS = 4, 20_000


def one_round(home, seed):
    """Four children, each killed at a random moment; the set of numbers whose calls returned."""
    chance = random.Random(seed)
    pairs = [os.pipe() for _ in range(CHILDREN)]
    environment = {"PATH": "/usr/bin:/bin", "CLUSTERLOG_HOME": str(home.path)}
    command = [sys.executable, "-c", PROGRAM, str(EVENTS), *(str(write) for _, write in pairs)]
    process = subprocess.Popen(command, pass_fds=[write for _, write in pairs], env=environment)
    for _, write in pairs:
        os.close(write)
    numbers = {read: b"" for read, _ in pairs}
    due = {}
    with selectors.DefaultSelector() as ready:
        for read in numbers:
            ready.register(read, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select(0.005):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    ready.unregister(key.fd)
                    os.close(key.fd)
                elif not numbers[key.fd]:
                    pid = -int.from_bytes(data[:8], "little", signed=True)
                    due[pid] = time.monotonic() + chance.random() * 0.4
                numbers[key.fd] += data
            for pid in [pid for pid, at in due.items() if time.monotonic() >= at]:
                del due[pid]
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert process.wait() == 0
    said = (data[k : k + 8] for data in numbers.values() for k in range(8, len(data) - 7, 8))
    return {int.from_bytes(each, "little", signed=True) for each in said}


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
    assert total > 20_000
