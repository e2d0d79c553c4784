"""Following one segment: what is whole comes once, what is not whole yet comes later, what is damaged costs itself."""

import os

import pytest

from clusterlog.ship.watch.segment import CHUNK, FollowedSegment
from clusterlog.spool.segment import MAX_PAYLOAD, SegmentName, frame

NAME = SegmentName("0190aaaa0000700080000000000000a1", "bulk", 1)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / str(NAME)
    path.touch()
    return path


@pytest.fixture
def segment(path):
    segment = FollowedSegment(path.parent, NAME)
    yield segment
    segment.close()


def record(number, payload=b"{}"):
    return frame(payload, 0, number, 1_000 + number, NAME.seed)


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def numbers(segment):
    return [each.sequence for each in segment.read()[0]]


def test_what_is_added_comes_once_and_in_order(path, segment):
    assert segment.read() == ([], False)
    append(path, record(1) + record(2))
    assert numbers(segment) == [1, 2]
    assert numbers(segment) == []
    append(path, record(3))
    assert numbers(segment) == [3]


def test_a_record_that_is_not_whole_yet_is_waited_for(path, segment):
    whole = record(2, b"x" * 100)
    append(path, record(1) + whole[:40])
    assert numbers(segment) == [1]
    assert numbers(segment) == []
    append(path, whole[40:] + record(3))
    assert numbers(segment) == [2, 3]


def test_what_its_writer_left_unfinished_is_skipped_once_the_segment_is_final(path, segment):
    append(path, record(1) + record(2)[:20])
    segment.final = True
    assert numbers(segment) == [1]
    assert segment.read() == ([], False)


def test_damage_in_the_middle_costs_only_itself(path, segment):
    append(path, record(1) + b"clog damaged" + record(2))
    assert numbers(segment) == [1, 2]


def test_a_removed_segment_is_read_to_its_end(path, segment):
    append(path, record(1))
    with path.open("ab") as writer:
        path.unlink()
        writer.write(record(2))
    assert numbers(segment) == [1, 2]


@pytest.mark.parametrize("final", [False, True])
def test_more_than_a_chunk_comes_in_several_looks_with_nothing_left_out(path, segment, final):
    segment.final = final
    payloads = [b"x" * MAX_PAYLOAD, b"y", b"z" * MAX_PAYLOAD, b"x" * 1_000_000, b"z" * 1_000_000, b"end"]
    append(path, b"".join(record(number, payload) for number, payload in enumerate(payloads, 1)))
    found, more = [], True
    while more:
        records, more = segment.read()
        found += [(each.sequence, each.payload) for each in records]
    assert found == list(enumerate(payloads, 1))


@pytest.mark.parametrize("damage", [b"\0", b"clog"])
def test_damage_longer_than_the_longest_record_is_passed_and_hides_no_record(path, segment, damage):
    times = CHUNK * 2 // len(damage) if damage == b"\0" else 3
    filler = damage * times + (b"" if damage == b"\0" else b"\0" * CHUNK)
    append(path, filler + record(1, b"x" * MAX_PAYLOAD) + record(2))
    found, more = [], True
    while more:
        records, more = segment.read()
        found += [each.sequence for each in records]
    assert found == [1, 2]


def test_what_is_known_is_passed_by_and_the_rest_is_read(path, segment):
    append(path, record(1) + record(2) + record(3) + record(2))
    segment.pass_by({1, 2})
    assert numbers(segment) == [3, 2]


@pytest.mark.parametrize("known", [{1, 2}, {1}, set()])
def test_nothing_is_passed_by_that_is_not_whole(path, segment, known):
    append(path, record(1) + record(2)[:-1])
    segment.pass_by(known)
    expected = [] if 1 in known else [1]
    assert numbers(segment) == expected
    append(path, record(2)[-1:] + record(3))
    assert numbers(segment) == [2, 3]


@pytest.mark.parametrize("damage", [b"damage", b"clog\1\0\0\0" + b"\0" * 24])
def test_where_headers_lead_nowhere_everything_is_read(path, segment, damage):
    append(path, record(1) + damage + record(2) + bytes(40))
    segment.pass_by({1, 2})
    assert numbers(segment) == [1, 2]


def test_a_link_is_not_followed(tmp_path, path):
    path.unlink()
    target = tmp_path / "target"
    target.touch()
    os.symlink(target, path)
    with pytest.raises(OSError, match="symbolic"):
        FollowedSegment(tmp_path, NAME)


def test_closing_twice_is_closing_once(segment):
    segment.close()
    segment.close()
