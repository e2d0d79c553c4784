"""Lines of other loggers become events of ours: real ones of real loggers, odd ones, and by either way the same."""

from __future__ import annotations

import contextlib
import io
import json
import logging

import ecs_logging
import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from logstash_async.formatter import LogstashFormatter
from pythonjsonlogger.json import JsonFormatter
from pythonjsonlogger.orjson import OrjsonFormatter

import clusterlog
from clusterlog.encode.foreign.document import Given
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.redact import Redactor

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NOON = "2026-11-03T12:00:01.250000000Z"


def said(log):
    """One line of a request, and one with an exception."""
    log.info("order %s placed", 5, extra={"request_id": "R-1", "order": 5, "password": "hunter2"})
    try:
        raise ValueError("no money")
    except ValueError:
        log.exception("order failed", extra={"request_id": "R-1"})


@pytest.mark.parametrize(
    ("formatter", "named"),
    [
        (JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"), "json-logger"),
        (OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s %(process)d %(threadName)s"), "json-logger"),
        (JsonFormatter("%(levelname)s %(name)s %(message)s", timestamp=True), "json-logger"),
        (ecs_logging.StdlibFormatter(), "ecs"),
        (LogstashFormatter(), "logstash"),
        (LogstashFormatter(extra_prefix=None), "logstash"),
    ],
    ids=["asctime", "orjson", "timestamp", "ecs", "logstash", "logstash flat"],
)
def test_what_a_logger_really_writes_becomes_an_event_like_ours(written, translate, formatter, named):
    with written(formatter) as (log, lines):
        said(log)
        placed, failed = map(translate, lines())
    assert translate.lines.formats == {named: 2}
    for event, level in ((placed, "info"), (failed, "error")):
        assert event["log"]["level"] == level
        assert event["log"]["logger"] == "shop.api"
        assert event["log"]["file"] == {"path": "/var/log/shop.log"}
        assert event["http"]["request"]["id"] == "R-1"
        assert event["event"]["kind"], event["event"]["dataset"] == ("event", "clusterlog.app")
        assert event["@timestamp"].startswith("20") and len(event["@timestamp"]) == 30
        assert "ingest" not in event.get("clusterlog", {}), "the line told its time"
        assert event["ecs"]["version"] == "9.1.0"
    assert placed["message"] == "order 5 placed"
    assert placed["labels"]["order"] == 5
    assert placed["labels"]["password"] == "[redacted]"
    assert failed["error"]["type"] == "ValueError"
    assert failed["error"]["message"] == "no money"
    assert "in said" in failed["error"]["stack_trace"]
    assert len(failed["clusterlog"]["error"]["fingerprint"]) == 16
    assert [placed["event"]["id"][-11:], failed["event"]["sequence"]] == ["00000000001", 2]


@contextlib.contextmanager
def structlog_writing(*processors):
    stream = io.StringIO()
    log = structlog.wrap_logger(structlog.WriteLogger(stream), processors=list(processors))
    yield log, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("stamp", [{"fmt": "iso"}, {}, {"fmt": "%Y-%m-%d %H:%M:%S.%f"}])
@pytest.mark.parametrize("trace", [structlog.processors.format_exc_info, structlog.processors.dict_tracebacks])
def test_structlog_s_event_is_message_and_template_and_its_user_a_hash(translate, stamp, trace):
    steps = structlog.processors
    with structlog_writing(steps.add_log_level, steps.TimeStamper(**stamp), trace, steps.JSONRenderer()) as (
        log,
        lines,
    ):
        log.info("order_placed", order=5, user="alice", cart={"items": 3}, request_id="R-1")
        try:
            raise ValueError("no money")
        except ValueError:
            log.exception("order_failed")
        placed, failed = map(translate, lines())
    assert translate.lines.formats == {"structlog": 2}
    assert placed["message"] == placed["clusterlog"]["template"] == "order_placed"
    assert placed["user"] == {"hash": "hash-of-alice"}
    assert placed["clusterlog"]["user"] == {"key_id": "key-1"}
    assert placed["labels"] == {"order": 5, "cart.items": 3}
    assert "alice" not in json.dumps(placed).replace("hash-of-alice", "")
    assert "ingest" not in placed["clusterlog"]
    assert (failed["error"]["type"], failed["error"]["message"]) == ("ValueError", "no money")


def test_ecs_logging_s_formatter_for_structlog_is_read_as_well(translate):
    with structlog_writing(ecs_logging.StructlogFormatter()) as (log, lines):
        log.info("order placed", order=5)
        event = translate(lines()[0])
    assert (event["message"], event["labels"]) == ("order placed", {"order": 5})


def test_our_own_formatter_s_lines_come_back_as_they_are_with_a_number(written, translate):
    with written(clusterlog.JsonFormatter(service="shop", node="shop-1", environment="test")) as (log, lines):
        said(log)
        line = lines()[0]
        event = translate(line)
    assert translate.lines.formats == {"clusterlog": 1}
    assert event["event"].pop("id") == f"{'e' * 32}-00000000001" and event["event"].pop("sequence") == 1
    assert event["process"].pop("entity_id") == "e" * 32
    assert event["log"].pop("file") == {"path": "/var/log/shop.log"}
    assert event == line


def test_an_event_with_an_id_of_its_own_keeps_it_and_every_byte(translate):
    document = {
        "@timestamp": NOON,
        "process": {"pid": 7, "entity_id": "a" * 32},
        "event": {"id": f"{'a' * 32}-00000000007", "sequence": 7, "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "error", "logger": "shop"},
        "message": "hi",
    }
    text = json.dumps(document).encode()
    assert translate.lines.events(document, 1, text) == ((text, True, 1),)


def test_an_event_of_ours_that_holds_a_secret_or_a_name_does_not_keep_them(translate):
    document = {
        "@timestamp": NOON,
        "event": {"id": "x-1", "kind": "event", "dataset": "clusterlog.app"},
        "message": "password=hunter2",
        "labels": {"token": "t0k3n"},
    }
    event = translate(document)
    assert event["event"]["id"] == "x-1"
    assert (event["message"], event["labels"]) == ("password=[redacted]", {"token": "[redacted]"})
    named = translate({**document, "user": {"name": "alice"}})
    assert named["user"] == {"hash": "hash-of-alice"}
    assert "alice" not in json.dumps(named).replace("hash-of-alice", "")


@pytest.mark.parametrize("nested", [True, False])
def test_an_id_that_is_somebody_else_s_own_is_kept_too(translate, nested):
    own = {"event": {"id": "abc", "sequence": 9}, "process": {"entity_id": "f"}} if nested else {"event.id": "abc"}
    ((payload, _, what),) = translate.lines.events({"@timestamp": NOON, "message": "hi", **own}, 1, b"{}")
    event = orjson.loads(payload)
    assert what == 1 and event["event"]["id"] == "abc"
    assert event["event"].get("sequence") == (9 if nested else None)
    assert event.get("process", {}).get("entity_id") == ("f" if nested else None)
    assert "labels" not in event


@pytest.mark.parametrize("id", [7, "", "x" * 300, None, "a\nb"])
def test_an_id_that_cannot_be_one_is_a_label_and_the_line_gets_another(translate, id):
    event = translate({"@timestamp": NOON, "message": "hi", "event.id": id})
    assert event["event"]["id"] == f"{'e' * 32}-00000000001"
    assert "event.id" in event["labels"]


def test_options_win_over_lines_and_lines_over_the_file_s_name(room):
    line = {"message": "hi", "service": "cart", "node": "web-7", "env": "test"}
    assert room()({"message": "hi", "hostname": "web-8"})["service"]["node"] == {"name": "web-8"}
    assert room()(line)["service"] == {"name": "cart", "node": {"name": "web-7"}, "environment": "test"}
    assert room()({"message": "hi"})["service"] == {
        "name": "shop",
        "node": {"name": "shop"},
        "environment": "development",
    }
    chosen = room(given=Given("pay", "pay-1", "live"))
    for each in (line, {"message": "hi"}, {"@timestamp": NOON, **line}):
        assert chosen(each)["service"] == {"name": "pay", "node": {"name": "pay-1"}, "environment": "live"}


def test_a_line_without_a_time_has_that_of_the_line_before_and_says_so(translate):
    first = translate({"message": "a"})
    assert first["@timestamp"] == "2026-11-03T00:00:00.000000000Z"
    assert first["clusterlog"]["ingest"]["time"] == "file"
    translate({"message": "b", "time": NOON})
    third = translate({"message": "c", "time": "noon"})
    assert third["@timestamp"] == NOON
    assert third["clusterlog"]["ingest"]["time"] == "line before"
    assert third["labels"] == {"time": "noon"}


@pytest.mark.parametrize("nothing", [None, "", "-"])
def test_an_id_that_is_none_is_neither_an_id_nor_a_label(translate, nothing):
    event = translate({"message": "hi", "time": NOON, "request_id": nothing, "order": nothing})
    assert "http" not in event
    assert event["labels"] == {"order": nothing}


@pytest.mark.parametrize(
    ("line", "asked", "trace"),
    [
        ({"request_id": "R-1", "trace_id": TRACE}, "R-1", TRACE),
        ({"X-Request-ID": "R-1"}, "R-1", None),
        ({"requestId": 17}, "17", None),
        ({"correlation_id": "C-1"}, "C-1", None),
        ({"trace_id": "no-w3c-id"}, "no-w3c-id", None),
        ({"trace_id": TRACE.upper(), "span_id": SPAN}, None, TRACE),
        ({"extra": {"request_id": "R-1"}}, "R-1", None),
        ({"labels": {"request_id": "R-1"}}, "R-1", None),
        ({"headers": {"X-Request-ID": "R-1"}}, "R-1", None),
        ({"http": {"request": {"id": "R-1"}}, "trace": {"id": TRACE}}, "R-1", TRACE),
        ({"http.request.id": "R-1", "correlation_id": "C-1"}, "R-1", None),
        ({"request_id": None, "correlation_id": "C-1"}, "C-1", None),
    ],
)
def test_ids_are_found_by_whatever_name(translate, line, asked, trace):
    event = translate({"message": "hi", "time": NOON, **line})
    assert event.get("http", {}).get("request", {}).get("id") == asked
    assert event.get("trace", {}).get("id") == trace


def test_a_session_is_a_hash_beside_the_user_s(translate):
    for _ in range(2):
        event = translate({"message": "hi", "time": NOON, "user": "alice", "session_id": "s-1"})
    assert event["clusterlog"] == {"user": {"key_id": "key-1"}, "session": {"hash": "hash-of-s-1"}}
    assert (event["user"], "labels" in event) == ({"hash": "hash-of-alice"}, False)


def test_of_several_names_of_one_person_none_is_stored(translate):
    event = translate({"message": "hi", "user_id": 42, "username": "alice", "user.email": "alice@example.org"})
    assert event["user"] == {"hash": "hash-of-42"}
    assert event["labels"] == {"username": "[redacted]", "user.email": "[redacted]"}


def test_a_field_of_ecs_whose_value_is_of_another_type_becomes_a_label(translate):
    event = translate(
        {"@timestamp": NOON, "message": "hi", "http": "GET", "process": {"pid": "many"}, "client": {"ip": "x"}}
    )
    assert "http" not in event and "pid" not in event["process"]
    assert event["labels"] == {"http": "GET", "process.pid": "many", "client.ip": "x"}


def test_fields_that_tell_documents_apart_cannot_be_claimed(translate):
    event = translate(
        {
            "message": "hi",
            "event": {"kind": "state", "dataset": "mine", "sequence": 9},
            "process": {"entity_id": "f" * 32},
        }
    )
    assert (event["event"]["kind"], event["event"]["dataset"], event["event"]["sequence"]) == (
        "event",
        "clusterlog.app",
        1,
    )
    assert event["process"]["entity_id"] == "e" * 32
    assert event["labels"] == {
        "event.kind": "state",
        "event.dataset": "mine",
        "event.sequence": 9,
        "process.entity_id": "f" * 32,
    }


def test_numbers_that_are_metrics_are_told_twice(room):
    event = room(metrics=frozenset({"took"}))({"message": "hi", "time": NOON, "took": 5})
    assert event["clusterlog"]["metrics"] == event["labels"] == {"took": 5}


def test_a_container_engine_s_wrapping_is_taken_off(translate):
    inner = {"message": "hi", "level": "warn", "request_id": "R-1"}
    event = translate({"log": json.dumps(inner) + "\n", "stream": "stderr", "time": "2026-11-03T12:00:01.25Z"})
    assert (event["@timestamp"], event["log"]["level"], event["http"]["request"]["id"]) == (NOON, "warning", "R-1")
    plain = translate({"log": "just text\n", "stream": "stdout", "time": "2026-11-03T12:00:01.25Z"})
    assert (plain["message"], plain["@timestamp"]) == ("just text", NOON)
    assert translate({"log": "{broken", "stream": "stdout", "time": NOON})["message"] == "{broken"


def test_a_format_that_was_asked_for_is_insisted_on(room):
    asked = room(format="ecs")
    asked({"@timestamp": NOON, "log.level": "info", "message": "hi"})
    with pytest.raises(ValueError, match="no ecs line: it has no @timestamp"):
        asked({"message": "hi", "level": "info"})
    assert asked.lines.formats == {"ecs": 1}
    wrapped = {"stream": "stdout", "time": NOON}
    asked({"log": json.dumps({"@timestamp": NOON, "log.level": "info"}), **wrapped})
    with pytest.raises(ValueError, match="no ecs line"):
        asked({"log": json.dumps({"message": "hi"}), **wrapped})


@pytest.mark.parametrize("text", ["password=hunter2", "Bearer abcdefghijklmnop", "card 4111 1111 1111 1111"])
def test_a_secret_in_a_text_is_taken_out_whichever_way_the_line_goes(translate, text):
    """The second line of a shape finds all that the first one left, and still is looked through."""
    for said in ("harmless", text, text):
        event = translate({"time": NOON, "message": said, "note": said})
    assert "[redacted]" in event["message"] and "[redacted]" in event["labels"]["note"]


def test_a_line_larger_than_an_event_may_be_is_cut_and_keeps_its_ids(translate):
    event = translate({"message": "x" * 3_000_000, "time": NOON, "request_id": "R-1", "more": ["y" * 30_000] * 100})
    assert event["http"]["request"]["id"] == "R-1"
    assert len(json.dumps(event)) < 1 << 20


@pytest.mark.parametrize(
    "line", [b'{"n":123456789012345678901234567890}', b'{"a":{"n":-123456789012345678901234567890}}']
)
def test_an_integer_of_any_size_keeps_its_digits(translate, line):
    assert "123456789012345678901234567890" in next(iter(translate(line)["labels"].values()))


NAMES = """
    time message level levelname name logger request_id trace_id span_id user user_id session_id host service env order
    amount extra labels token pid event thread exc_info clusterlog http log url tags a.b a password @timestamp msg
""".split()
names = st.sampled_from(NAMES)
texts = st.one_of(
    st.sampled_from(
        [
            "info",
            "WARN",
            NOON,
            "2026-11-03 12:00:01,5",
            "-",
            "",
            TRACE,
            SPAN,
            "R-1",
            "alice",
            "password=x",
            "Bearer abcdefghijk",
        ]
    ),
    st.text(max_size=20),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
documents = st.dictionaries(names | st.text(max_size=5), values, max_size=10)


@given(st.lists(documents, min_size=1, max_size=4), st.booleans())
def test_the_short_way_gives_the_same_documents_as_the_careful_one(room, careful, lines, metrics):
    """Each line twice, so that the second one finds what is kept of the first."""
    options = {"metrics": frozenset({"order", "amount"})} if metrics else {}
    swift, slow = room(**options), room(careful, **options)
    for line in lines + lines:
        text = orjson.dumps(line)
        assert swift.all(text) == slow.all(text)
        assert swift.lines.last_time == slow.lines.last_time
    assert swift.lines.formats == slow.lines.formats


@given(documents)
def test_no_line_gives_what_a_strict_parser_refuses_or_lets_a_secret_through(judge, room, line):
    rooms = room()
    text = orjson.dumps({**line, "password": "hunter2", "note": "token=abc123def"})
    for payload, _, _ in rooms.lines.events(orjson.loads(text), 1, text):
        judge(payload)
        assert b"hunter2" not in payload and b"abc123def" not in payload


def test_usual_lines_take_the_short_way(monkeypatch, translate):
    """What ``bench`` measures is what real lines go through."""
    lines = [
        {
            "asctime": "2026-11-03 12:00:01,250",
            "levelname": "INFO",
            "name": "shop",
            "message": "hi",
            "request_id": "R-1",
            "n": 1,
        },
        {"event": "hi", "level": "info", "timestamp": NOON, "user": "alice", "session_id": "s-1", "n": 1},
        {
            "@timestamp": NOON,
            "log.level": "info",
            "message": "hi",
            "ecs.version": "1.6.0",
            "log": {"logger": "shop"},
            "process": {"pid": 1},
        },
        {
            "@timestamp": NOON,
            "@version": "1",
            "message": "hi",
            "level": "INFO",
            "host": "a",
            "extra": {"request_id": "R-1", "line": 8},
        },
    ]
    for line in lines:
        translate({**line, "n": 1})

    def never(*about):
        raise AssertionError("the careful way")

    monkeypatch.setattr(Sanitizer, "fit", never)
    for line in lines:
        translate({**line, "n": 2})


def test_the_logger_itself_may_be_silent_about_everything(translate):
    event = translate({})
    assert event["message"] == ""
    assert "level" not in event["log"] and "labels" not in event


def test_further_words_of_the_redactor_hold(room):
    assert room(redactor=Redactor(["iban"]))({"message": "hi", "iban": "FI21"})["labels"] == {"iban": "[redacted]"}


def test_logging_s_own_levels_are_all_known(translate):
    for number, name in ((10, "DEBUG"), (20, "INFO"), (30, "WARNING"), (40, "ERROR"), (50, "CRITICAL")):
        assert logging.getLevelName(number) == name
        assert translate({"message": "hi", "levelname": name})["log"]["level"] == name.lower()
        assert translate({"message": "hi", "levelno": number})["log"]["level"] == name.lower()
