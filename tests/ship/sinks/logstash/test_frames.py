"""Lumberjack's frames: what is written is what its servers read, and nothing else is taken for an acknowledgement."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.sinks.logstash.frames import NotLumberjack, acknowledged, window


def read(data):
    """The events of a window as a server reads them: its size, then numbers and bodies."""
    assert data[:2] == b"2W"
    size, rest = struct.unpack(">I", data[2:6])[0], data[6:]
    if rest[:2] == b"2C":
        assert struct.unpack(">I", rest[2:6])[0] == len(rest) - 6
        rest = zlib.decompress(rest[6:])
    found = []
    while rest:
        assert rest[:2] == b"2J"
        number, length = struct.unpack(">II", rest[2:10])
        found.append((number, rest[10 : 10 + length]))
        rest = rest[10 + length :]
    return size, found


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_a_window_holds_every_event_numbered_from_one(bodies, compressed):
    assert read(window(bodies, compressed=compressed)) == (len(bodies), list(enumerate(bodies, 1)))


def test_a_window_is_the_bytes_that_the_protocol_says():
    assert window([b"{}"], compressed=False) == b"2W\x00\x00\x00\x012J\x00\x00\x00\x01\x00\x00\x00\x02{}"


@pytest.mark.parametrize("number", [0, 1, 5])
def test_an_acknowledgement_tells_how_many_events_are_there_and_nought_is_a_sign_of_life(number):
    assert acknowledged(struct.pack(">2sI", b"2A", number), 5) == number


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (struct.pack(">2sI", b"2A", 6), "an acknowledgement of event 6 of 5"),
        (b"\x15\x03\x03\x00\x02\x02", "TLS: write lumberjack\\+tls://"),
        (b"HTTP/1", "HTTP: write logstash\\+http"),
        (b"1A\x00\x00\x00\x01", "version 1 of Lumberjack"),
        (b"2W\x00\x00\x00\x01", "no acknowledgement \\(32 57 00"),
        (b"220 ma", "no acknowledgement"),
    ],
)
def test_what_is_no_acknowledgement_is_told_by_what_it_looks_like(came, told):
    with pytest.raises(NotLumberjack, match=told):
        acknowledged(came, 5)


@given(st.binary(max_size=6))
def test_random_bytes_never_acknowledge_more_than_was_sent(data):
    try:
        assert 0 <= acknowledged(data, 5) <= 5
    except NotLumberjack:
        pass
