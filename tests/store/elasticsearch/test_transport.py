"""Requests to real servers: what is sent, what an answer is, and which host is asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusterlog.errors import StoreUnavailable

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


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


def test_what_may_have_arrived_goes_to_another_host_only_where_it_may_be_sent_twice(client, speaker):
    silent, alive = speaker(None), speaker()
    for again in (True, False):
        asked = client(f"http://127.0.0.1:{silent.port},127.0.0.1:{alive.port}")
        outcomes = set()
        for _ in range(4):
            try:
                outcomes.add(asked.call("POST", "/", b"{}", again=again).status)
            except StoreUnavailable as told:
                outcomes.add(told.advice)
        assert outcomes == ({200} if again else {200, "again"})


def test_a_host_that_is_down_is_left_alone_for_a_while(client, speaker):
    """What it answers is the gateway's before it: the others are asked, and it hardly."""
    down, alive = speaker(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), speaker()
    asked = client(f"http://127.0.0.1:{down.port},127.0.0.1:{alive.port}")
    assert {asked.call("GET", "/").status for _ in range(20)} == {200}
    assert len(down.requests) == 1


def test_a_request_that_waits_too_long_asks_for_fewer_at_a_time(client, speaker):
    with pytest.raises(StoreUnavailable) as told:
        client(f"http://127.0.0.1:{speaker('hang').port}").call("POST", "/_bulk", b"{}", timeout=0.3, again=False)
    assert told.value.advice == "slower"


def test_each_host_gets_its_own_password_and_no_other(client, speaker):
    first, second = speaker(), speaker()
    asked = client(f"http://a:1@127.0.0.1:{first.port},b:2@127.0.0.1:{second.port}")
    for _ in range(4):
        asked.call("GET", "/")
    assert (
        {b"Basic YTox" in each for each in first.requests}
        == {b"Basic Yjoy" in each for each in second.requests}
        == {True}
    )


def test_a_replaced_token_is_taken_from_its_file_without_a_word(client, speaker, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    server = speaker(lambda request: ANSWER if b"ApiKey new" in request else REFUSAL)
    asked = client(f"http://127.0.0.1:{server.port}", token_file=str(file))
    assert asked.call("GET", "/").status == 401
    file.write_text("new")
    assert asked.call("GET", "/").status == 200
    assert len(server.requests) == 3


def test_several_that_are_refused_with_the_same_token_all_take_the_new_one(client, speaker, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    refused = threading.Barrier(2, timeout=60)

    def answer(request):
        if b"ApiKey new" in request:
            return ANSWER
        refused.wait()
        return REFUSAL

    asked = client(f"http://127.0.0.1:{speaker(answer).port}", token_file=str(file))
    file.write_text("new")
    with ThreadPoolExecutor(2) as pool:
        assert [each.result().status for each in [pool.submit(asked.call, "GET", "/") for _ in range(2)]] == [200, 200]


def test_a_token_file_that_is_gone_for_a_moment_leaves_the_refusal_as_it_is(client, speaker, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    asked = client(f"http://127.0.0.1:{speaker(REFUSAL).port}", token_file=str(file))
    file.unlink()
    assert asked.call("GET", "/").status == 401


def test_a_redirection_is_not_followed_with_our_credentials(client, speaker):
    other = speaker()
    to = f"Location: http://127.0.0.1:{other.port}/\r\n".encode()
    server = speaker(b"HTTP/1.1 307 Temporary Redirect\r\n" + to + b"Content-Length: 0\r\n\r\n")
    assert client(f"http://u:p@127.0.0.1:{server.port}").call("GET", "/").status == 307
    assert not other.requests


def test_large_bodies_are_compressed_but_not_on_the_way_to_this_machine(client, speaker, proxy):
    own, way = speaker(), proxy()
    client(f"http://127.0.0.1:{own.port}").call("POST", "/", b"x" * 5000)
    asked = client("http://es.example:9200", proxy=f"http://127.0.0.1:{way.port}")
    for size in (5000, 100):
        asked.call("POST", "/", b"x" * size)
    packed = [b"content-encoding: gzip" in each.lower() for each in (*own.requests, *way.requests)]
    assert packed == [False, True, False] and len(way.requests[0]) < 1000
    wanted = [b"accept-encoding: gzip" in each.lower() for each in (*own.requests, *way.requests)]
    assert wanted == [False, True, True]


def test_parameters_are_quoted(client, speaker):
    server = speaker()
    client(f"http://127.0.0.1:{server.port}/p").call("GET", "/_search", params={"q": "a b&c=d", "filter_path": "a.*,b"})
    assert server.requests[0].startswith(b"GET /p/_search?q=a%20b%26c%3Dd&filter_path=a.*,b HTTP/1.1\r\n")


def test_nothing_is_sent_in_a_versioned_content_type(client, speaker):
    server = speaker()
    client(f"http://127.0.0.1:{server.port}").call("POST", "/", {"a": 1})
    client(f"http://127.0.0.1:{server.port}").call("POST", "/", b"{}\n", ndjson=True)
    kinds = [each.lower().partition(b"content-type: ")[2].partition(b"\r\n")[0] for each in server.requests]
    assert kinds == [b"application/json", b"application/x-ndjson"]
    assert b"user-agent: clusterlog/" in server.requests[0].lower()
