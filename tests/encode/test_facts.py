"""The facts of access, call and span events: what of them is looked at, and what is left as it is."""

from __future__ import annotations

import pytest

from clusterlog.encode.compact import dumps
from clusterlog.encode.facts import legal
from clusterlog.encode.sanitize import Sanitizer
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
