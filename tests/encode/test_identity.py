"""Users without names: a keyed hash that is the same in every process of a home, and whose key stays private."""

import hashlib
import hmac
import os
import stat
import threading
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode.identity import (
    LOOK_S,
    SEVERAL,
    IdentityHash,
    Key,
    hashes,
    hashes_of_session,
    key_file,
    read_keys,
    rotate,
)
from clusterlog.errors import ClusterlogWarning, NotAllowed, NotFound, SettingError
from clusterlog.settings import load

NOON = 1_793_707_200.0
"""2026-11-03T12:00:00Z."""


class Watch:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def settings(tmp_path):
    return load({"home": str(tmp_path)}, environ={}, directory=tmp_path)


def test_the_hash_is_hmac_sha_256_under_the_key_in_the_file(tmp_path):
    (tmp_path / "key").write_bytes(b"a key of mine\n")
    hashed, key_id = IdentityHash(tmp_path / "key")("alice")
    assert hashed == hmac.new(b"a key of mine", b"alice", hashlib.sha256).hexdigest()
    assert len(key_id) == 8


def test_a_key_is_made_at_the_first_identity_and_is_private(tmp_path):
    hashing = IdentityHash(tmp_path / "home" / "user.key")
    assert not (tmp_path / "home").exists()
    hashing("alice")
    assert stat.S_IMODE((tmp_path / "home" / "user.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["user.key"]


def test_two_processes_that_make_the_key_at_once_use_one(tmp_path):
    reads = []
    for _ in range(6):
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, IdentityHash(tmp_path / "user.key")("alice")[0].encode())
            os._exit(0)
        os.close(write)
        reads.append(read)
    hashes = set()
    for read in reads:
        with os.fdopen(read, "rb") as pipe:
            hashes.add(pipe.read())
        os.wait()
    assert len(hashes) == 1
    assert b"" not in hashes


def test_another_key_gives_another_hash_and_another_key_id(tmp_path):
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        found.update(IdentityHash(tmp_path / name)("alice"))
    assert len(found) == 4


def test_the_key_id_tells_nothing_of_the_key(tmp_path):
    (tmp_path / "key").write_bytes(b"secret")
    _, key_id = IdentityHash(tmp_path / "key")("alice")
    assert key_id not in hashlib.sha256(b"secret").hexdigest()


def test_identities_of_any_text_are_hashed(tmp_path):
    hashing = IdentityHash(tmp_path / "key")
    assert len({hashing(text)[0] for text in ("", "a", "ä", "\ud800", "x" * 100_000, "a\0b")}) == 6


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.isdir("/proc/self"), reason="needs a place nobody can write")
def test_without_a_place_for_the_key_one_of_this_process_alone_serves():
    hashing = IdentityHash("/proc/self/nothing/user.key")
    with pytest.warns(ClusterlogWarning, match=r"cannot write the user key /proc/self/nothing/user\.key: .*alone"):
        assert hashing("alice") == hashing("alice")
    with pytest.warns(ClusterlogWarning):
        assert hashing("alice")[0] != IdentityHash("/proc/self/nothing/user.key")("alice")[0]


def test_an_empty_key_file_is_no_key_that_anybody_knows(tmp_path):
    (tmp_path / "key").touch()
    with pytest.warns(ClusterlogWarning, match="is empty"):
        assert IdentityHash(tmp_path / "key")("alice")[0] != hmac.new(b"", b"alice", hashlib.sha256).hexdigest()


def test_threads_that_make_the_key_at_once_use_one(tmp_path, monkeypatch):
    meeting = threading.Barrier(4)
    link = os.link

    def link_together(source, target):
        meeting.wait(10)
        link(source, target)

    monkeypatch.setattr(os, "link", link_together)
    hashing = IdentityHash(tmp_path / "user.key")
    found = []
    threads = [threading.Thread(target=lambda: found.append(hashing("alice"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {IdentityHash(tmp_path / "user.key")("alice")}
    assert len(found) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["user.key"]


def test_a_key_that_cannot_be_read_is_warned_of_once_and_every_hash_without_it_is_counted(tmp_path):
    (tmp_path / "user.key").mkdir()
    hashing = IdentityHash(tmp_path / "user.key")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for name in ("alice", "bob", "alice"):
            hashing(name)
    assert [each.category for each in told] == [ClusterlogWarning]
    assert hashing.alone == 3
    assert "is a directory" in hashing.trouble
    assert str(told[0].message).startswith(hashing.trouble)


def test_a_warning_that_is_an_error_stays_out_of_the_call(tmp_path):
    (tmp_path / "user.key").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert IdentityHash(tmp_path / "user.key")("alice")[0]


def test_a_key_that_can_be_read_again_is_taken_up_and_nothing_more_is_counted(tmp_path, watch):
    (tmp_path / "user.key").mkdir()
    hashing = IdentityHash(tmp_path / "user.key", watch)
    with pytest.warns(ClusterlogWarning):
        hashing("alice")
    (tmp_path / "user.key").rmdir()
    (tmp_path / "user.key").write_text("mine")
    watch.now = LOOK_S
    assert hashing("alice") == (Key(b"mine").hash("alice"), Key(b"mine").id)
    assert (hashing.alone, hashing.trouble) == (1, "")


def test_a_running_process_hashes_under_the_fresh_key_once_it_has_looked(tmp_path, watch):
    hashing = IdentityHash(tmp_path / "user.key", watch)
    before = hashing("alice")
    fresh = rotate(tmp_path / "user.key")[-1]
    watch.now = LOOK_S - 0.001
    assert hashing("alice") == before
    watch.now = LOOK_S
    assert hashing("alice") == (fresh.hash("alice"), fresh.id) != before


def test_between_two_looks_the_file_is_not_touched(tmp_path, watch, monkeypatch):
    hashing = IdentityHash(tmp_path / "user.key", watch)
    hashing("alice")
    looked = []
    monkeypatch.setattr(os, "stat", lambda *args, **options: looked.append(args))
    watch.now = LOOK_S - 0.001
    hashing("alice")
    hashing("bob")
    assert not looked


@pytest.mark.parametrize("gone", ["removed", "emptied"])
def test_a_process_keeps_the_key_it_has_read_when_the_file_is_no_use_any_more(tmp_path, watch, gone):
    file = tmp_path / "user.key"
    hashing = IdentityHash(file, watch)
    before = hashing("alice")
    file.unlink() if gone == "removed" else file.write_bytes(b"")
    watch.now = LOOK_S
    assert hashing("alice") == before
    assert (hashing.alone, hashing.trouble) == (0, "")
    assert file.exists() == (gone == "emptied")


def test_a_user_is_found_under_every_key_the_current_one_first(tmp_path, settings, watch):
    said = [IdentityHash(key_file(settings))("alice")[0]]
    for _ in range(2):
        rotate(key_file(settings))
        said.append(IdentityHash(key_file(settings))("alice")[0])
    assert len(set(said)) == 3
    assert hashes(settings, "alice") == hashes_of_session(settings, "alice") == tuple(reversed(said))


def test_asking_for_hashes_makes_no_key(settings, tmp_path):
    with pytest.raises(NotFound, match=r"no user key in .*user\.key"):
        hashes(settings, "alice")
    assert not list(tmp_path.iterdir())


def test_the_setting_names_the_file(tmp_path):
    named = load({"home": str(tmp_path), "user_key": "mine.key"}, environ={}, directory=tmp_path)
    (tmp_path / "mine.key").write_text("mine")
    assert hashes(named, "alice") == (Key(b"mine").hash("alice"),)


@pytest.mark.parametrize("content", [b"a key of mine", bytes(range(1, 32)) + b"\n# more", b"-----\nline\nline\n-----"])
def test_a_file_of_one_key_is_the_key_whatever_it_holds_and_stays_so_when_a_fresh_one_comes(tmp_path, content):
    file = tmp_path / "user.key"
    file.write_bytes(content + b"\n")
    assert [key.secret for key in read_keys(file)] == [content.strip()]
    keys = rotate(file, NOON)
    assert read_keys(file) == keys
    assert [key.secret for key in keys][:-1] == [content.strip()]
    assert [key.since for key in keys] == ["", "2026-11-03T12:00:00Z"]


def test_the_file_of_several_keys_is_text_with_the_current_key_in_its_last_line(tmp_path):
    file = tmp_path / "user.key"
    file.write_text("a key of mine\n")
    fresh = rotate(file, NOON)[-1]
    told, *lines = file.read_text().splitlines()
    assert told.encode().startswith(SEVERAL)
    assert lines == ["- a key of mine", f"2026-11-03T12:00:00Z {fresh.secret.decode()}"]


def test_a_file_written_by_hand_may_have_comments_and_keys_of_unknown_age(tmp_path):
    file = tmp_path / "user.key"
    file.write_text("# clusterlog user keys\r\n\r\n# the old one\r\n- first\r\n-   hex:00ff\r\n")
    assert read_keys(file) == (Key(b"first"), Key(b"\x00\xff"))


@pytest.mark.parametrize("line", ["2026-11-03T12:00:00Z", "- hex:xyz", "- hex:", "alone", "- hex:\N{SNOWMAN}"])
def test_a_line_without_a_key_is_told_with_its_number(tmp_path, line):
    file = tmp_path / "user.key"
    file.write_text(f"# clusterlog user keys\n- first\n{line}\n")
    with pytest.raises(SettingError, match=r"user\.key has no key in line 3: expected"):
        read_keys(file)


@given(secrets=st.lists(st.binary(min_size=1).map(bytes.strip).filter(len), min_size=1, max_size=3))
def test_any_key_survives_being_written_among_others(tmp_path_factory, secrets):
    file = tmp_path_factory.mktemp("keys") / "user.key"
    for secret in secrets:
        file.write_bytes(secret)
        if secret.startswith(SEVERAL):
            continue
        assert [key.secret for key in rotate(file)][:-1] == [secret]
        assert read_keys(file)[0].secret == secret


def test_rotating_keeps_the_files_mode_and_a_link_to_it_and_leaves_nothing_beside_it(tmp_path):
    file, link = tmp_path / "real" / "user.key", tmp_path / "user.key"
    file.parent.mkdir()
    file.write_text("mine")
    file.chmod(0o640)
    link.symlink_to(file)
    rotate(link)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["user.key"]
    assert len(read_keys(link)) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_that_root_rotates_stays_its_owners(tmp_path):
    file = tmp_path / "user.key"
    file.write_text("mine")
    file.chmod(0o644)
    os.chown(file, 12345, 23456)
    rotate(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_rotating_where_there_is_no_key_makes_the_first(tmp_path):
    keys = rotate(tmp_path / "home" / "user.key", NOON)
    assert keys == read_keys(tmp_path / "home" / "user.key")
    assert [key.since for key in keys] == ["2026-11-03T12:00:00Z"]
    assert stat.S_IMODE((tmp_path / "home" / "user.key").stat().st_mode) == 0o600


def test_of_processes_that_rotate_at_once_each_adds_its_key_and_none_is_lost(tmp_path):
    file = tmp_path / "user.key"
    rotate(file)
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            for _ in range(4):
                rotate(file)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5
    assert len({key.id for key in read_keys(file)}) == 21


def test_what_cannot_be_rotated_is_left_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "user.key"
    file.write_text("mine")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SettingError, match=r"cannot write the user key .*: no space left on device"):
        rotate(file)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_key_somebody_may_not_read_is_told_as_that(tmp_path, settings, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(NotAllowed, match=r"cannot read the user key .*: permission denied"):
        hashes(settings, "alice")


def test_a_key_is_not_in_what_is_printed_of_it():
    assert "mine" not in repr(Key(b"mine", "2026-11-03T12:00:00Z"))
