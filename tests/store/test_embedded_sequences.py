"""What the store says it holds is what can be read from it, whichever of its files is damaged."""

from __future__ import annotations

import os
import shutil

import pytest

from clusterlog.store.base import Sequences
from clusterlog.store.embedded import EmbeddedStore, writer
from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.ledger import Ledger
from clusterlog.store.embedded.raw.partition import FrameTable

INSTANCE = "0190aaaa0000700080000000000000f0"


@pytest.fixture
def partitions(path, opened, event, monkeypatch):
    """Three partitions, 1 to 10, 11 to 20 and 21 to 25, of which the last is not finished; one batch per event."""
    monkeypatch.setattr(writer, "PARTITION_EVENTS", 10)
    with opened() as store:
        for number in range(1, 26):
            store.deliver([event(number)])
    return partition.directories(path)


def audit(path):
    store = EmbeddedStore.open(path, "read")
    try:
        return list(store.audit())
    finally:
        store.close()


def noted(path, instance=INSTANCE):
    store = EmbeddedStore.open(path, "read")
    try:
        return store.sequences(instance)
    finally:
        store.close()


def frames_of(directory):
    table = FrameTable()
    table.reload(directory / partition.TABLE)
    return list(table)


def rewrite(directory, change):
    """Every frame again, whole and with its checksums, after ``change`` of its events; the side files stay."""
    raw = directory / partition.RAW
    decompressor = frames.decompressor(partition.read_dictionary(directory))
    fd = os.open(raw, os.O_RDONLY)
    pieces, offset = [], 0
    for entry in frames_of(directory):
        _, bodies = frames.read_frame(fd, entry.offset, entry.length, decompressor)
        bodies = change(bodies)
        if bodies:
            frame, data = frames.write_frame(
                bodies,
                [entry.min_us] * len(bodies),
                offset=offset,
                first_seq=entry.first_seq,
                arrival=1,
                compressor=frames.compressor(None),
            )
            pieces.append(data)
            offset += frame.length
    os.close(fd)
    raw.write_bytes(b"".join(pieces))


def test_finished_and_growing_partitions_are_one_store(path, partitions):
    assert len(partitions) == 3
    assert audit(path) == [Sequences(INSTANCE, ((1, 25),))] == [noted(path)]


def test_events_of_a_damaged_frame_are_not_there(path, partitions):
    frame = frames_of(partitions[1])[3]
    with (partitions[1] / partition.RAW).open("r+b") as file:
        file.seek(frame.offset + frame.length - 5)
        file.write(b"\0\0\0\0\0")
    assert audit(path) == [Sequences(INSTANCE, ((1, 13), (15, 25)), unreadable=((14, 14),))]
    assert noted(path).stored == ((1, 25),)  # by the side files alone


def test_an_event_that_was_taken_out_of_a_whole_frame_is_not_there(path, opened, filled):
    filled(20)  # in one frame
    (directory,) = partition.directories(path)
    rewrite(directory, lambda bodies: bodies[:6] + bodies[7:])
    assert audit(path) == [Sequences(INSTANCE, ((1, 6), (8, 20)), unreadable=((7, 7),))]


def test_a_partition_without_its_events_holds_none_whatever_its_side_files_say(path, partitions):
    (partitions[0] / partition.RAW).unlink()
    assert audit(path) == [Sequences(INSTANCE, ((11, 25),), unreadable=((1, 10),))]


@pytest.mark.parametrize("which", [0, 2])
@pytest.mark.parametrize("damage", ["no ids", "bad ids", "short ids", "no table"])
def test_where_a_side_file_is_not_whole_the_events_are_asked(path, partitions, which, damage):
    ids, table = partitions[which] / partition.IDS, partitions[which] / partition.TABLE
    if damage == "no ids":
        ids.unlink()
    elif damage == "bad ids":
        ids.write_bytes(b"x" + ids.read_bytes()[1:])
    elif damage == "short ids":
        ids.write_bytes(b"")
    else:
        table.unlink()
    assert audit(path) == [Sequences(INSTANCE, ((1, 25),))] == [noted(path)]


def test_a_second_copy_in_another_partition_is_told(path, partitions):
    shutil.copytree(partitions[0], path / "parts" / "20990101-000009")
    assert audit(path) == [Sequences(INSTANCE, ((1, 25),), ((1, 10),))] == [noted(path)]


def test_a_second_copy_in_the_same_partition_is_told(path, partitions):
    rewrite(partitions[0], lambda bodies: bodies * 2 if b"-00000000004" in bodies[0] else bodies)
    assert audit(path) == [Sequences(INSTANCE, ((1, 25),), ((4, 4),))]


@pytest.mark.parametrize("finished", [False, True])
def test_a_second_copy_that_a_store_took_without_knowing_is_told(path, opened, event, monkeypatch, finished):
    """The side file of a finished partition has its ids joined: there are fewer of them than events then."""
    monkeypatch.setattr(writer, "PARTITION_EVENTS", 4)
    with opened() as store:
        store.deliver([event(1), event(2), event(3)])
        monkeypatch.setattr(store._writer, "_ledger", Ledger())
        assert store.deliver([event(2)])[0].status == "stored"
        if finished:
            store.deliver([event(4)])
    assert len(partition.directories(path)) == 1 + finished
    assert audit(path) == [Sequences(INSTANCE, ((1, 3 + finished),), ((2, 2),))]


def test_events_that_were_cut_off_are_not_there(path, partitions):
    last = frames_of(partitions[1])[-1]
    os.truncate(partitions[1] / partition.RAW, last.offset)
    assert audit(path) == [Sequences(INSTANCE, ((1, 19), (21, 25)), unreadable=((20, 20),))]


def test_ids_of_strangers_are_no_reason_to_doubt_ours(path, opened, event):
    from clusterlog.store.base import Delivery

    with opened() as store:
        store.deliver([event(1), Delivery("own/1", INSTANCE, 2, b'{"event":{"id":"own/1"}}'), event(3)])
    assert audit(path) == [Sequences(INSTANCE, ((1, 1), (3, 3)))]


def test_a_reader_beside_the_writer_sees_what_is_safe(path, opened, event):
    with opened() as store:
        store.deliver([event(1), event(2)])
        store.flush()
        with opened("read") as reader:
            assert reader.sequences(INSTANCE).stored == ((1, 2),)
            store.deliver([event(3)])
            store.flush()
            assert [each.stored for each in reader.audit()] == [((1, 3),)]
            reader.reload()
            assert reader.sequences(INSTANCE).stored == ((1, 3),)


def test_a_torn_end_behind_the_noted_frames_is_not_counted(path, opened, filled):
    filled(5)
    (directory,) = partition.directories(path)
    with (directory / partition.RAW).open("ab") as file:
        file.write(b"\x5c\x2a\x4d\x18 half a frame")
    assert audit(path) == [Sequences(INSTANCE, ((1, 5),))]


def test_a_store_that_is_not_there_holds_nothing(path):
    assert audit(path) == [] and noted(path).stored == ()
