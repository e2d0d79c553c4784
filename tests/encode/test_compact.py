"""JSON bytes with and without orjson: the same."""

import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode import compact

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def standing_in():
    """The module as it is where orjson is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "orjson", None)
        spec = importlib.util.spec_from_file_location("compact_without_orjson", compact.__file__)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    assert made.dumps is not compact.dumps
    return made


@given(tree=TREE)
def test_where_orjson_is_missing_the_bytes_are_the_same(standing_in, tree):
    assert standing_in.dumps(tree) == compact.dumps(tree)
    assert standing_in.loads(compact.dumps(tree)) == tree


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_back_as_they_were(standing_in, number):
    for each in (standing_in, compact):
        assert each.loads(each.dumps([number])) == [number]


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, object(), {1, 2}, b"x"])
def test_what_is_not_legal_is_refused_by_both(standing_in, value):
    for each in (standing_in, compact):
        with pytest.raises((TypeError, ValueError)):
            each.dumps(value)


def test_a_name_is_an_exact_text_or_refused(standing_in):
    class Name(str):
        __slots__ = ()

    for name in (Name("x"), 1, None):
        for each in (standing_in, compact):
            with pytest.raises(TypeError):
                each.dumps({name: 1})


def test_no_number_that_json_has_no_form_for_is_written_as_one(standing_in):
    with pytest.raises(ValueError, match="JSON compliant"):
        standing_in.dumps(float("nan"))
