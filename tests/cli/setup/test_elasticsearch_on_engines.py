"""Rights on a real server that asks who is there: each key does its own work alone, and all is taken back."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import ExitStack, closing

import pytest

from clusterlog.errors import StoreDenied
from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.provision import apply, server
from clusterlog.store.elasticsearch.streams import data_stream
from clusterlog.store.elasticsearch.transport import Client
from clusterlog.store.query import Match, Query

pytestmark = pytest.mark.engines

HALF = {
    "cluster": ["monitor", "manage_index_templates"],
    "indices": [{"names": ["logs-clusterlog.*-*"], "privileges": ["view_index_metadata"]}],
}


@pytest.fixture
def client(secured):
    """Clients with the key of a file."""
    with ExitStack() as made:

        def connect(token):
            settings = load({"home": "/nowhere", "store": secured.url, "token_file": str(token)}, environ={})
            return made.enter_context(closing(Client.of(settings)))

        yield connect


def deliveries(environment, *messages, **more):
    instance = secrets.token_hex(16)
    for number, message in enumerate(messages, 1):
        id = f"{instance}-{number:011x}"
        event = {
            "@timestamp": f"2026-11-20T12:00:00.{number:09d}Z",
            "event": {"id": id, "sequence": number, "kind": "event", "dataset": "clusterlog.app"},
            "process": {"entity_id": instance},
            "service": {"name": "shop", "environment": environment},
            "http": {"request": {"id": f"r-{environment}"}},
            "message": message,
            **more,
        }
        yield Delivery(id, instance, number, json.dumps(event).encode())


def ship(client, environment, *messages, **more):
    return ElasticsearchSink(client, load({"home": "/nowhere"}, environ={})).deliver(
        list(deliveries(environment, *messages, **more))
    )


def found(client, environment):
    """What a store with the rights of this client finds."""
    query = Query(Match("http.request.id", f"r-{environment}"), order="oldest")
    return [json.loads(each.body)["message"] for each in ElasticsearchStore(client).find(query)]


def refresh(secured, environment):
    assert secured.call("POST", f"/logs-clusterlog.*-{environment}/_refresh")[0] == 200


def place():
    return f"c{secrets.token_hex(4)}"


def test_all_of_it_is_made_found_again_and_taken_back(setup, secured, tmp_path):
    options = ("--keys", "ship,read", "--keys-to", tmp_path)
    setup("--remove", "--yes")
    assert setup("--dry-run", *options).lines[-1] == "8 to create"
    assert list(tmp_path.iterdir()) == []

    made = setup(*options)
    assert (made.code, made.err.splitlines()[-1]) == (0, "8 changes made")
    assert {(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        ("ship.token", 0o600),
        ("read.token", 0o600),
    }
    assert setup("--dry-run", *options).lines[-1] == "nothing to do: 8 as they should be"

    key = (tmp_path / "ship.token").read_text().strip()
    asked = {"Authorization": f"ApiKey {key}"}
    secured.user, user = "", secured.user
    try:
        assert secured.call("GET", "/_security/_authenticate", **asked)[0] == 200
        gone = setup("--remove", "--yes", "--keys-to", tmp_path)
        assert gone.code == 0, gone.err
        assert secured.call("GET", "/_security/_authenticate", **asked)[0] == 401
    finally:
        secured.user = user
    assert list(tmp_path.iterdir()) == []
    assert secured.call("GET", "/_security/role/clusterlog_ship,clusterlog_read,clusterlog_setup")[0] == 404
    assert setup("--remove", "--dry-run").lines[-1] == "nothing to do"


def test_a_key_for_shipping_ships_and_neither_reads_nor_sets_up(keys, setup, client, secured):
    token, environment = keys("ship")["ship"], place()
    shipping = client(token)
    assert [each.status for each in ship(shipping, environment, "one", "two")] == ["stored", "stored"]
    with pytest.raises(StoreDenied):
        found(shipping, environment)
    refresh(secured, environment)
    assert shipping.call("POST", f"/logs-clusterlog.*-{environment}/_search", {}).status == 403
    assert shipping.call("GET", "/_nodes/_local").status == 403
    assert shipping.call("DELETE", f"/logs-clusterlog.app-{environment}").status == 403
    refused = setup(token=token)
    assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)
    assert "the right monitor is lacking" in refused.err


def test_a_key_for_reading_reads_and_neither_ships_nor_sets_up(keys, setup, client, secured):
    tokens, environment = keys("ship", "read"), place()
    ship(client(tokens["ship"]), environment, "one", "two")
    refresh(secured, environment)
    reading = client(tokens["read"])
    assert found(reading, environment) == ["one", "two"]
    with pytest.raises(StoreDenied):
        ship(reading, environment, "three")
    assert reading.call("DELETE", f"/logs-clusterlog.app-{environment}").status == 403
    refresh(secured, environment)
    assert found(reading, environment) == ["one", "two"]
    assert setup(token=tokens["read"]).code == 4


def test_a_key_for_setting_up_sets_up_and_neither_ships_nor_reads(keys, setup, client, secured):
    token, environment = keys("setup")["setup"], place()
    result = setup("--retention", "9d", token=token)
    assert result.code == 0, result.err
    assert "  note: roles are left as they are: the right manage_security is lacking" in result.lines
    assert setup("--dry-run", token=token).lines[-1].startswith("nothing to do")
    assert setup("--retention", "30d", token=token).code == 0
    acting = client(token)
    with pytest.raises(StoreDenied):
        ship(acting, environment, "one")
    with pytest.raises(StoreDenied):
        found(acting, environment)


def test_a_key_makes_no_other_keys(keys, setup, tmp_path):
    token = keys("setup")["setup"]
    refused = setup("--keys", "ship", "--keys-to", tmp_path / "more", token=token)
    assert refused.code == 2
    assert "who comes with an API key cannot make others" in refused.err
    assert not (tmp_path / "more").exists()


def test_a_key_for_one_environment_is_for_no_other(keys, client):
    mine, other = place(), place()
    shipping = client(keys("ship", environments=[mine])["ship"])
    assert [each.status for each in ship(shipping, mine, "one")] == ["stored"]
    (outcome,) = ship(shipping, other, "one")
    assert outcome.status == "blocked"


def test_the_same_keys_are_not_made_again_and_others_have_other_files(keys, setup, tmp_path):
    token = keys("ship")["ship"]
    before = token.read_text()
    assert setup("--keys", "ship", "--keys-to", token.parent).lines[-1].startswith("nothing to do")
    assert token.read_text() == before
    refused = setup("--keys", "ship", "--keys-to", token.parent, "--environment", "elsewhere")
    assert refused.code == 2
    assert "its key is for other streams" in refused.err
    token.write_text("a password of mine")
    assert "it holds something else than a key" in setup("--keys", "ship", "--keys-to", token.parent).err
    assert token.read_text() == "a password of mine"


def test_keys_can_be_shown_to_who_keeps_them_elsewhere(setup, secured):
    told = json.loads(setup("--keys", "read", "--keys-to", "-", "--json").out)
    (key,) = told["keys"]
    assert base64.b64decode(key["token"]).decode().startswith(f"{key['id']}:")


def test_what_does_not_fit_is_kept_where_readers_see_it_and_shippers_do_not(keys, client, secured):
    tokens, environment = keys("ship", "read"), place()
    (outcome,) = ship(client(tokens["ship"]), environment, "unfit", log={"level": {"is": "no text"}})
    assert outcome.status == "failure_store", outcome
    secured.call("POST", f"/{data_stream('clusterlog.app', environment)}::failures/_refresh")
    path = f"/{data_stream('clusterlog.app', environment)}::failures/_search"
    answer = client(tokens["read"]).call("POST", path, {})
    assert answer.status == 200, answer.body
    assert answer.body["hits"]["hits"][0]["_source"]["document"]["source"]["message"] == "unfit"
    assert client(tokens["ship"]).call("POST", path, {}).status == 403


def test_who_may_not_make_roles_sets_up_the_rest(setup, somebody):
    setup()
    user = somebody("clusterlog_setup")
    result = setup("--dry-run", user=user)
    assert result.code == 0
    assert result.lines[-1] == "nothing to do: 3 as they should be"
    refused = setup("--keys", "ship", user=user)
    assert refused.code == 2
    assert "the right manage_own_api_key is lacking" in refused.err


def test_who_may_make_keys_makes_none_that_can_do_more_than_they_can(setup, secured, somebody):
    assert secured.call("PUT", "/_security/role/keys", {"cluster": ["manage_own_api_key"]})[0] == 200
    refused = setup("--keys", "ship", user=somebody("clusterlog_setup", "keys"))
    assert refused.code == 2
    assert "a key can do no more than who makes it, and you lack" in refused.err
    assert "create_doc" in refused.err


def test_a_wrong_password_is_one_line(setup):
    result = setup(password="guessed")
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)
    assert "401" in result.err
    assert "guessed" not in result.err


def test_a_role_that_somebody_else_made_is_left_and_nothing_is_done(setup, secured):
    setup()
    assert secured.call("PUT", "/_security/role/clusterlog_read", {"cluster": ["monitor"]})[0] == 200
    try:
        refused = setup("--retention", "3d")
        assert refused.code == 2
        assert "role clusterlog_read is there, and clusterlog did not make it" in refused.err
        told = secured.call("GET", "/_security/role/clusterlog_read")[1]["clusterlog_read"]
        assert told["cluster"] == ["monitor"]
        kept = secured.call("GET", "/_index_template/clusterlog")[1]["index_templates"][0]
        assert kept["index_template"]["template"]["lifecycle"]["data_retention"] == "30d"
    finally:
        secured.call("DELETE", "/_security/role/clusterlog_read")


def test_what_broke_off_for_want_of_a_right_is_finished_by_who_has_it(
    setup, secured, somebody, client, keys, monkeypatch
):
    """An older clusterlog made a stream; who may change templates alone cannot roll it over."""
    token, environment = keys("ship")["ship"], place()
    now = server.ask
    monkeypatch.setattr(apply, "ask", lambda client: _less(now(client)))
    url = secured.url.replace("//", f"//{secured.user}:{secured.password}@")
    with closing(Client.of(load({"home": "/nowhere"}, environ={}), url=url)) as admin:
        apply.provision(admin)
    monkeypatch.undo()
    ship(client(token), environment, "before")
    stream = data_stream("clusterlog.app", environment)

    assert secured.call("PUT", "/_security/role/half", HALF)[0] == 200
    broken = setup(user=somebody("half"))
    assert broken.code == 4
    *made, how_far, why = broken.err.splitlines()
    assert made[:2] == [
        "updated component template clusterlog@settings",
        "updated component template clusterlog@mappings",
    ]
    assert how_far.startswith("clusterlog: 2 changes of ")
    assert how_far.endswith("made: the same command again makes the rest")
    assert "cannot roll over data stream" in why
    assert "the right manage is lacking; setting up needs" in why

    rest = setup()
    assert rest.code == 0, rest.err
    assert f"rolled over data stream {stream}" in rest.err
    assert "component template" not in rest.err
    assert setup("--dry-run").lines[-1].startswith("nothing to do")
    ship(client(token), environment, "after")
    refresh(secured, environment)
    assert sorted(found(client(keys("read")["read"]), environment)) == ["after", "before"]


def _less(told):
    return server.Server(told.flavour, told.version, told.present - {"logsdb", "match_only_text"}, told.lacks)
