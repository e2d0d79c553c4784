"""One process per home ships; a second one is told who does."""

import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from clusterlog.errors import HomeBusy, NotAllowed, SettingError
from clusterlog.ship.homelock import HomeLock


def held_by_a_child(home):
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        HomeLock.take(home)
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    return pid


def test_a_second_process_is_refused_and_told_the_holder(tmp_path):
    pid = held_by_a_child(tmp_path)
    try:
        with pytest.raises(HomeBusy, match=f"process {pid}") as told:
            HomeLock.take(tmp_path)
        assert told.value.exit_code == 3
        assert HomeLock.holder(tmp_path) == pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_lock_of_a_killed_shipper_is_free_at_once(tmp_path):
    pid = held_by_a_child(tmp_path)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert HomeLock.holder(tmp_path) == 0
    with HomeLock.take(tmp_path):
        assert HomeLock.holder(tmp_path) == os.getpid()
    assert HomeLock.holder(tmp_path) == 0


def test_the_same_process_cannot_take_it_twice(tmp_path):
    with HomeLock.take(tmp_path), pytest.raises(HomeBusy):
        HomeLock.take(tmp_path)


def test_the_lock_file_is_private(tmp_path):
    with HomeLock.take(tmp_path):
        assert stat.S_IMODE((tmp_path / "run" / "ship.lock").stat().st_mode) == 0o600


def test_a_home_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(SettingError, match="is not a directory"):
        HomeLock.take(tmp_path / "home")


def test_a_home_where_nothing_can_be_made_is_refused_in_one_line():
    with pytest.raises(SettingError, match="choose another --home"):
        HomeLock.take(Path("/proc/nowhere"))


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
def test_a_home_without_permission_is_refused_in_one_line(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "home").mkdir(mode=0o700)
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        try:
            HomeLock.take(tmp_path / "home")
        except NotAllowed as error:
            os._exit(0 if error.exit_code == 4 and "\n" not in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_network_file_system_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("clusterlog.spool.filesystem.kind_of", lambda path: "nfs4")
    with pytest.raises(SettingError, match=r"nfs4.*local directory"):
        HomeLock.take(tmp_path)


def test_a_full_disk_does_not_keep_the_one_out_who_could_empty_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with HomeLock.take(tmp_path):
        assert HomeLock.holder(tmp_path) == os.getpid()
    assert HomeLock.holder(tmp_path) == 0
