"""Events in a real Elasticsearch, each judged by what it answers."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.store.base import Comparing, Delivery, Outcome, Placing


def statuses(outcomes):
    return [each.status for each in outcomes]


@pytest.fixture
def dataset(elasticsearch, streams):
    name = elasticsearch.data_set()
    streams(elasticsearch, name)
    return name


@pytest.fixture
def open_sink(elasticsearch, sink):
    return sink(elasticsearch.url)


def test_events_are_created_under_their_own_ids_and_given_back_as_they_were(
    open_sink, elasticsearch, dataset, delivery, stored
):
    batch = [delivery(dataset, n, labels={"n": n}) for n in range(1, 51)]
    assert statuses(open_sink.deliver(batch)) == ["stored"] * 50
    assert stored(elasticsearch, dataset) == [each.id for each in batch]
    asked = {"query": {"ids": {"values": [batch[6].id]}}}
    found = elasticsearch.call("POST", f"/logs-{dataset}-test/_search", asked)[1]["hits"]["hits"][0]
    assert found["_source"] == json.loads(batch[6].body) and found["_index"].startswith(f".ds-logs-{dataset}-test-")


def test_a_second_copy_of_an_id_is_a_duplicate_and_stored_once(open_sink, elasticsearch, dataset, delivery, stored):
    batch = [delivery(dataset, n) for n in (1, 2)]
    open_sink.deliver(batch)
    assert statuses(open_sink.deliver([*batch, delivery(dataset, 3)])) == ["duplicate", "duplicate", "stored"]
    assert len(stored(elasticsearch, dataset)) == 3


def test_one_that_does_not_fit_costs_none_of_its_neighbours(open_sink, dataset, delivery):
    batch = [delivery(dataset, 1), delivery(dataset, 2, count={"not": "a number"}), delivery(dataset, 3)]
    outcomes = open_sink.deliver(batch)
    assert statuses(outcomes) == ["stored", "refused", "stored"]
    assert outcomes[1].reason.startswith("document_parsing_exception: ") and "[count]" in outcomes[1].reason
    assert "{" not in outcomes[1].reason.partition("Preview")[0], "no source of the event stands in it"


def test_what_is_no_event_is_refused_beside_what_is_judged(open_sink, dataset, delivery):
    batch = [Delivery("x-1", "x", 1, b"not JSON"), delivery(dataset, 1), Delivery("x-2", "x", 2, b"[]")]
    assert statuses(open_sink.deliver(batch)) == ["refused", "stored", "refused"]
    assert statuses(open_sink.deliver([batch[0]])) == ["refused"]


def test_twice_the_same_name_in_one_event_is_refused(open_sink, dataset, delivery):
    event = delivery(dataset, 1)
    twice = Delivery(event.id, event.instance, 1, event.body[:-1] + b',"count":1,"count":2}')
    assert statuses(open_sink.deliver([twice])) == ["refused"]


@pytest.fixture
def without_streams(elasticsearch):
    """A data set for which no template makes streams, whatever other templates there are by now."""
    name = elasticsearch.data_set()
    plain = {"index_patterns": [f"logs-{name}-*"], "priority": 1000}
    assert elasticsearch.call("PUT", f"/_index_template/{name}", plain)[0] == 200
    return name


def test_without_a_template_nothing_is_made_and_it_is_said_what_to_run(
    open_sink, elasticsearch, without_streams, delivery
):
    dataset = without_streams
    (outcome,) = open_sink.deliver([delivery(dataset, 1)])
    assert outcome.status == "blocked"
    told = f"no template makes a data stream of logs-{dataset}-test: run `clusterlog setup elasticsearch`"
    assert outcome.reason == told
    assert elasticsearch.call("GET", f"/logs-{dataset}-test")[0] == 404


def test_an_index_in_the_place_of_a_stream_is_named(open_sink, elasticsearch, without_streams, delivery):
    dataset = without_streams
    assert elasticsearch.call("PUT", f"/logs-{dataset}-test")[0] == 200
    (outcome,) = open_sink.deliver([delivery(dataset, 1)])
    assert outcome.status == "blocked" and f"logs-{dataset}-test is an index, not a data stream" in outcome.reason


@pytest.mark.parametrize(
    ("block", "status", "said"),
    [
        ("read_only_allow_delete", "retry", "flood-stage watermark"),
        ("write", "blocked", "cluster_block_exception"),
        ("read_only", "blocked", "cluster_block_exception"),
    ],
)
def test_an_index_that_may_not_be_written_keeps_events_waiting(
    open_sink, elasticsearch, dataset, delivery, stored, block, status, said
):
    open_sink.deliver([delivery(dataset, 1)])
    where = f"/logs-{dataset}-test/_settings"
    assert elasticsearch.call("PUT", where, {f"index.blocks.{block}": True})[0] == 200
    (outcome,) = open_sink.deliver([delivery(dataset, 2)])
    assert outcome.status == status and said in outcome.reason
    assert elasticsearch.call("PUT", where, {f"index.blocks.{block}": None})[0] == 200
    assert statuses(open_sink.deliver([delivery(dataset, 2)])) == ["stored"]
    assert len(stored(elasticsearch, dataset)) == 2


def test_a_stream_whose_pipeline_is_missing_keeps_events_waiting(open_sink, elasticsearch, streams, delivery):
    dataset = elasticsearch.data_set()
    streams(elasticsearch, dataset, settings={"index.default_pipeline": "nothing"})
    assert statuses(open_sink.deliver([delivery(dataset, 1)])) == ["blocked"]


def test_after_a_rollover_a_copy_is_stored_again_but_never_twice_in_one_index(
    open_sink, elasticsearch, dataset, delivery, stored
):
    batch = [delivery(dataset, 1), delivery(dataset, 2)]
    assert isinstance(open_sink, Placing)
    before = open_sink.deliver_placed(batch)
    assert elasticsearch.call("POST", f"/logs-{dataset}-test/_rollover")[0] == 200
    after = open_sink.deliver_placed(batch)
    assert statuses(before) == statuses(after) == ["stored", "stored"], "the new index knows nothing of the old one"
    assert [{each.place[-7:] for each in told} for told in (before, after)] == [{"-000001"}, {"-000002"}]
    assert [each.place for each in open_sink.deliver(batch)] == [each.place for each in after]
    asked = {"size": 10, "query": {"match_all": {}}}
    elasticsearch.call("POST", f"/logs-{dataset}-test/_refresh")
    hits = elasticsearch.call("POST", f"/logs-{dataset}-test/_search", asked)[1]["hits"]["hits"]
    assert len({(hit["_index"], hit["_id"]) for hit in hits}) == len(hits) == 4


def test_an_event_in_the_failure_store_is_counted_apart(open_sink, elasticsearch, streams, delivery, stored):
    dataset = elasticsearch.data_set()
    streams(elasticsearch, dataset, data_stream_options={"failure_store": {"enabled": True}})
    batch = [delivery(dataset, 1), delivery(dataset, 2, count={"not": "a number"})]
    outcomes = open_sink.deliver(batch)
    assert statuses(outcomes) == ["stored", "failure_store"]
    assert stored(elasticsearch, dataset) == [batch[0].id]
    elasticsearch.call("POST", f"/logs-{dataset}-test::failures/_refresh")
    failures = elasticsearch.call("GET", f"/logs-{dataset}-test::failures/_search")[1]["hits"]["hits"]
    assert [hit["_source"]["document"]["id"] for hit in failures] == [batch[1].id]


def test_where_the_failure_store_is_off_what_does_not_fit_is_refused(open_sink, elasticsearch, streams, delivery):
    dataset = elasticsearch.data_set()
    streams(elasticsearch, dataset, data_stream_options={"failure_store": {"enabled": False}})
    assert statuses(open_sink.deliver([delivery(dataset, 1, count=1)])) == ["stored"]
    assert statuses(open_sink.deliver([delivery(dataset, 2, count={"a": 1})])) == ["refused"]


def test_a_duplicate_can_be_compared_by_content_at_once(open_sink, dataset, delivery):
    mine, other = delivery(dataset, 1), delivery(dataset, 2)
    open_sink.deliver([mine, other])
    changed = delivery(dataset, 2, message="something else")
    outcomes = open_sink.deliver([mine, changed])
    assert statuses(outcomes) == ["duplicate", "duplicate"]
    assert isinstance(open_sink, Comparing)
    assert open_sink.same([(mine, outcomes[0]), (changed, outcomes[1])]) == [True, False]


@pytest.mark.parametrize("place", ["", "no-such-index", ".ds-logs-nothing-000001"])
def test_what_cannot_be_looked_up_is_unknown(open_sink, dataset, delivery, place):
    mine = delivery(dataset, 1)
    open_sink.deliver([mine])
    assert open_sink.same([(mine, Outcome("duplicate", place=place))]) == [None]


def test_duplicates_by_the_hundred_are_compared(open_sink, dataset, delivery):
    batch = [delivery(dataset, n) for n in range(1, 251)]
    open_sink.deliver(batch)
    outcomes = open_sink.deliver(batch)
    assert open_sink.same(list(zip(batch, outcomes, strict=True))) == [True] * 250


def test_every_kind_of_event_goes_to_its_own_stream(open_sink, elasticsearch, streams, delivery):
    first, second = elasticsearch.data_set(), elasticsearch.data_set()
    for each in (first, second):
        streams(elasticsearch, each)
    batch = [delivery(first, 1), delivery(second, 2, service={"environment": "Prod-EU"})]
    assert statuses(open_sink.deliver(batch)) == ["stored", "stored"]
    names = [hit["name"] for hit in elasticsearch.call("GET", "/_resolve/index/logs-clusterlog.t*")[1]["data_streams"]]
    assert {f"logs-{first}-test", f"logs-{second}-prod_eu"} <= set(names)


def test_threads_may_share_a_sink(open_sink, elasticsearch, dataset, delivery, stored):
    outcomes = []

    def deliver(part):
        outcomes.extend(open_sink.deliver([delivery(dataset, part * 100 + n) for n in range(1, 51)]))

    threads = [threading.Thread(target=deliver, args=(part,)) for part in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert statuses(outcomes) == ["stored"] * 400 and len(stored(elasticsearch, dataset)) == 400


def test_a_compressed_request_is_understood(open_sink, dataset, delivery, monkeypatch):
    sent = []
    monkeypatch.setattr(open_sink._client, "_compresses", True)
    perform = open_sink._client._transport.perform_request
    monkeypatch.setattr(
        open_sink._client._transport, "perform_request", lambda *a, **k: sent.append(k) or perform(*a, **k)
    )
    assert statuses(open_sink.deliver([delivery(dataset, n) for n in range(1, 21)])) == ["stored"] * 20
    assert sent[0]["headers"]["content-encoding"] == "gzip" and sent[0]["body"].startswith(b"\x1f\x8b")


def test_a_request_that_may_have_arrived_is_sent_once_whatever_hosts_there_are(sink, speaker, delivery):
    """The shipper has to know: what it sent before decides what a duplicate means."""
    silent = [speaker(None), speaker(None)]
    shipping = sink(",".join(f"http://127.0.0.1:{each.port}" for each in silent))
    with pytest.raises(StoreUnavailable):
        shipping.deliver([delivery("clusterlog.app", 1)])
    assert sum(len(each.requests) for each in silent) == 1


def test_an_unknown_path_waits_for_a_person(elasticsearch, sink, delivery, dataset):
    with pytest.raises(StoreUnavailable) as told:
        sink(f"{elasticsearch.url}/not/here").deliver([delivery(dataset, 1)])
    assert told.value.advice == "wait" and "no handler" in str(told.value)


def test_several_that_meet_an_unknown_parameter_at_once_all_do_without_it(sink, speaker, delivery):
    refused = threading.Barrier(2, timeout=60)

    def answer(request):
        if b"include_source_on_error" not in request:
            return _http(200, {"errors": False, "items": [{"create": {"status": 201}}]})
        refused.wait()
        reason = "request [/_bulk] contains unrecognized parameter: [include_source_on_error]"
        return _http(400, {"error": {"type": "illegal_argument_exception", "reason": reason}})

    sent = sink(f"http://127.0.0.1:{speaker(answer).port}")
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(sent.deliver, [delivery("clusterlog.app", n)]) for n in (1, 2)]
        assert [each.result()[0].status for each in begun] == ["stored", "stored"]


def _http(status, body):
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d Told\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(content),
        content,
    )
