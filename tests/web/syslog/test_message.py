"""Heads of syslog as they are met."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.web.syslog.message import read

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_new_head_is_taken_apart_and_the_mark_of_utf_8_taken_off():
    found = read(
        b'<165>1 2026-11-03T12:00:00.123456Z shop-1 shop 42 access [a@1 request_id="x\\"\\]y" b="\xc3\xbc"][c@1 d="e"] '
        b"\xef\xbb\xbfsold",
        NOW,
    )
    assert found.text == b"sold" and found.severity == 5 and found.time == "2026-11-03T12:00:00.123456Z"
    assert (found.host, found.app, found.process, found.kind) == ("shop-1", "shop", "42", "access")
    assert found.parameters == {"request_id": 'x"]y', "b": "ü", "d": "e"}


def test_hyphens_say_nothing():
    found = read(b"<0>1 - - - - - -", NOW)
    assert (found.severity, found.time, found.host, found.app, found.kind, found.text) == (0, "", "", "", "", b"")


@pytest.mark.parametrize(
    ("line", "host", "app", "process"),
    [
        (b"<190>Nov  3 12:00:00 edge nginx: GET /", "edge", "nginx", ""),
        (b"<134>Nov  3 12:00:00 haproxy[7]: GET /", "", "haproxy", "7"),
        (b"<13>2026-11-03T12:00:00.000000+00:00 edge sshd[12]: GET /", "edge", "sshd", "12"),
    ],
    ids=["nginx", "haproxy", "rsyslog forwards"],
)
def test_an_old_head_is_taken_apart(line, host, app, process):
    found = read(line, NOW)
    assert (found.host, found.app, found.process, found.text) == (host, app, process, b"GET /")
    assert datetime.fromisoformat(found.time) == datetime(2026, 11, 3, 12, tzinfo=UTC)


def test_a_time_without_a_year_is_the_one_closest_to_now_in_our_zone():
    zone = timezone(timedelta(hours=1))
    newyear = datetime(2027, 1, 1, 0, 5, tzinfo=zone)
    assert read(b"<13>Dec 31 23:59:00 h a: x", newyear).time == "2026-12-31T23:59:00+01:00"
    assert read(b"<13>Feb 30 23:59:00 h a: x", newyear).time == ""


@pytest.mark.parametrize("line", [b"no head", b"<999>1 - - - - - - x", b"<13>what is this", b"", b"<13>1 half a head"])
def test_what_has_no_head_is_all_text(line):
    found = read(line, NOW)
    assert found.text in (line, line.removeprefix(b"<13>")) and not found.app


def test_a_time_that_does_not_exist_is_none():
    assert read(b"<13>1 2026-02-30T12:00:00Z - - - - - x", NOW).time == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message(data):
    for each in (data, b"<13>" + data, b"<13>1 - - - - - " + data, b"<13>Nov  3 12:00:00 " + data):
        found = read(each, NOW)
        assert found.text in each
