"""What survives a process: written whole, readable by its owner alone, and never a reason to fail."""

import json
import os
import stat

import pytest

from clusterlog.control.node.state import StateFile
from clusterlog.control.rules.expiry import Deadlines, Saved

WRITTEN = {
    "schema": "clusterlog.state/1",
    "document": "",
    "boot": "",
    "deadlines": {},
    "boot_ns": 1,
    "wall_ns": 1,
}
SAVED = Saved(Deadlines("boot", {"a": 5, "b": None}), 3, 4)


def test_what_was_written_is_read_again(tmp_path):
    file = StateFile(tmp_path / "state.json")
    assert file.read() is None
    assert file.write(b'{"a":1}', SAVED)
    assert file.read() == (b'{"a":1}', SAVED)


def test_it_is_for_its_owner_alone_and_leaves_nothing_beside_it(tmp_path):
    file = StateFile(tmp_path / "state.json")
    file.write(b"{}", SAVED)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state.json"]


def test_where_it_cannot_be_written_that_is_said_and_no_more(tmp_path):
    assert not StateFile(tmp_path / "nowhere" / "state.json").write(b"{}", SAVED)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"schema":"clusterlog.state/2"}',
        b'{"schema":"clusterlog.state/1"}',
        b"[" * 100_000,
        json.dumps(WRITTEN | {"document": 5}).encode(),
        json.dumps(WRITTEN | {"deadlines": []}).encode(),
        json.dumps(WRITTEN | {"wall_ns": None}).encode(),
    ],
)
def test_what_is_no_state_is_none(tmp_path, content):
    (tmp_path / "state.json").write_bytes(content)
    assert StateFile(tmp_path / "state.json").read() is None
