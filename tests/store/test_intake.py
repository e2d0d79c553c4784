"""A batch is judged event by event; what is known of a line's beginning changes the cost, never the answer."""

from __future__ import annotations

import json

import pytest

from clusterlog.encode.ecs import Encoder
from clusterlog.encode.facts import Origin
from clusterlog.record.redact import Redactor
from clusterlog.store.base import Delivery
from clusterlog.store.embedded.index.documents import Indexer
from clusterlog.store.embedded.index.heads import Heads
from clusterlog.store.embedded.intake import Judge
from clusterlog.store.embedded.raw.ledger import Ledger
from clusterlog.testing.strategies import BEGIN

INSTANCE = "0190aaaa0000700080000000000000a1"


class NoHeads(Heads):
    """Knows no beginning, so that every line goes the usual way."""

    def document(self, delivery, seq, latest):
        return None


class Counting(Heads):
    """Counts the lines whose beginning was known."""

    __slots__ = ("used",)

    def __init__(self, indexer):
        super().__init__(indexer)
        self.used = 0

    def document(self, delivery, seq, latest):
        made = super().document(delivery, seq, latest)
        self.used += made is not None
        return made


@pytest.fixture
def encoded():
    """Lines of our own encoder: three loggers at two levels, with fields and without."""
    encoder = Encoder(Origin("shop", "shop-1", "production", "host-1"), redactor=Redactor())
    head = encoder.head(INSTANCE)
    lines = []
    for sequence in range(1, 41):
        logger, level = f"shop.{'abc'[sequence % 3]}", (20, 30)[sequence % 2]
        fields = {"order": sequence, "ok": True, "name": "x"} if sequence % 4 else {}
        line = encoder.line(level, logger, f"event {sequence % 5} has happened", (), fields)
        lines.append(_delivery(head(BEGIN // 10**9) % (sequence, sequence, sequence) + line, sequence))
    return lines


def _delivery(body, sequence, id=None):
    return Delivery(id or f"{INSTANCE}-{sequence:011x}", INSTANCE, sequence, body)


def _judged(batch, kind):
    indexer = Indexer()
    heads = kind(indexer)
    judge = Judge(Ledger(), lambda id: False, indexer, heads)
    outcomes = judge.judge(batch, 0, BEGIN)
    documents = [json.loads(document) for document in judge.fresh.documents]
    for document in documents:
        document["leaf"] = sorted(document.get("leaf", []))
    return outcomes, documents, judge.fresh.times_us, heads


def test_lines_of_our_own_encoder_are_known_from_the_second_of_a_logger_on(encoded):
    outcomes, documents, times, heads = _judged(encoded, Counting)
    assert {outcome.status for outcome in outcomes} == {"stored"}
    assert heads.used == 40 - 6
    assert (outcomes, documents, times) == _judged(encoded, NoHeads)[:3]


def test_two_processes_of_one_node_that_say_the_same_keep_their_own_ids():
    encoder = Encoder(Origin("shop", "shop-1", "production", "host-1"), redactor=Redactor())
    batch = []
    for sequence in range(1, 5):
        for instance in (INSTANCE, f"{INSTANCE[:-1]}2"):
            head = encoder.head(instance)(BEGIN // 10**9) % (sequence, sequence, sequence)
            body = head + encoder.line(20, "shop.a", "the same", (), {})
            batch.append(Delivery(f"{instance}-{sequence:011x}", instance, sequence, body))
    outcomes, documents, times, heads = _judged(batch, Counting)
    assert heads.used == len(batch) - 2
    assert (outcomes, documents, times) == _judged(batch, NoHeads)[:3]


HEAD = (
    b'{"@timestamp":"2023-11-14T22:13:20.%09dZ","process":{"pid":7,"entity_id":"' + INSTANCE.encode() + b'"},'
    b'"event":{"id":"' + INSTANCE.encode() + b'-%011x","sequence":%d,"kind":"event"},"log":{"level":"info"}'
)
PLAIN = HEAD + b',"message":"plain"}'
ODD = {
    "the sequence again, dotted": HEAD + b',"message":"m","event.sequence":9}',
    "the id again, dotted": HEAD + b',"message":"m","event.id":"another"}',
    "the event again": HEAD + b',"message":"m","event":{"id":"another"}}',
    "the time again": HEAD + b',"message":"m","@timestamp":"1999-01-01T00:00:00Z"}',
    "the level again, dotted": HEAD + b',"message":"m","log.level":"error"}',
    "the process again, dotted": HEAD + b',"message":"m","process.entity_id":"x"}',
    "a message inside another object": HEAD + b',"a":{"b":1,"message":"m"},"message":"n"}',
    "a message inside a text": HEAD + b',"a":"x\\",\\"message\\":\\"y","message":"n"}',
    "an end too many": HEAD + b',"message":"m"}}',
    "an end too few": HEAD + b',"message":"m"',
    "nothing behind the message": HEAD + b',"message":}',
    "a message that is an object": HEAD + b',"message":{"a":1}}',
    "no message": HEAD + b"}",
    "another layout": HEAD.replace(b',"log"', b', "log"') + b',"message":"m"}',
    "another process number": HEAD.replace(b'"pid":7', b'"pid":8') + b',"message":"m"}',
    "a time that is none": HEAD.replace(b"2023-11-14T22", b"2023-11-14T99") + b',"message":"m"}',
    "a time from the far future": HEAD.replace(b"2023", b"2999") + b',"message":"m"}',
    "escapes in the head": HEAD.replace(b'"info"', b'"in\\u0066o"') + b',"message":"m"}',
    "the time twice in the head": HEAD + b',"@timestamp":"1999-01-01T00:00:00Z","message":"m"}',
    "the process twice in the head": HEAD + b',"process":{"pid":1},"message":"m"}',
    "the id twice in the head": HEAD.replace(b',"kind"', b',"id":"' + INSTANCE.encode() + b'-00000000002","kind"')
    + b',"message":"m"}',
    "the event twice in the head, escaped": HEAD
    + b',"\\u0065vent":{"id":"'
    + INSTANCE.encode()
    + b'-00000000002"},"message":"m"}',
    "the id in the head, dotted": HEAD + b',"event.id":"another","message":"m"}',
    "another first name": HEAD.replace(b"@timestamp", b"@timestamq") + b',"message":"m"}',
    "no object": HEAD.replace(b"{", b"[", 1) + b',"message":"m"}',
    "an event that is none": HEAD + b',"event":7,"message":"m"}',
    "an event that is a list": HEAD + b',"event":[{"id":"' + INSTANCE.encode() + b'-00000000002"}],"message":"m"}',
    "a name twice in the head": HEAD + b',"event":{"kind":"x"},"message":"m"}',
}


@pytest.mark.parametrize("what", ODD)
def test_a_line_that_only_begins_like_a_known_one_is_judged_as_if_nothing_were_known(what):
    lines = [PLAIN, ODD[what], PLAIN, ODD[what], PLAIN]
    batch = [_delivery(line % (number, number, number), number) for number, line in enumerate(lines, 1)]
    known, usual = _judged(batch, Counting), _judged(batch, NoHeads)
    assert known[:3] == usual[:3]
    assert known[3].used >= 2 or what == "another process number"


@pytest.mark.parametrize(("id", "sequence"), [(2, 2), (3, 2), (0xFFFFFFFFFFF, 2), (0xFFFFFFFFFFF, 0xFFFFFFFFFFF)])
def test_a_known_beginning_under_another_id_or_number_is_not_trusted(id, sequence):
    first = _delivery(PLAIN % (1, 1, 1), 1)
    other = _delivery(PLAIN % (2, 2, 2) if id == 3 else PLAIN % (1, 1, 1), sequence, f"{INSTANCE}-{id:011x}")
    outcomes = _judged([first, other], Counting)[0]
    assert [outcome.status for outcome in outcomes] == ["stored", "refused"]


def test_a_refused_event_does_not_make_its_id_a_known_one():
    refused = _delivery(b"[]", 1)
    outcomes = _judged([refused, _delivery(PLAIN % (1, 1, 1), 1), refused], Counting)[0]
    assert [outcome.status for outcome in outcomes] == ["refused", "stored", "duplicate"]


@pytest.mark.parametrize("id", ["", "x" * 257])
def test_an_id_that_no_term_can_hold_is_refused(id):
    body = json.dumps({"@timestamp": "2023-11-14T22:13:20Z", "event": {"id": id}}).encode()
    (outcome,) = _judged([_delivery(body, 1, id or "")], Counting)[0]
    assert outcome.status == "refused"
    assert "event.id" in outcome.reason


def test_ids_nobody_can_look_up_now_are_for_later():
    body = json.dumps({"@timestamp": "2023-11-14T22:13:20Z", "event": {"id": "foreign"}}).encode()
    judge = Judge(Ledger(), lambda id: None, Indexer(), Heads(Indexer()))
    (outcome,) = judge.judge([_delivery(body, 1, "foreign")], 0, BEGIN)
    assert outcome.status == "retry"
