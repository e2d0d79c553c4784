"""Killed at any moment, recoveries included, the store has what it answered "stored", once, byte for byte."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query

PROGRAM = """
import json, os, random, sys
from pathlib import Path
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore, writer
from clusterlog.testing.strategies import BEGIN, stamp

path, out, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer.PARTITION_EVENTS, writer.COMMIT_EVENTS, writer.SAMPLES = 700, 150, 300
chance = random.Random(seed)
os.write(out, b"opening\\n")
store = EmbeddedStore.open(path, "write")
os.write(out, b"open\\n")
instance, sequence, sent = f"{seed:032x}", 0, []
while True:
    batch = []
    for _ in range(chance.randrange(1, 60)):
        if sent and chance.random() < 0.2:
            batch.append(chance.choice(sent))
            continue
        sequence += 1
        id = f"{instance}-{sequence:011x}" if chance.random() < 0.9 else f"foreign-{seed}-{sequence}"
        event = {"@timestamp": stamp(BEGIN + sequence * 1000), "message": "x" * chance.randrange(200),
                 "event": {"id": id}, "labels": {"n": sequence}}
        batch.append(Delivery(id, instance, sequence, json.dumps(event).encode()))
    outcomes = store.deliver(batch)
    assert {each.status for each in outcomes} <= {"stored", "duplicate"}, outcomes
    lines = "".join(f"{each.id} {each.body.decode()}\\n" for each in batch)
    os.write(out, lines.encode())
    sent = sent[-200:] + batch
    if chance.random() < 0.05:
        store.flush()
"""


class Killing:
    """A store that is written to by processes which are killed, and what they were told is stored."""

    def __init__(self, path, chance):
        self.path, self.chance = path, chance
        self.stored = {}
        self.rounds = 0

    def round(self):
        """Let a process write and kill it: in two of five rounds while it opens the store, else later.

        Now and then an index is taken away before, so that it is building one when it dies.
        """
        self.rounds += 1
        indexes = sorted(self.path.glob("parts/*/index"))
        if indexes and self.chance.random() < 0.15:
            shutil.rmtree(self.chance.choice(indexes))
        read, write = os.pipe()
        arguments = [str(self.path), str(write), str(self.chance.randrange(2**32))]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], pass_fds=[write], stderr=subprocess.PIPE
        )
        os.close(write)
        try:
            early = self.chance.random() < 0.4
            told = _read_until(read, b"opening\n" if early else b"open\n")
            told += _read_for(read, self.chance.uniform(0, 0.05) if early else self.chance.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            told += _drain(read)
        finally:
            os.close(read)
            process.kill()
            _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        for line in told.split(b"\n")[:-1]:
            id, _, body = line.partition(b" ")
            if body:
                self.stored[id.decode()] = body

    def check(self):
        """Everything that was answered is there once, as it was; whatever else is there is whole."""
        with_writer = EmbeddedStore.open(self.path, "write")
        try:
            found = {}
            for each in with_writer.find(Query(limit=None)):
                assert each.key[1] not in found
                found[each.key[1]] = each.body
            assert with_writer.count(Query()) == len(found)
            assert {id: found.get(id) for id in self.stored} == self.stored
            assert with_writer.check() == []
        finally:
            with_writer.close()


def _read_until(fd, word):
    told = b""
    while word not in told:
        assert select.select([fd], [], [], 60)[0], "the process says nothing"
        piece = os.read(fd, 65536)
        assert piece, told
        told += piece
    return told


def _read_for(fd, seconds):
    told, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            told += os.read(fd, 65536)
    return told


def _drain(fd):
    told = b""
    while piece := os.read(fd, 65536):
        told += piece
    return told


def test_eight_kills_lose_and_double_nothing(tmp_path):
    killing = Killing(tmp_path / "store", random.Random(20))
    for _ in range(8):
        killing.round()
    killing.check()
    assert len(killing.stored) > 100


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
def test_four_hundred_kills_lose_and_double_nothing(tmp_path, seed):
    killing = Killing(tmp_path / "store", random.Random(seed))
    for _ in range(8):
        for _ in range(5):
            killing.round()
        killing.check()
    print(f"seed {seed}: {killing.rounds} kills, {len(killing.stored)} events answered")
