"""Answers to questions are taken at their word, and what is none is said to be none."""

from __future__ import annotations

import json

import pytest

from clusterlog.errors import Incomplete, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.reading import asker
from clusterlog.store.elasticsearch.reading.asker import Asker, Damage
from clusterlog.store.elasticsearch.transport import Answer
from clusterlog.store.query import Query

FIELDS = {"indices": ["one"], "fields": {"@timestamp": {"date_nanos": {"type": "date_nanos", "searchable": True}}}}
HIT = {"_index": "one", "_id": "a", "_source": {"event": {"id": "a"}}, "sort": [5, "a"]}
SHARDS = {"total": 3, "successful": 3, "skipped": 0, "failed": 0}


def answer(body, status=200, content=None, **headers):
    content = json.dumps(body).encode() if content is None else content
    return Answer(status, body, headers, "http://es:9200", content)


def hits(*found, **more):
    return answer({"took": 1, "timed_out": False, "_shards": SHARDS, "hits": {"hits": list(found)}, **more})


def refusal(status, kind, reason, **headers):
    return answer({"error": {"type": kind, "reason": reason}, "status": status}, status, **headers)


class Scripted:
    """Answers in turn, the last one for ever; the question for fields is answered by itself."""

    url = "http://es:9200"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def call(self, method, path, body=None, *, params=None, timeout=None, **options):
        if path.endswith("/_field_caps"):
            return answer(FIELDS)
        self.asked.append((method, path, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self):
        pass


@pytest.fixture
def pauses():
    """How long was waited before a question was asked again."""
    return []


@pytest.fixture
def store(pauses):
    """Make a store over a client that waits without losing time."""

    def make(client):
        made = ElasticsearchStore(client)
        made._asker._sleep = pauses.append
        return made

    return make


def test_a_server_with_too_much_to_do_is_asked_again_when_it_says(store, pauses):
    busy = refusal(429, "es_rejected_execution_exception", "rejected")
    later = refusal(429, "es_rejected_execution_exception", "rejected", **{"retry-after": "2"})
    much_later = refusal(429, "es_rejected_execution_exception", "rejected", **{"retry-after": "3600"})
    found = store(Scripted(busy, later, much_later, hits(HIT))).find(Query())
    assert [each.key for each in found] == [(5, "a")]
    assert pauses == [0.25, 2.0, 10.0]


def test_one_that_never_has_time_is_unavailable(store, pauses):
    busy = refusal(429, "es_rejected_execution_exception", "rejected execution of a search")
    with pytest.raises(StoreUnavailable, match=r"has too much to do \(429\): .*rejected execution of a search"):
        list(store(Scripted(busy)).find(Query()))
    assert len(pauses) == 3


def test_credentials_that_may_not_read_are_told_which_rights_are_needed(store):
    denied = refusal(403, "security_exception", "action [indices:data/read/search] is unauthorized")
    with pytest.raises(
        StoreDenied, match="reading needs the rights read and view_index_metadata on logs-clusterlog"
    ) as told:
        list(store(Scripted(denied)).find(Query()))
    assert told.value.exit_code == 4
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "odd",
    [
        answer(None, content=b"<html>Log in</html>"),
        answer({"status": "ok"}),
        answer([1]),
        answer(None, content=b""),
        answer({"hits": 7}),
        answer({"hits": {}}),
    ],
)
def test_what_is_no_answer_is_never_taken_for_an_empty_one(store, odd):
    with pytest.raises(StoreUnavailable, match="answers"):
        list(store(Scripted(odd)).find(Query()))


@pytest.mark.parametrize("odd", [answer(None, content=b"<html>"), answer({"count": "many"}), answer({})])
def test_what_counts_nothing_is_not_zero(store, odd):
    with pytest.raises(StoreUnavailable):
        store(Scripted(odd)).count(Query())


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_is_unavailable_with_what_it_says(store, status):
    failed = refusal(status, "search_phase_execution_exception", "all shards failed")
    with pytest.raises(StoreUnavailable, match="all shards failed"):
        list(store(Scripted(failed)).find(Query()))


NOTHING_COUNTED = (
    answer({"count": 0, "_shards": SHARDS}),
    hits(aggregations={"by": {"buckets": []}}),
)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_audit_does_without_failure_stores_that_are_not_there_or_not_for_us(store, status):
    counted, none = NOTHING_COUNTED
    refused = refusal(status, "illegal_argument_exception", "no such thing as ::failures")
    assert list(store(Scripted(counted, refused, none)).audit()) == []


@pytest.mark.parametrize("status", [429, 503, 504])
def test_an_audit_does_not_take_failure_stores_for_empty_that_cannot_be_asked_now(store, status):
    counted, _ = NOTHING_COUNTED
    busy = refusal(status, "es_rejected_execution_exception", "too much to do")
    with pytest.raises(StoreUnavailable, match="too much to do"):
        list(store(Scripted(counted, busy)).audit())


FAILED = {
    "total": 3,
    "successful": 1,
    "failed": 2,
    "failures": [
        {"shard": 0, "index": "one", "reason": {"type": "circuit_breaking_exception", "reason": "too\nlarge"}},
        {"shard": 1, "index": "one", "reason": {"type": "circuit_breaking_exception", "reason": "too\nlarge"}},
    ],
}


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"_shards": FAILED}, r"2 of 3 shards failed \(one: circuit_breaking_exception: too large\)"),
        ({"_shards": {"total": 3, "failed": 1}}, "1 of 3 shards failed"),
        ({"timed_out": True}, "the search ran out of time"),
        ({"_clusters": {"total": 2, "successful": 1, "skipped": 1}}, "1 remote clusters did not answer"),
    ],
)
def test_an_answer_that_lacks_something_gives_what_it_has_and_says_so(store, lacking, said):
    found = store(Scripted(hits(HIT, **lacking))).find(Query())
    assert next(found).key == (5, "a")
    with pytest.raises(Incomplete, match=f"some events cannot be read: {said}"):
        next(found)
    counted = answer({"count": 1, "_shards": SHARDS, **lacking})
    with pytest.raises(Incomplete, match=said):
        store(Scripted(counted)).count(Query())


def test_a_page_as_long_as_the_limit_is_the_last_that_is_asked_for(store):
    client = Scripted(hits(HIT))
    assert len(list(store(client).find(Query(limit=1)))) == 1
    assert [body["size"] for _, _, body in client.asked] == [1]
    assert list(store(client).find(Query(limit=0))) == []
    assert len(client.asked) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("2026-11-03T12:00:00.1Z", "2026-11-03T12:00:00.100000000Z"),
        ("2026-11-03T12:00:00Z", "2026-11-03T12:00:00.000000000Z"),
        ("2026-11-03T12:00:00.123456789Z", "2026-11-03T12:00:00.123456789Z"),
        ("2026-11-03T13:00:00+01:00", "2026-11-03T13:00:00+01:00"),
        (None, None),
    ],
)
def test_a_time_that_a_server_has_shortened_is_as_it_was_logged(store, given, told):
    source = {"@timestamp": given, "event": {"id": "a"}}
    (found,) = store(Scripted(hits({**HIT, "_source": source}))).find(Query())
    assert json.loads(found.body)["@timestamp"] == told


def test_what_a_server_knows_of_its_fields_is_asked_again_after_a_while():
    now = [0.0]
    asked = []

    class Counting(Scripted):
        def call(self, method, path, *arguments, **options):
            asked.append(path)
            return super().call(method, path, *arguments, **options)

    one = Asker(Counting(hits()), "logs-*", clock=lambda: now[0])
    for _ in range(3):
        one.mapping()
    assert len(asked) == 1
    now[0] = asker.MAPPING_S + 1
    one.mapping()
    assert len(asked) == 2


def test_all_that_is_lacking_is_said_once():
    damage = Damage()
    for what in ("a", "b", "a"):
        damage.note(what)
    with pytest.raises(Incomplete, match=r"cannot be read: a, and 1 more$"):
        damage.confess()
