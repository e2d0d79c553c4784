"""Requests to real servers: what is sent, what an answer is, and which host is asked."""

from __future__ import annotations

import pytest

from clusterlog.errors import StoreUnavailable


def test_an_answer_has_status_parsed_body_headers_and_the_host_without_credentials(client, elasticsearch):
    asked = client(elasticsearch.url.replace("//", "//somebody:secret@"))
    answer = asked.call("GET", "/_cluster/health", params={"timeout": "5s"})
    assert answer.status == 200
    assert answer.body["status"] in ("green", "yellow")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.node == elasticsearch.url


def test_any_status_is_an_answer(client, elasticsearch):
    answer = client(elasticsearch.url).call("GET", f"/{elasticsearch.data_set()}")
    assert answer.status == 404
    assert answer.body["error"]["type"] == "index_not_found_exception"


def test_a_document_is_sent_as_a_dictionary_and_a_bulk_as_bytes(client, elasticsearch):
    asked, index = client(elasticsearch.url), elasticsearch.data_set()
    bulk = b'{"create":{"_id":"1"}}\n{"n":1}\n{"create":{"_id":"2"}}\n{"n":2}\n'
    assert asked.call("POST", f"/{index}/_bulk", bulk, ndjson=True, params={"refresh": "true"}).body["errors"] is False
    found = asked.call("POST", f"/{index}/_search", {"query": {"term": {"n": 2}}}).body
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["2"]


def test_a_host_that_does_not_answer_is_passed_by(client, elasticsearch, unused_port):
    asked = client(f"http://127.0.0.1:{unused_port},{elasticsearch.url}")
    assert {asked.call("GET", "/_cluster/health").node for _ in range(4)} == {elasticsearch.url}


def test_where_no_host_answers_each_is_named_with_its_trouble(client, unused_port):
    asked = client(f"http://somebody:secret@127.0.0.1:{unused_port},localhost")
    with pytest.raises(StoreUnavailable) as raised:
        asked.call("GET", "/")
    told = str(raised.value)
    for where in (f"http://127.0.0.1:{unused_port}", f"http://localhost:{unused_port}"):
        assert f"{where}: nothing listens there (connection refused)" in told
    assert "secret" not in told
