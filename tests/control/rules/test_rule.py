"""Names of levels and loggers as people write them: F17."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.control.rules.rule import level_name, level_number, logger_named


@pytest.mark.parametrize("name", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_a_level_has_the_number_that_logging_gives_it_in_any_case(name):
    assert level_number(name) == level_number(f" {name.lower()} ") == getattr(logging, name)
    assert level_name(level_number(name)) == name


@given(st.text())
def test_f17_an_unknown_level_is_an_error_and_never_debug(text):
    if text.strip().upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        with pytest.raises(ValueError, match="one of DEBUG"):
            level_number(text)


@pytest.mark.parametrize("name", ["TRACE", "WARN", "10", "", "NOTSET", "OFF", "DEBU"])
def test_f17_no_number_alias_or_half_a_name_is_a_level(name):
    with pytest.raises(ValueError, match="one of DEBUG"):
        level_number(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", "orders"),
        ("orders.*", "orders"),
        ("root", ""),
        ("*", ""),
        ("", ""),
        (" orders.stock ", "orders.stock"),
    ],
)
def test_a_subtree_may_be_written_with_a_star_and_the_root_by_name(text, name):
    assert logger_named(text) == name


@pytest.mark.parametrize("text", ["ord*rs", "orders*", "orders.", "orders.**", ".orders", "a\nb", "x" * 257])
def test_what_can_be_no_logger_is_an_error(text):
    with pytest.raises(ValueError, match="a logger such as"):
        logger_named(text)


def test_a_level_without_a_name_is_told_by_its_number():
    assert level_name(15) == "Level 15"
