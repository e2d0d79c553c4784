"""Values of other loggers are read as what a field holds, and what cannot be is none."""

import pytest

from clusterlog.encode.foreign.kinds import Kinds, otel_level
from clusterlog.encode.foreign.times import Times
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.redact import Redactor

READERS = Kinds(Sanitizer(Redactor()), Times()).readers
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("told", "level"),
    [
        *(("INFO", "info"), ("Warn", "warning"), ("WARNING", "warning"), ("err", "error"), ("crit", "critical")),
        *(("FATAL", "critical"), ("notice", "info"), ("trace", "debug"), ("VERBOSE", "debug"), ("emerg", "critical")),
        *(
            (10, "debug"),
            (20, "info"),
            (25, "info"),
            (30, "warning"),
            (40, "error"),
            (50, "critical"),
            ("30", "warning"),
        ),
        *((0, "critical"), (3, "error"), (4, "warning"), (5, "info"), (7, "debug"), ("3", "error")),
        *(("SEVERITY_NUMBER_ERROR2", "error"), ("warn3", "warning"), (" Info ", "info"), ("SUCCESS", "success")),
        *((8, None), (60, None), (-1, None), (True, None), (None, None), ("", None), ([], None), (20.0, None)),
    ],
)
def test_a_level_is_read_by_any_name_and_number(told, level):
    assert READERS["level"](told) == level


@pytest.mark.parametrize(("told", "level"), [(10, "debug"), (20, "debug"), (30, "info"), (60, "critical"), (9, None)])
def test_levels_of_bunyan_and_pino_have_a_scale_of_their_own(told, level):
    assert READERS["bunyan"](told) == level


@pytest.mark.parametrize(
    ("number", "level"),
    [(1, "debug"), (8, "debug"), (9, "info"), (16, "warning"), (24, "critical"), (0, None), (25, None)],
)
def test_severity_numbers_of_opentelemetry_have_levels(number, level):
    assert otel_level(number) == level


@pytest.mark.parametrize(
    ("told", "id"),
    [
        ("req-1", "req-1"),
        (42, "42"),
        ("0198f0c2-a7b4-7c6e-9a3d-2f1e5b8c4d60", "0198f0c2-a7b4-7c6e-9a3d-2f1e5b8c4d60"),
        ("with a blank", "with a blank"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl" + "x" * 30, "[redacted]"),
        *(
            (None, None),
            ("", None),
            ("-", None),
            ("null", None),
            ([], None),
            (1.5, None),
            (True, None),
            ("x" * 2000, None),
        ),
    ],
)
def test_a_request_id_may_look_as_it_likes_but_holds_no_secret(told, id):
    assert READERS["id"](told) == id


@pytest.mark.parametrize(
    ("told", "id"),
    [
        (TRACE, TRACE),
        (TRACE.upper(), TRACE),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", TRACE),
        (f"0x{TRACE}", TRACE),
        *(("0" * 32, None), ("g" * 32, None), ("abc", None), (1, None), (TRACE[:31], None)),
    ],
)
def test_a_trace_id_is_32_hex_digits(told, id):
    assert READERS["trace"](told) == id


@pytest.mark.parametrize(
    ("told", "id"), [("00F067AA0BA902B7", "00f067aa0ba902b7"), ("0" * 16, None), ("x", None), (7, None)]
)
def test_a_span_id_is_16_hex_digits(told, id):
    assert READERS["span"](told) == id


@pytest.mark.parametrize(
    ("kind", "told", "value"),
    [
        ("integer", 7, 7),
        ("integer", "7", 7),
        ("integer", "7.5", None),
        ("integer", True, None),
        ("integer", 2**63, None),
        ("integer", "9" * 30, None),
        ("milliseconds", 1.5, 1_500_000),
        ("seconds", 2, 2_000_000_000),
        ("nanoseconds", 7, 7),
        ("seconds", -1, None),
        ("seconds", float("nan"), None),
        ("seconds", True, None),
        ("address", "10.0.0.1", "10.0.0.1"),
        ("address", "2001:DB8::1", "2001:db8::1"),
        ("address", "somewhere", None),
        ("address", 5, None),
        ("keywords", ["a", "b"], ["a", "b"]),
        ("keywords", "a", ["a"]),
        ("keywords", ["a", {}], None),
        ("keywords", ["a"] * 101, None),
        ("keyword", "password=hunter2", "password=[redacted]"),
        ("keyword", 5, "5"),
        ("keyword", 5.5, None),
        ("text", 1.5, "1.5"),
        ("text", True, None),
        ("message", 5, "5"),
        ("message", {}, None),
        ("identity", 42, "42"),
        ("identity", "-", None),
        ("identity", 1.5, None),
        ("traceback", True, None),
        ("traceback", [], None),
        ("traceback", [1], None),
    ],
)
def test_each_kind_takes_what_fits_and_nothing_else(kind, told, value):
    assert READERS[kind](told) == value
