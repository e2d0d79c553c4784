"""Logs of other loggers taken in from the command line, then searched and traced as if they were ours."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import logging
import os
import re
import sys
from types import SimpleNamespace

import ecs_logging
import pytest
import structlog
from pythonjsonlogger.json import JsonFormatter

from clusterlog.cli import paint
from clusterlog.cli.deliver import ingest as subject
from clusterlog.ship.homelock import HomeLock

NOON = "2026-11-03T12:00:0{}.250Z"


def line(n, **more):
    return {"timestamp": NOON.format(n % 10), "level": "info", "message": f"line {n}", **more}


@pytest.fixture
def log(tmp_path):
    """Write a log with these lines."""

    def write(name, *lines, end="\n"):
        path = tmp_path / "logs" / name
        path.parent.mkdir(exist_ok=True)
        said = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
        path.write_bytes(b"\n".join(said) + end.encode())
        return path

    return write


def of_logger(formatter, *said):
    """What a real logger writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("orders.stock", logging.DEBUG)  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    for level, message, more in said:
        logger.log(level, message, extra=more)
    return stream.getvalue().encode().splitlines()


def of_structlog(*said):
    """What structlog writes."""
    stream = io.StringIO()
    steps = structlog.processors
    processors = [steps.add_log_level, steps.TimeStamper(fmt="iso"), steps.JSONRenderer()]
    logger = structlog.wrap_logger(structlog.WriteLogger(stream), processors=processors)
    for level, event, more in said:
        getattr(logger, level)(event, **more)
    return stream.getvalue().encode().splitlines()


def test_real_logs_of_three_formats_are_found_and_one_request_is_traced_across_two_nodes(run, log):
    shop = log(
        "shop-1.log",
        *of_logger(
            JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"),
            (20, "order received", {"request_id": "R-7", "order": 1}),
            (20, "somebody else", {"request_id": "R-8"}),
        ),
    )
    orders = log("orders-1.log", *of_structlog(("warning", "stock_is_low", {"request_id": "R-7", "user": "alice"})))
    pay = log("pay-1.log", *of_logger(ecs_logging.StdlibFormatter(), (40, "no money", {"http.request.id": "R-7"})))
    taken = run("ingest", shop, orders, pay)
    assert taken.code == 0, taken.err
    assert "3 files: 4 new, 0 there already" in taken.err and "shipped 4 events" in taken.err
    assert run("search", "--count").out == "4\n"
    assert run("search", "level: warning and node: orders-1", "--count").out == "1\n"
    assert run("search", "alice", "--count").out == "0\n"
    assert run("search", "--user", "alice", "--count").out == "1\n"
    traced = json.loads(run("trace", "R-7", "--json").out)
    assert set(traced["request"]["nodes"]) == {"shop-1", "orders-1", "pay-1"}
    assert {event["message"] for event in traced["events"]} == {"order received", "stock_is_low", "no money"}
    drawn = run("trace", "R-7").out
    assert "order received" in drawn and "no money" in drawn and "silent since" not in drawn
    again = run("ingest", shop, orders, pay)
    assert "3 files: 0 new, 4 there already" in again.err
    assert run("search", "--count").out == "4\n"
    assert run("verify").code == 0


def test_what_our_own_export_wrote_can_be_taken_in_elsewhere_and_is_the_same(run, home, log, tmp_path):
    speaker = home.speaker()
    speaker.say("order received", request="req-1", order=5)
    speaker.answer("req-1", 200)
    speaker.end()
    exported = run("export", "req-1", "--format", "jsonl").out
    there = run("search", "--ndjson").lines
    other = tmp_path / "other"
    file = log("export.jsonl", *exported.encode().splitlines())
    assert run("ingest", file, "--home", other).code == 0
    found = run("search", "--ndjson", "--home", other).lines
    assert found and set(found) <= set(there)
    assert "0 new" in run("ingest", file, "--home", other).err
    assert run("ingest", file).code == 0
    assert run("search", "--ndjson").lines == there, "ids of its own are known, wherever they came from"


def test_what_is_unreadable_is_told_by_file_and_line_and_the_end_says_so(run, log):
    file = log("shop.log", line(1), b"plain \x1b[31mtext", line(2), b"[1]")
    result = run("ingest", file)
    assert result.code == 5
    assert rf"{file}:2: not JSON: plain \x1b[31mtext" in result.err
    assert f"{file}:4: a list and not an object" in result.err
    assert "2 lines unreadable (1 not json, 1 not an object)" in result.err
    assert run("search", "level: info", "--count").out == "2\n"
    assert run("search", "event.action: drop", "--count").out == "2\n"
    assert run("ingest", file).code == 0, "they are told once"


def test_of_many_unreadable_lines_the_first_are_shown_and_all_are_in_json(run, log):
    file = log("shop.log", line(1), *[b"x"] * 30)
    result = run("ingest", file, "--json", "--no-ship")
    assert result.code == 5
    assert len(re.findall(r"^.*shop\.log:\d+: ", result.err, re.MULTILINE)) == subject.SHOWN
    assert "and 10 more" in result.err
    told = json.loads(result.out)
    assert (told["schema"], told["new"], told["unreadable"], told["shipped"]) == ("clusterlog.ingest/1", 1, 30, None)
    assert [each["line"] for each in told["problems"]] == list(range(2, 32))
    assert told["files"][0] | {"instance": "", "path": ""} == {
        "path": "",
        "instance": "",
        "formats": {"json": 1},
        "lines": 31,
        "new": 1,
        "known": 0,
        "empty": 0,
        "unreadable": {"not_json": 30},
        "replaced": 0,
        "unfinished_bytes": 0,
        "problem": None,
        "copy_of": None,
    }


def test_a_pattern_the_shell_left_alone_is_looked_up_here_and_directories_in_it_are_passed_over(run, log, tmp_path):
    log("a.log", line(1))
    log("b.log.gz", gzip.compress(json.dumps(line(2)).encode() + b"\n"), end="")
    (tmp_path / "logs" / "c.log").mkdir()
    os.link(tmp_path / "logs" / "a.log", tmp_path / "logs" / "same.log")
    result = run("ingest", tmp_path / "logs" / "*.log*", tmp_path / "logs" / "a.log")
    assert (result.code, "2 files: 2 new" in result.err) == (0, True)


@pytest.mark.parametrize(
    ("argument", "code", "told"),
    [
        ("none.log", 2, "no file "),
        ("no*.log", 1, "no file matches "),
        (".", 2, "is a directory: name its files, as in"),
        ("link.log", 2, "no such file"),
        ("/dev/zero", 2, "is no file of lines"),
    ],
)
def test_what_is_no_file_is_refused_before_anything_is_begun(run, log, tmp_path, home, argument, code, told):
    good = log("good.log", line(1))
    (tmp_path / "logs" / "link.log").symlink_to(tmp_path / "gone")
    result = run("ingest", good, tmp_path / "logs" / argument)
    assert (result.code, result.err.count("\n")) == (code, 1)
    assert told in result.err
    assert not home.path.exists()


def test_a_file_that_may_not_be_read_is_refused(run, log, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *about: False)
    result = run("ingest", log("secret.log", line(1)))
    assert (result.code, "permission denied" in result.err) == (4, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--timezone", "Mars/Olympus"), "expected UTC, local or a name"),
        (("--timezone", "../etc/passwd"), "expected UTC, local or a name"),
        (("--format", "xml"), "xml"),
        (("--service", "x" * 200), "a name of 1 to 128"),
        (("--names", "none.toml"), "cannot read none.toml"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_in_one_line(run, log, options, told):
    result = run("ingest", log("good.log", line(1)), *options)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert told in result.err


def test_a_table_of_one_s_own_names_and_a_zone_are_heeded(run, log, tmp_path):
    names = tmp_path / "names.toml"
    names.write_text('["http.request.id"]\nid = ["vorgang"]\n', encoding="utf-8")
    file = log("shop.log", {"zeit": "x", "time": "2026-11-03 14:00:01", "message": "hi", "vorgang": "V-1"})
    assert run("ingest", file, "--names", names, "--timezone", "Europe/Helsinki", "--service", "pay").code == 0
    (event,) = map(json.loads, run("search", "request: V-1 and service: pay", "--ndjson").lines)
    assert event["@timestamp"] == "2026-11-03T12:00:01.000000000Z"


def test_the_local_zone_is_that_of_the_machine(run, log):
    assert run("ingest", log("shop.log", line(1)), "--timezone", "local").code == 0


def test_without_shipping_the_events_wait_in_the_spool(run, log, home):
    result = run("ingest", log("shop.log", line(1)), "--no-ship")
    assert result.code == 0 and "shipped" not in result.err
    assert json.loads(run("status", "--json").out)["backlog"]["events"] == 1
    assert not (home.path / "store").exists()
    assert run("search", "--count").out == "1\n"


def test_the_spool_s_own_tools_find_nothing_wrong_with_what_was_ingested(run, log):
    own = {"@timestamp": NOON.format(1), "event.id": "abc", "message": "hi"}
    assert run("ingest", log("shop.log", line(1), own, b"x", line(2, level="error")), "--no-ship").code == 5
    assert run("spool", "verify").code == 0
    (row,) = json.loads(run("spool", "ls", "--json").out)["instances"]
    assert (row["service"], row["events"], row["first"], row["last"], row["damaged_bytes"]) == ("shop", 4, 1, 4, 0)
    assert run("search", "event.id: abc", "--count").out == "1\n"


def test_a_home_that_another_process_ships_is_left_to_it(run, log, home, process, until):
    home.path.mkdir(exist_ok=True)
    shipper = process("ship", "--home", home)
    until(lambda: HomeLock.holder(home.path) == shipper.pid, "the shipper holds the lock")
    result = run("ingest", log("shop.log", *map(line, range(5))), "--json")
    assert (result.code, json.loads(result.out)["shipped"]) == (0, None)
    assert f"process {shipper.pid} ships this home" in result.err
    until(lambda: run("search", "--count").out == "5\n", "it is delivered")


def test_a_spool_that_is_full_is_emptied_in_between(run, log, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.ingest.passage.FLUSH_BYTES", 20_000)
    monkeypatch.setattr("clusterlog.ship.ingest.lines.CHUNK", 8192)
    monkeypatch.setenv("CLUSTERLOG_DISK_LIMIT", "300000")
    file = log("shop.log", *map(line, range(1500)))
    refused = run("ingest", file, "--no-ship")
    assert refused.code == 3
    assert "the spool takes no more (disk limit)" in refused.err and "goes on where it stopped" in refused.err
    result = run("ingest", file)
    assert result.code == 0, result.err
    assert run("search", "--limit", "0", "--count").out == "1500\n"


def test_a_file_with_trouble_of_its_own_is_told_and_makes_the_end_incomplete(run, log):
    result = run("ingest", log("a.log", line(1)), log("b.log.xz", b"\xfd7zXZ\0"))
    assert result.code == 5
    assert "b.log.xz: compressed: `xz -dc" in result.err and "1 new" in result.err


def test_half_a_line_at_the_end_is_told_and_is_no_trouble(run, log):
    result = run("ingest", log("a.log", line(1), b'{"message": "ha', end=""))
    assert result.code == 0
    assert "the last line is not finished (15 B): left for the next run" in result.err


def test_standard_input_is_read_where_it_is_named(run, monkeypatch, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(json.dumps(line(1)).encode() + b"\n")
    with data.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert run("ingest", "-").code == 0
    assert run("search", "log.file.path: /dev/stdin", "--count").out == "1\n"


def test_spans_of_opentelemetry_are_drawn_with_the_lines_of_their_trace(run, log):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    begin = 1_793_707_201_000_000_000

    def span(span_id, name, kind, start, end, parent="", service="shop", **more):
        told = {"traceId": trace, "spanId": span_id, "name": name, "kind": kind, **more}
        told |= {"startTimeUnixNano": str(begin + start), "endTimeUnixNano": str(begin + end), "parentSpanId": parent}
        resource = {
            "attributes": [
                {"key": "service.name", "value": {"stringValue": service}},
                {"key": "host.name", "value": {"stringValue": f"{service}-1"}},
            ]
        }
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [told]}]}]}

    file = log(
        "traces.json",
        span("a" * 16, "GET /stock", 2, 20_000_000, 60_000_000, "b" * 16, "orders", status={"code": 2}),
        span("b" * 16, "GET", 3, 10_000_000, 80_000_000, "c" * 16),
        span("c" * 16, "POST /orders", 2, 0, 100_000_000),
    )
    assert run("ingest", file).code == 0
    traced = json.loads(run("trace", trace, "--json").out)
    assert set(traced["request"]["nodes"]) == {"shop-1", "orders-1"}
    assert traced["request"]["services"] == ["orders", "shop"]
    assert [event["message"] for event in traced["events"]] == ["GET /stock", "GET", "POST /orders"]
    assert "GET /stock" in run("trace", trace).out


def test_a_bar_tells_rate_and_remaining_time(run, log, on_terminal, monkeypatch):
    monkeypatch.setattr(paint, "PATIENCE_S", -1.0)
    monkeypatch.setattr(paint, "_REDRAW_S", 0.0)
    monkeypatch.setattr("clusterlog.ship.ingest.lines.CHUNK", 4096)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    drawn = []

    @contextlib.contextmanager
    def spied(label, noun, real=paint.paced):
        with real(label, noun) as advance:

            def told(done, total, count):
                drawn.append((done, total, count))
                advance(done, total, count)

            yield told

    monkeypatch.setattr(paint, "paced", spied)
    file = log("shop.log", *map(line, range(200)))
    result = run("ingest", file)
    assert drawn[-1] == (file.stat().st_size, file.stat().st_size, 200)
    assert [count for _, _, count in drawn] == sorted(count for _, _, count in drawn)
    assert re.search(r"ingesting  [0-9]+ lines, [0-9,]+/s, [0-9]+:[0-9]{2} left", result.err)
