"""The writer's promise: on return an event is in the page cache under its number, or counted under a reason."""

import ctypes
import errno
import os
import random
import signal
import stat
import threading
import time

import pytest

from clusterlog.spool import liveness, syncing
from clusterlog.spool.budget import Budget
from clusterlog.spool.lane import ROTATE_NS
from clusterlog.spool.reader import instances
from clusterlog.spool.segment import MAX_EVENT


def test_events_come_back_in_order_and_without_gaps(spool, say):
    writer = spool.writer()
    for n in range(100):
        say(writer, n, priority=n % 7 == 0)
    assert spool.said() == list(range(100))
    assert [each["sequence"] for each in spool.documents()] == list(range(1, 102))


def test_warning_and_above_lie_in_files_of_their_own(spool, say):
    writer = spool.writer()
    say(writer, 1)
    say(writer, 2, priority=True)
    assert {name.lane for name in instances(spool.path)[0].segments} == {"bulk", "priority"}


def test_nothing_is_made_before_the_first_event(spool):
    spool.writer()
    assert not spool.path.exists()


def test_an_instance_opens_with_an_open_event_and_ends_with_a_close_event(spool, say):
    writer = spool.writer()
    say(writer, 1)
    writer.close(time.time_ns())
    actions = [each.get("action") for each in spool.documents()]
    assert actions == ["open", None, "close"]
    assert spool.states("close")[0]["last_seq"] == 3


def test_directories_are_private_and_files_are_private_whatever_the_umask(spool, say):
    before = os.umask(0)
    try:
        say(spool.writer(), 1)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (spool.path, spool.path.parent)] == [0o700, 0o700]
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.path.iterdir()} == {0o600}


def test_the_lock_is_held_while_the_writer_lives_and_free_when_it_is_closed(spool, say):
    writer = spool.writer()
    say(writer, 1)
    assert instances(spool.path)[0].pid == os.getpid()
    writer.close(time.time_ns())
    assert instances(spool.path)[0].pid == 0


def test_another_process_sees_who_holds_the_lock_and_does_not_disturb_it(spool, say):
    writer = spool.writer()
    say(writer, 1)
    pid = os.fork()
    if pid == 0:
        liveness.forget()
        seen = [liveness.holder(path) for path in spool.path.glob("*.lock") for _ in range(2)]
        os._exit(0 if seen == [os.getppid()] * 2 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert instances(spool.path)[0].alive


def test_the_lock_of_a_killed_writer_is_free(spool, say):
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        say(spool.writer(), 1)
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    assert instances(spool.path)[0].pid == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert instances(spool.path)[0].pid == 0


def test_a_segment_is_left_when_it_is_full(spool, say):
    writer = spool.writer(budget=Budget(limit=4 << 20))
    for n in range(600):
        say(writer, n, pad=1000)
    numbers = [name.number for name in instances(spool.path)[0].segments]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 4
    assert spool.said() == list(range(600))


def test_a_segment_is_left_when_it_is_old_or_the_clock_jumps_back(spool, say):
    writer = spool.writer()
    start = time.time_ns()
    for n, ns in enumerate((start, start + ROTATE_NS + 1, start)):
        say(writer, n, ns=ns)
    assert len(instances(spool.path)[0].segments) == 3
    assert spool.said() == [0, 1, 2]


def test_the_time_an_event_claims_makes_no_segment_old(spool):
    writer = spool.writer()
    now = time.time_ns()
    for n in range(50):
        writer.append(False, now + (n % 2) * n * ROTATE_NS, b'"n":%d}' % n)
    assert len(instances(spool.path)[0].segments) == 1
    assert spool.said() == list(range(50))


def test_every_event_bears_its_own_time_whatever_was_written_before(spool):
    writer = spool.writer()
    chance = random.Random(7)
    base = time.time_ns()
    claimed = [base + chance.choice((1, 1, 400, 2000)) * chance.randrange(-1_000_000, 1_000_000) for _ in range(500)]
    for n, ns in enumerate(claimed):
        writer.append(chance.random() < 0.3, ns, b'"n":%d}' % n)
    told = [each for each in spool.documents() if "n" in each]
    assert [each["second"] * 1_000_000_000 + each["ns"] for each in told] == claimed
    assert all(0 <= each["ns"] < 1_000_000_000 for each in told)


def test_a_forked_child_is_an_instance_of_its_own_and_names_its_parent(spool, say):
    writer = spool.writer()
    say(writer, 1)
    pid = os.fork()
    if pid == 0:
        writer.after_fork()
        say(writer, 2)
        os._exit(0)
    os.waitpid(pid, 0)
    say(writer, 3)
    child = next(each.id for each in instances(spool.path) if each.id != writer.instance)
    assert spool.said(writer.instance) == [1, 3]
    assert spool.said(child) == [2]
    assert [facts.get("parent") for facts in spool.states("open")] == [None, writer.instance]


def test_a_fork_by_c_code_without_hooks_is_noticed(spool, say):
    writer = spool.writer()
    say(writer, 1)
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        for n in range(2, 12):
            say(writer, n)
        os._exit(0)
    os.waitpid(pid, 0)
    say(writer, 12)
    assert spool.said(writer.instance) == [1, 12]
    assert len(instances(spool.path)) == 2
    assert sorted(spool.said()) == list(range(1, 13))


def test_a_child_that_says_nothing_leaves_nothing(spool, say):
    writer = spool.writer()
    say(writer, 1)
    pid = os.fork()
    if pid == 0:
        writer.after_fork()
        writer.close(time.time_ns())
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(instances(spool.path)) == 1 and instances(spool.path)[0].alive


def test_a_fork_while_other_threads_write_neither_hangs_nor_mixes(spool, say):
    writer = spool.writer()
    stop = threading.Event()

    def chatter():
        while not stop.is_set():
            say(writer, 0)

    threads = [threading.Thread(target=chatter) for _ in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for n in range(1, 21):
        pid = os.fork()
        if pid == 0:
            writer.after_fork()
            say(writer, n)
            os._exit(0)
        children.append(pid)
    stop.set()
    for thread in threads:
        thread.join()
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert sorted(n for n in spool.said() if n) == list(range(1, 21))
    for each in instances(spool.path):
        numbers = [document["sequence"] for document in spool.documents(each.id)]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_signal_handler_that_logs_inside_a_log_call_loses_and_doubles_nothing(spool, say):
    writer = spool.writer()
    fired = []

    def handler(number, frame):
        fired.append(-len(fired) - 1)
        say(writer, fired[-1])

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        n = 0
        while len(fired) < 200:
            n += 1
            say(writer, n)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    said = spool.said()
    assert sorted(said) == sorted([*range(1, n + 1), *fired])
    assert [each["sequence"] for each in spool.documents()] == list(range(1, len(said) + 2))


# Interrupted between opening a directory and the statement that would close it, Python leaves it to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_signal_handler_that_raises_inside_a_log_call_leaves_no_gap_and_no_double(spool, say):
    writer = spool.writer()
    returned, armed = [], []

    class Raised(Exception):
        pass

    def handler(number, frame):
        if armed:
            armed.clear()  # the next one only when this one has been caught
            raise Raised

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for _ in range(100):
            try:
                armed.append(True)
                while True:
                    say(writer, len(returned))
                    returned.append(len(returned))
            except Raised:
                continue
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    documents = spool.documents()
    assert [each["sequence"] for each in documents] == list(range(1, len(documents) + 1))
    assert set(spool.said()) >= set(returned)


def test_many_threads_share_one_instance_without_gaps(spool, say):
    writer = spool.writer()

    def work(base):
        for n in range(500):
            say(writer, base + n, priority=n % 5 == 0)

    threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(spool.said()) == sorted(1000 * k + n for k in range(8) for n in range(500))
    assert [each["sequence"] for each in spool.documents()] == list(range(1, 4002))


class FaultyWrites:
    """``os.write`` that fails or falls short on the spool as told; everything else is the real one."""

    def __init__(self, monkeypatch):
        self.plan = []
        self.real = os.write
        monkeypatch.setattr("clusterlog.spool.writer.os.write", self)

    def __call__(self, fd, data):
        fault = self.plan.pop(0) if self.plan else None
        if fault is None:
            return self.real(fd, data)
        if isinstance(fault, int):
            raise OSError(fault, os.strerror(fault))
        return self.real(fd, data[: int(len(data) * fault)])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_quota"),
        (errno.EIO, "disk_error"),
        (errno.EROFS, "disk_read_only"),
    ],
)
def test_what_cannot_be_written_is_counted_and_its_number_explained(spool, say, monkeypatch, fault, reason):
    writer = spool.writer()
    now = time.time_ns()
    say(writer, 1, ns=now)
    faults = FaultyWrites(monkeypatch)
    faults.plan = [fault]
    say(writer, 2, ns=now)
    say(writer, 3, ns=now)  # too early to try again: refused without a write
    say(writer, 4, ns=now + 2_000_000_000)
    assert writer.ledger.total == {reason: 2}
    assert spool.said() == [1, 4]
    drop = spool.states("drop")[0]
    assert (drop["reason"], drop["first_seq"], drop["last_seq"], drop["count"]) == (reason, 3, 4, 2)


def test_a_short_write_leaves_no_half_record_behind(spool, say, monkeypatch):
    writer = spool.writer()
    now = time.time_ns()
    say(writer, 1, ns=now)
    faults = FaultyWrites(monkeypatch)
    faults.plan = [0.5]
    say(writer, 2, ns=now)
    say(writer, 3, ns=now + 2_000_000_000)
    assert spool.said() == [1, 3]
    assert spool.states("drop")[0]["first_seq"] == 3
    assert writer.ledger.total == {"disk_full": 1}


def test_io_trouble_is_printed_as_a_last_resort_and_a_full_disk_is_not(spool, say, monkeypatch):
    writer = spool.writer()
    now = time.time_ns()
    say(writer, 1, ns=now)
    faults = FaultyWrites(monkeypatch)
    faults.plan = [errno.EIO]
    say(writer, 2, ns=now)
    assert len(spool.printed) == 1 and b'"n":2' in spool.printed[0]
    faults.plan = [errno.ENOSPC]
    say(writer, 3, ns=now + 2_000_000_000)
    say(writer, 3, ns=now + 2_000_000_000)
    assert len(spool.printed) == 1


def test_a_directory_that_cannot_be_made_is_counted_and_tried_again(spool, say, tmp_path):
    spool.path = tmp_path / "file" / "spool"
    (tmp_path / "file").write_text("in the way")
    writer = spool.writer()
    now = time.time_ns()
    say(writer, 1, ns=now)
    assert writer.ledger.total == {"spool_eexist": 1}
    (tmp_path / "file").unlink()
    say(writer, 2, ns=now + 2_000_000_000)
    assert spool.said() == [2]
    assert spool.states("drop")[0]["first_seq"] == 1


def test_an_event_larger_than_a_record_may_be_is_refused_and_explained_at_once(spool, say):
    writer = spool.writer()
    say(writer, 1)
    say(writer, 2, pad=MAX_EVENT)
    say(writer, 3)
    assert spool.said() == [1, 3]
    assert spool.states("drop")[0]["reason"] == "oversize"


def test_the_disk_limit_stops_the_bulk_lane_first_and_every_drop_is_told(spool, say):
    writer = spool.writer(budget=Budget(limit=2 << 20, min_free=0))
    now = time.time_ns()
    for n in range(4000):
        say(writer, n, ns=now, pad=1000)
    bulk = len(spool.said())
    assert 1500 < bulk < 2000
    assert writer.ledger.total == {"disk_limit": 4000 - bulk}
    for n in range(4000, 4020):
        say(writer, n, priority=True, ns=now, pad=1000)
    assert spool.said()[-20:] == list(range(4000, 4020))
    writer.close(now)
    told = spool.states("drop")
    assert sum(each["count"] for each in told) == 4000 - bulk
    present = {each["sequence"] for each in spool.documents()}
    explained = {n for each in told for n in range(each["first_seq"], each["last_seq"] + 1)}
    assert present | explained == set(range(1, max(present) + 1)) and not present & explained


def test_the_spool_goes_on_when_room_has_been_made(spool, say):
    writer = spool.writer(budget=Budget(limit=2 << 20, min_free=0))
    now = time.time_ns()
    for n in range(4000):
        say(writer, n, ns=now, pad=1000)
    for path in sorted(spool.path.glob("*.seg"))[:-1]:
        path.unlink()
    say(writer, 5000, ns=now + 2_000_000_000)
    assert spool.said()[-1] == 5000


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_really_fills_up_costs_counted_events_only(spool, say, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {small} 2>/dev/null") != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        spool.path = small / "spool"
        writer = spool.writer(budget=Budget(min_free=0))
        now = time.time_ns()
        for n in range(2000):
            say(writer, n, ns=now + n * 1_000_000, pad=random.Random(n).randrange(4000))
        kept = spool.said()
        assert kept and kept == sorted(set(kept))
        assert sum(writer.ledger.total.values()) == 2000 - len(kept)
        assert set(writer.ledger.total) == {"disk_full"}
        writer.close(now)
    finally:
        os.system(f"umount {small}")


def test_flush_syncs_what_was_written_and_says_so(spool, say, monkeypatch):
    synced = []
    monkeypatch.setattr(syncing.os, "fdatasync", synced.append)
    writer = spool.writer(durability="page-cache")
    say(writer, 1)
    say(writer, 2, priority=True)
    assert not synced
    assert writer.flush() and len(synced) == 2
    assert writer.flush() and len(synced) == 2


@pytest.mark.parametrize(
    ("mode", "shipper", "expected"),
    [("page-cache", False, 0), ("interval", True, 0), ("interval", False, 1), ("level", True, 2), ("strict", True, 7)],
)
def test_each_durability_mode_syncs_as_it_says(spool, say, monkeypatch, mode, shipper, expected):
    synced = []
    monkeypatch.setattr(syncing.os, "fdatasync", synced.append)
    writer = spool.writer(durability=mode, shipper_lives=lambda: shipper)
    now = time.time_ns()
    for n in range(6):
        say(writer, n, priority=n in (2, 4), ns=now)
    assert len(synced) == expected


def test_events_that_all_claim_one_time_are_synced_as_time_goes_on(spool, monkeypatch):
    synced = []
    monkeypatch.setattr(syncing.os, "fdatasync", synced.append)
    writer = spool.writer(durability="interval", shipper_lives=lambda: False)
    spool.now = time.time_ns()
    for old, pad, least in ((10_000_000_000, 0, 50), (0, 30_000, 5)):
        claimed, before = spool.now - old, len(synced)
        for n in range(50):
            writer.append(False, claimed, b'"n":%d,"pad":"%s"}' % (n, b"x" * pad))
            spool.now += 1_000_000_000
        assert len(synced) - before >= least


def test_a_failed_sync_is_counted_and_its_segment_is_left(spool, say, monkeypatch):
    def fail(fd):
        raise OSError(errno.EIO, "input/output error")

    writer = spool.writer(durability="strict")
    with monkeypatch.context() as broken:
        broken.setattr(syncing.os, "fdatasync", fail)
        say(writer, 1)
    say(writer, 2)
    assert writer.ledger.total["sync_failed"] >= 1
    assert len(instances(spool.path)[0].segments) >= 2
    assert spool.said() == [1, 2]


def test_after_close_an_append_is_counted_and_with_reopen_it_begins_a_new_instance(spool, say):
    writer = spool.writer()
    say(writer, 1)
    first = writer.instance
    writer.close(time.time_ns(), reopen=True)
    say(writer, 2)
    assert writer.instance != first
    assert [facts.get("parent") for facts in spool.states("open")] == [None, first]
    writer.close(time.time_ns())
    say(writer, 3)
    assert writer.ledger.total == {"closed": 1}
    assert spool.said() == [1, 2]
