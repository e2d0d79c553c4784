"""Files go into the spool once, line by line, whatever happens to them and to whoever takes them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlog.errors import HomeBusy, SettingError
from clusterlog.ship.acknowledged import Acknowledged
from clusterlog.ship.ingest import bookmarks, passage, segments
from clusterlog.ship.ingest.report import Watcher
from clusterlog.spool.budget import Budget
from clusterlog.spool.segment import OF_A_FILE, OWN_ID, PRIORITY, STATE

ROOT = Path(__file__).parents[3]
OWN = {
    "@timestamp": "2026-11-03T12:00:01.250000000Z",
    "event": {"id": "a" * 32 + "-00000000007", "sequence": 7, "kind": "event", "dataset": "clusterlog.app"},
    "process": {"entity_id": "a" * 32},
    "message": "ours",
}


def counted(report):
    return report.new, report.known, report.unreadable.total(), report.empty


def instance_of(path, first_line):
    status = os.stat(path)
    place = status.st_dev.to_bytes(8, "little") + status.st_ino.to_bytes(8, "little")
    return hashlib.sha256(place + first_line).hexdigest()[:32]


def test_every_line_is_an_event_under_its_number(home, lines):
    log = home.log("shop.log", *lines(12))
    report = home.one(log)
    assert counted(report) == (12, 0, 0, 0)
    instance = instance_of(log, json.dumps(lines(1)[0]).encode())
    found = home.records()
    assert [each[:2] for each in found] == [(instance, n) for n in range(1, 13)]
    for n, (_, sequence, flags, document) in enumerate(found):
        assert document["event"]["id"] == f"{instance}-{sequence:011x}"
        assert (document["process"]["entity_id"], document["event"]["sequence"]) == (instance, sequence)
        assert document["message"] == f"line {n}"
        assert flags == OF_A_FILE | (PRIORITY if n % 5 == 0 else 0)


def test_a_second_run_adds_nothing_and_reads_nothing(home, lines, monkeypatch):
    log = home.log("shop.log", *lines(500))
    home.one(log)
    before = home.records()
    monkeypatch.setattr(passage, "loads", None)
    assert counted(home.one(log)) == (0, 500, 0, 0)
    assert home.records() == before


def test_of_a_file_that_has_grown_only_the_new_lines_are_taken(home, lines):
    log = home.log("shop.log", *lines(5))
    home.one(log)
    with log.open("ab") as file:
        file.write(home.text(*lines(3, 5)))
    report = home.one(log)
    assert (counted(report), report.lines, report.skipped) == ((3, 5, 0, 0), 8, 5)
    assert home.messages() == [f"line {n}" for n in range(8)]


def test_a_file_that_was_renamed_is_the_same_file(home, lines):
    log = home.log("shop.log", *lines(5))
    home.one(log)
    log.rename(home.logs / "shop.log.1")
    fresh = home.log("shop.log", *lines(2, 5))
    reports = home.ingest(home.logs / "shop.log.1", fresh)
    assert [counted(each) for each in reports] == [(0, 5, 0, 0), (2, 0, 0, 0)]


def test_a_file_that_was_rotated_and_compressed_goes_on_under_its_numbers(home, lines):
    log = home.log("shop.log", *lines(5))
    first = home.one(log)
    with log.open("ab") as file:
        file.write(home.text(*lines(3, 5)))
    packed = home.logs / "shop.log.1.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    report = home.one(packed)
    assert (counted(report), report.instance, report.copy_of) == ((3, 5, 0, 0), first.instance, str(log))
    assert home.messages() == [f"line {n}" for n in range(8)]
    assert counted(home.one(packed)) == (0, 8, 0, 0)


def test_another_file_with_the_same_first_line_is_another_file(home, lines):
    home.one(home.log("a.log", *lines(5)))
    report = home.one(home.log("b.log", *lines(1), *lines(4, 7)))
    assert (counted(report), report.copy_of) == ((5, 0, 0, 0), "")
    assert len({instance for instance, *_ in home.records()}) == 2


def test_a_file_that_was_cut_and_written_anew_is_another_one(home, lines):
    log = home.log("shop.log", *lines(5))
    home.one(log)
    with log.open("r+b") as file:
        file.truncate()
        file.write(home.text(*lines(2, 5)))
    assert counted(home.one(log)) == (2, 0, 0, 0)
    assert len({instance for instance, *_ in home.records()}) == 2


@pytest.mark.parametrize("count", [2, 9])
def test_a_file_rewritten_behind_its_first_line_is_refused_and_nothing_is_doubled(home, lines, count):
    log = home.log("shop.log", *lines(5))
    home.one(log)
    with log.open("r+b") as file:
        file.truncate()
        file.write(home.text(*lines(1), *lines(count, 20)))
    report = home.one(log)
    assert "not the file any more whose first 5 lines were ingested" in report.problem
    assert len(home.records()) == 5


def test_half_a_last_line_is_left_for_the_next_run(home, lines):
    whole = home.text(*lines(3))
    log = home.logs / "shop.log"
    log.write_bytes(whole[:-30])
    report = home.one(log)
    assert (counted(report), report.unfinished) == ((2, 0, 0, 0), len(whole) - 30 - len(home.text(*lines(2))))
    log.write_bytes(whole)
    assert counted(home.one(log)) == (1, 2, 0, 0)
    assert home.messages() == ["line 0", "line 1", "line 2"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_whole_last_line_without_its_end_is_taken_and_its_end_is_no_line(home, lines, end):
    log = home.log("shop.log", *lines(3), end="")
    assert counted(home.one(log)) == (3, 0, 0, 0)
    assert counted(home.one(log)) == (0, 3, 0, 0)
    with log.open("ab") as file:
        file.write(end.encode() + home.text(*lines(1, 3)))
    assert counted(home.one(log)) == (1, 3, 0, 0)
    assert [number for _, number, *_ in home.records()] == [1, 2, 3, 4]


def test_a_file_whose_first_line_is_not_whole_yet_is_left_alone(home):
    log = home.logs / "shop.log"
    log.write_bytes(b'{"message":')
    report = home.one(log)
    assert (report.unfinished, report.instance, counted(report)) == (11, "", (0, 0, 0, 0))
    log.write_bytes(b"")
    assert home.one(log).complete
    assert home.records() == []


def test_lines_end_as_on_any_system(home, lines):
    log = home.logs / "shop.log"
    log.write_bytes(b"\xef\xbb\xbf" + home.text(*lines(3)).replace(b"\n", b"\r\n"))
    assert counted(home.one(log)) == (3, 0, 0, 0)


def test_an_unreadable_line_leaves_a_drop_event_in_its_place_and_an_empty_one_a_note(home, lines):
    log = home.log("shop.log", lines(1)[0], b"plain", b"", b"[1]", lines(2)[1])
    report = home.one(log)
    assert (counted(report), dict(report.unreadable)) == ((2, 0, 2, 1), {"not_json": 1, "not_an_object": 1})
    assert [(each.path, each.line, each.reason) for each in home.problems] == [
        (str(log), 2, "not_json"),
        (str(log), 4, "not_an_object"),
    ]
    found = home.records()
    assert [number for _, number, *_ in found] == [1, 2, 3, 4, 5]
    drop, blank = found[1], found[2]
    assert drop[2] == OF_A_FILE | STATE | PRIORITY and blank[2] == OF_A_FILE | STATE
    assert drop[3]["event"]["action"] == "drop" and blank[3]["event"]["action"] == "blank"
    assert drop[3]["clusterlog"]["state"] == {
        "instance": report.instance,
        "first_seq": 2,
        "last_seq": 2,
        "count": 1,
        "reason": "not_json",
    }
    assert drop[3]["event"]["id"] == f"{report.instance}-00000000002"
    assert counted(home.one(log)) == (0, 2, 0, 0)


def test_a_file_that_is_no_log_of_json_lines_is_left_out_whole(home):
    log = home.log("text.log", *[b"plain text"] * 1500)
    report = home.one(log)
    assert "none of its first 1,000 lines is one" in report.problem
    assert home.records() == [] and counted(report) == (0, 0, 0, 0)
    assert home.one(log).problem


def test_an_id_of_its_own_is_kept_and_the_line_s_number_is_where_it_is_acknowledged(home, lines):
    report = home.one(home.log("export.jsonl", OWN, lines(1)[0]))
    (own, other) = home.records()
    assert own[:3] == (report.instance, 1, OF_A_FILE | OWN_ID)
    assert own[3] == OWN
    assert other[3]["event"]["id"] == f"{report.instance}-00000000002"


def test_one_line_of_many_events_moves_the_numbers_of_those_behind_it(home, lines):
    record = {"timeUnixNano": "1793707201250000000", "body": {"stringValue": "hi"}}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 3}]}]}
    log = home.log("otlp.json", request, b"broken", request)
    report = home.one(log)
    assert counted(report) == (6, 0, 1, 0)
    assert [number for _, number, *_ in home.records()] == [1, 2, 3, 4, 5, 6, 7]
    with log.open("ab") as file:
        file.write(home.text(request))
    assert counted(home.one(log)) == (3, 6, 0, 0)
    assert home.records()[-1][1] == 10


def test_gzip_is_known_by_its_content_and_several_members_are_one_file(home, lines):
    log = home.logs / "anything.bin"
    log.write_bytes(gzip.compress(home.text(*lines(3))) + gzip.compress(home.text(*lines(2, 3))))
    assert counted(home.one(log)) == (5, 0, 0, 0)
    assert counted(home.one(log)) == (0, 5, 0, 0)


@pytest.mark.parametrize("damage", ["cut", "garbled", "trailing"])
def test_of_a_damaged_compressed_file_what_can_be_read_is_taken_and_the_rest_is_told(home, lines, damage):
    packed = gzip.compress(home.text(*lines(30_000)))
    middle = len(packed) // 2
    spoilt = {
        "cut": packed[:middle],
        "garbled": packed[:middle] + b"\0" * 99 + packed[middle + 99 :],
        "trailing": packed + b"x",
    }
    log = home.logs / "shop.log.gz"
    log.write_bytes(spoilt[damage])
    report = home.one(log)
    assert report.problem and not report.complete
    assert counted(home.one(log))[:2] == (0, report.new)
    if damage != "garbled":  # what is unpacked from garbled bytes nobody can tell from what was there
        assert report.new and home.messages() == [f"line {n}" for n in range(report.new)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (bz2.compress(b"x"), "bzip2 -dc"),
        (b"\xfd7zXZ\0abc", "xz -dc"),
        (b"\x28\xb5\x2f\xfdabc", "zstd -dc"),
        ("{}\n".encode("utf-16"), "iconv"),
    ],
)
def test_what_cannot_be_read_here_is_said_with_what_can_read_it(home, content, told):
    log = home.logs / "x"
    log.write_bytes(content)
    assert told in home.one(log).problem


def test_one_bad_file_does_not_stop_the_others(home, lines):
    bad = home.logs / "bad.gz"
    bad.write_bytes(b"\x1f\x8bxx")
    reports = home.ingest(bad, home.log("good.log", *lines(2)))
    assert [bool(each.problem) for each in reports] == [True, False]
    assert len(home.records()) == 2


@pytest.fixture
def piped(monkeypatch):
    """Standard input is a pipe with some data; what is given back ends when all of it is read."""
    opened = []

    def begin(data):
        out, into = os.pipe()
        stdin = open(out, "rb")  # noqa: SIM115 - closed below
        opened.append(stdin)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))

        def fill():
            with suppress(BrokenPipeError), open(into, "wb") as pipe:
                pipe.write(data)

        filler = threading.Thread(target=fill)
        filler.start()
        return filler

    yield begin
    for each in opened:
        each.close()


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_known_by_its_first_64_kib(home, lines, piped, packed):
    data = home.text(*lines(2000))
    for expected in ((2000, 0, 0, 0), (0, 2000, 0, 0)):
        filler = piped(gzip.compress(data) if packed else data)
        report = home.one("-")
        filler.join()
        assert counted(report) == expected
    assert report.instance == hashlib.sha256(data[: 64 << 10]).hexdigest()[:32]
    filler = piped(data + home.text(*lines(5, 2000)))
    assert counted(home.one("-")) == (5, 2000, 0, 0)
    filler.join()
    assert {each["log"]["file"]["path"] for *_, each in home.records()} == {"/dev/stdin"}


def test_a_stream_s_last_line_needs_no_end(home, lines, piped):
    piped(home.text(*lines(3), end="")).join()
    assert counted(home.one("-")) == (3, 0, 0, 0)


def test_again_reads_everything_once_more_under_the_same_ids(home, lines):
    log = home.log("shop.log", *lines(4))
    home.one(log)
    before = home.records()
    for path in home.spool.glob("*.seg"):
        path.unlink()
    assert counted(home.one(log, again=True)) == (4, 0, 0, 0)
    assert home.records() == before


def test_what_is_in_the_spool_or_delivered_is_not_written_again_where_the_bookmark_is_lost(home, lines):
    log = home.log("shop.log", *lines(10))
    report = home.one(log)
    (home.path / "run" / "ingested.json").unlink()
    assert counted(home.one(log)) == (0, 10, 0, 0)
    for path in home.spool.glob("*.seg"):
        path.unlink()
    acknowledged = Acknowledged.load(home.path)
    acknowledged.of(report.instance).add(1, 4)
    acknowledged.save()
    (home.path / "run" / "ingested.json").unlink()
    assert counted(home.one(log)) == (6, 4, 0, 0)
    assert [number for _, number, *_ in home.records()] == [5, 6, 7, 8, 9, 10]


def test_a_damaged_bookmark_is_none(home, lines):
    log = home.log("shop.log", *lines(3))
    home.one(log)
    (home.path / "run" / "ingested.json").write_text('{"files": [{"surprise": 1}]}')
    assert counted(home.one(log)) == (0, 3, 0, 0)


def test_a_full_spool_is_waited_for_and_nothing_is_lost(home, lines, monkeypatch):
    monkeypatch.setattr(passage, "FLUSH_BYTES", 20_000)
    monkeypatch.setattr("clusterlog.ship.ingest.lines.CHUNK", 4096)
    log = home.log("shop.log", *lines(1000))
    asked, kept = [], []

    def make_room(reason):
        asked.append(reason)
        kept.extend(home.messages())
        for path in home.spool.glob("*.seg"):
            path.unlink()

    report = home.one(log, budget=Budget(300_000, 0), watcher=Watcher(make_room=make_room))
    assert counted(report) == (1000, 0, 0, 0)
    assert set(asked) == {"disk_limit"}
    assert sorted(kept + home.messages()) == sorted(f"line {n}" for n in range(1000))


def test_a_spool_that_stays_full_ends_the_run_and_the_next_one_goes_on(home, lines, monkeypatch):
    monkeypatch.setattr(passage, "FLUSH_BYTES", 20_000)
    monkeypatch.setattr("clusterlog.ship.ingest.lines.CHUNK", 4096)
    log = home.log("shop.log", *lines(1000))

    def refuse(reason):
        raise SettingError(reason)

    with pytest.raises(SettingError, match="disk_limit"):
        home.one(log, budget=Budget(300_000, 0), watcher=Watcher(make_room=refuse))
    there = len(home.records())
    assert 0 < there < 1000
    assert counted(home.one(log)) == (1000 - there, there, 0, 0)
    assert sorted(home.messages()) == sorted(f"line {n}" for n in range(1000))


HOLDER = """
import pathlib, sys
from clusterlog.spool import liveness
liveness.hold(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_two_runs_do_not_ingest_into_one_home(home, lines):
    home.one(home.log("a.log", *lines(1)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.path / "run" / "ingest.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy, match=f"ingested into by process {holder.pid}"):
            home.one(home.log("b.log", *lines(1)))
        holder.communicate()
    assert counted(home.one(home.log("b.log", *lines(1, 1)))) == (1, 0, 0, 0)


def test_numbers_of_segments_are_never_used_twice(home, lines):
    """A shipper that has just read and removed a segment of that number would take the new one for read."""
    log = home.log("shop.log", *lines(2))
    home.one(log)
    used = {path.name for path in home.spool.glob("*.seg")}
    for path in home.spool.glob("*.seg"):
        path.unlink()
    with log.open("ab") as file:
        file.write(home.text(*lines(2, 2)))
    home.one(log)
    assert used.isdisjoint(path.name for path in home.spool.glob("*.seg"))


def test_the_bookmark_is_written_after_the_segments_it_speaks_of(home, lines, monkeypatch):
    log = home.log("shop.log", *lines(3))
    order = []
    real = segments.sync_directory
    monkeypatch.setattr(segments, "sync_directory", lambda path: (order.append("segments"), real(path)))
    kept = bookmarks.Bookmarks.keep
    monkeypatch.setattr(
        bookmarks.Bookmarks, "keep", lambda self, mark: (order.append(f"bookmark {mark.offset > 0}"), kept(self, mark))
    )
    home.one(log)
    assert order == ["segments", "bookmark True"]


def test_a_segment_is_seen_when_it_is_whole_and_on_disk_and_not_before(home, lines, monkeypatch):
    seen = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (seen.append(sorted(home.spool.glob("*.seg"))), real(fd)))
    home.one(home.log("shop.log", *lines(3)))
    assert seen[0] == [] and len(seen) == 2, "one for each lane"
    assert len(list(home.spool.glob("*.seg"))) == 2


def test_unfinished_files_of_a_run_that_was_killed_are_taken_away(home, lines):
    home.spool.mkdir(parents=True)
    left = home.spool / f".{'a' * 32}-bulk-000001.seg.ingest"
    left.write_bytes(b"half")
    home.one(home.log("shop.log", *lines(1)))
    assert not left.exists()


KILLED = """
import sys
from pathlib import Path
from types import SimpleNamespace
from clusterlog.encode.foreign.names import shipped
from clusterlog.encode.foreign.translation import Translator
from clusterlog.record.redact import Redactor
from clusterlog.ship.ingest import lines, passage
from clusterlog.ship.ingest.run import Ingest
passage.FLUSH_BYTES, lines.CHUNK = 100_000, 16_384
translator = Translator(shipped(), redactor=Redactor(), identity_hash=lambda text: ("h", "k"))
with Ingest(Path(sys.argv[1]), translator, environment="test") as run:
    print("begun", flush=True)
    for _ in range(1000):
        print(run.files(sys.argv[2:])[0].new, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_whoever_is_killed_at_any_moment_loses_nothing_and_doubles_nothing(home, lines, seed):
    chance = random.Random(seed)
    log = home.log("shop.log", *lines(20_000))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(home.path), str(log)], stdout=subprocess.PIPE, env=environment
        ) as process:
            assert process.stdout.readline() == b"begun\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.random() * 0.25)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    report = home.one(log)
    numbers = [number for _, number, *_ in home.records()]
    assert report.new + report.known == 20_000
    assert numbers == list(range(1, 20_001))


line = st.one_of(
    st.binary(max_size=60).map(lambda text: text.replace(b"\n", b"")),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers() | st.none(), max_size=4).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [
            b"",
            b"{}",
            b'{"message": "a"}',
            b'{"event.id": "x"}',
            b'{"n": NaN}',
            b"\0\0",
            b'{"resourceLogs": []}',
            json.dumps(OWN).encode(),
        ]
    ),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(line, min_size=1, max_size=12), st.lists(line, max_size=5))
def test_whatever_bytes_are_in_a_file_each_line_is_an_event_or_a_reported_drop(home, before, after):
    log = home.logs / "shop.log"
    log.unlink(missing_ok=True)
    home.problems.clear()
    for path in (*home.spool.glob("*"), *(home.path / "run").glob("*.json")):
        path.unlink()
    log.write_bytes(b"".join(each + b"\n" for each in before))
    first = home.one(log)
    with log.open("ab") as file:
        file.write(b"".join(each + b"\n" for each in after))
    second = home.one(log)
    if first.problem:  # by its first bytes it is compressed, or UTF-16
        assert second.problem and home.records() == []
        return
    new, lost, empty = (first.new + second.new, first.unreadable + second.unreadable, first.empty + second.empty)
    assert new + lost.total() + empty == len(before) + len(after)
    assert not lost["not_translated"]
    assert lost.total() == len(home.problems)
    assert [number for _, number, *_ in home.records()] == list(range(1, len(before) + len(after) + 1))
