import os
import sqlite3
import stat
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from clusterlog.control.bus import base, database, sqlite
from clusterlog.control.bus.base import KEPT_S, Changed, Gap, Message
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.errors import BusUnreachable
from clusterlog.testing.buses import PATIENCE_S, BusContract, changed, heard, subscribed
from clusterlog.testing.children import in_a_child, in_the_background

NOBODY = 65534


class TestSqliteBus(BusContract):
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path):
        self.path = tmp_path / "control" / "bus.db"

    def bus(self, cluster):
        return SqliteBus(self.path, cluster)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control" / "bus.db"


@pytest.fixture
def opened(path):
    """Opens links that are closed with the test."""
    with ExitStack() as stack:
        yield lambda: subscribed(stack.enter_context(closing(SqliteBus(path).open())))


def said(call, *arguments):
    with pytest.raises(BusUnreachable) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# what it makes


def test_what_it_makes_is_for_its_owner_alone(path, opened):
    opened().write(b"document", None)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (path.parent, *path.parent.iterdir())}
    assert modes.pop("control") == modes.pop("bells") == 0o700
    assert "bus.db-wal" in modes
    assert set(modes.values()) == {0o600}


def test_a_closed_link_leaves_the_database_and_no_bell(path, opened):
    opened().close()
    assert sorted(each.name for each in path.parent.rglob("*")) == ["bells", "bus.db"]


def test_the_document_and_the_leases_outlive_the_processes(path):
    with closing(SqliteBus(path).open()) as link:
        link.write(b"document", None)
        link.lease("a", b"", 30.0, "e/1")
    with closing(SqliteBus(path).open()) as link:
        assert link.read().document == b"document"
        assert link.leased("e/1") == 1


# being told


@pytest.mark.parametrize("what", ["a change", "a message"])
def test_a_bell_tells_others_without_a_poll(opened, monkeypatch, what):
    link, other = opened(), opened()
    monkeypatch.setattr(sqlite, "POLL_S", PATIENCE_S * 10)
    assert in_a_child(lambda: link.close() is None)  # which must not take the bell of its parent down
    come = []
    listener = threading.Thread(target=lambda: come.extend(other.wait(PATIENCE_S * 10)))
    listener.start()
    time.sleep(0.05)
    link.send(b"message") if what == "a message" else link.write(b"document", None)
    listener.join(PATIENCE_S)
    told = tuple(come)
    other.wake()
    listener.join()
    assert told == ((Message(b"message"),) if what == "a message" else (Changed(b"document"),))


def test_the_poll_alone_does_where_the_path_is_too_long_for_a_bell(tmp_path):
    path = tmp_path / ("x" * 120) / "bus.db"
    with closing(SqliteBus(path).open()) as link, closing(SqliteBus(path).open()) as other:
        subscribed(other)
        link.write(b"document", None)
        changed(other, b"document")
    assert not any((path.parent / "bells").iterdir())


def test_bells_of_processes_that_ended_are_taken_away(path, opened):
    link = opened()
    bells = path.parent / "bells"

    def dies():
        SqliteBus(path).open()
        os._exit(0)

    assert in_a_child(dies)
    assert len(list(bells.iterdir())) == 2
    link.send(b"")
    assert len(list(bells.iterdir())) == 1


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_MESSAGES", 10), ("MOST_BYTES_OF_MESSAGES", 300), ("MESSAGES_LIVE_S", 0.0)]
)
def test_a_listener_that_was_trimmed_past_is_told_of_a_gap_before_what_is_left(opened, monkeypatch, limit, value):
    link, other = opened(), opened()
    monkeypatch.setattr(sqlite, limit, value)
    for each in range(50):
        link.send(b"%030d" % each)
    come = other.wait(PATIENCE_S)
    assert come[0] == Gap()
    assert come[-1] == Message(b"%030d" % 49)
    assert 1 <= len(come) - 1 <= 10
    link.send(b"next")
    assert other.wait(PATIENCE_S) == (Message(b"next"),)


# the clock


def test_f07_setting_the_time_of_the_machine_moves_nothing(opened, monkeypatch):
    link = opened()
    link.lease("a", b"", 30.0, "e/1")
    before = link.read().now_ns
    for days in (1, -1):
        monkeypatch.setattr(time, "time_ns", lambda days=days: before + days * 86_400 * 10**9)
        late = opened()
        assert 0 <= late.read().now_ns - before < 60 * 10**9
        assert late.leased("e/1") == 1


def test_f07_the_clock_does_not_go_back_from_one_run_of_the_machine_to_the_next(opened, monkeypatch):
    link = opened()
    link.send(b"")
    before = link.read().now_ns
    monkeypatch.setattr(sqlite, "boot_id", lambda: "another")
    monkeypatch.setattr(sqlite, "boot_ns", lambda: 5)
    monkeypatch.setattr(time, "time_ns", lambda: before - 3600 * 10**9)
    assert before - 10**9 <= opened().read().now_ns < before + 60 * 10**9


def test_a_lease_that_ran_out_a_day_ago_is_forgotten(opened, monkeypatch):
    link = opened()
    link.lease("a", b"", 30.0, "e/1")
    now = sqlite.boot_ns()
    monkeypatch.setattr(sqlite, "boot_ns", lambda: now + int((KEPT_S + 20) * 1e9))
    assert [lease.key for lease in link.leases()] == ["a"]
    monkeypatch.setattr(sqlite, "boot_ns", lambda: now + int((KEPT_S + 40) * 1e9))
    assert link.leases() == ()


# F21, F22: what is wrong with the file


def test_f22_a_lock_that_another_holds_is_waited_for_and_then_said_while_reading_goes_on(path, opened, monkeypatch):
    link, other = opened(), opened()
    link.write(b"before", None)
    monkeypatch.setattr(base, "PATIENCE_S", 0.3)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert "lock" in said(link.send, b"")
        assert "lock" in said(link.lease, "a", b"", 30.0, "e/1")
        assert other.read().document == b"before"
        changed(other, b"before")
        assert opened().leases() == ()
        holder.execute("ROLLBACK")
        link.send(b"after")
    assert heard(other, 1) == [b"after"]


def test_f22_who_waits_for_the_lock_gets_it(path, opened):
    link = opened()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, holder.execute, ["ROLLBACK"])
        release.start()
        link.send(b"in the end")
        release.join()
    assert heard(link, 1) == [b"in the end"]


@pytest.mark.engines
def test_f22_32_writers_lose_nothing_while_somebody_holds_the_lock_for_longer_than_their_patience(
    path, opened, monkeypatch
):
    monkeypatch.setattr(base, "PATIENCE_S", 2.0)
    link = opened()

    def writes(writer):
        with closing(subscribed(SqliteBus(path).open())) as own:
            for each in range(50):
                message = b"%d %d" % (writer, each)
                while True:
                    try:
                        own.send(message)
                        own.lease(f"{writer}", message, 60.0, "e/1")
                        break
                    except BusUnreachable:
                        # It may be there all the same: who sends again marks it.
                        continue
        return True

    with ExitStack() as stack:
        results = [stack.enter_context(in_the_background(lambda n=n: writes(n))) for n in range(32)]
        come = heard(link, 1)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_S)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            time.sleep(12.0)
            holder.execute("ROLLBACK")
        while len(set(come)) < 32 * 50:
            come += heard(link, 1)
        assert all(result() for result in results)
    for writer in range(32):
        mine = list(dict.fromkeys(body for body in come if body.startswith(b"%d " % writer)))
        assert mine == [b"%d %d" % (writer, each) for each in range(50)]
    assert link.leased("e/1") == 32


def test_f22_many_writers_at_once_never_hear_of_the_lock(path, opened):
    """With SQLite alone, and no time to wait, nearly all of them would."""
    link = opened()

    def writes():
        with closing(SqliteBus(path).open()) as own:
            for each in range(50):
                own.lease(f"{os.getpid()}", b"%d" % each, 60.0, "e/1")
                own.send(b"")
        return True

    with ExitStack() as stack:
        results = [stack.enter_context(in_the_background(writes)) for _ in range(8)]
        assert all(result() for result in results)
    assert len(heard(link, 400)) == 400
    assert {lease.body for lease in link.leases()} == {b"49"}


def test_f21_a_directory_that_may_not_be_written_is_said(path):
    if os.geteuid() != 0:
        path.parent.mkdir(mode=0o500)
        assert "look at the owner and the mode" in said(SqliteBus(path).open)
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)

        def refused():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            in_directory = "look at the owner and the mode" in said(SqliteBus(Path(directory, "bus.db")).open)
            above = "ermission denied" in said(SqliteBus(Path(directory, "control", "bus.db")).open)
            return in_directory and above

        assert in_a_child(refused)


def test_f21_a_file_that_may_only_be_read_is_said(path):
    with closing(SqliteBus(path).open()) as link:
        link.write(b"document", None)
    if os.geteuid() != 0:
        path.chmod(0o400)
        with closing(SqliteBus(path).open()) as link:
            assert "cannot be written" in said(link.send, b"")
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        moved = Path(directory, "bus.db")
        moved.write_bytes(path.read_bytes())
        moved.chmod(0o444)

        def refused():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with closing(SqliteBus(moved).open()) as link:
                return "cannot be written" in said(link.send, b"") and link.read().document == b"document"

        assert in_a_child(refused)


def test_f21_a_full_disk_is_said(opened, monkeypatch):
    connect = database._connect

    def small(path):
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 60")
        return connection

    monkeypatch.setattr(database, "_connect", small)
    link = opened()
    link.write(b"document", None)
    assert "no space left" in said(link.send, b"x" * base.MOST_MESSAGE)
    assert link.read().document == b"document"


def test_f21_a_removed_directory_is_said_and_made_again_for_the_next_link(path, opened):
    link = opened()
    for each in sorted(path.parent.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    path.parent.rmdir()
    assert "is gone" in said(link.wait, PATIENCE_S)
    assert "is gone" in said(link.send, b"")
    again = opened()
    again.write(b"document", None)
    assert again.read().document == b"document"


def test_f21_a_database_that_was_replaced_is_said(path, opened):
    link = opened()
    path.rename(path.with_name("old.db"))
    with closing(SqliteBus(path).open()):
        assert "another one in its place" in said(link.wait, PATIENCE_S)


def test_f21_a_file_system_that_processes_cannot_share_is_said(path, monkeypatch):
    """SQLite's own stand-in for file systems without locks has no shared memory, as those of a network."""

    def without_locks(path):
        return sqlite3.connect(
            f"file:{path}?vfs=unix-dotfile", uri=True, timeout=0.0, isolation_level=None, check_same_thread=False
        )

    monkeypatch.setattr(database, "_connect", without_locks)
    assert "network file system" in said(SqliteBus(path).open)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_f14_a_damaged_file_is_said(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert "damaged" in said(SqliteBus(path).open)


def test_a_database_of_a_newer_clusterlog_is_left_alone(path, opened):
    opened().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {database.FORM + 1}")
    assert "newer clusterlog" in said(SqliteBus(path).open)


# forks


def test_a_fork_takes_no_open_database_with_it_and_its_parent_goes_on(path, opened):
    link = opened()
    link.write(b"document", None)

    def descriptors():
        return [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]

    assert any(str(path) in each for each in descriptors())
    assert in_a_child(lambda: not any(str(path) in each for each in descriptors()))
    link.send(b"after")
    assert heard(link, 1) == [b"after"]
    assert link.read().document == b"document"


def test_a_fork_does_not_wait_for_the_disk_and_nothing_is_lost_of_it(path, opened):
    """The last one to close a database writes its log into it and syncs both."""
    link = opened()
    for each in range(20):
        link.lease(f"{each}", b"x" * 1000, 30.0, "e/1")
    log = path.with_name("bus.db-wal")
    assert in_a_child(lambda: log.stat().st_size > 20_000)
    assert link.leased("e/1") == 20
    link.close()
    assert not log.exists()
    assert opened().leased("e/1") == 20


def test_children_forked_while_threads_are_inside_of_sqlite_do_not_hang(path, opened):
    stop = threading.Event()

    def hammer(link):
        while not stop.is_set():
            link.lease(f"{id(link)}", b"", 30.0, "e/1")
            link.leases()

    threads = [threading.Thread(target=hammer, args=(opened(),)) for _ in range(2)]
    for thread in threads:
        thread.start()

    def works():
        with closing(SqliteBus(path).open()) as own:
            own.lease(f"{os.getpid()}", b"", 30.0, "e/2")
            return True

    try:
        assert all(in_a_child(works) for _ in range(20))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert opened().leased("e/2") == 20


def test_a_signal_may_close_what_its_own_thread_is_inside_of(opened, monkeypatch):
    link = opened()
    monkeypatch.setattr(database, "_FORK_PATIENCE_S", 0.01)
    with database._calm:
        link.close()
    assert "closed" in said(link.read)
