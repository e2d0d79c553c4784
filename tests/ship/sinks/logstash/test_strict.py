"""What Logstash's parser of JSON would not take is refused here: there it costs a batch, or never ends."""

import json

import pytest

from clusterlog.ship.sinks.logstash.strict import joined, one_line, sorted_out, unfit
from clusterlog.store.base import STORED, Outcome


def nested(levels):
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"message":"%s"}' % (b"{[" * 2000),
        b'{"message":"%s"}' % (b"7" * 20_000),
        b'{"n":%s}' % (b"7" * 300),
        nested(900),
    ],
    ids=["empty object", "brackets in a text", "digits in a text", "long number", "deep"],
)
def test_what_is_an_event_is_sent(body):
    assert unfit(body) == ""


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"n":NaN}', "not JSON"),
        (b'{"n":1', "not JSON"),
        (b'{"a":1}{"b":2}', "not JSON"),
        (b'{"m":"\xff"}', "not JSON"),
        (nested(1010), "nested more than 1000 deep"),
        (b'{"n":0.%s}' % (b"7" * 10_100), "a number of more than 10000 digits"),
    ],
    ids=["nothing", "array", "text", "NaN", "half", "two", "bad UTF-8", "too deep", "too long a number"],
)
def test_what_logstash_cannot_read_is_refused_with_the_reason(body, why):
    assert unfit(body).startswith(why)


def test_what_is_refused_keeps_its_place_among_the_outcomes(make):
    from dataclasses import replace

    batch = [replace(make(1), body=b"x"), make(2), make(3), replace(make(4), body=b"[]")]
    bodies, refused = sorted_out(batch)
    assert bodies == [batch[1].body, batch[2].body]
    outcomes = joined([STORED, Outcome("retry", "later")], refused)
    assert [each.status for each in outcomes] == ["refused", "stored", "retry", "refused"]


def test_an_event_written_on_several_lines_becomes_one_line():
    body = json.dumps({"message": "a\nb", "n": {"m": 1}}, indent=1).encode()
    made = one_line(body)
    assert b"\n" not in made and json.loads(made) == json.loads(body)
    assert one_line(b'{"a": 1}') == b'{"a": 1}'
