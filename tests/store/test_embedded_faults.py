"""Whatever breaks, nothing that was answered "stored" is lost, doubled or silently left out."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys

import pytest
import tantivy

from clusterlog.errors import HomeBusy, Incomplete, StoreUnavailable
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore, writer
from clusterlog.store.embedded.index import view
from clusterlog.store.query import Exists, Match, Not, Query, Range


def only_partition(path):
    (directory,) = (path / "parts").iterdir()
    return directory


def damage_index(directory, how):
    index = directory / "index"
    if how == "gone":
        shutil.rmtree(index)
    elif how == "empty":
        shutil.rmtree(index)
        index.mkdir()
    elif how == "no meta":
        (index / "meta.json").unlink()
    elif how == "torn meta":
        os.truncate(index / "meta.json", 40)
    elif how == "missing file":
        next(index.glob("*.term")).unlink()
    elif how == "cut file":
        os.truncate(next(index.glob("*.fast")), 10)
    elif how == "foreign":
        shutil.rmtree(index)
        index.mkdir()
        schema = tantivy.SchemaBuilder().add_text_field("somebody").build()
        tantivy.Index(schema, path=str(index))
    elif how == "of another store":
        segment = next(index.glob("*.term")).stem
        meta = json.loads((index / "meta.json").read_bytes())
        assert meta["segments"][0]["segment_id"].replace("-", "") == segment
        meta["segments"] = []
        (index / "meta.json").write_text(json.dumps(meta))


INDEX_DAMAGE = ("gone", "empty", "no meta", "torn meta", "missing file", "cut file", "foreign", "of another store")


@pytest.mark.parametrize("how", INDEX_DAMAGE)
def test_an_index_that_cannot_be_used_is_built_again_from_the_frames(path, opened, filled, sequences, event, how):
    filled(20)
    damage_index(only_partition(path), how)
    with opened() as store:
        assert sequences(store) == list(range(1, 21))
        assert sequences(store, Match("http.request.id", "request-3")) == [3, 10, 17]
        assert store.deliver([event(20), event(21)])[0].status == "duplicate"
        store.flush()
        assert store.count(Query()) == 21


@pytest.mark.parametrize("how", INDEX_DAMAGE[:-1])
def test_a_reader_without_a_usable_index_searches_the_frames(path, opened, filled, sequences, how):
    filled(20)
    damage_index(only_partition(path), how)
    with opened("read") as store:
        assert sequences(store, Match("http.request.id", "request-3")) == [3, 10, 17]
        assert store.count(Query(where=Match("message", "number 7"))) == 1
        newest = [found.key for found in store.find(Query(limit=3))]
        assert newest == sorted(newest, reverse=True)
        assert [found.key for found in store.find(Query(limit=1, after=newest[0]))] == newest[1:2]


def test_a_reader_without_a_table_of_frames_reads_the_frames(path, opened, filled, sequences):
    filled(20)
    (only_partition(path) / "raw.idx").unlink()
    with opened("read") as store:
        assert sequences(store, Match("http.request.id", "request-3")) == [3, 10, 17]
        assert store.count(Query()) == 20
        assert store.check() == []


def test_the_index_of_a_finished_partition_is_built_again_too(path, opened, sequences, event, monkeypatch):
    monkeypatch.setattr(writer, "PARTITION_EVENTS", 10)
    for first in (1, 11, 21):
        with opened() as store:
            store.deliver([event(sequence) for sequence in range(first, first + 10)])
    oldest = min((path / "parts").iterdir())
    damage_index(oldest, "missing file")
    with opened() as store:
        assert sequences(store, Match("http.request.id", "request-3")) == [3, 10, 17, 24]
        assert [outcome.status for outcome in store.deliver([event(5), event(31)])] == ["duplicate", "stored"]
    assert list((oldest / "index").glob("*.term"))


def test_ids_of_finished_partitions_are_known_after_an_opening(opened, event, monkeypatch):
    monkeypatch.setattr(writer, "PARTITION_EVENTS", 10)
    foreign = Delivery("a foreign one", "", 1, b'{"event":{"id":"a foreign one"}}')
    with opened() as store:
        store.deliver([*(event(sequence) for sequence in range(1, 11)), foreign])
        store.deliver([event(11)])
    with opened() as store:
        again = store.deliver([event(1), event(10), event(11), event(12), foreign])
        assert [outcome.status for outcome in again] == ["duplicate"] * 3 + ["stored", "duplicate"]


@pytest.mark.parametrize("name", ["raw.idx", "raw.ids"])
@pytest.mark.parametrize("how", ["gone", "cut", "torn", "flipped", "swollen"])
def test_side_files_are_made_again_from_the_frames(path, opened, filled, sequences, event, name, how):
    filled(20)
    with opened() as store:
        store.deliver([event(21)])
    side = only_partition(path) / name
    if how == "gone":
        side.unlink()
    elif how == "cut":
        os.truncate(side, 0)
    elif how == "torn":
        os.truncate(side, side.stat().st_size - 3)
    elif how == "flipped":
        data = bytearray(side.read_bytes())
        data[9] ^= 1
        side.write_bytes(data)
    else:
        side.write_bytes(side.read_bytes() + b"\0" * 200)
    with opened() as store:
        again = store.deliver([event(1), event(20), event(21), event(22)])
        assert [outcome.status for outcome in again] == ["duplicate"] * 3 + ["stored"]
        store.flush()
        assert sequences(store) == list(range(1, 23))


def test_a_raw_file_torn_at_any_byte_of_its_last_write_keeps_what_was_stored_before(path, opened, event, sequences):
    """That write was never answered: side files and index know nothing of it."""
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        stored = shutil.copytree(path, path.with_name("stored"))
        store.deliver([event(2)])
    raw = only_partition(path) / "raw.zst"
    whole, before = raw.read_bytes(), (only_partition(stored) / "raw.zst").stat().st_size
    assert len(whole) > before + 100
    for length in [*range(before, len(whole), 7), len(whole) - 1, len(whole)]:
        shutil.rmtree(path)
        shutil.copytree(stored, path)
        raw.write_bytes(whole[:length])
        with opened() as store:
            assert raw.stat().st_size == (length if length == len(whole) else before)
            assert sequences(store) == [1, 2][: 2 if length == len(whole) else 1]
            again = [outcome.status for outcome in store.deliver([event(1), event(2), event(3)])]
            assert again == ["duplicate", "duplicate" if length == len(whole) else "stored", "stored"]
            store.flush()
            assert sequences(store) == [1, 2, 3]


def test_a_flipped_bit_among_the_events_is_reported_after_everything_else_was_given(path, opened, event):
    with opened() as store:
        for sequence in range(1, 6):
            store.deliver([event(sequence)])
    raw = only_partition(path) / "raw.zst"
    data = bytearray(raw.read_bytes())
    data[-10] ^= 1  # in the last frame
    raw.write_bytes(data)
    for mode in ("read", "write"):
        with opened(mode) as store:
            given = []
            with pytest.raises(Incomplete, match=r"raw\.zst at byte"):
                given.extend(json.loads(found.body)["event"]["sequence"] for found in store.find(Query()))
            assert given == [4, 3, 2, 1]
            with pytest.raises(Incomplete):
                store.count(Query(where=Range("message", gte="event")))  # looks at every event
            assert [found.key[1][-1] for found in store.find(Query(where=Match("message", "number 2")))] == ["2"]
            (place,) = store.check()
            assert "raw.zst" in place
            assert "1 events" in place


def test_an_index_built_over_a_damaged_frame_still_says_that_something_is_missing(path, opened, event, sequences):
    with opened() as store:
        for sequence in range(1, 4):
            store.deliver([event(sequence)])
    raw = only_partition(path) / "raw.zst"
    data = bytearray(raw.read_bytes())
    data[-10] ^= 1
    raw.write_bytes(data)
    damage_index(only_partition(path), "gone")
    for _ in range(2):
        with opened() as store:
            with pytest.raises(Incomplete):
                store.count(Query(where=Exists("message")))
            with pytest.raises(Incomplete):
                sequences(store, Not(Match("message", "3")))


def test_a_partition_without_its_events_is_reported(path, opened, filled):
    filled(3)
    (only_partition(path) / "raw.zst").unlink()
    with opened("read") as store:
        with pytest.raises(Incomplete, match="is gone"):
            store.count(Query())
        assert len(store.check()) == 1


def test_a_sound_store_has_no_damage(path, opened, filled):
    filled(30)
    with opened("read") as store:
        assert store.check() == []


def test_damage_in_the_middle_of_the_frames_costs_no_other_frame(path, opened, event, sequences):
    with opened() as store:
        for sequence in range(1, 6):
            store.deliver([event(sequence)])
    directory = only_partition(path)
    data = bytearray((directory / "raw.zst").read_bytes())
    second = data.index(b"clfr", data.index(b"clfr") + 1)
    data[second] ^= 1
    (directory / "raw.zst").write_bytes(data)
    (directory / "raw.idx").unlink()
    with opened() as store:
        assert sequences(store) == [1, 3, 4, 5]
        assert len(store.check()) == 1
        assert [outcome.status for outcome in store.deliver([event(2), event(3)])] == ["stored", "duplicate"]
        store.flush()
        assert sequences(store) == [1, 2, 3, 4, 5]


@pytest.fixture
def small_files():
    """Writing stops at a size, as on a full disk; lifted by calling the fixture's value with no size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size=soft):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    limit()


def test_a_full_disk_stores_nothing_and_loses_nothing(path, opened, event, sequences, small_files):
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        raw = only_partition(path) / "raw.zst"
        before = raw.stat().st_size
        small_files(before + 100)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"raw\.zst"):
                store.deliver([event(sequence) for sequence in range(2, 30)])
            assert raw.stat().st_size == before
        small_files()
        outcomes = store.deliver([event(sequence) for sequence in range(1, 30)])
        assert [outcome.status for outcome in outcomes] == ["duplicate"] + ["stored"] * 28
        store.flush()
        assert sequences(store) == list(range(1, 30))
    with opened("read") as store:
        assert sequences(store) == list(range(1, 30))
        assert store.check() == []


def test_a_disk_too_full_for_the_index_alone_stores_and_finds_later(path, opened, event, sequences, small_files):
    with opened() as store:
        store.deliver([event(sequence, labels={"noise": os.urandom(60).hex()}) for sequence in range(1, 400)])
        small_files(20_000)  # the index's files are larger than the frames of this one event
        with pytest.raises(StoreUnavailable, match="safe"):
            store.flush()
        raw = only_partition(path) / "raw.zst"
        small_files(raw.stat().st_size + 4_000)
        assert [outcome.status for outcome in store.deliver([event(400)])] == ["stored"]
        small_files()
        store.flush()
        assert sequences(store) == list(range(1, 401))


def test_an_index_that_vanishes_under_the_writer_is_built_again(path, opened, event, sequences):
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        shutil.rmtree(only_partition(path) / "index")
        store.deliver([event(2)])
        for _ in range(2):  # the first one may be what notices
            try:
                store.flush()
            except StoreUnavailable:
                continue
        assert sequences(store) == [1, 2]


def test_a_second_writer_is_told_who_is_there(path, opened, filled):
    filled(1)
    with opened():
        with pytest.raises(HomeBusy, match=f"process {os.getpid()}") as caught:
            EmbeddedStore.open(path, "write")
        assert caught.value.pid == os.getpid()
        program = (
            "import sys; from pathlib import Path; from clusterlog.errors import HomeBusy\n"
            "from clusterlog.store.embedded import EmbeddedStore\n"
            "try: EmbeddedStore.open(Path(sys.argv[1]), 'write')\n"
            "except HomeBusy as busy: print(busy.pid)"
        )
        told = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == str(os.getpid())
    with opened():
        pass  # free again


def test_a_directory_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open the store"):
        EmbeddedStore.open(tmp_path / "file" / "store", "write")


def test_files_belong_to_their_owner_alone(path, opened, event, monkeypatch):
    monkeypatch.setattr(writer, "PARTITION_EVENTS", 5)
    previous = os.umask(0)
    try:
        with opened() as store:
            for sequence in range(1, 12):
                store.deliver([event(sequence)])
            store.flush()
    finally:
        os.umask(previous)
    modes = {
        str(each.relative_to(path)): stat.S_IMODE(each.stat().st_mode)
        for each in [path, *path.rglob("*")]
        if stat.S_IMODE(each.stat().st_mode) != (0o700 if each.is_dir() else 0o600)
    }
    assert modes == {}


def test_what_a_closed_store_is_given_is_not_taken(opened, event):
    with opened() as store:
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.deliver([event(1)])


def test_a_store_opened_for_reading_takes_nothing(opened, filled, event):
    filled(1)
    with opened("read") as store, pytest.raises(StoreUnavailable, match="reading"):
        store.deliver([event(2)])


class Poisoned:
    """A tantivy writer that dies of a certain word, as one of its threads does when it panics."""

    def __init__(self, writer):
        self._writer = writer
        self._is_dead = False

    def add_json(self, document):
        self._is_dead |= "poison" in document
        if self._is_dead:
            raise ValueError("an index writer was killed")
        return self._writer.add_json(document)

    def __getattr__(self, name):
        if self._is_dead:
            raise ValueError("an index writer was killed")
        return getattr(self._writer, name)


def test_an_event_that_kills_the_index_writer_is_stored_and_found_and_stops_nobody(
    opened, event, sequences, monkeypatch
):
    real = tantivy.Index.writer

    class Index:
        def __init__(self, index):
            self._index = index

        def writer(self, *arguments, **options):
            return Poisoned(real(self._index, *arguments, **options))

        def __getattr__(self, name):
            return getattr(self._index, name)

    monkeypatch.setattr(view.schema, "open_index", lambda *a, _open=view.schema.open_index, **o: Index(_open(*a, **o)))
    with opened() as store:
        store.deliver([event(1)])
        store.flush()
        outcomes = store.deliver([event(2), event(3, labels={"a": "poison"}), event(4)])
        assert [outcome.status for outcome in outcomes] == ["stored"] * 3
        store.flush()
        assert [outcome.status for outcome in store.deliver([event(5)])] == ["stored"]
        store.flush()
    monkeypatch.undo()
    with opened("read") as store:
        assert sequences(store) == [1, 2, 3, 4, 5]
        assert sequences(store, Match("labels.a", "poison")) == [3]
        assert sequences(store, Match("http.request.id", "request-4")) == [4]


@pytest.mark.parametrize("missing", ["tantivy", "zstandard"])
def test_without_its_libraries_the_store_says_what_to_install(missing):
    program = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "from clusterlog.errors import MissingExtra\n"
        "try: import clusterlog.store.embedded\n"
        "except MissingExtra as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 'pip install "clusterlog[server]"' in said
