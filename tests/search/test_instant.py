from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.errors import SettingError
from clusterlog.search.instant import day, instant, parse_time, rfc3339, spoken

NOW = 1_793_707_200_000_000_000  # 2026-11-03T12:00:00Z
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-03T12:00:00Z", NOW),
        ("2026-11-03T12:00:00.000000001Z", NOW + 1),
        ("2026-11-03T12:00:00.5Z", NOW + SECOND // 2),
        ("2026-11-03T14:30:00+02:30", NOW),
        ("2026-11-03t12:00:00z", NOW),
        ("2026-11-03 12:00:00Z", NOW),
        ("2026-11-03T12:00:00.0000000019Z", NOW + 1),
        ("2026-11-03T11:59:60Z", NOW),
        ("1969-12-31T23:59:59.9Z", -100_000_000),
    ],
)
def test_a_time_of_rfc_3339_is_nanoseconds_since_the_epoch(text: str, ns: int) -> None:
    assert instant(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-03",
        "2026-11-03T12:00:00",
        "2026-11-03T12:00Z",
        "2026-13-03T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-03T24:00:00Z",
        "2026-11-03T12:60:00Z",
        "2026-11-03T12:00:61Z",
        "2026-11-03T12:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-11-03T12:00:00Z",
        "2026-11-03T12:00:00." + "1" * 60 + "Z",
        None,
        1793707200,
        {},
    ],
)
def test_what_is_not_a_whole_time_with_its_offset_is_no_instant(text: object) -> None:
    assert instant(text) is None


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 999),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_every_time_is_read_as_the_standard_library_reads_it(moment: datetime, extra: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    try:
        local = moment.astimezone(zone)
    except OverflowError:
        return
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    text = f"{local:%H:%M:%S.%f}{extra:03d}{local.isoformat()[-6:]}"
    assert instant(f"{local.isoformat()[:10]}T{text}") == micros * 1000 + extra
    assert instant(rfc3339(micros * 1000 + extra)) == micros * 1000 + extra


def test_a_day_is_its_first_and_its_last_nanosecond() -> None:
    first, last = day("2026-11-03") or (0, 0)
    assert rfc3339(first) == "2026-11-03T00:00:00.000000000Z"
    assert rfc3339(last) == "2026-11-03T23:59:59.999999999Z"
    assert day("2026-02-30") is None
    assert day("2026-11-03T00:00:00Z") is None


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("now", NOW),
        ("15m", NOW - 15 * 60 * SECOND),
        ("2h", NOW - 7200 * SECOND),
        ("7d", NOW - 7 * 86_400 * SECOND),
        ("1w", NOW - 7 * 86_400 * SECOND),
        ("30s", NOW - 30 * SECOND),
        ("now-15m", NOW - 15 * 60 * SECOND),
        (" now - 15m ", NOW - 15 * 60 * SECOND),
        ("2026-11-03", NOW - 12 * 3600 * SECOND),
        ("2026-11-03T12:00:00Z", NOW),
        ("2026-11-03T12:00:00.25+01:00", NOW - 3600 * SECOND + SECOND // 4),
        ("2026-11-03 12:00", NOW),
        ("999999999w", 0),
        ("11:50", NOW - 600 * SECOND),
        ("12:00", NOW),
        ("12:00:01", NOW - 86_399 * SECOND),
        ("23:30", NOW - 12 * 3600 * SECOND - 1800 * SECOND),
    ],
)
def test_since_takes_times_dates_and_lengths_of_time_before_now(text: str, ns: int) -> None:
    assert parse_time(text, NOW) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "15",
        "-15m",
        "15 minutes",
        "now+15m",
        "1969-12-31",
        "9999-01-01",
        "m",
        "24:00",
        "11:60",
        "1:50",
        "x" * 999,
        "15m\n\x00",
    ],
)
def test_what_since_cannot_read_is_answered_in_one_line_with_the_forms_it_takes(text: str) -> None:
    with pytest.raises(
        SettingError, match="is not a time: write 2026-11-03T12:00:00Z, 2026-11-03, 15m, 2h, 7d"
    ) as told:
        parse_time(text, NOW)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


def test_a_time_of_day_before_the_first_day_is_the_first_moment() -> None:
    assert parse_time("11:50", 5 * SECOND) == 0


@given(st.text(max_size=60) | st.from_regex(r"(now-)?[0-9]{1,12}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}(T.{0,20})?"))
def test_since_never_fails_otherwise(text: str) -> None:
    with suppress(SettingError):
        assert parse_time(text, NOW) >= 0


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 us"),
        (840_000, "840 us"),
        (999_499, "999 us"),
        (999_500, "1 ms"),
        (1_449_999, "1.4 ms"),
        (6_000_000, "6 ms"),
        (9_990_000, "10 ms"),
        (412_300_000, "412 ms"),
        (999_600_000, "1.00 s"),
        (1_402_000_000, "1.40 s"),
        (9_996_000_000, "10.0 s"),
        (59_960_000_000, "1 min 00 s"),
        (125 * SECOND, "2 min 05 s"),
        (7_320 * SECOND, "2 h 02 min"),
        (50 * 3600 * SECOND, "2 d 02 h"),
        (-6_000_000, "-6 ms"),
    ],
)
def test_a_length_of_time_is_said_with_two_or_three_digits(ns: int, text: str) -> None:
    assert spoken(ns) == text
