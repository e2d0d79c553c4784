"""A stream cut into messages, however it is framed, and however it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.web.syslog.framing import Frame, Frames

ONE, TWO = b"<13>1 - - - - - - first", b"<13>1 - - - - - - second"


def counted(*messages):
    return b"".join(b"%d %b" % (len(each), each) for each in messages)


def cut(*chunks, longest=1000):
    frames = Frames(longest)
    found = [frame for chunk in chunks for frame in frames.feed(chunk)]
    return found + frames.end(), frames


def whole(*messages):
    return [Frame(each, True) for each in messages]


@pytest.mark.parametrize(
    "stream",
    [
        counted(ONE, TWO),
        ONE + b"\n" + TWO + b"\n",
        ONE + b"\r\n" + TWO,
        counted(ONE + b"\n", TWO + b"\n"),
        counted(ONE) + b"\n" + counted(TWO) + b"\n",
        ONE + b"\n" + counted(TWO),
        counted(ONE + b"\0", TWO + b"\0"),
    ],
    ids=["counted", "lines", "crlf, none at the end", "LF is counted", "LF behind", "both", "NUL"],
)
def test_each_way_to_frame_is_understood_in_whatever_pieces_it_comes(stream):
    for size in (1, 2, 7, len(stream)):
        found, frames = cut(*(stream[at : at + size] for at in range(0, len(stream), size)))
        assert found == whole(ONE, TWO) and not frames.misframed and not frames.size


def test_a_line_that_begins_with_a_number_is_a_line():
    assert cut(b"2026 was a year\n12 <b>\n9")[0][0] == Frame(b"2026 was a year", True)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_count_that_is_too_small_costs_two_pieces_and_not_what_comes_behind(size):
    stream = b"10 " + ONE + counted(TWO, ONE)
    found, frames = cut(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert found[0].data == ONE[:10] and found[-2:] == whole(TWO, ONE) and frames.misframed == 1


def test_a_count_that_is_too_large_costs_the_next_message_and_not_the_one_behind_it():
    found, frames = cut(b"40 " + ONE + counted(TWO, ONE, TWO))
    assert found[0].whole and found[-2:] == whole(ONE, TWO) and frames.misframed == 1


def test_a_count_nobody_can_mean_is_not_waited_for():
    assert cut(b"999999999 " + ONE + b"\n" + TWO + b"\n")[0][-1:] == whole(TWO)


def test_half_a_frame_is_kept_and_said_to_be_cut():
    assert cut(counted(ONE)[:-5])[0] == [Frame(ONE[:-5], False)]


@pytest.mark.parametrize("size", [1, 333, 10_000])
def test_what_is_too_long_is_cut_and_the_rest_of_it_read_over(size):
    long = b"<13>1 - - - - - - " + b"x" * 5000
    for stream in (counted(long, ONE), long + b"\n" + ONE + b"\n"):
        frames = Frames(1000)
        found, most = [], 0
        for at in range(0, len(stream), size):
            found += frames.feed(stream[at : at + size])
            most = max(most, frames.size)
        assert found + frames.end() == [Frame(long[:1000], False), *whole(ONE)]
        assert most <= 1000 + size + 20, "no more is kept than may be"


def test_nothing_comes_of_nothing():
    assert cut(b"", b"\n\n\0\r\n ")[0] == []


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 50))
def test_whatever_comes_is_bounded_and_raises_nothing(chunks, longest):
    found, frames = cut(*chunks, longest=longest)
    assert all(len(each.data) <= max(longest, 40) + 60 for each in found) and not frames.size


_messages = st.lists(st.binary(max_size=30).map(lambda rest: b"<13>1 - - - - - - x" + rest + b"."), max_size=8)


@given(_messages, st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_what_is_counted_comes_back_as_it_was_in_any_pieces(messages, sizes):
    stream, chunks, at, n = counted(*messages), [], 0, 0
    while at < len(stream):
        size = sizes[n % len(sizes)]
        chunks.append(stream[at : at + size])
        at, n = at + size, n + 1
    assert cut(*chunks)[0] == whole(*messages)
