"""An event is read the same way by every engine."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.store import document
from clusterlog.store.embedded.index.schema import analyser


@given(st.datetimes(), st.integers(-1439, 1439), st.integers(0, 10**9 - 1))
def test_times_are_read_to_the_nanosecond_in_any_zone(moment, offset, nanoseconds):
    zone = timezone(timedelta(minutes=offset))
    seconds = round((moment.replace(microsecond=0, tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    stamp = f"{moment:%H:%M:%S}.{nanoseconds:09d}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    assert document.time_ns(f"{moment.year:04d}-{moment:%m-%d}T{stamp}") == seconds * 10**9 + nanoseconds


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.5z", 500_000_000),
        ("1970-01-01 00:00:00.1234567899Z", 123_456_789),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * 10**9),
    ],
)
def test_forms_of_rfc_3339_are_read(stamp, time):
    assert document.time_ns(stamp) == time


@pytest.mark.parametrize(
    "stamp",
    [
        *("", "noon", "2024-01-01", "2024-01-01T00:00:00", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z"),
        *("2024-01-01T00:00:00+2:00", "2024-01-01T00:00:00+25:00", "2024-01-01T00:61:00Z", "1700000000"),
        *("2024-01-01T00:00:00.12345678²Z", "²024-01-01T00:00:00.000000000Z", "2024-01-01T00:00:00.00000000xZ"),
    ],
)
def test_what_is_no_time_is_none(stamp):
    assert document.time_ns(stamp) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{]", b'{"a":NaN}', b"\xff", b'{"a":' + b"[" * 100_000])
def test_what_is_no_json_object_says_why(body):
    with pytest.raises(ValueError, match=r"not (JSON|a JSON object)"):
        document.parse(body)


def test_a_value_is_found_by_its_path_nested_dotted_or_in_lists():
    events = (
        {"a": {"b": {"c": 1}}},
        {"a.b.c": 1},
        {"a": {"b.c": 1}},
        {"a.b": {"c": [[1]]}},
        {"a": [{"b": [{"c": 1}]}]},
    )
    assert [document.values(event, "a.b.c") for event in events] == [[1]] * 5
    assert [document.exists(event, path) for event in events for path in ("a", "a.b", "a.b.c")] == [True] * 15
    assert [document.exists(event, path) for event in events for path in ("b", "a.c", "a.b.c.d", "")] == [False] * 20


def test_null_is_no_value_and_objects_are_none_either():
    event = {"a": None, "b": {}, "c": [None, []], "d": {"e": None}, "f": {"g": 0}}
    assert [path for path in "abcdf" if document.exists(event, path)] == ["f"]
    assert document.values(event, "f") == []


def test_values_that_read_alike_have_one_text():
    assert [document.text(value) for value in ("5", 5, 5.0, True, 0.5, -0.0, 1e300)] == [
        *("5", "5", "5", "true", "0.5", "0", "1e+300"),
    ]


def test_an_event_is_found_at_its_arrival_without_a_time_and_a_day_ahead_at_most():
    day = 86_400 * 10**9
    assert document.placed({"@timestamp": "1970-01-01T00:00:01Z"}, 5 * day) == (10**9, True)
    assert document.placed({"@timestamp": "9999-01-01T00:00:00Z"}, 5 * day) == (6 * day, False)
    for strange in ({}, {"@timestamp": "noon"}, {"@timestamp": 17}, {"@timestamp": None}):
        assert document.placed(strange, 5 * day) == (5 * day, False)


def test_the_id_is_a_single_string():
    good = (
        {"event": {"id": "x"}},
        {"event.id": "x"},
        {"event": {"id": ["x"]}},
        {"event": {"id": None}, "event.id": "x"},
    )
    assert [document.id_of(event) for event in good] == ["x"] * 4
    bad = (
        {},
        {"event": "x"},
        {"event": {"id": 5}},
        {"event": {"id": ["x", "y"]}},
        {"event": {"id": "x"}, "event.id": "y"},
    )
    assert [document.id_of(event) for event in bad] == [None] * 5


def test_the_index_cuts_every_character_as_words_does():
    """What is not ASCII reaches the analyser cut and lower-cased; it must not cut it again."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 10_000):
        text = "".join(f"a{each}b {each} " for each in characters[start : start + 10_000])
        found = document.words(text)
        assert analyser().analyze(" ".join(found)) == found


@given(st.text(st.characters(max_codepoint=127)))
def test_the_index_cuts_ascii_as_words_does(text):
    assert analyser().analyze(text) == document.words(text)


def test_without_orjson_the_same_things_are_refused(monkeypatch):
    import importlib.util

    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.spec_from_file_location("document_without_orjson", document.__file__)
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    assert bare.parse(b'{"a":[1,"\xc3\xa9"]}') == {"a": [1, "é"]}
    for body in (b"", b"[]", b'{"a":NaN}', b"\xff", b'{"a":' + b"[" * 100_000):
        with pytest.raises(ValueError, match="not "):
            bare.parse(body)
    assert json.loads(b"{}") == bare.parse(b"{}")
