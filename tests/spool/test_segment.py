"""The file format: what was written comes back, and damage costs only itself and is told."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.context.ids import new_entity_id
from clusterlog.spool.segment import HEADER_SIZE, MAGIC, MAX_PAYLOAD, Damage, Record, SegmentName, frame, scan

INSTANCE = new_entity_id()
NAME = SegmentName(INSTANCE, "bulk", 1)


@pytest.fixture
def segment(tmp_path):
    def write(payloads, name=NAME, junk=b""):
        path = tmp_path / str(name)
        data = b"".join(frame(p, 0, n, 1000 + n, name.seed) for n, p in enumerate(payloads, 1))
        path.write_bytes(data + junk)
        return path

    return write


def read(path, **limits):
    items = list(scan(path, **limits))
    return [i.payload for i in items if isinstance(i, Record)], [i for i in items if isinstance(i, Damage)]


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20))
def test_whatever_was_framed_comes_back_byte_for_byte(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("s") / str(NAME)
    path.write_bytes(b"".join(frame(p, 1, n, 7, NAME.seed) for n, p in enumerate(payloads, 1)))
    records = list(scan(path))
    assert [(r.payload, r.sequence, r.wall_ns, r.flags) for r in records] == [
        (p, n, 7, 1) for n, p in enumerate(payloads, 1)
    ]


def test_a_header_is_as_the_contract_says():
    data = frame(b"{}", 1, 5, 9, NAME.seed)
    assert len(data) == 34 and data[:4] == MAGIC
    zeroed = data[:12] + b"\0\0\0\0" + data[16:]
    assert int.from_bytes(data[12:16], "little") == zlib.crc32(zeroed, zlib.crc32(str(NAME).encode()))
    assert int.from_bytes(data[16:24], "little") == 5 and int.from_bytes(data[24:32], "little") == 9


def test_cut_at_every_byte_the_whole_records_before_the_cut_come_back(segment):
    payloads = [b'{"n":%d}' % n for n in range(5)]
    path = segment(payloads)
    whole = path.read_bytes()
    ends = [item.end for item in scan(path)]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        found, damage = read(path)
        assert found == payloads[: sum(end <= cut for end in ends)]
        assert [d.tail for d in damage] == ([] if cut in (0, *ends) else [True])


def test_any_flipped_bit_is_noticed_and_costs_one_record(segment):
    payloads = [b'{"number":%d,"text":"some text"}' % n for n in range(6)]
    path = segment(payloads)
    whole = path.read_bytes()
    chance = random.Random(11)
    for _ in range(400):
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        found, damage = read(path)
        lost = [p for p in payloads if p not in found]
        assert len(lost) == 1 and damage and set(found) < set(payloads)


def test_a_zeroed_block_in_the_middle_costs_what_lay_in_it(segment):
    payloads = [b'{"n":%d,"pad":"%s"}' % (n, b"x" * 300) for n in range(40)]
    path = segment(payloads)
    data = bytearray(path.read_bytes())
    data[4096:4608] = bytes(512)
    path.write_bytes(data)
    found, damage = read(path)
    assert 36 <= len(found) < 40 and found[-1] == payloads[-1]
    assert len(damage) == 1 and not damage[0].tail


def test_a_stale_record_of_another_segment_is_not_believed(segment):
    other = SegmentName(INSTANCE, "bulk", 2)
    path = segment([b"{}"], junk=frame(b'{"stale":1}', 0, 2, 1, other.seed))
    found, damage = read(path)
    assert found == [b"{}"] and damage[0].tail


def test_a_magic_inside_a_payload_is_no_record(segment):
    path = segment([b"a" + MAGIC * 10, b"b"])
    assert read(path) == ([b"a" + MAGIC * 10, b"b"], [])


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD + 1, 0xFFFFFFFF])
def test_an_absurd_length_is_damage_before_anything_is_allocated(segment, size):
    path = segment([b"{}"])
    data = bytearray(path.read_bytes())
    data[8:12] = size.to_bytes(4, "little")
    path.write_bytes(data)
    found, damage = read(path)
    assert not found and damage == [Damage(0, HEADER_SIZE + 2, tail=True)]


def test_reading_between_offsets_gives_the_records_between_them(segment):
    path = segment([b"one", b"two", b"three"])
    first, second, third = scan(path)
    assert [r.payload for r in scan(path, first.end)] == [b"two", b"three"]
    assert [r.payload for r in scan(path, first.end, second.end)] == [b"two"]
    assert third.offset == second.end


@pytest.mark.parametrize("name", ["x.seg", INSTANCE + "-bulk-1.seg", INSTANCE + "-other-000001.seg", "../" + str(NAME)])
def test_other_names_are_no_segments(name):
    assert SegmentName.parse(name) is None


def test_a_name_is_read_as_it_was_written():
    assert SegmentName.parse(str(NAME)) == NAME
