"""What is said to a Kibana and what its answers mean, against a stand-in that is as strict as Kibana is known to be."""

from __future__ import annotations

import json

import pytest
from kibana_double import NDJSON, PAGE, Reply, error

from clusterlog.errors import NotAllowed, SettingError, StoreDenied, StoreUnavailable
from clusterlog.store.kibana.plan import key_of, perform, planned, removal

LOGIN = {"elastic": "se:cret"}


def of(double, login="elastic:se%3Acret"):
    """The address of a double with a user and password in it."""
    return double.url.replace("//", f"//{login}@")


@pytest.mark.parametrize("version", ["8.9.0", "8.19.3", "9.0.0", "9.5.1", "10.0.0-SNAPSHOT"])
def test_a_kibana_that_reads_our_objects_is_taken(double, kibana, version):
    assert kibana(double(version).url).check() == version


@pytest.mark.parametrize("version", ["8.8.2", "7.17.29", "3.8.0"])
def test_one_that_is_too_old_is_refused_before_anything_is_sent(double, kibana, version):
    server = double(version)
    with pytest.raises(SettingError, match=rf"is of version {version}, and needed is Kibana 8\.9\.0 or newer"):
        kibana(server.url).check()
    assert [each.path for each in server.asked] == ["/api/status"]


def test_objects_that_are_put_are_there_and_are_found_again(double, kibana, built):
    server = double(users=LOGIN)
    there = kibana(of(server))
    keys = [key_of(each) for each in built]
    assert there.look(keys) == {}
    assert there.put(built) == {}
    assert list(there.look(keys)) == keys
    assert server.ids() == sorted(each["id"] for each in built)


def test_what_is_there_is_found_beside_what_is_not(double, kibana, built):
    there = kibana(double().url)
    assert there.put(built[:2]) == {}
    assert list(there.look(key_of(each) for each in built)) == [key_of(each) for each in built[:2]]


def test_a_base_path_and_a_space_stand_before_every_request(double, kibana, built):
    server = double(base="/behind/proxy", spaces=("default", "ops"))
    there = kibana(f"{server.url}/s/ops")
    assert there.check() == "9.5.1"
    assert there.url == f"{server.url}/s/ops"
    assert there.put(built) == {}
    assert server.ids("ops") and not server.ids()
    there.remove(key_of(built[-1]))
    assert len(server.ids("ops")) == len(built) - 1


def test_an_address_copied_from_a_browser_will_do(double, kibana):
    server = double(spaces=("default", "ops"))
    there = kibana(f"{server.url}/s/ops/app/discover#/?_g=(time:(from:now-1h,to:now))")
    assert there.check() == "9.5.1"
    assert there.space == "ops"


def test_a_space_that_is_not_there_is_told(double, kibana):
    with pytest.raises(SettingError, match=r"has no space 'nope': make it first, or leave out /s/…"):
        kibana(f"{double().url}/s/nope").check()


def test_every_request_that_changes_something_says_that_it_is_no_forgery(double, kibana, built):
    server = double()
    kibana(server.url).put(built)
    (asked,) = server.asked
    assert asked.headers["kbn-xsrf"] == "true"
    assert asked.path == "/api/saved_objects/_import?overwrite=true"
    assert b'name="file"; filename="clusterlog.ndjson"' in asked.body


def test_a_request_is_not_compressed_for_a_kibana_on_another_machine(double, kibana, built, monkeypatch):
    server = double()
    there = kibana(server.url)
    monkeypatch.setattr(there.client, "_compresses", True)
    assert there.put(built) == {}


def test_user_and_password_of_the_address_are_stronger_than_the_token_of_the_store(double, kibana):
    server = double(users=LOGIN)
    assert kibana(of(server), token="wrong").check() == "9.5.1"
    assert kibana(server.url, token="good:key").check() == "9.5.1"


def test_who_we_are_has_to_be_said_and_right(double, kibana):
    server = double(users=LOGIN)
    with pytest.raises(StoreDenied, match=r"wants to know who we are \(401\): a user and password in its address"):
        kibana(server.url).check()
    with pytest.raises(StoreDenied, match=r"does not accept our user and password in the URL \(401\): \[security_exc"):
        kibana(of(server, "elastic:wrong")).check()
    with pytest.raises(StoreDenied, match=r"does not accept our token \(401\)"):
        kibana(server.url, token="wrong").check()


def test_a_kibana_that_tells_strangers_nothing_but_its_state_is_told_from_one_that_is_none(double, kibana):
    server = double()
    server.instead["GET", "/api/status"] = Reply(200, {"status": {"overall": {"level": "available"}}})
    with pytest.raises(StoreDenied, match="does not tell its version: it does not know who we are"):
        kibana(server.url).check()


def test_a_right_that_is_lacking_is_named(double, kibana, built):
    server = double(users=LOGIN)
    server.rights = False
    there = kibana(of(server))
    for ask in (
        lambda: there.look([key_of(built[0])]),
        lambda: there.put(built),
        lambda: there.remove(key_of(built[0])),
    ):
        with pytest.raises(StoreDenied, match=r"Unable to .*; needed is the Kibana privilege Saved Objects Management"):
            ask()


ANSWERS = [
    (Reply(200, PAGE, "text/html"), StoreUnavailable, "answers 200, but not as Kibana does: is a proxy or a log-in"),
    (Reply(200, b"", "text/plain"), StoreUnavailable, "answers 200, but not as Kibana does"),
    (Reply(200, []), StoreUnavailable, "answers 200, but not as Kibana does"),
    (
        Reply(302, b"", headers={"location": "/login"}),
        StoreUnavailable,
        r"leads elsewhere \(302\) to /login: is a part",
    ),
    (error(400, "[request body]: nonsense"), StoreUnavailable, r"refuses it \(400\): \[request body\]: nonsense"),
    (error(403, "no"), StoreDenied, r"our lack of credentials may not do this \(403\): no; needed is"),
    (error(404, "Not Found"), StoreUnavailable, r"does not do what Kibana does \(404\): Not Found: its address is"),
    (Reply(404, PAGE, "text/html"), StoreUnavailable, r"does not do what Kibana does \(404\)"),
    (Reply(400, {"error": {"reason": "no handler found"}, "status": 400}), StoreUnavailable, r"\(400\): no handler"),
    (
        error(409, "version conflict"),
        StoreUnavailable,
        r"changes the same objects \(409\): version conflict: try again",
    ),
    (error(413, "Payload too large"), StoreUnavailable, r"too much for one request \(413\): savedObjects\."),
    (Reply(503, b"Kibana server is not ready yet", "text/html"), StoreUnavailable, r"is not ready yet \(503\)"),
    (error(500, "An internal server error occurred"), StoreUnavailable, r"fails \(500\): An internal server error"),
    (Reply(502, PAGE, "text/html"), StoreUnavailable, r"fails \(502\)"),
]
PLACES = [("GET", "/api/status"), ("POST", "/api/saved_objects/_export"), ("POST", "/api/saved_objects/_import")]


@pytest.mark.parametrize(("reply", "raised", "told"), ANSWERS, ids=range(len(ANSWERS)))
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1].rpartition("/")[2])
def test_an_answer_that_is_none_is_one_clear_line(double, kibana, built, place, reply, raised, told):
    server = double()
    server.instead[place] = reply
    there = kibana(server.url)
    ask = {
        "status": there.check,
        "_export": lambda: there.look([key_of(built[0])]),
        "_import": lambda: there.put(built),
    }
    empty_export = place[1].endswith("_export") and reply.body == b"" and reply.status == 200
    if empty_export:  # that is how nothing is exported
        assert there.look([key_of(built[0])]) == {}
        return
    with pytest.raises(raised, match=told) as caught:
        ask[place[1].rpartition("/")[2]]()
    assert type(caught.value) is raised
    assert "\n" not in str(caught.value) and server.url in str(caught.value)


def test_an_object_that_is_not_taken_is_told_with_the_reason(double, kibana, built):
    server = double()
    id = built[-1]["id"]
    there = kibana(server.url)
    for refused, told in [
        ({"type": "conflict"}, f"dashboard {id}: is there under another id, of another space: remove that one first"),
        ({"type": "ambiguous_conflict", "destinations": []}, f"dashboard {id}: is there under another id"),
        ({"type": "unsupported_type"}, f"dashboard {id}: this Kibana knows no such objects"),
        (
            {"type": "missing_references", "references": [{"type": "index-pattern", "id": "x"}]},
            f"dashboard {id}: refers to what is not there, index-pattern x",
        ),
        (
            {"type": "unknown", "statusCode": 422, "message": "belongs to a more\nrecent version"},
            "to a more recent ver",
        ),
        ({"type": "unknown"}, f"dashboard {id}: unknown"),
    ]:
        server.refused[id] = refused
        failed = there.put(built)
        assert list(failed) == [id] and told in failed[id]
    assert server.ids() == sorted(each["id"] for each in built[:-1])


def test_an_object_that_got_another_id_is_told_as_nothing_leads_there(double, kibana, built):
    server = double()
    renamed = {"id": built[0]["id"], "type": "index-pattern", "destinationId": "0b5c"}
    body = {"success": True, "successCount": len(built), "successResults": [renamed]}
    server.instead["POST", "/api/saved_objects/_import"] = Reply(200, body)
    failed = kibana(server.url).put(built)
    assert failed == {
        renamed["id"]: f"index-pattern {renamed['id']}: was given the id 0b5c, to which nothing of ours leads"
    }


@pytest.mark.parametrize("body", [{"success": False, "successCount": 3}, {"success": True, "successCount": 3}])
def test_a_success_that_is_none_is_not_believed(double, kibana, built, body):
    server = double()
    server.instead["POST", "/api/saved_objects/_import"] = Reply(200, body)
    failed = kibana(server.url).put(built)
    assert set(failed.values()) == {f"Kibana says that it took 3 of {len(built)} objects, and not why"}


def test_an_export_that_breaks_off_is_no_answer(double, kibana, built):
    server = double()
    server.instead["POST", "/api/saved_objects/_export"] = Reply(200, b'{"type":"dashboard","id":', NDJSON)
    with pytest.raises(StoreUnavailable, match="answers 200, but not as Kibana does"):
        kibana(server.url).look([key_of(built[0])])


def test_what_is_gone_already_is_removed(double, kibana, built):
    server = double()
    kibana(server.url).put(built)
    before = dict(server.objects)
    for _ in range(2):
        kibana(server.url).remove(key_of(built[0]))
        assert len(server.objects) == len(before) - 1


def test_nobody_there_is_told(kibana):
    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9: nothing listens there"):
        kibana("http://127.0.0.1:9").check()


def test_an_address_has_to_be_given_and_to_be_one(kibana):
    with pytest.raises(SettingError, match="no Kibana is named: --kibana https://host:5601, or the setting kibana"):
        kibana("")
    with pytest.raises(SettingError, match="expected the address of one Kibana, these are 2"):
        kibana("http://a:5601,b:5601")


def test_a_token_file_that_may_not_be_read_is_told(kibana, tmp_path):
    with pytest.raises((SettingError, NotAllowed), match="token_file: cannot read"):
        kibana("http://127.0.0.1:9", token_file=str(tmp_path / "none"))


def test_a_plan_is_carried_out_and_then_there_is_nothing_to_do(double, kibana, built):
    server = double()
    there = kibana(server.url)
    keys = [key_of(each) for each in built]
    plan = planned(built, there.look(keys))
    assert [(step.action, step.name) for step in plan.steps] == [("create", each["id"]) for each in built]
    done = []
    perform(there, plan, lambda step: done.append(step.name))
    assert done == [each["id"] for each in built]
    again = planned(built, there.look(keys))
    assert again.steps == () and len(again.kept) == len(built)


def test_what_was_taken_of_a_broken_import_is_told_and_the_rest_made_the_next_time(double, kibana, built):
    server = double()
    there = kibana(server.url)
    keys = [key_of(each) for each in built]
    server.refused = {each["id"]: {"type": "unsupported_type"} for each in built[-2:]}
    done = []
    with pytest.raises(StoreUnavailable, match=r"this Kibana knows no such objects \(and 1 more\)"):
        perform(there, planned(built, there.look(keys)), lambda step: done.append(step.name))
    assert done == [each["id"] for each in built[:-2]]
    server.refused = {}
    plan = planned(built, there.look(keys))
    assert [step.name for step in plan.steps] == [each["id"] for each in built[-2:]]


def test_what_was_made_is_taken_back_and_nothing_else(double, kibana, built):
    server = double()
    there = kibana(server.url)
    keys = [key_of(each) for each in built]
    there.put(built)
    server.objects["default", "dashboard", "mine"] = {"type": "dashboard", "id": "mine", "attributes": {}}
    plan = removal(built, there.look(keys))
    assert [step.name for step in plan.steps] == [each["id"] for each in reversed(built)]
    perform(there, plan)
    assert server.ids() == ["mine"]
    assert json.loads(server.asked[-1].body or b"null") is None
