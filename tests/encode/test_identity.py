"""Users without names: a keyed hash that is the same in every process of a home, and whose key stays private."""

import hashlib
import hmac
import os
import stat
import threading

import pytest

from clusterlog.encode.identity import IdentityHash


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
    assert hashing("alice") == hashing("alice")
    assert hashing("alice")[0] != IdentityHash("/proc/self/nothing/user.key")("alice")[0]


def test_an_empty_key_file_is_no_key_that_anybody_knows(tmp_path):
    (tmp_path / "key").touch()
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
