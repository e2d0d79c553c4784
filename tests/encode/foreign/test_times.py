"""Times in every usual form are read, and what is no time is not."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode.foreign.times import Times

SAME = "2026-11-03T12:00:01.250000000Z"


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-03T12:00:01.250Z",
        "2026-11-03T12:00:01.250000+00:00",
        "2026-11-03 12:00:01,250",
        "2026-11-03 12:00:01.25",
        "2026-11-03T14:00:01.250+02:00",
        "2026-11-03T14:00:01.250+0200",
        "2026-11-03T07:00:01.25-05",
        "2026-11-03 12:00:01.250 UTC",
        "2026-11-03t12:00:01.250z",
        1793707201.25,
        1793707201250,
        1793707201250000,
        1793707201250000000,
        "1793707201.25",
        "1793707201250",
    ],
)
def test_a_time_is_read_in_every_form_twice(told):
    """The second time it comes from what is kept of the first."""
    times = Times()
    assert times.read(told) == SAME
    assert times.read(told) == SAME


@pytest.mark.parametrize(
    "told",
    [
        *("yesterday", "", "-", "2026-13-01T00:00:00Z", "2026-11-03T25:00:00Z", "2026-11-03", "12:00:01"),
        *("2026-11-03T12:00:01.²Z", "2026-11-03T12:00:01.+5Z", "2026-11-03T12:00:01.Z", "x" * 10_000),
        *("9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
        *(0, -1, 12.5, 99_999_999, 2**63, 2**70, float("nan"), float("inf"), -1e300, 1e300),
        *(None, True, [], {}, b"2026-11-03T12:00:01Z"),
    ],
)
def test_what_is_no_time_of_a_log_is_none(told):
    times = Times()
    assert times.read("2026-11-03T12:00:01.250Z") == SAME
    assert times.read(told) is None


def test_a_time_without_an_offset_is_told_in_the_zone():
    times = Times(ZoneInfo("Europe/Helsinki"))
    assert times.read("2026-11-03 14:00:01,250") == SAME
    assert times.read("2026-11-03 14:00:01,251") == "2026-11-03T12:00:01.251000000Z"
    assert times.read("2026-07-03 15:00:01,250") == "2026-07-03T12:00:01.250000000Z"
    assert times.read("2026-11-03T12:00:01.250Z") == SAME


def test_nine_digits_are_kept_and_more_are_cut():
    assert Times().read("2026-11-03T12:00:01.1234567891Z") == "2026-11-03T12:00:01.123456789Z"
    assert Times().read("1793707201.123456789") == "2026-11-03T12:00:01.123456789Z"


def test_a_float_of_seconds_is_true_to_the_microsecond():
    assert Times().read(1793707201.123457) == "2026-11-03T12:00:01.123457000Z"


def test_a_leap_second_stays_in_its_minute():
    assert Times().read("2016-12-31T23:59:60Z") == "2016-12-31T23:59:59.000000000Z"


@given(
    st.datetimes(datetime(1973, 4, 1), datetime(2262, 1, 1)),  # noqa: DTZ001 - offsets are given below
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from("T "),
)
def test_every_moment_is_read_as_python_writes_it(moment, minutes, between):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    times = Times()
    assert times.read(aware.isoformat(between)) == expected
    nanoseconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    if nanoseconds >= 10**17:
        assert times.read(nanoseconds) == expected


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none()))
def test_nothing_at_all_makes_it_raise(told):
    found = Times().read(told)
    assert found is None or (len(found) == 30 and found.endswith("Z"))
