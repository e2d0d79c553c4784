"""What changes hands under a writer: closed descriptors, removed files, a slow disk, a loss nobody could note."""

import errno
import os
import shutil
import threading
import time

import pytest

from clusterlog.spool import syncing
from clusterlog.spool.budget import Budget
from clusterlog.spool.reader import instances
from clusterlog.spool.stderr import LastResort

LATER = 1_000_000_000


@pytest.fixture
def clock():
    now = [time.time_ns()]

    def clock():
        return now[0]

    clock.pass_a_second = lambda: now.__setitem__(0, now[0] + LATER)
    return clock


def test_a_home_that_was_removed_is_made_anew_within_a_second(spool, say, clock):
    writer = spool.writer(clock=clock)
    say(writer, 1, ns=clock())
    first = writer.instance
    shutil.rmtree(spool.path.parent)
    clock.pass_a_second()
    say(writer, 2, ns=clock())
    say(writer, 3, priority=True, ns=clock())
    assert spool.said() == [2, 3]
    assert spool.states("open")[0]["parent"] == first
    assert writer.instance != first
    assert instances(spool.path)[0].alive


def test_a_segment_that_was_removed_is_left_for_a_new_one(spool, say, clock):
    writer = spool.writer(clock=clock)
    say(writer, 1, ns=clock())
    (segment,) = spool.path.glob("*.seg")
    segment.unlink()
    clock.pass_a_second()
    say(writer, 2, ns=clock())
    assert spool.said() == [2]
    assert len(instances(spool.path)) == 1


def test_a_descriptor_that_became_somebody_elses_is_neither_written_nor_closed(spool, say, clock, tmp_path):
    writer = spool.writer(clock=clock)
    say(writer, 1, ns=clock())
    ours = (writer._bulk.fd, writer._lock_fd)
    for fd in ours:
        os.close(fd)  # as daemonisers do, without knowing whose they are
    stranger = os.open(tmp_path / "database", os.O_RDWR | os.O_CREAT)
    others = [os.dup(stranger) for _ in range(2)]
    assert set(ours) <= {stranger, *others}
    try:
        clock.pass_a_second()
        say(writer, 2, ns=clock())
        writer.close(clock())
        assert os.fstat(stranger).st_size == 0
        assert 2 in spool.said()
    finally:
        for fd in (stranger, *others):
            os.close(fd)


def test_nobody_waits_for_a_sync_that_somebody_else_asked_for(spool, say, monkeypatch):
    syncing_now, go_on = threading.Event(), threading.Event()

    def slow(fd):
        syncing_now.set()
        go_on.wait(30)

    monkeypatch.setattr(syncing.os, "fdatasync", slow)
    writer = spool.writer(durability="level")
    thread = threading.Thread(target=say, args=(writer, 1), kwargs={"priority": True})
    thread.start()
    assert syncing_now.wait(30)
    try:
        say(writer, 2)
        assert spool.said() == [1, 2]
        assert thread.is_alive()
    finally:
        go_on.set()
        thread.join()


def test_every_event_is_synced_before_its_own_call_returns_in_mode_strict(spool, say, monkeypatch):
    synced = []
    monkeypatch.setattr(syncing.os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    writer = spool.writer(durability="strict")
    for n in range(3):
        say(writer, n)
        assert synced[-1] == writer._bulk.offset


def test_syncing_leaves_no_descriptor_open(spool, say):
    writer = spool.writer(durability="strict")
    say(writer, 0)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(20):
        say(writer, n, priority=n % 2 == 0)
    writer.flush()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the other lane


def test_losses_that_could_not_be_written_down_are_told_in_the_end(spool, say, monkeypatch):
    writer = spool.writer(budget=Budget(min_free=0))
    now = time.time_ns()
    say(writer, 1, ns=now)

    def full(fd, data):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as broken:
        broken.setattr("clusterlog.spool.writer.os.write", full)
        for n in range(5):
            say(writer, n, ns=now)
        writer.close(now)
    assert spool.printed == [f"events lost in {spool.path}: 5 disk_full".encode()]


def test_the_last_resort_says_why_once_for_each_reason(tmp_path, capfd):
    last_resort = LastResort(tmp_path / "spool")
    last_resort("disk_error", b'{"n":1}')
    last_resort("disk_error", b'{"n":2}')
    last_resort("spool_eacces", b'{"n":3}')
    last_resort("untold", b"5 were lost")
    assert capfd.readouterr().err.splitlines() == [
        f"clusterlog: cannot write {tmp_path}/spool (disk_error): events go to stderr",
        '{"n":1}',
        '{"n":2}',
        f"clusterlog: cannot write {tmp_path}/spool (spool_eacces): events go to stderr",
        '{"n":3}',
        "clusterlog: 5 were lost",
    ]
