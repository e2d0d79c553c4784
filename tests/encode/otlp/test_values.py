"""Values as OTLP tells them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode.otlp.values import any_value, plain


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, {"boolValue": True}),
        (7, {"intValue": "7"}),
        (2**63, {"stringValue": str(2**63)}),
        (-(2**63), {"intValue": str(-(2**63))}),
        (0.5, {"doubleValue": 0.5}),
        (None, {}),
        ("\ud800", {"stringValue": "?"}),
        ([1, "a"], {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}),
        ({"a": None}, {"kvlistValue": {"values": [{"key": "a", "value": {}}]}}),
    ],
)
def test_a_value_keeps_its_type(value: Any, told: Any) -> None:
    assert any_value(value) == told


def test_what_lies_too_deep_is_text() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    told = any_value(deep)
    for _ in range(20):
        told = told["arrayValue"]["values"][0]
    assert told == {"stringValue": "[" * 480 + "1" + "]" * 480}


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_values)
def test_what_json_says_is_read_back_as_it_was(value: Any) -> None:
    assert plain(any_value(value)) == value
