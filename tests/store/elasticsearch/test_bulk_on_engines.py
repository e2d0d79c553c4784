"""Every answer a real server can be made to give to a bulk request, and the same sink on each of them."""

from __future__ import annotations

import json
import threading

import pytest

from clusterlog.errors import StoreDenied, StoreUnavailable

pytestmark = pytest.mark.engines

PASSWORD = "clusterlog-tests"
HASHED = "$2b$10$cw6COq.HIw2W7uQbKI146uuFFqhpL/yUCZD8fove4hOv0czxgldRW"
"""The password above as bcrypt."""
USERS = {"admin": "superuser", "shipper": "ship", "reader": "read"}
ROLES = """\
ship:
  indices:
    - {names: ["logs-clusterlog.*-*"], privileges: [auto_configure, create_doc]}
read:
  indices:
    - {names: ["logs-clusterlog.*-*"], privileges: [read, view_index_metadata]}
"""


def statuses(outcomes):
    return [each.status for each in outcomes]


@pytest.fixture(scope="module")
def secured(_engines, certificates):
    """Elasticsearch with users, roles and TLS."""
    authority, server = certificates.authority(), certificates.server()
    files = {
        "users": "".join(f"{name}:{HASHED}\n" for name in USERS),
        "users_roles": "".join(f"{role}:{name}\n" for name, role in USERS.items()),
        "roles.yml": ROLES,
        "http.pem": server.read_bytes() + authority.read_bytes(),
        "http.key": server.with_suffix(".key").read_bytes(),
    }
    settings = {
        "xpack.security.enabled": True,
        "xpack.security.http.ssl.enabled": True,
        "xpack.security.http.ssl.certificate": "http.pem",
        "xpack.security.http.ssl.key": "http.key",
    }
    return _engines("elasticsearch-8.19", settings, files=files, login=("admin", PASSWORD), ca=authority)


@pytest.fixture
def trusted(secured, sink):
    """Sinks of the secured server for a user or a token."""

    def begin(user="", **settings):
        login = f"{user}:{PASSWORD}@" if user else ""
        return sink(secured.url.replace("//", f"//{login}"), **{"ca_file": str(secured.ca), **settings})

    return begin


@pytest.fixture
def kept(secured, streams):
    """A data set of the secured server."""
    name = secured.data_set()
    streams(secured, name)
    return name


def test_the_rights_to_ship_suffice_for_shipping(trusted, secured, kept, delivery, stored):
    shipping = trusted("shipper")
    batch = [delivery(kept, 1), delivery(kept, 2)]
    assert statuses(shipping.deliver(batch)) == ["stored", "stored"]
    assert statuses(shipping.deliver(batch)) == ["duplicate", "duplicate"]
    assert len(stored(secured, kept)) == 2


def test_with_the_rights_to_ship_alone_a_duplicate_cannot_be_compared(trusted, kept, delivery):
    shipping, mine = trusted("shipper"), delivery(kept, 1)
    shipping.deliver([mine])
    (duplicate,) = shipping.deliver([mine])
    assert shipping.same([(mine, duplicate)]) == [None]
    assert trusted("reader").same([(mine, duplicate)]) == [True]


def test_the_rights_to_read_do_not_suffice_for_shipping(trusted, kept, delivery):
    with pytest.raises(StoreDenied, match="403") as told:
        trusted("reader").deliver([delivery(kept, 1)])
    assert told.value.advice == "wait" and "reader" in str(told.value)


def test_a_wrong_password_is_told_and_waits_for_a_person(secured, sink, delivery):
    wrong = sink(secured.url.replace("//", "//shipper:wrong@"), ca_file=str(secured.ca))
    with pytest.raises(StoreDenied, match="401") as told:
        wrong.deliver([delivery("clusterlog.app", 1)])
    assert told.value.advice == "wait" and "user and password in the URL" in str(told.value)
    assert "wrong" not in str(told.value)


def test_no_credentials_are_told_from_wrong_ones(trusted, delivery):
    with pytest.raises(StoreDenied, match="set token or token_file"):
        trusted().deliver([delivery("clusterlog.app", 1)])


def test_a_stream_outside_of_our_rights_keeps_events_waiting(secured, trusted, kept, delivery):
    role = {"indices": [{"names": ["logs-clusterlog.other-*"], "privileges": ["auto_configure", "create_doc"]}]}
    secured.call("PUT", "/_security/role/elsewhere", role)
    made = secured.call("POST", "/_security/api_key", {"name": "k", "role_descriptors": {"elsewhere": role}})[1]
    (outcome,) = trusted(token=made["encoded"]).deliver([delivery(kept, 1)])
    assert outcome.status == "blocked" and "security_exception" in outcome.reason


@pytest.mark.parametrize("form", ["encoded", "pair", "file"])
def test_an_api_key_is_taken_in_each_of_its_forms_and_refused_when_it_is_revoked(
    secured, trusted, kept, delivery, tmp_path, form
):
    role = {"indices": [{"names": ["logs-clusterlog.*-*"], "privileges": ["auto_configure", "create_doc"]}]}
    made = secured.call("POST", "/_security/api_key", {"name": "k", "role_descriptors": {"r": role}})[1]
    if form == "file":
        (tmp_path / "key.json").write_text(json.dumps(made))
        given = {"token_file": str(tmp_path / "key.json")}
    else:
        given = {"token": made["encoded"] if form == "encoded" else f"{made['id']}:{made['api_key']}"}
    shipping = trusted(**given)
    assert statuses(shipping.deliver([delivery(kept, 1)])) == ["stored"]
    assert secured.call("DELETE", "/_security/api_key", {"ids": [made["id"]]})[0] == 200
    with pytest.raises(StoreDenied, match="401"):
        shipping.deliver([delivery(kept, 2)])


def test_the_server_is_believed_by_its_fingerprint_or_that_of_its_authority(
    secured, sink, certificates, kept, delivery
):
    url = secured.url.replace("//", f"//shipper:{PASSWORD}@")
    for n, known in enumerate((certificates.server(), certificates.authority()), start=1):
        pinned = sink(url, fingerprint=certificates.fingerprint(known))
        assert statuses(pinned.deliver([delivery(kept, n)])) == ["stored"]


def test_plain_http_to_it_is_told(secured, sink, delivery):
    with pytest.raises(StoreUnavailable, match="does it speak https"):
        sink(secured.url.replace("https", "http")).deliver([delivery("clusterlog.app", 1)])


@pytest.fixture(scope="module")
def narrow(_engines):
    """Elasticsearch that can take hardly anything at a time."""
    settings = {
        "http.max_content_length": "1mb",
        "indexing_pressure.memory.coordinating.limit": "200kb",
        "thread_pool.write.size": 1,
        "thread_pool.write.queue_size": 1,
    }
    return _engines("elasticsearch-8.19", settings)


@pytest.fixture
def strained(narrow, streams):
    """A data set of it."""
    name = narrow.data_set()
    streams(narrow, name)
    return name


def test_a_request_beyond_what_the_server_may_hold_is_sent_more_slowly(narrow, sink, strained, delivery):
    batch = [delivery(strained, n, labels={"text": "x" * 3000}) for n in range(1, 101)]
    with pytest.raises(StoreUnavailable) as told:
        sink(narrow.url).deliver(batch)
    assert told.value.advice == "slower" and "429" in str(told.value) and "rejected_execution" in str(told.value)


def test_a_request_beyond_what_http_may_carry_is_halved(narrow, sink, strained, delivery):
    batch = [delivery(strained, n, labels={"text": "x" * 3000}) for n in range(1, 501)]
    with pytest.raises(StoreUnavailable) as told:
        sink(narrow.url).deliver(batch)
    assert told.value.advice == "halve"


def test_what_a_full_queue_rejects_is_sent_again_and_the_rest_is_stored(narrow, sink, streams, delivery, stored):
    names = [narrow.data_set() for _ in range(3)]
    for each in names:
        streams(narrow, each)
    shipping = sink(narrow.url)
    shipping.deliver(
        [delivery(each, 0) for each in names]
    )  # the streams are there: making them is not what is rejected
    judged, advice = {}, set()

    def deliver(part):
        for turn in range(8):
            batch = [delivery(each, part * 1000 + turn * 10 + n) for n in range(1, 6) for each in names]
            try:
                outcomes = shipping.deliver(batch)
            except StoreUnavailable as busy:  # the whole request was rejected
                advice.add(busy.advice)
                continue
            for event, outcome in zip(batch, outcomes, strict=True):
                judged[json.loads(event.body)["event"]["dataset"], event.id] = outcome

    threads = [threading.Thread(target=deliver, args=(part,)) for part in range(1, 17)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = {outcome.status for outcome in judged.values()}
    assert found == {"stored", "retry"} and advice <= {"slower"}
    there = {(each, id) for each in names for id in stored(narrow, each)}
    assert {key for key, outcome in judged.items() if outcome.status == "stored"} <= there
    again = [key for key, outcome in judged.items() if outcome.status == "retry"]
    assert not there & set(again)


def test_a_full_disk_keeps_events_waiting_and_takes_them_afterwards(narrow, sink, strained, delivery, stored, until):
    shipping, numbers = sink(narrow.url), iter(range(1, 10_000))
    shipping.deliver([delivery(strained, 0)])
    watermark = "cluster.routing.allocation.disk"
    full = {f"{watermark}.watermark.{name}": "1%" for name in ("low", "high", "flood_stage")}
    change = {f"{watermark}.threshold_enabled": True, "cluster.info.update.interval": "10s", **full}
    assert narrow.call("PUT", "/_cluster/settings", {"persistent": change})[0] == 200
    try:
        waiting = until(
            lambda: [o for o in shipping.deliver([delivery(strained, next(numbers))]) if o.status == "retry"]
        )
        assert "flood-stage watermark" in waiting[0].reason
    finally:
        off = {**dict.fromkeys(change), f"{watermark}.threshold_enabled": False}
        assert narrow.call("PUT", "/_cluster/settings", {"persistent": off})[0] == 200
        narrow.call("PUT", f"/logs-{strained}-test/_settings", {"index.blocks.read_only_allow_delete": None})
    last = delivery(strained, 10_000)
    assert until(lambda: statuses(shipping.deliver([last])) in (["stored"], ["duplicate"]))
    assert last.id in stored(narrow, strained)


@pytest.fixture(params=["elasticsearch_9", "opensearch"])
def other(request):
    """Elasticsearch 9.5 and OpenSearch, each with a data set."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def elsewhere(other, streams):
    name = other.data_set()
    streams(other, name)
    return name


def test_each_server_stores_judges_and_knows_again(other, sink, elsewhere, delivery, stored):
    shipping = sink(other.url)
    batch = [delivery(elsewhere, 1), delivery(elsewhere, 2, count={"not": "a number"}), delivery(elsewhere, 3)]
    assert statuses(shipping.deliver(batch)) == ["stored", "refused", "stored"]
    again = shipping.deliver([batch[0], delivery(elsewhere, 3, message="another")])
    assert statuses(again) == ["duplicate", "duplicate"]
    assert shipping.same([(batch[0], again[0]), (delivery(elsewhere, 3, message="another"), again[1])]) == [True, False]
    assert stored(other, elsewhere) == [batch[0].id, batch[2].id]


def test_no_server_makes_an_index_where_a_stream_belongs(other, sink, elsewhere, delivery):
    """OpenSearch has no parameter for it: without our looking it would make a plain index without mappings."""
    plain = other.data_set()
    template = {"index_patterns": [f"logs-{plain}-*"], "priority": 1000}
    assert other.call("PUT", f"/_index_template/{plain}", template)[0] == 200
    shipping = sink(other.url)
    outcomes = shipping.deliver([delivery(plain, 1), delivery(elsewhere, 2), delivery(plain, 3)])
    assert statuses(outcomes) == ["blocked", "stored", "blocked"]
    assert outcomes[0].reason.startswith(f"no template makes a data stream of logs-{plain}-test: run")
    assert other.call("GET", f"/logs-{plain}-test")[0] == 404
    assert statuses(shipping.deliver([delivery(elsewhere, 4)])) == ["stored"]


def test_a_read_only_index_keeps_events_waiting_on_each_server(other, sink, elsewhere, delivery):
    shipping = sink(other.url)
    shipping.deliver([delivery(elsewhere, 1)])
    where = f"/logs-{elsewhere}-test/_settings"
    assert other.call("PUT", where, {"index.blocks.read_only_allow_delete": True})[0] == 200
    assert statuses(shipping.deliver([delivery(elsewhere, 2)])) == ["retry"]


def test_on_each_server_a_request_that_cannot_be_read_is_bisected(other, client):
    from clusterlog.store.elasticsearch.judge import trouble

    for body in (b'{"create":\n{}\n', b'{"creat":{}}\n{}\n', b'{"create":{"_id":"1"}}\n{}', b"\xff\n{}\n"):
        answer = client(other.url).call("POST", "/_bulk", body, ndjson=True)
        assert (answer.status, trouble(answer).advice) == (400, "bisect"), answer.content
