"""Readers see what was committed, in order, beside any writer, over any number of partitions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest

from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore, reader, writer
from clusterlog.store.embedded.index.plan import Window
from clusterlog.store.embedded.raw.partition import FrameTable
from clusterlog.store.embedded.search import Damage
from clusterlog.store.query import Match, Query, Range
from clusterlog.testing.strategies import BEGIN, stamp

DAY = 86_400 * 1_000_000_000


def test_an_absent_store_and_an_empty_one_answer_nothing(path, opened):
    with opened("read") as store:
        assert list(store.find(Query())) == []
        assert store.count(Query()) == 0
        assert store.check() == []
    path.mkdir()
    with opened("read") as store:
        assert store.count(Query()) == 0


def test_a_store_that_appears_later_is_seen_after_a_reload(opened, filled):
    with opened("read") as store:
        filled(3)
        assert store.count(Query()) == 0
        store.reload()
        assert store.count(Query()) == 3


WRITER = """
import json, sys
from pathlib import Path
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.testing.strategies import BEGIN, stamp
store, instance = EmbeddedStore.open(Path(sys.argv[1]), "write"), "a" * 32
for sequence, line in enumerate(sys.stdin, 1):
    id = f"{instance}-{sequence:011x}"
    event = {"@timestamp": stamp(BEGIN + sequence), "event": {"id": id}, "message": "here"}
    store.deliver([Delivery(id, instance, sequence, json.dumps(event).encode())])
    if line.strip() == "flush":
        store.flush()
    print("done", flush=True)
"""


def test_a_reader_in_another_process_sees_what_a_running_writer_committed(path, opened):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:

        def tell(word):
            process.stdin.write(word + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        tell("flush")
        with opened("read") as store:
            assert store.count(Query(where=Match("message", "here"))) == 1
            for expected in (2, 3, 4):
                tell("flush")
                assert store.count(Query()) == expected - 1
                store.reload()
                assert store.count(Query()) == expected
                assert len(list(store.find(Query(where=Match("message", "here"))))) == expected
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def test_what_is_delivered_is_findable_soon_though_nobody_calls_again(opened, event, monkeypatch):
    monkeypatch.setattr(writer, "COMMIT_S", 0.01)
    with opened() as store:
        committed = threading.Event()
        commit = store._writer._commit
        monkeypatch.setattr(store._writer, "_commit", lambda: (commit(), committed.set()))
        store.deliver([event(1)])
        assert committed.wait(30)
        assert store.count(Query()) == 1


def test_who_asks_while_another_thread_looks_at_what_was_committed_sees_it_as_well(opened, event, monkeypatch):
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        looking, may_go_on = threading.Event(), threading.Event()
        reload = store._reader.reload

        def slow():
            if not looking.is_set():
                looking.set()
                assert may_go_on.wait(60)
            reload()

        monkeypatch.setattr(store._reader, "reload", slow)
        other = threading.Thread(target=store.count, args=(Query(),))
        other.start()
        assert looking.wait(60)
        found = store.count(Query())
        may_go_on.set()
        other.join()
        assert found == 1


def test_what_is_committed_while_somebody_reads_is_not_taken_for_damage(opened, event, monkeypatch):
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        assert store.count(Query()) == 1
        (partition,) = store._reader._open.values()
        store.deliver([event(2)])
        store.flush()
        real, damage, found = FrameTable.reload_or_scan, Damage(), []

        def meanwhile(table, directory):
            found.extend(partition.find(Query(), Window.of(None, None), damage))
            real(table, directory)

        monkeypatch.setattr(FrameTable, "reload_or_scan", meanwhile)
        assert store.count(Query()) == 2
        assert len(found) == 1 and not damage.places


@pytest.fixture(scope="module")
def fifty_days(tmp_path_factory, event):
    """A store with one partition for each of fifty days, and late events of the first day in the last one."""
    now, path = [BEGIN], tmp_path_factory.mktemp("fifty") / "store"
    with closing(EmbeddedStore.open(path, "write", clock=lambda: now[0])) as store:
        for day in range(50):
            now[0] = BEGIN + day * DAY
            first = day * 4 + 1
            store.deliver([event(sequence, at=day * DAY + sequence) for sequence in range(first, first + 4)])
        store.deliver([event(sequence, at=sequence) for sequence in range(201, 204)])
    return path


@pytest.fixture
def reading(fifty_days):
    """That store, opened for reading."""
    with closing(EmbeddedStore.open(fifty_days, "read")) as store:
        yield store


def test_every_day_has_its_partition_and_all_are_searched_in_order(fifty_days, reading, sequences):
    assert len(list((fifty_days / "parts").iterdir())) == 50
    assert sequences(reading) == [1, 2, 3, 4, 201, 202, 203, *range(5, 201)]
    newest = [int(found.key[1][-11:], 16) for found in reading.find(Query(limit=None))]
    assert newest == [*range(200, 4, -1), 203, 202, 201, 4, 3, 2, 1]
    assert reading.count(Query()) == 203
    assert sequences(reading, Match("message", "number 77")) == [77]


def test_the_newest_are_found_without_opening_what_is_older(reading):
    assert len(list(reading.find(Query(limit=6)))) == 6
    assert len(reading._reader._open) == 2


def test_a_range_of_time_opens_only_what_it_meets(reading):
    assert reading.count(Query(since=BEGIN + 10 * DAY, until=BEGIN + 12 * DAY)) == 8
    assert len(reading._reader._open) == 3  # the last one spans all days, for its late events


def test_no_more_partitions_stay_open_than_allowed(reading, monkeypatch):
    monkeypatch.setattr(reader, "OPEN_PARTITIONS", 3)
    before = len(os.listdir("/proc/self/fd"))
    assert len(list(reading.find(Query(limit=None)))) == 203
    assert len(reading._reader._open) == 3
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_one_clock_in_the_far_future_stands_in_front_for_a_day_and_no_longer(opened, event):
    now = [BEGIN]
    with opened(clock=lambda: now[0]) as store:
        for day in range(6):
            now[0] = BEGIN + day * DAY
            mad = event(1000 + day, **{"@timestamp": "9999-12-31T23:59:59Z"})
            store.deliver([mad, event(day + 1, at=day * DAY)])
        store.flush()
        newest = [json.loads(found.body)["event"]["sequence"] for found in store.find(Query(limit=2))]
        assert newest == [1005, 1004]
        assert len(store._reader._open) <= 3
        assert store.count(Query(where=Range("@timestamp", gte="9999-01-01T00:00:00Z"))) == 6


@pytest.mark.parametrize("strange", [None, "", "yesterday", 17, ["2023-01-01T00:00:00Z"], {"a": 1}])
def test_an_event_without_a_readable_time_is_found_at_its_arrival(opened, event, strange):
    with opened(clock=lambda: BEGIN + 500) as store:
        store.deliver([event(1, at=400), event(2, **{"@timestamp": strange}), event(3, at=600)])
        store.flush()
        assert [found.key[0] - BEGIN for found in store.find(Query(order="oldest"))] == [400, 500, 600]
        assert store.count(Query(since=BEGIN + 500, until=BEGIN + 501)) == 1


def test_ten_thousand_labels_are_all_found(opened, event):
    with opened() as store:
        labels = [{f"key{n}": n, f"text{n}": f"value {n}"} for n in range(5_000)]
        store.deliver([event(n, labels=each) for n, each in enumerate(labels, 1)])
        store.deliver([event(9_000, labels={f"wide{n}": n for n in range(10_000)})])
        store.flush()
        for n in (0, 1_500, 4_999):
            assert store.count(Query(where=Match(f"labels.key{n}", n))) == 1
            assert store.count(Query(where=Match(f"labels.text{n}", f"value {n}"))) == 1
            assert store.count(Query(where=Range(f"labels.key{n}", gte=n, lt=n + 1))) == 1
            assert store.count(Query(where=Match(f"labels.wide{n}", n))) == 1


def test_an_event_of_a_megabyte_is_one_like_any_other(opened, event):
    words = " ".join(f"w{n}" for n in range(150_000))
    assert len(words) > 1_000_000
    big = event(1, message=words)
    with opened() as store:
        assert store.deliver([big, event(2)])[0].status == "stored"
        store.flush()
        assert store.count(Query(where=Match("message", "w149999"))) == 1
        (found,) = store.find(Query(where=Match("message", "w77777 w77778", phrase=True)))
        assert found.body == big.body


def test_events_with_line_breaks_in_their_json_come_back_as_they_were(opened):
    body = b'{\n "@timestamp": "%s",\n "event": {"id": "pretty"}\n}\n' % stamp(BEGIN).encode()
    with opened() as store:
        store.deliver([Delivery("pretty", "", 1, body)])
        store.flush()
        assert [found.body for found in store.find(Query())] == [body]


def test_equal_times_beyond_a_page_are_in_order_and_cut_right(opened, event):
    with opened() as store:
        store.deliver([event(sequence, at=7) for sequence in range(1, 700)])
        store.flush()
        newest = [int(found.key[1][-11:], 16) for found in store.find(Query(limit=5))]
        assert newest == [699, 698, 697, 696, 695]
        page = list(store.find(Query(limit=3, after=(BEGIN + 7, f"{'0' * 32}-{0:011x}"), order="oldest")))
        assert [int(found.key[1][-11:], 16) for found in page] == [1, 2, 3]


def test_partitions_are_named_by_the_day_of_arrival(path, opened, event):
    with opened(clock=lambda: BEGIN) as store:
        store.deliver([event(1, at=-400 * DAY)])
    (directory,) = (path / "parts").iterdir()
    assert directory.name == f"{datetime.fromtimestamp(BEGIN / 1e9, UTC):%Y%m%d}-000001"


def test_a_clock_that_goes_back_begins_no_partition(path, opened, event):
    now = [BEGIN]
    with opened(clock=lambda: now[0]) as store:
        for sequence, day in enumerate((0, 1, 0, 1, 0), 1):
            now[0] = BEGIN + day * DAY
            store.deliver([event(sequence)])
    assert len(list((path / "parts").iterdir())) == 2


def test_the_first_partition_learns_a_dictionary_and_readers_follow(path, opened, event, sequences, monkeypatch):
    monkeypatch.setattr(writer, "SAMPLES", 300)
    with opened() as store, opened("read") as other:
        store.deliver([event(sequence) for sequence in range(1, 300)])
        store.flush()
        other.reload()
        assert other.count(Query(where=Match("message", "number 7"))) == 1
        assert len(sequences(other)) == 299
        store.deliver([event(sequence) for sequence in range(300, 302)])
        assert list(path.rglob("raw.dict"))
        store.deliver([event(sequence) for sequence in range(302, 400)])
        store.flush()
        other.reload()
        assert sequences(other) == list(range(1, 400))
    with opened() as store:
        assert sequences(store) == list(range(1, 400))
        assert store.check() == []


def test_a_partition_taken_away_under_a_reader_is_gone_from_its_answers(path, opened, fifty_days, sequences):
    shutil.copytree(fifty_days, path)
    with opened("read") as store:
        shutil.rmtree(min((path / "parts").iterdir()))
        assert 1 not in sequences(store)
        assert store.count(Query(until=BEGIN + DAY)) == 3
