"""The body of a bulk request, and where each event in it is led to."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterlog.encode.ecs import Encoder
from clusterlog.store import document
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.elasticsearch.lines import Lines
from clusterlog.store.elasticsearch.streams import data_stream

INSTANCE = "0190aaaa0000700080000000000000f0"
APP = "logs-clusterlog.app-test"


def told(request):
    """What a body says, as the server reads it: stream, id and document of each event."""
    lines = request.body.split(b"\n")
    assert lines.pop() == b"", "a body ends with a newline"
    actions = [json.loads(line)["create"] for line in lines[::2]]
    return [(a["_index"], a["_id"], json.loads(body)) for a, body in zip(actions, lines[1::2], strict=True)]


def raw(body, id="i-1", sequence=1):
    return Delivery(id, INSTANCE, sequence, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def encoded(settings):
    """What our own encoder writes: an event of each kind, with its number."""
    encoder = Encoder.of(settings(service="shop", node="shop-1", environment="Prod-EU"), lambda text: ("h", "k"))
    lines = [
        encoder.line(logging.INFO, "shop.api", "paid", (), {"amount": 5}),
        encoder.line(logging.ERROR, 'odd "logger" {}', "%s failed", ("it",), {"dataset": "x", "environment": "y"}),
        encoder.document("clusterlog.access", logging.INFO, "clusterlog.access", "GET /", {"event": {"duration": 77}}),
        encoder.document("clusterlog.call", logging.INFO, "c", "GET", {"event": {"reason": '"},"service":{'}}),
        encoder.state("heartbeat", {"instance": INSTANCE, "last_seq": 5}),
    ]
    head = encoder.head(INSTANCE)(1_800_000_000)
    return [
        Delivery(f"{INSTANCE}-{n:011x}", INSTANCE, n, head % (n, n, n) + line) for n, line in enumerate(lines, start=1)
    ]


def test_each_event_stands_behind_a_line_that_creates_it_under_its_own_id(delivery):
    batch = [delivery("clusterlog.app", 1), delivery("clusterlog.access", 2)]
    assert told(Lines("x").request(batch)) == [
        (f"logs-clusterlog.{name}-test", each.id, json.loads(each.body))
        for name, each in zip(("app", "access"), batch, strict=True)
    ]


def test_the_bytes_of_an_event_are_sent_as_they_are(delivery):
    event = raw(b'{ "event" : {"id":"i-1"},   "n": 1.50, "u":"\\u00e9" }')
    assert event.body + b"\n" in Lines("x").request([event]).body


def test_what_our_encoder_writes_is_led_by_its_own_dataset_and_environment(encoded):
    expected = [f"logs-clusterlog.{name}-prod_eu" for name in ("app", "app", "access", "call", "state")]
    lines = Lines("elsewhere")
    for _ in range(2):  # what was met once is known
        assert [stream for stream, _, _ in told(lines.request(encoded))] == expected


def test_what_our_encoder_writes_is_not_parsed(encoded, monkeypatch):
    odd = encoded.pop(3)  # one with braces in a text is: it may be written so that it looks like another
    monkeypatch.setattr(document, "parse", lambda body: pytest.fail("parsed"))
    assert len(told(Lines("x").request([encoded[0], *encoded[2:]]))) == 3
    monkeypatch.undo()
    assert told(Lines("x").request([odd]))[0][0] == "logs-clusterlog.call-prod_eu"


def test_facts_that_differ_from_event_to_event_do_not_fill_the_memory(settings):
    encoder = Encoder.of(settings(service="shop"), lambda text: ("h", "k"))
    head, lines = encoder.head(INSTANCE)(1_800_000_000), Lines("x")
    for n in range(1, 50):
        rest = encoder.document("clusterlog.access", logging.INFO, "a", "GET /", {"event": {"duration": n}})
        lines.request([Delivery(f"{INSTANCE}-{n:011x}", INSTANCE, n, head % (n, n, n) + rest)])
    assert not lines._targets


@pytest.mark.parametrize(
    ("event", "stream"),
    [
        ({"event.dataset": "clusterlog.call", "service.environment": "a"}, "logs-clusterlog.call-a"),
        ({"event": {"dataset": "clusterlog.call"}}, "logs-clusterlog.call-fallback"),
        ({"service": {"environment": "b"}}, "logs-clusterlog.unparsed-b"),
        ({"event": {"dataset": ["clusterlog.span", "clusterlog.app"]}}, "logs-clusterlog.span-fallback"),
        ({"event": {"dataset": None}, "service": "text"}, "logs-clusterlog.unparsed-fallback"),
        ({"labels": {"event": {"dataset": "clusterlog.span"}}}, "logs-clusterlog.unparsed-fallback"),
    ],
)
def test_any_other_event_is_parsed_and_led_by_what_it_says(event, stream):
    assert told(Lines("fallback").request([raw(event)]))[0][0] == stream


def test_a_line_that_only_looks_like_one_of_ours_is_led_by_what_it_says(delivery):
    """The facts of a known line stand in it, but inside of its labels."""
    lines, ours = Lines("fallback"), delivery("clusterlog.app", 1)
    assert told(lines.request([ours]))[0][0] == APP
    inner = ours.body[ours.body.index(b',"event":') + 1 :]
    outer = (
        b'{"@timestamp":"2026-11-20T12:00:00Z","event":{"dataset":"clusterlog.span"},"labels":{"padding":"........",'
    )
    assert told(lines.request([raw(outer + inner + b"}", ours.id)]))[0][0] == "logs-clusterlog.span-fallback"


def test_an_event_of_several_lines_is_sent_on_one():
    (found,) = told(Lines("x").request([raw(b'{"event":\n{"id":"i-1"},\n"message":"a\\nb"}')]))
    assert found[2] == {"event": {"id": "i-1"}, "message": "a\nb"}


@pytest.mark.parametrize("id", ['a"b', "a\\b", "ä", 'x"}}\n{"delete":{}}', "\x00", "a b"])
def test_an_id_cannot_break_out_of_its_line(id):
    assert [found[1] for found in told(Lines("x").request([raw({"event": {"id": id}}, id)]))] == [id]


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[1]", b'"text"', b'{"a":', b"null", b"\xff\xfe", b"5"])
def test_what_is_no_event_is_refused_without_being_sent(delivery, body):
    batch = [delivery("clusterlog.app", 1), raw(body), delivery("clusterlog.app", 2)]
    request = Lines("x").request(batch)
    assert [found[1] for found in told(request)] == [batch[0].id, batch[2].id]
    assert request.settled.keys() == {1} and request.settled[1].status == "refused" and request.settled[1].reason


@pytest.mark.parametrize("id", ["", "x" * 513, "ä" * 257])
def test_an_id_no_document_can_have_is_refused(id):
    request = Lines("x").request([raw({}, id)])
    assert request.body == b"" and request.settled[0].status == "refused"


def test_an_id_of_512_bytes_is_sent():
    assert told(Lines("x").request([raw({}, "x" * 512)]))[0][1] == "x" * 512


def test_events_of_a_stream_that_is_not_there_are_settled_and_the_others_sent(delivery):
    batch = [delivery("clusterlog.app", 1), delivery("clusterlog.call", 2)]
    request = Lines("x").request(batch, {APP: Outcome("blocked", "why")})
    assert [found[1] for found in told(request)] == [batch[1].id]
    assert request.settled == {0: Outcome("blocked", "why")} and request.streams == {"logs-clusterlog.call-test"}


_TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES = _TEXTS | some.integers(-5, 5) | some.none() | some.booleans()


@given(dataset=_TEXTS, environment=_TEXTS, logger=_TEXTS, more=some.dictionaries(_TEXTS, _VALUES, max_size=3))
def test_the_short_way_leads_to_where_the_long_one_does(delivery, dataset, environment, logger, more):
    service = {"name": "shop", "node": {"name": "n"}, "environment": environment}
    event = delivery(dataset, 1, service=service, log={"level": "info", "logger": logger, **more}, labels=more)
    assert Lines("fallback").request([event]).streams == {data_stream(dataset, environment or "fallback")}
