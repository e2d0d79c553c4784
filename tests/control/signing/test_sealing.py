"""What is sealed opens with the same key in the same cluster, and nothing else does: CP-14, F14, F15."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

OLD, NEW = Key(b"o" * 32), Key(b"n" * 32)
SEALER = Sealer((NEW,), "production")
SCHEMA = "clusterlog.control/1"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def reason(body: bytes, sealer: Sealer = SEALER, **more: int) -> str:
    with pytest.raises(Rejected) as caught:
        sealer.opened(body, SCHEMA, **more)
    return caught.value.reason


def changed(body: bytes, **change: object) -> bytes:
    return json.dumps(json.loads(body) | change).encode()


@given(JSON)
@settings(max_examples=60)
def test_what_was_sealed_is_what_is_opened(data):
    opened = SEALER.opened(SEALER.seal({"schema": SCHEMA, "data": data}), SCHEMA)
    assert opened["data"] == data
    assert opened["cluster"] == "production"
    assert "signature" not in opened


def test_the_signature_is_an_hmac_sha256_over_canonical_json_that_anybody_can_make():
    body = SEALER.seal({"schema": SCHEMA, "rules": [{"b": 1, "a": "\N{SNOWMAN}"}]})
    fields = json.loads(body)
    signature = fields.pop("signature")
    by_hand = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hmac.new(NEW.secret, by_hand, hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == digest
    assert (fields["algorithm"], fields["key"]) == ("HS256", NEW.id)


def test_the_same_state_is_sealed_as_the_same_bytes():
    assert SEALER.seal({"schema": SCHEMA, "a": 1, "b": 2}) == SEALER.seal({"b": 2, "a": 1, "schema": SCHEMA})


BODY = SEALER.seal({"schema": SCHEMA, "epoch": "e", "rev": 4, "rules": []})


@pytest.mark.parametrize("name", ["rev", "epoch", "cluster", "schema", "key", "algorithm", "rules", "more"])
def test_f15_a_document_whose_least_part_was_changed_is_refused_by_its_signature(name):
    assert reason(changed(BODY, **{name: "other"})) == "signature"


@pytest.mark.parametrize("signature", ["", None, 7, "=", "\ud800", "A" * 43])
def test_f15_a_forged_or_missing_signature_is_refused(signature):
    assert reason(changed(BODY, signature=signature)) == "signature"
    unsigned = json.loads(BODY)
    del unsigned["signature"]
    assert reason(json.dumps(unsigned).encode()) == "signature"


def test_f15_nobody_can_choose_an_algorithm_that_needs_no_key():
    fields = json.loads(BODY) | {"algorithm": "none", "signature": ""}
    assert reason(json.dumps(fields).encode()) == "signature"


def test_f15_what_names_another_algorithm_is_refused_though_our_key_has_signed_it_by_ours():
    fields = json.loads(BODY) | {"algorithm": "HS512"}
    del fields["signature"]
    content = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    digest = hmac.new(NEW.secret, content, hashlib.sha256).digest()
    fields["signature"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert reason(json.dumps(fields).encode()) == "signature"


def test_f15_a_document_of_another_key_is_refused_even_if_it_names_ours():
    forged = Sealer((OLD,), "production").seal({"schema": SCHEMA})
    assert reason(forged) == "signature"
    assert reason(changed(forged, key=NEW.id)) == "signature"


def test_f15_a_document_of_another_cluster_is_refused_though_its_key_is_ours():
    assert reason(Sealer((NEW,), "staging").seal({"schema": SCHEMA})) == "cluster"


def test_f15_a_lease_or_message_is_never_taken_for_a_document():
    assert reason(SEALER.seal({"schema": "clusterlog.message/1", "rules": []})) == "schema"


def test_cp14_a_key_is_replaced_without_a_moment_in_which_nodes_refuse_each_other():
    before, between, after = (Sealer(keys, "c") for keys in ((OLD,), (NEW, OLD), (NEW,)))
    for sender, hearer in ((before, between), (between, between), (between, after)):
        assert hearer.opened(sender.seal({"schema": SCHEMA, "x": 1}), SCHEMA)["x"] == 1
    with pytest.raises(Rejected, match="which this node does not have"):
        after.opened(before.seal({"schema": SCHEMA}), SCHEMA)


def test_f14_what_is_too_large_is_refused_unread():
    assert reason(b"[" * (10 << 20)) == "size"
    assert reason(BODY, most=len(BODY) - 1) == "size"


@given(st.binary(max_size=300) | st.integers(0, len(BODY)).map(lambda cut: BODY[:cut]).filter(lambda cut: cut != BODY))
@settings(max_examples=60)
def test_f14_garbage_and_what_was_cut_short_are_refused(body):
    assert reason(body) in ("garbage", "signature")


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
@settings(max_examples=100)
def test_f14_no_single_byte_can_be_changed_without_its_being_noticed(place, other):
    broken = bytearray(BODY)
    broken[place] ^= other
    assert reason(bytes(broken)) in ("garbage", "signature")


def test_f14_a_lone_surrogate_that_no_utf8_can_hold_is_garbage():
    assert reason(json.dumps(json.loads(BODY) | {"x": "\ud800"}).encode()) == "garbage"
    assert reason(BODY.replace(b'"rev":4', b'"rev":4,"x":"\\ud800"')) == "garbage"


@pytest.mark.parametrize("data", [float("nan"), {1, 2}, b"bytes", "\ud800", object()])
def test_what_is_no_plain_data_cannot_be_sealed(data):
    with pytest.raises((TypeError, ValueError)):
        SEALER.seal({"schema": SCHEMA, "data": data})


def test_a_name_that_stands_twice_does_not_open_by_the_signature_of_once():
    twice = BODY.replace(b'"rev":4', b'"rev":9,"rev":5')
    assert reason(twice) == "signature"
