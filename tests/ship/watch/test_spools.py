"""Following a home: every event is seen once, or known to be missing, whoever writes, ships, removes or dies."""

import errno
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlog.errors import NotAllowed
from clusterlog.ship.watch import spools
from clusterlog.ship.watch.spools import GRACE_S, LIST_S, STALL_S, Missing, Watch
from clusterlog.spool.budget import Budget

SMALL, FILLING = Budget(limit=2 << 20, min_free=0), 70_000
"""Segments of 64 KiB, and a length that fills one."""


@pytest.fixture
def watch(home):
    made = []

    def make():
        made.append(Watch(home.path, monotonic=lambda: home.now))
        return made[-1]

    yield make
    for each in made:
        each.close()


def said(deliveries):
    """The numbers the application said; state events aside."""
    return [told["n"] for told in (json.loads(each.body) for each in deliveries) if "n" in told]


def later(home, seconds=LIST_S + 0.1):
    home.now += seconds


def test_what_lies_there_comes_first_and_then_what_is_new(home, watch):
    writer = home.writer()
    home.say(writer, 1, 2)
    follower = watch()
    assert said(follower.look()) == [1, 2]
    assert follower.look() == []
    home.say(writer, 3)
    found = follower.look()
    assert said(found) == [3]
    assert found[0].instance == writer.instance
    assert not found[0].priority


def test_warnings_come_before_what_was_written_with_them(home, watch):
    writer = home.writer()
    follower = watch()
    home.say(writer, 1)
    home.say(writer, 2, priority=True)
    found = follower.look()
    assert said(found) == [2, 1]
    assert [each.priority for each in found if b'"n"' in each.body] == [True, False]


def test_what_a_store_has_acknowledged_is_not_told_again(home, watch):
    writer = home.writer()
    home.say(writer, 1, 2)
    home.shipper().once()
    home.say(writer, 3)
    assert said(watch().look()) == [3]


def test_new_instances_are_noticed_at_the_next_look(home, watch):
    follower = watch()
    assert follower.look() == []
    for number in (1, 2, 3):
        home.say(home.writer(), number)
        assert said(follower.look()) == [number]
    assert len(set(follower.instances)) == 3


def test_a_home_that_is_made_later_is_followed_from_its_beginning(home, tmp_path):
    later_home = tmp_path / "later"
    follower = Watch(later_home, monotonic=lambda: home.now)
    assert follower.look() == []
    home.say(home.writer(), 1)
    home.path.rename(later_home)
    assert said(follower.look()) == [1]
    follower.close()


def test_a_home_that_is_removed_and_made_anew_is_followed_again(home, watch):
    follower = watch()
    one = home.writer()
    home.say(one, 1)
    assert said(follower.look()) == [1]
    home.say(one, 2)
    for path in home.spool.iterdir():
        path.unlink()
    home.spool.rmdir()
    assert said(follower.look()) == [2]
    home.say(home.writer(), 3)
    assert said(follower.look()) == [3]


def test_a_segment_that_the_shipper_removes_is_read_to_its_end(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    follower = watch()
    assert said(follower.look()) == [1]
    home.say(writer, 2, 3)
    writer.close(time.time_ns())
    home.shipper().once()
    assert home.segments() == []
    assert said(follower.look()) == [2, 3]
    later(home)
    assert follower.look() == []
    assert follower.segments == 0
    assert follower.missing() == []


def test_segments_follow_one_another_and_those_read_to_the_end_are_closed(home, watch):
    follower = watch()
    writer = home.writer(budget=SMALL)
    home.say(writer, *range(1, 30), pad=10_000)
    assert len(home.segments()) > 3
    assert said(follower.look()) == list(range(1, 30))
    assert follower.segments == 1
    targets = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert (
        sum(target.startswith(str(home.spool)) for target in targets) == 3
    )  # the writer's lane and lock, the follower's lane


def test_a_writer_that_was_killed_has_its_files_closed_after_a_while(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    follower = watch()
    follower.look()
    assert follower.segments == 1
    kill(home, writer)
    later(home)
    assert follower.look() == []
    assert follower.segments == 0


def kill(home, writer):
    """Let everything of it go, as the kernel does."""
    instance = writer.instance
    writer.after_fork()
    (home.spool / f"{instance}.lock").unlink(missing_ok=True)


def test_a_number_that_no_spool_shows_is_told_once_after_a_moment(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    follower = watch()
    known = follower.look()[-1].sequence
    lose(home, writer, 2)
    home.say(writer, 3)
    assert said(follower.look()) == [3]
    assert follower.missing() == []
    home.now += GRACE_S
    follower.look()
    assert follower.missing() == [Missing(writer.instance, known + 1, known + 1)]
    home.now += GRACE_S
    follower.look()
    assert follower.missing() == []


def lose(home, writer, number):
    """Say it, and take it out of its file again, as if it had been delivered and removed unseen."""
    path = home.spool / home.segments()[-1]
    size = path.stat().st_size
    home.say(writer, number)
    os.truncate(path, size)


def test_a_number_that_comes_late_is_not_missing(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    home.say(writer, 2, priority=True)
    follower = watch()
    follower.look()
    path = home.spool / next(name for name in home.segments() if "-priority-" in name)
    whole = path.read_bytes()
    home.say(writer, 3, priority=True)
    added = path.read_bytes()[len(whole) :]
    os.truncate(path, len(whole))
    home.say(writer, 4)
    assert said(follower.look()) == [4]
    with path.open("ab") as file:
        file.write(added)
    home.now += GRACE_S
    assert said(follower.look()) == [3]
    assert follower.missing() == []


def test_an_instance_whose_beginning_is_gone_misses_it(home, watch):
    follower = watch()
    follower.look()
    writer = home.writer(budget=SMALL)
    home.say(writer, 1, pad=FILLING)
    (home.spool / home.segments()[0]).unlink()
    home.say(writer, 2)
    (found,) = follower.look()
    assert said([found]) == [2]
    home.now += GRACE_S
    follower.look()
    assert follower.missing() == [Missing(writer.instance, 1, found.sequence - 1)]


def test_what_was_missing_at_the_beginning_is_not_told(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    lose(home, writer, 2)
    home.say(writer, 3)
    follower = watch()
    for _ in range(3):
        follower.look()
        home.now += GRACE_S
    assert follower.missing() == []


def test_what_was_found_elsewhere_is_nothing_new_when_a_spool_shows_it(home, watch):
    writer = home.writer()
    home.say(writer, 1)
    follower = watch()
    sequence = follower.look()[-1].sequence
    assert not follower.claim(writer.instance, sequence)
    assert follower.claim(writer.instance, sequence + 1)
    assert not follower.claim(writer.instance, sequence + 1)
    assert follower.claim("0" * 32, 1)
    home.say(writer, 2, 3)
    assert said(follower.look()) == [3]


def test_the_end_of_an_instance_that_nobody_saw_is_missing_and_one_that_was_seen_is_not(home, watch):
    follower = watch()
    killed, ended = home.writer(), home.writer()
    home.say(killed, 1)
    home.say(ended, 2)
    last = next(each.sequence for each in follower.look() if each.instance == killed.instance and said([each]))
    ended.close(time.time_ns())
    later(home)
    follower.look()
    for path in home.spool.iterdir():
        path.unlink()
    follower.look()
    assert follower.missing() == [Missing(killed.instance, last + 1, None)]
    assert follower.missing() == []


def test_looking_away_for_long_is_told_with_when_it_began(home):
    wall = [1_000]
    follower = Watch(home.path, monotonic=lambda: home.now, wall=lambda: wall[0])
    follower.look()
    assert follower.stalled_since_ns is None
    home.now += STALL_S + 0.1
    wall[0] = 5_000
    follower.look()
    assert follower.stalled_since_ns == 1_000
    follower.look()
    assert follower.stalled_since_ns is None


def test_while_nothing_changes_the_directory_is_not_listed(home, watch, monkeypatch):
    home.say(home.writer(), 1)
    os.utime(home.spool, ns=(1, 1))
    listed = []
    original = spools.instances
    monkeypatch.setattr(spools, "instances", lambda spool: listed.append(spool) or original(spool))
    follower = watch()
    for _ in range(20):
        follower.look()
    assert len(listed) == 1
    home.now += LIST_S
    follower.look()
    assert len(listed) == 2


def test_a_directory_that_changed_only_just_now_is_listed_again(home, watch, monkeypatch):
    home.say(home.writer(), 1)
    listed = []
    original = spools.instances
    monkeypatch.setattr(spools, "instances", lambda spool: listed.append(spool) or original(spool))
    stamp = time.time_ns() + 60_000_000_000
    os.utime(home.spool, ns=(stamp, stamp))
    follower = watch()
    for _ in range(3):
        follower.look()
    assert len(listed) == 3


def test_more_segments_than_descriptors_are_read_one_after_the_other(home, watch, monkeypatch):
    for number in range(6):
        writer = home.writer()
        home.say(writer, number)
        writer.close(time.time_ns())
    os.utime(home.spool, ns=(1, 1))  # nothing but the descriptors says that it is to be listed again
    original = spools.FollowedSegment
    follower = watch()

    def limited(spool, name):
        if follower.segments >= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return original(spool, name)

    monkeypatch.setattr(spools, "FollowedSegment", limited)
    found = said(follower.look())
    assert follower.behind
    while follower.behind:
        found += said(follower.look())
    assert sorted(found) == list(range(6))
    assert follower.missing() == []


@pytest.mark.parametrize("where", ["instances", "FollowedSegment"])
def test_spools_of_somebody_else_are_refused_in_one_line(home, watch, monkeypatch, where):
    home.say(home.writer(), 1)

    def refused(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(spools, where, refused)
    with pytest.raises(NotAllowed, match=r"cannot read .*: Permission denied; run as its owner"):
        watch().look()


def test_a_damaged_acknowledgement_only_means_that_more_is_told(home, watch):
    home.say(home.writer(), 1)
    (home.path / "run" / "acknowledged.json").write_text("{")
    assert said(watch().look()) == [1]


STEPS = st.lists(
    st.sampled_from(["say", "say", "warn", "fill", "look", "look", "ship", "new", "end", "kill", "wait"]), max_size=40
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(STEPS)
def test_whatever_happens_every_event_of_a_known_instance_is_seen_once_or_is_missing_and_stored(
    home, tmp_path_factory, steps
):
    Life(type(home)(tmp_path_factory.mktemp("life") / "home")).live(steps)


def _covers(missing, id):
    instance, _, sequence = id.rpartition("-")
    last = missing.last or 1 << 44
    return instance == missing.instance and missing.first <= int(sequence, 16) <= last


class Life:
    """A home in which things happen one after the other, and what a follower saw of it."""

    def __init__(self, home):
        self.home = home
        self.follower = Watch(home.path, monotonic=lambda: home.now)
        self.writers, self.seen, self.missing, self.number = [], [], [], 0
        self.new()
        self.look()

    def live(self, steps):
        for step in steps:
            getattr(self, step)()
        for _ in range(3):
            self.wait()
            self.look()
        self.follower.close()
        known = set(self.follower.instances)  # one that comes and goes between two looks is nobody's
        stored = {id for id in self.home.sink.documents if id.rpartition("-")[0] in known}
        elsewhere = {id for id in stored if any(_covers(each, id) for each in self.missing)}
        assert len(self.seen) == len(set(self.seen))
        assert stored <= set(self.seen) | elsewhere
        assert not elsewhere & set(self.seen)
        assert all(any(_covers(each, id) for id in stored) for each in self.missing if each.last is not None)

    def say(self):
        self.number += 1
        self.home.say(self.writers[-1], self.number)

    def warn(self):
        self.number += 1
        self.home.say(self.writers[-1], self.number, priority=True)

    def look(self):
        self.seen += [f"{each.instance}-{each.sequence:011x}" for each in self.follower.look()]
        self.missing += self.follower.missing()

    def ship(self):
        self.home.shipper().once()

    def fill(self):
        self.number += 1
        self.home.say(self.writers[-1], self.number, pad=FILLING)

    def new(self):
        self.writers.append(self.home.writer(budget=SMALL))

    def end(self):
        self.writers.pop().close(time.time_ns())
        self.new()

    def kill(self):
        kill(self.home, self.writers.pop())
        self.new()

    def wait(self):
        self.home.now += LIST_S
