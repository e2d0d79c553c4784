"""The cluster's key files: made once, read strictly, replaced without a moment of deafness (CP-14)."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from clusterlog.control.signing import keys
from clusterlog.control.signing.keys import Key, cluster_keys, make_key, read_keys
from clusterlog.errors import NotAllowed, SettingError


def test_cp14_a_home_on_a_local_bus_makes_its_key_of_32_bytes_that_only_its_owner_reads(tmp_path):
    (key,) = cluster_keys(tmp_path, "", local=True)
    file = tmp_path / "control" / "cluster.key"
    assert file.read_bytes() == key.secret
    assert len(key.secret) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert cluster_keys(tmp_path, "", local=True) == (key,)
    assert os.listdir(file.parent) == ["cluster.key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    file = tmp_path / "control" / "cluster.key"
    start = threading.Barrier(8)
    found = []

    def begin():
        start.wait()
        make_key(file)
        found.append(read_keys(file))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_cp14_a_bus_over_the_network_without_a_key_is_a_setting_error_that_says_what_to_do(tmp_path):
    with pytest.raises(SettingError, match=r"openssl rand -hex 32.*control_key"):
        cluster_keys(tmp_path, "", local=False)
    assert not (tmp_path / "control").exists()


def test_a_control_key_that_is_not_there_is_not_made_for_every_node_must_have_the_same(tmp_path):
    for local in (True, False):
        with pytest.raises(SettingError, match="copy it there"):
            cluster_keys(tmp_path, str(tmp_path / "missing.key"), local)
    assert os.listdir(tmp_path) == []


def test_a_file_of_text_holds_a_key_on_each_line_and_the_first_one_signs(tmp_path):
    file = tmp_path / "k"
    file.write_text(f"# since May\n{'a' * 64}\n\n  {'b' * 16}\r\n{'a' * 64}\n")
    assert read_keys(file) == (Key(b"a" * 64), Key(b"b" * 16))


def test_the_end_of_the_line_is_no_part_of_a_key(tmp_path):
    with_end, without = tmp_path / "with", tmp_path / "without"
    with_end.write_bytes(b"c" * 31 + b"\n")
    without.write_bytes(b"c" * 31)
    assert read_keys(with_end) == read_keys(without)


def test_any_other_file_is_one_key_byte_for_byte(tmp_path):
    file = tmp_path / "k"
    for content in (bytes(range(32)), b"\n\n" + os.urandom(30) + b"\x00", b"\xff" * 48):
        file.write_bytes(content)
        assert read_keys(file) == (Key(content),)


def test_a_made_key_never_looks_like_lines_of_text(tmp_path, monkeypatch):
    drawn = iter([b"x" * 15 + b"\n" + b"y" * 16, b"\x80" * 32])
    monkeypatch.setattr(keys.secrets, "token_bytes", lambda size=32: next(drawn) if size == 32 else b"name")
    make_key(tmp_path / "k")
    assert read_keys(tmp_path / "k") == (Key(b"\x80" * 32),)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"# only a comment\n", b"short", b"a" * 64 + b"\nshort\n", b"\xff" * 15]
)
def test_a_file_without_a_proper_key_is_refused_and_not_taken_for_an_empty_one(tmp_path, content):
    file = tmp_path / "k"
    file.write_bytes(content)
    with pytest.raises(SettingError, match="too short"):
        read_keys(file)


def test_a_file_that_is_far_too_large_is_no_key(tmp_path):
    file = tmp_path / "k"
    file.write_bytes(b"a" * (65 << 10))
    with pytest.raises(SettingError, match="is no control key"):
        read_keys(file)


def test_what_may_not_be_read_or_made_is_said_in_a_line(tmp_path):
    with pytest.raises(NotAllowed, match="cannot be read"):
        read_keys(tmp_path)
    (tmp_path / "control").write_text("in the way")
    with pytest.raises(NotAllowed, match="cannot be made"):
        cluster_keys(tmp_path, "", local=True)


def test_the_id_of_a_key_tells_keys_apart_and_neither_it_nor_repr_shows_the_secret():
    key = Key(b"s" * 32)
    assert len(key.id) == 8
    assert key.id != Key(b"t" * 32).id
    assert "ssss" not in repr(key)
