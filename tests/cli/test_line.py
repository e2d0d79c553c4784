"""One event on one line, and text that a terminal does not obey."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterlog.cli.line import caret, columns, escaped, escaped_json, padded, short, width_of
from clusterlog.encode.console import terminal

ANYTHING = st.text(
    st.characters(codec=None) | st.sampled_from("\x00\n\r\t\x1b\x9b\x85\u061c\u200e\u202e\u2028\u2066\ufeff")
)
OBEYED = {"Cc", "Cs", "Zl", "Zp"}
BIDI = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


def test_nothing_a_terminal_obeys_and_no_mark_of_direction_is_left_of_all_of_unicode():
    left = set(escaped("".join(map(chr, range(sys.maxunicode + 1)))))
    assert not {each for each in left if unicodedata.category(each) in OBEYED}
    assert not {each for each in left if unicodedata.bidirectional(each) in BIDI}
    assert left.isdisjoint("\u200e\u200f\u061c\u200b\ufeff\U000e0041")


@given(ANYTHING)
def test_escaped_text_is_escaped_once(text):
    assert escaped(escaped(text)) == escaped(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_letters_of_any_script_stay(text):
    assert escaped(text) == text


def test_escapes_are_written_as_in_python():
    assert escaped("a\nb\t\x1b[0m\x9b\u202e\U000e0041") == r"a\nb\t\x1b[0m\x9b\u202e\U000e0041"


def test_the_joiners_of_persian_and_of_emoji_stay():
    assert escaped("می‌خواهم 👩‍💻") == "می‌خواهم 👩‍💻"


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
)
@example("\x7f")
@example("\x9b\u202e\U000e0041")
def test_a_json_document_means_the_same_when_it_is_escaped_for_a_terminal(value):
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    shown = escaped_json(raw.encode())
    assert json.loads(shown) == json.loads(raw)
    assert escaped(shown.decode()) == shown.decode()


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("", 0)])
def test_width_is_what_a_terminal_takes(text, width):
    assert columns(text) == width
    assert columns(padded(text, 6)) == 6


@pytest.mark.parametrize(
    ("query", "position", "length", "picture"),
    [
        ("level: (error", 13, 1, "  level: (error\n               ^"),
        ("foo: 1", 0, 3, "  foo: 1\n  ^^^"),
        ("日本: x", 0, 2, "  日本: x\n  ^^^^"),
        ("a\tb: 1", 2, 1, "  a\\tb: 1\n     ^"),
        ("", 0, 1, "  \n  ^"),
    ],
)
def test_the_caret_stands_under_the_place(query, position, length, picture):
    assert caret(query, position, length) == picture


def test_a_long_query_is_cut_around_the_place():
    line, mark = caret("x" * 500 + "!" + "y" * 500, 500, 1).split("\n")
    assert line.startswith("  ... x")
    assert line.endswith("y ...")
    assert len(line) < 120
    assert line[mark.index("^")] == "!"


def test_an_id_is_known_by_its_end_because_its_beginning_is_the_time():
    assert short("019ad0b3f0a97c3e8d51" + "0123456789ab") == "..456789ab"
    assert short("order-17") == "order-17"


@given(st.text(max_size=50) | st.text("├──▶●✖│┊…Δ±aäжλ漢é\u0301😀 ", max_size=50))
def test_columns_are_the_sum_of_what_each_character_takes(text):
    shown = escaped(text)
    assert columns(shown) == sum(map(width_of, shown))


def test_no_character_that_is_taken_for_a_single_one_is_wide_or_nothing():
    singles = [chr(code) for code in range(0x20, 0x3000) if terminal._SINGLE.fullmatch(chr(code))]
    assert len(singles) > 1000
    assert {width_of(each) for each in singles} == {1}
