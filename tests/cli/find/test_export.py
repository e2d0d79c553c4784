"""`clusterlog export`: one request as a file for others."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

from clusterlog.search.export import markdown

FAILED = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
ONE, TWO = "a" * 24 + "00000001", "b" * 24 + "00000002"


@pytest.fixture
def shop(home):
    """Two requests on two nodes, one after the other, as real processes write them."""
    shop, orders = home.speaker(), home.speaker("orders", "orders-1")
    for request in (ONE, TWO):
        shop.say("\u202e\x7f ü 日本", request=request, order=7, ratio=0.5)
        orders.say("out of stock", request=request, level="error", big=2**60)
        orders.answer(request, 500)
    shop.end()
    orders.end()
    return home


def test_json_lines_are_the_documents_byte_for_byte_in_causal_order(run, shop):
    written = {json.loads(line)["event"]["id"]: line for line in run("spool", "cat", "--json").lines}
    result = run("export", ONE)
    assert (result.code, result.err) == (0, "")
    told = json.loads(run("trace", ONE, "--json").out)
    assert result.lines == [written[event["event"]["id"]] for event in told["events"]]
    assert len(result.lines) == 3


def test_the_causal_order_is_kept_where_clocks_say_otherwise(run, stories, keep):
    keep(*stories.failing_checkout(skews=(0, 60_000, -60_000)).documents)
    lines = run("export", FAILED, "--format", "jsonl").lines
    assert [json.loads(line)["event"]["id"] for line in lines] == [
        each["event"]["id"] for each in json.loads(run("trace", FAILED, "--json").out)["events"]
    ]


def test_json_lines_that_are_taken_in_elsewhere_come_out_again_byte_for_byte(run, shop, tmp_path):
    first, second, elsewhere = tmp_path / "first.jsonl", tmp_path / "second.jsonl", tmp_path / "elsewhere"
    assert run("export", ONE, "--output", first).code == 0
    assert run("ingest", first, "--home", elsewhere).code == 0
    assert run("export", ONE, "--output", second, "--home", elsewhere).code == 0
    assert second.read_bytes() == first.read_bytes()


def test_otlp_that_is_taken_in_elsewhere_tells_the_same_request(run, stories, keep, tmp_path):
    story = stories.Story(ONE)
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(3, "looked", span="b" * 16, labels={"sku": 7})
    orders.access(4, 2, "GET /stock/{sku}", 500, span="b" * 16, parent="c" * 16)
    shop.call(5, 3, "GET http://orders:8002/stock/7", 500, span="c" * 16, parent="a" * 16)
    shop.log(7, "failed", level="error", span="a" * 16)
    shop.access(8, 8, "GET /", 502, span="a" * 16)
    keep(*story.documents)
    file, elsewhere = tmp_path / "request.json", tmp_path / "elsewhere"
    assert run("export", ONE, "--format", "otlp", "--output", file).code == 0
    assert run("ingest", file, "--home", elsewhere).code == 0
    here = json.loads(run("trace", ONE, "--json").out)["request"]
    there = json.loads(run("trace", ONE, "--json", "--home", elsewhere).out)["request"]
    for name in ("id", "trace_ids", "started", "duration_ns", "outcome", "nodes", "services", "events", "spans"):
        assert there[name] == here[name], name
    mine, other = (run("export", ONE, "--format", "jsonl", *home).lines for home in ((), ("--home", elsewhere)))
    assert [json.loads(line) for line in other] == [json.loads(line) for line in mine] and len(mine) == 5


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("otlp", {"resourceSpans", "resourceLogs"}),
        ("otlp-traces", {"resourceSpans"}),
        ("otlp-logs", {"resourceLogs"}),
        ("chrome", {"traceEvents", "displayTimeUnit", "otherData"}),
    ],
)
def test_every_other_machine_format_is_one_json_object(run, checkouts, form, names):
    (line,) = run("export", FAILED, "--format", form).lines
    assert set(json.loads(line)) == names


def test_a_ticket_has_the_verdict_the_events_and_what_is_known_to_be_complete(run, checkouts):
    lines = run("export", FAILED, "--format", "md").lines
    assert lines[0] == "### `POST /checkout` → 502, FAILED in 1.84 s"
    assert [line.split("`")[0] for line in lines if line.startswith("- ")][:2] == ["- **why** ", "- **time** "]
    assert len([line for line in lines if line.startswith("| ")]) == 1 + 11


@pytest.mark.parametrize(
    ("name", "begin"), [("a.md", "### "), ("a.jsonl", '{"@timestamp"'), ("a.txt", '{"@timestamp"')]
)
def test_a_file_is_written_in_the_format_its_name_says(run, checkouts, tmp_path, name, begin):
    file = tmp_path / name
    file.write_text("before")
    result = run("export", FAILED, "--output", file)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert file.read_text().startswith(begin)
    assert set(os.listdir(tmp_path)) == {name, "home"}
    assert run("export", FAILED, "--output", file, "--format", "chrome").code == 0
    assert "traceEvents" in json.loads(file.read_text())


def test_a_file_that_cannot_be_written_leaves_what_was_there(run, checkouts, tmp_path):
    result = run("export", FAILED, "--output", tmp_path / "nowhere" / "a.md")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith(f"clusterlog: cannot write {tmp_path / 'nowhere' / 'a.md'}: no such file or directory")


def test_a_file_has_the_mode_a_new_file_of_the_user_has(run, checkouts, tmp_path):
    (tmp_path / "other").touch()
    run("export", FAILED, "--output", tmp_path / "a.md")
    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_link_stays_one(run, checkouts, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a.md")
    assert run("export", FAILED, "--output", tmp_path / "link", "--format", "md").code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.md").read_text().startswith("### ")


def test_what_is_no_file_is_written_to_and_not_replaced(run, checkouts, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run("export", FAILED, "--output", tmp_path / "pipe", "--format", "md").code == 0
        assert os.read(reader, 65_536).startswith(b"### ")
        assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    finally:
        os.close(reader)


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(run, checkouts, tmp_path, monkeypatch):
    (tmp_path / "a.md").write_text("before")

    def full(journey, sentences):
        yield "### begun"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(markdown, "markdown", full)
    result = run("export", FAILED, "--output", tmp_path / "a.md")
    assert (result.code, result.err) == (2, f"clusterlog: cannot write {tmp_path / 'a.md'}: no space left on device\n")
    assert (tmp_path / "a.md").read_text() == "before"
    assert set(os.listdir(tmp_path)) == {"a.md", "home"}


def test_a_request_that_is_not_there_is_1_and_writes_no_file(run, checkouts, tmp_path):
    result = run("export", "f" * 32, "--output", tmp_path / "a.md")
    assert (result.code, result.out) == (1, "")
    assert not (tmp_path / "a.md").exists()


@pytest.mark.parametrize("form", ["jsonl", "otlp", "chrome", "md"])
def test_hostile_text_reaches_a_terminal_escaped(run, stories, keep, on_terminal, form):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    story = stories.Story("request-1")
    shop = story.process(hostile)
    shop.log(1, hostile, logger=hostile, labels={hostile: hostile}, error={"type": hostile, "stack_trace": hostile})
    shop.access(2, 2, f"{hostile} /", 500, span="s1")
    keep(*story.documents)
    text = run("export", "request-1", "--format", form).out
    assert "<b>" in text
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")]
