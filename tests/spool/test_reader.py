"""The shipper's view: records in order from where it was, a bad tail on a living segment means "not yet"."""

import os
import time
from contextlib import contextmanager

from clusterlog.context.ids import new_entity_id
from clusterlog.spool.budget import Budget
from clusterlog.spool.reader import Instance, LaneReader, instances, records
from clusterlog.spool.segment import MAX_PAYLOAD, SegmentName, frame


def numbers(found):
    return [record.sequence for record in found]


def test_an_absent_spool_holds_no_instances(tmp_path):
    assert instances(tmp_path / "nothing") == []


def test_reading_goes_on_where_it_was(spool, say):
    writer = spool.writer()
    say(writer, 1)
    reader = LaneReader(spool.path, writer.instance, "bulk")
    assert numbers(reader.read(instances(spool.path)[0])) == [1, 2]
    assert reader.read(instances(spool.path)[0]) == []
    say(writer, 2)
    assert numbers(reader.read(instances(spool.path)[0])) == [3]


def test_reading_in_small_pieces_gives_the_same_records(spool, say):
    writer = spool.writer(budget=Budget(limit=4 << 20))
    for n in range(800):
        say(writer, n, pad=900)
    reader = LaneReader(spool.path, writer.instance, "bulk")
    found = []
    while batch := reader.read(instances(spool.path)[0], 50_000):
        assert len(batch) < 800
        found += numbers(batch)
    assert found == list(range(1, 802))


def test_a_record_cut_by_the_end_of_a_piece_is_read_whole_with_the_next(spool, say):
    writer = spool.writer()
    for n in range(3000):
        say(writer, n, pad=1000)
    reader = LaneReader(spool.path, writer.instance, "bulk")
    snapshot = instances(spool.path)[0]
    assert len(snapshot.segments) == 1
    found = []
    while batch := reader.read(snapshot, 1):
        found += numbers(batch)
    assert found == list(range(1, 3002))
    assert reader.damaged == 0


def test_damage_longer_than_any_record_is_left_behind(tmp_path):
    name = SegmentName(new_entity_id(), "bulk", 1)
    junk = bytes(2 * MAX_PAYLOAD + 12345)
    (tmp_path / str(name)).write_bytes(junk + frame(b"{}", 0, 7, 1, name.seed))
    reader = LaneReader(tmp_path, name.instance, "bulk")
    snapshot = Instance(name.instance, 0, {name: (tmp_path / str(name)).stat().st_size})
    found = []
    while not reader.finished:
        found += numbers(reader.read(snapshot, 1))
    assert found == [7]
    assert reader.damaged == len(junk)


def test_finished_segments_are_those_a_living_writer_has_left_and_all_of_a_dead_one(spool, say):
    writer = spool.writer(budget=Budget(limit=4 << 20))
    for n in range(300):
        say(writer, n, pad=1000)
    reader = LaneReader(spool.path, writer.instance, "bulk")
    alive = instances(spool.path)[0]
    reader.read(alive, 1 << 30)
    assert list(reader.finished) == list(alive.segments)[:-1] != []
    writer.close(time.time_ns())
    reader.read(instances(spool.path)[0], 1 << 30)
    assert list(reader.finished) == list(alive.segments)


def test_half_a_record_at_the_end_is_not_yet_while_the_writer_lives_and_torn_when_it_is_dead(tmp_path):
    name = SegmentName(new_entity_id(), "bulk", 1)
    first, second = (frame(b'{"n":%d}' % n, 0, n, 1, name.seed) for n in (1, 2))
    path = tmp_path / str(name)
    path.write_bytes(first + second[:-3])
    reader = LaneReader(tmp_path, name.instance, "bulk")

    def snapshot(pid):
        return Instance(name.instance, pid, {name: path.stat().st_size})

    assert numbers(reader.read(snapshot(1))) == [1]
    assert reader.read(snapshot(1)) == [] and reader.damaged == 0 and not reader.finished
    path.write_bytes(first + second)
    assert numbers(reader.read(snapshot(1))) == [2]
    path.write_bytes(first + second + second[:10])
    assert reader.read(snapshot(0)) == []
    assert reader.damaged == 10 and list(reader.finished) == [name]


def test_a_segment_removed_under_the_reader_ends_quietly(spool, say):
    writer = spool.writer()
    say(writer, 1)
    seen = instances(spool.path)[0]
    for name in seen.segments:
        (spool.path / str(name)).unlink()
    assert LaneReader(spool.path, writer.instance, "bulk").read(seen) == []


def test_segments_without_a_lock_file_belong_to_a_dead_writer(tmp_path):
    name = SegmentName(new_entity_id(), "priority", 3)
    (tmp_path / str(name)).write_bytes(frame(b"{}", 1, 1, 1, name.seed))
    assert [(each.id, each.alive) for each in instances(tmp_path)] == [(name.instance, False)]


def test_a_segment_that_grows_and_gets_a_successor_while_the_directory_is_listed_is_read_whole(tmp_path, monkeypatch):
    first = SegmentName(new_entity_id(), "bulk", 1)
    second = SegmentName(first.instance, "bulk", 2)
    (tmp_path / str(first)).write_bytes(frame(b"{}", 0, 1, 1, first.seed))
    scandir = os.scandir

    @contextmanager
    def piece_by_piece(path):
        """What the kernel does with a large directory: names made meanwhile come with a later piece."""

        def entries():
            with scandir(path) as piece:
                yield from piece
            with (tmp_path / str(first)).open("ab") as file:
                file.write(frame(b"{}", 0, 2, 1, first.seed))
            (tmp_path / str(second)).write_bytes(frame(b"{}", 0, 3, 1, second.seed))
            with scandir(path) as piece:
                yield from (entry for entry in piece if entry.name == str(second))

        yield entries()

    monkeypatch.setattr(os, "scandir", piece_by_piece)
    reader = LaneReader(tmp_path, first.instance, "bulk")
    assert numbers(reader.read(instances(tmp_path)[0])) == [1, 2, 3]


def test_a_segment_removed_before_it_is_looked_at_holds_nothing(spool, say):
    writer = spool.writer()
    say(writer, 1)
    say(writer, 2, priority=True)
    (seen,) = instances(spool.path)
    (spool.path / str(seen.lane("bulk")[0])).unlink()
    assert [item.sequence for _, item in records(spool.path, seen)] == [3]
