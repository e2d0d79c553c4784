"""What was written whole is read whole; what was not is seen to be damaged."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from clusterlog.store.embedded.raw import frames
from clusterlog.store.embedded.raw.frames import FrameDamaged, Hole

BODIES = [[b'{"a":1}', b'{"b":"x"}'], [b'{"c":\n2}', b"{}"], [b'{"last":true}']]


@pytest.fixture
def file(tmp_path):
    """A file of three frames: its path, its frames and their events."""
    path = tmp_path / "raw.zst"
    written, offset, seq = [], 0, 0
    with open(path, "wb") as out:
        for bodies in BODIES:
            frame, data = frames.write_frame(
                bodies, [5] * len(bodies), offset=offset, first_seq=seq, arrival=7, compressor=frames.compressor(None)
            )
            out.write(data)
            written.append(frame)
            offset, seq = offset + len(data), seq + len(bodies)
    return path, written


def _scan(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(frames.scan(fd, 0, os.fstat(fd).st_size))
    finally:
        os.close(fd)


def _read(path, frame, dictionary=None):
    fd = os.open(path, os.O_RDONLY)
    try:
        return frames.read_frame(fd, frame.offset, frame.length, frames.decompressor(dictionary))
    finally:
        os.close(fd)


def test_events_come_back_byte_for_byte_line_breaks_included(file):
    path, written = file
    assert [_read(path, frame) for frame in written] == list(zip(written, BODIES, strict=True))


def test_a_scan_finds_every_frame(file):
    path, written = file
    assert _scan(path) == written


def test_a_file_torn_at_any_byte_gives_every_frame_that_is_whole(file, tmp_path):
    path, written = file
    whole = path.read_bytes()
    torn = tmp_path / "torn"
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        assert _scan(torn) == [frame for frame in written if frame.offset + frame.length <= length], length


def test_a_flipped_bit_anywhere_is_noticed_and_costs_one_frame(file, tmp_path):
    path, written = file
    whole = bytearray(path.read_bytes())
    flipped = tmp_path / "flipped"
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 1 << at % 8
        flipped.write_bytes(broken)
        hit = next(frame for frame in written if frame.offset <= at < frame.offset + frame.length)
        with pytest.raises(FrameDamaged):
            _read(flipped, hit)
        found = _scan(flipped)
        assert [frame for frame in found if not isinstance(frame, Hole)] == [each for each in written if each != hit]
        if hit is not written[-1]:
            assert Hole(hit.offset, hit.length) in found


def test_a_frame_read_with_another_dictionary_is_damaged_not_wrong(tmp_path):
    samples = [b'{"message":"%d of %d","service":{"name":"shop"}}' % (n, n * n) for n in range(2_000)]
    dictionary, other = frames.train(samples), frames.train([sample.replace(b"shop", b"cart") for sample in samples])
    frame, data = frames.write_frame(
        samples[:3], [1, 2, 3], offset=0, first_seq=0, arrival=0, compressor=frames.compressor(dictionary)
    )
    path = tmp_path / "raw.zst"
    path.write_bytes(data)
    assert _read(path, frame, dictionary)[1] == samples[:3]
    for wrong in (None, other, dictionary[: len(dictionary) // 2]):
        with pytest.raises(FrameDamaged):
            _read(path, frame, wrong)


def test_samples_without_anything_in_common_make_no_dictionary():
    assert frames.train([b"x"] * 3) is None


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_the_zstd_command_prints_the_events_one_a_line(file):
    path, _ = file
    printed = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    assert printed == b"".join(body + b"\n" for bodies in BODIES for body in bodies)
