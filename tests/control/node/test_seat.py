"""Seats: numbers that are free again when their process is gone, and one keeper at a time."""

import subprocess
import sys

import pytest

from clusterlog.control.node.seat import Seat
from clusterlog.spool import liveness


@pytest.fixture
def seat(tmp_path):
    made = []

    def make(instance, service="shop", node="n1"):
        made.append(Seat(tmp_path, liveness, instance, service, node))
        return made[-1]

    yield make
    for each in made:
        each.leave()


TAKER = """
import os, signal, sys
from pathlib import Path
from clusterlog.control.node.seat import Seat
from clusterlog.spool import liveness
taken = Seat(Path(sys.argv[1]), liveness, sys.argv[2], "shop", "n1")
os.write(1, b"%d%d" % (taken.number, taken.try_chair()))
signal.pause()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that takes a seat, and sits until it is killed."""
    children = []

    def make(instance):
        child = subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path), instance], stdout=subprocess.PIPE, bufsize=0
        )
        children.append(child)
        return child, child.stdout.read(2)

    yield make
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def test_workers_of_a_node_are_numbered_from_one_and_each_node_by_itself(seat):
    assert [seat("a").number, seat("b").number, seat("c", node="n2").number] == [1, 2, 1]


def test_a_number_is_free_again_when_its_worker_left(seat):
    first = seat("a")
    seat("b")
    first.leave()
    assert seat("c").number == 1


def test_one_worker_of_the_home_is_the_keeper_and_another_one_when_it_left(seat):
    first, second = seat("a"), seat("b", node="n2")
    assert first.try_chair() and not second.try_chair() and first.try_chair()
    first.leave()
    assert second.try_chair()


def test_a_worker_lives_as_long_as_its_process_and_is_dead_the_moment_it_is_killed(seat, other_process):
    """F20: whatever a killed process held is free at once."""
    child, said = other_process("other")
    mine = seat("mine")
    assert said == b"11" and mine.number == 2
    assert mine.lives("other") and mine.lives("mine") and not mine.lives("nobody")
    assert not mine.try_chair()
    child.kill()
    child.wait()
    assert not mine.lives("other")
    assert mine.try_chair()
    assert seat("next").number == 1
