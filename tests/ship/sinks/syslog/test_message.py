"""An event as a syslog message that a strict reader takes, and as the event it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syslog_server import parameters, strictly

from clusterlog.ship.sinks.syslog.message import framed, message

EVENT = {
    "@timestamp": "2026-11-03T12:00:00.123456789Z",
    "event": {"id": "0190aaaa0000700080000000000000c7-00000000001", "dataset": "clusterlog.access"},
    "log": {"level": "warning"},
    "service": {"name": "shop", "node": {"name": "shop-1"}},
    "process": {"pid": 42},
    "http": {"request": {"id": "0190"}},
    "message": "sold",
}


def told(**parts):
    return strictly(message(json.dumps({**EVENT, **parts}, ensure_ascii=False).encode()))


def test_the_head_names_level_time_node_service_process_and_dataset():
    found = told()
    assert found["priority"] == str(1 * 8 + 4) and found["time"] == "2026-11-03T12:00:00.123456Z"
    assert [found[each] for each in ("host", "app", "process", "kind")] == ["shop-1", "shop", "42", "clusterlog.access"]
    assert parameters(found["data"])["request_id"] == "0190"


@pytest.mark.parametrize(
    ("level", "severity"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2), ("odd", 5)]
)
def test_levels_are_severities(level, severity):
    assert int(told(log={"level": level})["priority"]) % 8 == severity


def test_values_of_structured_data_are_escaped_and_come_back_as_they_were():
    awkward = 'a"b\\c]d=e [f'
    assert parameters(told(http={"request": {"id": awkward}})["data"])["request_id"] == awkward


def test_what_a_head_cannot_hold_is_replaced_and_cut():
    found = told(service={"name": "zwei Wörter " + "x" * 100, "node": {"name": "n" * 300}})
    assert found["app"].startswith("zwei_W_rter_") and len(found["app"]) == 48 and len(found["host"]) == 255


def test_what_an_event_does_not_say_is_a_hyphen():
    found = strictly(message(b'{"message":"x"}'))
    assert [found[each] for each in ("time", "host", "app", "process", "kind", "data")] == ["-"] * 6


def test_the_body_is_ascii_so_that_no_mark_is_needed_and_means_the_same():
    found = told(message="grün 😀 \u2028")
    assert found["text"].isascii() and json.loads(found["text"])["message"] == "grün 😀 \u2028"


def test_an_event_on_several_lines_is_one_line():
    text = strictly(message(json.dumps(EVENT, indent=2).encode()))["text"]
    assert "\n" not in text and json.loads(text) == EVENT


def test_the_frame_counts_bytes():
    event = {**EVENT, "http": {"request": {"id": "ü"}}}  # in structured data UTF-8 stands as it is
    count, _, rest = framed(json.dumps(event, ensure_ascii=False).encode()).partition(b" ")
    assert int(count) == len(rest)


_texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(_texts, _texts, _texts, _texts)
def test_whatever_an_event_says_the_message_is_legal_and_holds_it_all(id, service, node, text):
    event = {**EVENT, "http": {"request": {"id": id}}, "service": {"name": service, "node": {"name": node}}}
    event["message"] = text
    found = strictly(message(json.dumps(event, ensure_ascii=False).encode()))
    assert json.loads(found["text"]) == event
