"""The facts of access, call and span events: what of them is looked at, and what is left as it is."""

from __future__ import annotations

import pytest

from clusterlog.context.request import Scope
from clusterlog.encode.compact import dumps
from clusterlog.encode.facts import legal, repeated
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.gate.throttle import Repeated
from clusterlog.record.redact import Redactor

CARD = "4111111111111111"
KEY = "AKIA" + "ABCDEFGHIJ234567"


@pytest.fixture
def sanitizer():
    return Sanitizer(Redactor(()))


def test_plain_facts_stay_as_they_are(sanitizer):
    facts = {"http": {"request": {"method": "GET"}}, "n": 7, "big": -(1 << 63), "yes": True, "none": None, "half": 0.5}
    assert legal(facts, sanitizer) == facts


def test_an_id_of_a_trace_is_no_credit_card(sanitizer):
    facts = {"span": {"id": CARD}, "trace": {"id": CARD * 2}, "parent": {"span_id": CARD}, "client": {"trace_id": CARD}}
    assert legal(facts, sanitizer) == facts


@pytest.mark.parametrize("name", ["path", "id"])
@pytest.mark.parametrize("secret", [KEY, f"/pay/{CARD}", f"{CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]}"])
def test_a_secret_in_any_other_text_is_withheld(sanitizer, name, secret):
    assert secret not in dumps(legal({"url": {name: secret}}, sanitizer)).decode()


def test_hostile_values_come_out_legal(sanitizer, hostile, judge):
    # A dictionary in facts is one of ours; somebody else's would stand in a list.
    value = [hostile()] if type(hostile()) is dict else hostile()
    judge(dumps(legal({"value": value, "below": {"value": value}}, sanitizer)))


def test_a_text_has_an_end(sanitizer):
    assert len(legal({"path": "/" + "x" * 1_000_000}, sanitizer)["path"]) <= sanitizer.limits.text


NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z."""


@pytest.mark.parametrize(
    ("count", "seconds", "said"),
    [
        (4812, 59.7, "repeated 4,812 times in 60 s: order 7"),
        (30, 1.25, "repeated 30 times in 1.2 s: order 7"),
        (3, 0.25, "repeated 3 times in 250 ms: order 7"),
        (2, -5.0, "repeated 2 times in 1 ms: order 7"),
        (1, 0.0, "repeated once more: order 7"),
    ],
)
def test_a_line_that_repeated_itself_is_told_with_its_number_its_time_and_its_last_words(count, seconds, said):
    last_ns = NOON + int(seconds * 1e9)
    first, last = ("order 1", "order %d", {}), ("order 7", "order %d", {"amount": 7})
    told = Repeated(20, "shop", count, NOON, last_ns, first, last, Scope(None))
    message, body = repeated(told)
    assert message == said
    assert body["clusterlog"]["template"] == "order %d"
    assert body["clusterlog"]["repeated"]["count"] == count
    assert body["clusterlog"]["repeated"]["first"] == {"time": "2026-11-03T12:00:00.000000000Z", "message": "order 1"}
    assert body["clusterlog"]["repeated"]["last"]["message"] == "order 7"
