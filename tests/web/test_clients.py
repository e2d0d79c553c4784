"""The official client takes this server for what it needs: it connects, sends in bulk, and judges what comes back."""

from __future__ import annotations

from contextlib import closing

import pytest
from elasticsearch import AuthenticationException, AuthorizationException, Elasticsearch, helpers


def options(name, token):
    return {
        "plain API key": {"api_key": token},
        "id and key": {"api_key": ("any", token)},
        "bearer": {"bearer_auth": token},
        "password": {"basic_auth": ("elastic", token)},
        "packed": {"api_key": token, "http_compress": True},
    }[name]


@pytest.fixture(params=["plain API key", "id and key", "bearer", "password", "packed"])
def client(ask, request):
    with closing(Elasticsearch(ask.url, **options(request.param, ask.tokens.write))) as made:
        yield made


@pytest.fixture
def official(ask):
    with closing(Elasticsearch(ask.url, api_key=ask.tokens.write)) as made:
        yield made


def documents(count, **about):
    return [{"_index": "shop", "message": f"number {n}", "level": "info", **about} for n in range(count)]


def test_it_greets_and_is_greeted(client):
    assert client.ping()
    info = client.info()
    assert info["clusterlog"]["version"]
    assert info["version"]["number"].startswith("8.")
    assert client.cluster.health()["status"] == "green"
    assert client.license.get()["license"]["status"] == "active"
    (node,) = client.nodes.info(node_id="_local")["nodes"].values()
    assert node["version"] == info["version"]["number"]


def test_it_sends_in_bulk_whatever_way_it_shows_its_token(client, ask):
    assert helpers.bulk(client, documents(700)) == (700, [])
    client.indices.refresh(index="shop")
    found = ask.found()
    assert len(found) == 700
    assert {(each["service"]["name"], each["log"]["level"]) for each in found} == {("shop", "info")}


def test_it_sends_from_several_threads(official, ask):
    ids = [f"a{n}" for n in range(600)]
    actions = [{**each, "_id": id, "_op_type": "create"} for each, id in zip(documents(600), ids, strict=True)]
    done = list(helpers.parallel_bulk(official, actions, thread_count=4, chunk_size=50))
    assert all(ok for ok, _ in done)
    assert sorted(each["event"]["id"] for each in ask.found()) == sorted(ids)


def test_what_is_there_already_is_what_it_calls_a_conflict(official):
    actions = [{"_index": "shop", "_op_type": "create", "_id": f"a{n}", "message": "a"} for n in range(3)]
    assert helpers.bulk(official, actions[:2]) == (2, [])
    stored, failed = helpers.bulk(official, actions, raise_on_error=False)
    assert stored == 1
    assert [each["create"]["status"] for each in failed] == [409, 409]
    assert helpers.bulk(official, actions, ignore_status=409, stats_only=True) == (0, 3)


def test_indexing_the_same_again_is_no_failure_for_it_and_something_else_is(official):
    same = [{"_index": "shop", "_id": "a", "message": "a"}]
    assert helpers.bulk(official, same) == helpers.bulk(official, same) == (1, [])
    with pytest.raises(helpers.BulkIndexError) as caught:
        helpers.bulk(official, [{"_index": "shop", "_id": "a", "message": "b"}])
    assert caught.value.errors[0]["index"]["status"] == 400


def test_it_tries_again_by_itself_where_there_was_no_room(official, store, ask, monkeypatch):
    import errno
    import os

    from clusterlog.store.embedded.raw import live

    real, left = live.write_at, [1, 1]

    def write(fd, data, at):
        if left:
            left.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, data, at)

    monkeypatch.setattr(live, "write_at", write)
    done = list(
        helpers.streaming_bulk(official, documents(5), max_retries=5, initial_backoff=0.01, raise_on_error=False)
    )
    assert [ok for ok, _ in done] == [True] * 5
    assert len(ask.found()) == 5


def test_a_wrong_token_and_a_right_one_for_something_else_are_what_it_calls_them(ask):
    with closing(Elasticsearch(ask.url, api_key="nonsense")) as stranger:
        assert not stranger.ping()
        with pytest.raises(AuthenticationException, match="none of this server's"):
            helpers.bulk(stranger, documents(1))
    with (
        closing(Elasticsearch(ask.url, api_key=ask.tokens.read)) as reader,
        pytest.raises(AuthorizationException, match="needs one that may write"),
    ):
        helpers.bulk(reader, documents(1))
