"""Bytes are cut into lines wherever they are cut into chunks, and every line is an object or a reason."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.ingest import lines as subject
from clusterlog.ship.ingest.lines import EMPTY, Cutter, Unreadable, parsed


def reader(data, *sizes):
    """Gives ``data`` in pieces of these sizes, the last of them again and again."""
    left = list(sizes)
    at = 0

    def read(size):
        nonlocal at
        piece = data[at : at + min(size, left.pop(0) if len(left) > 1 else left[0])]
        at += len(piece)
        return piece

    return read


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=20),
    st.booleans(),
    st.lists(st.integers(1, 30), min_size=1),
)
def test_lines_come_out_as_they_went_in(given_lines, ended, sizes):
    data = b"\n".join(given_lines) + (b"\n" if ended and given_lines else b"")
    cutter = Cutter(reader(data, *sizes))
    found, passed = [], 0
    for lines, size in cutter:
        found += lines
        passed += size
        assert cutter.tail == data[:passed][-subject.TAIL_BYTES :]
    assert b"".join(line + b"\n" for line in found) + cutter.rest == data
    assert passed + len(cutter.rest) == len(data)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 40))
def test_a_line_that_is_too_long_is_read_over_without_being_kept(lengths, size):
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "LINE_LIMIT", 30)
        cutter = Cutter(reader(data, size))
        found, passed = [], 0
        for lines, count in cutter:
            found += lines
            passed += count
            assert cutter.tail == data[:passed][-subject.TAIL_BYTES :]
    assert passed == len(data)
    for line, length in zip(found, lengths, strict=True):
        assert line == b"x" * length or (line is None and length > 30)
    if max(lengths) <= 30:
        assert None not in found


def test_a_line_without_end_that_is_too_long_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(subject, "LINE_LIMIT", 30)
    cutter = Cutter(reader(b"a\n" + b"x" * 100, 10))
    assert [lines for lines, _ in cutter] == [[b"a"]]
    assert cutter.overlong + len(cutter.rest) == 100 and cutter.overlong
    assert cutter.take_rest() == 100


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"n": NaN}', "NaN"),
        (b'{"n": -Infinity}', "-inf"),
        (b'{"n": 1e999}', "inf"),
        (b'{"n": "\\ud800"}', "'\\ud800'"),
        (b'{"n": "\xff"}', "'�'"),
        (b'\xef\xbb\xbf{"n": 1}', "1"),
        (b'\0\0{"n": 1}\0', "1"),
        (b'  {"n": 1}\r', "1"),
        (b'{"n": 1, "n": 2}', "2"),
    ],
)
def test_more_is_read_than_json_allows(line, value):
    n = parsed(line)["n"]
    assert (value == "NaN" and math.isnan(n)) or repr(n) == value


@pytest.mark.parametrize(
    ("line", "reason", "told"),
    [
        (b"", EMPTY, "empty"),
        (b" \t\r\0", EMPTY, "empty"),
        (b"plain text", "not_json", "not JSON: plain text"),
        (b'{"a": 1', "not_json", "not JSON in column 8"),
        (b"{", "not_json", "several lines"),
        (b"[1]", "not_an_object", "jq -c"),
        (b'"text"', "not_an_object", "no object"),
        (b"7", "not_an_object", "no object"),
        (b"null", "not_an_object", "no object"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep", "nested too deeply"),
        (b"[" * 100_000, "too_deep", "nested too deeply"),
        (b"x" * 10_000, "not_json", "..."),
    ],
)
def test_of_the_rest_it_is_said_why_not(line, reason, told):
    with pytest.raises(Unreadable) as caught:
        parsed(line)
    assert caught.value.reason == reason
    assert told in str(caught.value) and len(str(caught.value)) < 200


@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.recursive(
            st.none() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_a_line_is_an_object_or_unreadable_and_nothing_else(line):
    try:
        found = parsed(line)
    except Unreadable:
        return
    assert type(found) is dict
