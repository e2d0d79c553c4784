"""Strangers' documents become events by the rules of ``ingest``; what bears its own id is taken as it is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusterlog.encode.identity import hashes
from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.web.intake.bulk import Item
from clusterlog.web.intake.events import Strangers, ours, place, same

OWN = "0190aaaa0000700080000000000000f0-0000000001f"
RECORD = {"timeUnixNano": "1793707200000000000", "body": {"stringValue": "a"}}
NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z"""


@pytest.fixture
def settings(tmp_path):
    return load({"home": str(tmp_path)})


@pytest.fixture
def strangers(settings):
    return Strangers(settings, lambda: NOON)


def item(document, id=None, index="shop", action="index"):
    return Item(action, index, id, document if isinstance(document, bytes) else json.dumps(document).encode())


def made(strangers, *items, peer="10.0.0.7"):
    with strangers.numbering(peer) as numbering:
        return [numbering.event(each) for each in items]


def event(strangers, document, **about):
    (delivery,) = made(strangers, item(document, **about))
    return json.loads(delivery.body)


def test_an_id_of_our_own_form_names_its_place():
    assert place(OWN) == (OWN[:32], 0x1F)
    assert [place(each) for each in ("", OWN[:-1], OWN + "0", OWN.upper(), OWN.replace("-", "+"))] == [None] * 5


def test_what_bears_the_id_it_is_sent_under_is_taken_byte_for_byte():
    body = b'{"event" : {"id":"abc"}, "password":"as it came"}'
    assert ours(item(body, "abc")) == Delivery("abc", "", 0, body)
    assert ours(item(body, OWN)) == Delivery(OWN, OWN[:32], 0x1F, body)  # the store refuses it
    assert ours(item(body, "other")) == Delivery("other", "", 0, body)  # so it does here


@pytest.mark.parametrize("document", [b"{", b"[]", b"{}", b'{"event": "placed"}', b'{"event": {"id": 5}}'])
def test_anything_else_is_a_stranger_s(document):
    assert ours(item(document, "abc")) is None
    assert ours(item(document)) is None


def test_a_stranger_s_document_gets_an_id_a_number_and_a_place(strangers):
    first, second = made(strangers, item({"message": "a"}), item({"message": "b"}))
    (third,) = made(strangers, item({"message": "c"}))
    assert first.instance == second.instance == third.instance
    assert [each.sequence for each in (first, second, third)] == [1, 2, 3]
    told = json.loads(third.body)
    assert told["event"] == {"id": third.id, "sequence": 3, "kind": "event", "dataset": "clusterlog.app"}
    assert told["process"] == {"entity_id": third.instance}
    assert third.id == f"{third.instance}-{3:011x}"
    assert told["clusterlog"]["ingest"] == {"format": "bulk", "time": "arrival"}
    assert "log" not in told


def test_the_levels_of_pino_are_those_of_pino(strangers):
    line = {"pid": 7, "hostname": "web-1", "msg": "it failed"}
    levels = {10: "trace", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}
    assert {level: event(strangers, {**line, "level": level})["log"]["level"] for level in levels} == {
        **levels,
        10: "debug",
    }
    assert event(strangers, {"message": "by Python", "level": 50})["log"]["level"] == "critical"


def test_another_life_of_the_server_is_another_instance(settings, strangers):
    (one,), (other,) = made(strangers, item({"message": "a"})), made(Strangers(settings), item({"message": "a"}))
    assert one.instance != other.instance


def test_names_are_mapped_and_people_and_secrets_kept_out(strangers, settings):
    line = {  # pino's words
        "level": 50,
        "time": 1_793_707_199_000,
        "pid": 7,
        "hostname": "web-1",
        "name": "checkout",
        "reqId": "req-1",
        "user": "alice",
        "password": "hunter2",
        "msg": "it failed",
        "cart": 3,
    }
    told = event(strangers, line)
    assert told["@timestamp"] == "2026-11-03T11:59:59.000000000Z"
    assert (told["message"], told["log"]["level"], told["process"]["pid"]) == ("it failed", "error", 7)
    assert told["http"]["request"]["id"] == "req-1"
    assert told["user"]["hash"] == hashes(settings, "alice")[0]
    assert "alice" not in json.dumps(told) and "hunter2" not in json.dumps(told)
    assert told["labels"]["cart"] == 3
    assert "time" not in told["clusterlog"]["ingest"]


def test_an_error_that_pino_tells_of_is_one(strangers):
    stack = "Error: boom\n    at charge (/srv/pay.js:3:33)\n    at main (/srv/pay.js:9:1)"
    line = {"level": 50, "pid": 7, "hostname": "web-1", "msg": "it failed"}
    told = event(strangers, {**line, "err": {"type": "Error", "message": "boom", "stack": stack}})
    assert (told["error"]["type"], told["error"]["message"]) == ("Error", "boom")
    assert told["error"]["stack_trace"] == stack
    assert "labels" not in told


@pytest.mark.parametrize(
    ("index", "service"),
    [
        ("shop", "shop"),
        ("logs-shop-production", "shop"),
        ("logs-shop-eu-west", "shop"),
        ("a-b", "a-b"),
        ("", "10.0.0.7"),
    ],
)
def test_where_it_does_not_say_whose_it_is_the_index_and_the_sender_tell(strangers, index, service):
    told = event(strangers, {"message": "a"}, index=index)["service"]
    assert told == {"name": service, "node": {"name": "10.0.0.7"}, "environment": "development"}


def test_what_it_says_itself_counts(strangers):
    told = event(strangers, {"message": "a", "service": {"name": "pay", "environment": "test"}, "host.name": "h"})
    assert told["service"] == {"name": "pay", "node": {"name": "h"}, "environment": "test"}


def test_without_a_time_it_is_found_when_it_came(strangers):
    assert event(strangers, {"message": "a"})["@timestamp"] == "2026-11-03T12:00:00.000000000Z"


@pytest.mark.parametrize("document", [{"message": "a"}, {"message": "a", "event": {"outcome": "success"}}])
def test_an_id_it_is_sent_under_becomes_its_own_and_takes_no_number(strangers, document):
    named, numbered = made(strangers, item(document, "abc"), item(document))
    assert (named.id, named.sequence, numbered.sequence) == ("abc", 0, 1)
    told = json.loads(named.body)["event"]
    assert told["id"] == "abc"
    assert "sequence" not in told
    assert told.get("outcome") == document.get("event", {}).get("outcome")


def test_an_id_in_the_document_is_kept_as_well(strangers):
    (found,) = made(strangers, item({"@timestamp": "2026-11-03T12:00:00Z", "ecs.version": "8.0", "event.id": "xyz"}))
    assert (found.id, json.loads(found.body)["event"]["id"]) == ("xyz", "xyz")


def test_an_event_of_ours_without_an_id_gets_a_number_and_stays_what_it_is(strangers):
    line = {
        "@timestamp": "2026-11-03T12:00:00.000000001Z",
        "event": {"kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "shop"},
        "message": "by JsonFormatter",
        "labels": {"a": 1},
    }
    told = event(strangers, line)
    assert (told["message"], told["labels"], told["log"]) == (line["message"], {"a": 1}, line["log"])
    assert told["event"]["sequence"] == 1
    assert event(strangers, line, id="abc")["event"] == {**line["event"], "id": "abc"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"),
        (b'{"a":', "not JSON"),
        (b"[1]", "a list and not an object"),
        (b"7", "JSON, but no object"),
        (b'{"resourceLogs": []}', "no record in it"),
        (json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [RECORD, RECORD]}]}]}).encode(), "2 events in one"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason_and_takes_no_number(strangers, document, reason):
    with strangers.numbering("") as numbering:
        with pytest.raises(ValueError, match=reason):
            numbering.event(item(document))
        assert numbering.event(item({"message": "a"})).sequence == 1


@pytest.mark.parametrize("id", ["a\nb", "x" * 257, "\x00"])
def test_an_id_that_no_event_can_have_is_refused(strangers, id):
    with strangers.numbering("") as numbering, pytest.raises(ValueError, match="1 to 256 printable"):
        numbering.event(item({"message": "a"}, id))


def test_what_was_not_stored_leaves_no_gap_in_the_numbers(strangers):
    def fail():
        with strangers.numbering("") as numbering:
            numbering.event(item({"message": "b"}))
            raise OSError("full")

    made(strangers, item({"message": "a"}))
    with pytest.raises(OSError, match="full"):
        fail()
    with strangers.numbering("") as numbering:
        numbering.event(item({"message": "c"}))
        numbering.take_back()
    (after,) = made(strangers, item({"message": "d"}))
    assert after.sequence == 2


def test_two_requests_at_once_share_no_number(strangers):
    def send(number):
        return [each.id for each in made(strangers, *[item({"message": f"{number}"})] * 20)]

    with ThreadPoolExecutor(8) as pool:
        ids = [id for found in pool.map(send, range(40)) for id in found]
    assert len(set(ids)) == 800


def test_the_same_document_sent_again_is_the_same_though_it_has_the_time_of_its_arrival(settings):
    clock = iter(range(NOON, NOON + 5))
    strangers = Strangers(settings, lambda: next(clock))
    one, again, other, timed, later = (
        made(strangers, item(document, "abc"))[0]
        for document in (
            {"a": 1},
            {"a": 1},
            {"a": 2},
            {"a": 1, "time": "2026-11-03T12:00:00Z"},
            {"a": 1, "time": "2026-11-03T12:00:01Z"},
        )
    )
    assert one.body != again.body
    assert same(again, one.body)
    assert not same(other, one.body)
    assert not same(timed, one.body)
    assert not same(later, timed.body)
