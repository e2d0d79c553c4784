"""What `clusterlog spool` tells of files, whole and damaged, with nobody else alive."""

from __future__ import annotations

import json
import os
import stat

import pytest

HOSTILE = "\x1b[31mred\x07 \u202eevil\u2028 <b>&\x00\r\n\x9b2J"


@pytest.fixture
def said(home):
    """Two processes: one lives, one has said good-bye."""
    alive = home.speaker()
    alive.say("order placed \u202e\x7f", request="a" * 32, order=7)
    alive.say("stock low", "warning")
    ended = home.speaker("orders", "orders-1")
    ended.say("picked")
    ended.end()
    yield home
    alive.end()


def test_ls_shows_whose_the_instances_are_and_who_lives(run, said):
    pid = str(os.getpid())
    width = max(3, len(pid))
    numbers = "STATE  SEGMENTS     SIZE  EVENTS  FIRST  LAST  DAMAGED"
    rows = [
        f"INSTANCE                          SERVICE  NODE      {'PID':>{width}}  {numbers}",
        f"019ad000000000000000000000000001  shop     shop-1    {pid:>{width}}  alive         2",
        f"019ad000000000000000000000000002  orders   orders-1  {pid:>{width}}  dead          1",
    ]
    result = run("spool", "ls")
    assert result.code == 0
    assert result.lines[0] == rows[0]
    assert [line[: len(row)] for line, row in zip(result.lines, rows, strict=True)] == rows
    assert [line.split()[-4:] for line in result.lines[1:]] == [["3", "1", "3", "-"], ["3", "1", "3", "-"]]


def test_ls_tells_machines_the_same(run, said):
    told = json.loads(run("spool", "ls", "--json").out)
    assert told["schema"] == "clusterlog.spool.ls/1"
    first, second = told["instances"]
    assert first["id"] == "019ad0" + "0" * 25 + "1"
    assert first["bytes"] == sum(each.stat().st_size for each in said.segments() if each.name.startswith(first["id"]))
    del first["id"], first["bytes"]
    assert first == {
        "service": "shop",
        "node": "shop-1",
        "pid": os.getpid(),
        "state": "alive",
        "segments": 2,
        "events": 3,
        "first": 1,
        "last": 3,
        "damaged_bytes": 0,
    }
    assert second["state"] == "dead"


def test_a_home_a_directory_and_a_file_can_be_named(run, said):
    spool = said.path / "spool"
    priority = next(spool.glob("*-priority-*.seg"))
    whole = run("spool", "ls", said.path).lines
    assert run("spool", "ls", spool).lines == whole
    one = run("spool", "ls", priority, "--json")
    assert [(each["segments"], each["events"]) for each in json.loads(one.out)["instances"]] == [(1, 1)]


def test_verify_finds_nothing_wrong_with_what_was_written_in_peace(run, said):
    result = run("spool", "verify")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("6 events in 3 segments, ")
    assert result.out.endswith(": nothing is damaged\n")


def test_verify_names_file_and_offset_of_a_flipped_bit_and_of_a_cut_file_and_ends_with_5(run, home):
    speaker = home.speaker()
    for number in range(3):
        speaker.say(f"line {number}")
    speaker.die()
    (segment,) = home.segments()
    data = bytearray(segment.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"clog"]
    data[starts[1] + 60] ^= 1
    segment.write_bytes(data[:-5])
    result = run("spool", "verify")
    assert result.code == 5
    gap, tail = starts[2] - starts[1], len(data) - 5 - starts[3]
    assert result.lines == [
        f"{segment}:{starts[1]}: {gap} bytes are no record, between two records",
        (
            f"{segment}:{starts[3]}: {tail} bytes are no record, "
            "at the end of the file: its writer died, or the file was cut"
        ),
        f"2 events in 1 segment, {(len(data) - 5) / 1024:.1f} KiB: 2 damaged places",
    ]
    machine = run("spool", "verify", "--json")
    told = json.loads(machine.out)
    assert machine.code == 5
    assert [(each["offset"], each["end"]) for each in told["damage"]] == [
        (starts[1], starts[2]),
        (starts[3], len(data) - 5),
    ]


def test_half_a_record_at_the_end_of_a_live_file_is_being_written_and_no_damage(run, home):
    speaker = home.speaker()
    speaker.say("whole")
    (segment,) = home.segments()
    with segment.open("ab") as file:
        file.write(b"clog\x01\x00 half")
    told = json.loads(run("spool", "verify", "--json").out)
    assert (told["damage"], told["unfinished_bytes"]) == ([], 11)
    assert run("spool", "cat").err == ""
    speaker.die()
    assert run("spool", "verify").code == 5


def test_verify_tells_a_record_that_is_another_event_or_no_json_although_its_checksum_is_right(run, home):
    speaker = home.speaker()
    speaker.say("first")
    speaker.writer._head = lambda second: b'{"n":[%d,%d,%d],"event":{"id":"somebody else",'
    speaker.writer.append(False, 1_800_000_000_000_000_000, b'"x":1}}')
    speaker.writer.append(False, 1_800_000_000_000_000_000, b"broken")
    speaker.die()
    lines = run("spool", "verify").lines
    assert [line.rpartition(": ")[2] for line in lines[:2]] == [
        "record 3 holds the event somebody else",
        "record 4 is no JSON object",
    ]


def test_verify_tells_numbers_that_run_backwards(run, home):
    speaker = home.speaker()
    speaker.say("first")
    speaker.writer.sequence = 0
    speaker.say("again the first")
    speaker.die()
    result = run("spool", "verify")
    assert result.code == 5
    assert "number 1 after 2" in result.out


def test_cat_prints_events_of_both_lanes_by_their_numbers(run, home):
    speaker = home.speaker()
    speaker.say("first", request="a" * 32, order=7, note="two words")
    speaker.say("second", "warning")
    speaker.say("third", "debug")
    speaker.die()
    result = run("spool", "cat")
    blank = " " * 32
    assert result.lines == [
        f"2026-11-03T12:00:01.000Z  shop-1  S  -{blank[1:]}  clusterlog  open 019ad000000000000000000000000001",
        f'2026-11-03T12:00:01.000Z  shop-1  I  {"a" * 32}  shop.api    first  order=7  note="two words"',
        f"2026-11-03T12:00:01.001Z  shop-1  W  -{blank[1:]}  shop.api    second",
        f"2026-11-03T12:00:01.002Z  shop-1  D  -{blank[1:]}  shop.api    third",
    ]


def test_cat_for_machines_gives_every_document_byte_for_byte(run, said):
    result = run("spool", "cat", "--json")
    events = [json.loads(line) for line in result.lines]
    assert [event["event"]["sequence"] for event in events] == [1, 2, 3, 1, 2, 3]
    written = b"".join(path.read_bytes() for path in said.segments())
    assert all(line.encode() in written for line in result.lines)


def test_hostile_text_reaches_a_terminal_escaped_in_both_forms(run, home, on_terminal):
    speaker = home.speaker(node=f"n{HOSTILE}")
    speaker.say(HOSTILE, key=HOSTILE)
    speaker.die()
    for form in ((), ("--json",)):
        text = run("spool", "cat", *form).out
        assert "evil" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028")]


def test_json_escaped_for_a_terminal_is_the_same_document(run, home, on_terminal, monkeypatch):
    speaker = home.speaker()
    speaker.say(HOSTILE)
    speaker.die()
    shown = run("spool", "cat", "--json").lines[1]
    monkeypatch.undo()
    assert json.loads(shown) == json.loads(run("spool", "cat", "--json").lines[1])
    assert json.loads(shown)["message"] == HOSTILE


def test_damage_is_skipped_and_mentioned(run, home):
    speaker = home.speaker()
    speaker.say("before")
    speaker.say("after")
    speaker.die()
    (segment,) = home.segments()
    data = bytearray(segment.read_bytes())
    second = data.index(b"clog", data.index(b"clog") + 4)
    data[second + 50] ^= 0xFF
    segment.write_bytes(data)
    result = run("spool", "cat")
    assert [line.rpartition("  ")[2] for line in result.lines[1:]] == ["after"]
    assert "are no record: see `clusterlog spool verify`" in result.err


def test_export_writes_a_new_file_for_its_owner_alone(run, said, tmp_path):
    out = tmp_path / "events.ndjson"
    result = run("spool", "export", "-o", out)
    assert (result.code, result.out) == (0, "")
    assert result.err == f"exported 6 events to {out}\n"
    assert len([json.loads(line) for line in out.read_text().splitlines()]) == 6
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_export_never_overwrites(run, said, tmp_path):
    out = tmp_path / "events.ndjson"
    out.write_text("precious")
    result = run("spool", "export", "-o", out)
    assert result.code == 2
    assert result.err == f"clusterlog: {out} is there already: remove it, or choose another name\n"
    assert out.read_text() == "precious"


def test_export_to_standard_output_is_what_cat_gives_machines(run, said):
    assert run("spool", "export").out == run("spool", "cat", "--json").out


@pytest.mark.parametrize(
    ("make", "code", "told"),
    [
        (lambda home: None, 1, "no spool in {home}: nothing has logged there; --home DIR names another home"),
        (
            lambda home: (home.path / "spool").mkdir(parents=True),
            1,
            "no segments in {home}: everything is delivered, or nothing was logged",
        ),
    ],
)
def test_a_home_without_events_is_not_found(run, home, make, code, told):
    make(home)
    for command in ("ls", "verify", "cat", "export"):
        result = run("spool", command)
        assert (result.code, result.out, result.err) == (code, "", f"clusterlog: {told.format(home=home)}\n")


def test_a_file_that_is_no_segment_is_refused_because_the_checksums_need_its_name(run, said, tmp_path):
    renamed = tmp_path / "copy.seg"
    renamed.write_bytes(said.segments()[0].read_bytes())
    result = run("spool", "ls", renamed)
    assert result.code == 2
    assert "is no segment: those are named <instance>-<lane>-<number>.seg" in result.err
    assert run("spool", "ls", tmp_path / "nothing").code == 1


def test_dead_letters_lie_in_the_same_format_and_are_read_as_well(run, home):
    from clusterlog.ship.dead.quarantine import Quarantine
    from clusterlog.store.base import Delivery

    dead = home.path / "dead"
    quarantine = Quarantine(dead, "f" * 32, "store")
    quarantine.keep(Delivery("an-id", "e" * 32, 4, b'{"message":"refused"}'), "mapping conflict", 1)
    quarantine.close()
    assert run("spool", "verify", dead).code == 0
    about, event = run("spool", "cat", "--json", dead).lines
    assert json.loads(about)["reason"] == "mapping conflict"
    assert event == '{"message":"refused"}'
