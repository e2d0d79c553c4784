"""Roles with as little as each use needs, keys in files of their own, and both taken back."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import replace

import pytest

from clusterlog.errors import NotAllowed, SettingError, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.provision import keys as keys_room
from clusterlog.store.elasticsearch.provision.keys import SHOWN, TokenFile, keys, lacking, reserved, token_files
from clusterlog.store.elasticsearch.provision.plan import Plan
from clusterlog.store.elasticsearch.provision.rights import Key, Security, look, patterns, privileges, roles
from clusterlog.store.elasticsearch.streams import PATTERN, data_stream

ADMIN = Security(True, frozenset({"manage_security", "manage_api_key", "manage_own_api_key"}), failure_store=True)
AUTHENTICATE = ("GET", "/_security/_authenticate")
HAS = ("POST", "/_security/user/_has_privileges")
ROLES = ("GET", "/_security/role/clusterlog_ship,clusterlog_read,clusterlog_setup")
KEYS = ("GET", "/_security/api_key")


def token(id, secret="s3cret"):
    return base64.b64encode(f"{id}:{secret}".encode()).decode()


def test_who_ships_may_create_events_and_the_streams_they_make_and_nothing_else():
    assert privileges("ship", failure_store=True) == {
        "cluster": [],
        "indices": [{"names": ["logs-clusterlog.*-*"], "privileges": ["create_doc", "auto_configure"]}],
    }


@pytest.mark.parametrize(("known", "more"), [(True, ["read_failure_store"]), (False, [])])
def test_who_reads_may_read_and_see_what_did_not_fit_where_that_is_a_right(known, more):
    told = privileges("read", failure_store=known)
    assert told == {
        "cluster": [],
        "indices": [{"names": [PATTERN], "privileges": ["read", "view_index_metadata", *more]}],
    }


def test_who_sets_up_may_make_templates_and_manage_our_streams():
    assert privileges("setup", failure_store=True) == {
        "cluster": ["monitor", "manage_index_templates"],
        "indices": [{"names": [PATTERN], "privileges": ["manage"]}],
    }


def test_a_key_for_an_environment_fits_the_streams_of_that_and_of_no_other():
    assert patterns(()) == (PATTERN,)
    assert patterns(["Pre-Production", "test"]) == ("logs-clusterlog.*-pre_production", "logs-clusterlog.*-test")
    assert data_stream("clusterlog.app", "Pre-Production").endswith("-pre_production")


class TestRoles:
    def test_a_role_for_each_use_is_made_with_a_mark(self):
        plan = roles(ADMIN)
        assert [(step.action, step.name, step.right) for step in plan.steps] == [
            ("create", name, "manage_security") for name in ("clusterlog_ship", "clusterlog_read", "clusterlog_setup")
        ]
        assert all(step.body["metadata"]["managed_by"] == "clusterlog" for step in plan.steps)

    def test_roles_as_they_should_be_are_left_alone(self):
        made = {step.name: step.body for step in roles(ADMIN).steps}
        plan = roles(replace(ADMIN, roles=made))
        assert (plan.steps, len(plan.kept)) == ((), 3)

    def test_a_role_of_somebody_else_is_refused(self):
        plan = roles(replace(ADMIN, roles={"clusterlog_ship": {"cluster": ["all"], "metadata": {}}}))
        assert plan.refused[0].startswith("role clusterlog_ship is there, and clusterlog did not make it")

    def test_without_the_right_to_make_them_that_is_told_and_nothing_is_refused(self):
        plan = roles(replace(ADMIN, rights=frozenset({"manage_own_api_key"})))
        assert plan == Plan(notes=("roles are left as they are: the right manage_security is lacking",))

    def test_a_server_that_asks_nobody_gets_none(self):
        assert "no roles are made" in roles(Security()).notes[0]


def planned(file, security=ADMIN, of=(PATTERN,), lacks=None):
    return keys([file], security, of, lacks or {})


class TestKeys:
    def test_a_key_may_what_its_role_may_and_says_whose_it_is(self):
        (step,) = planned(TokenFile("ship", "/h/ship.token")).steps
        assert (step.method, step.path, step.file) == ("POST", "/_security/api_key", "/h/ship.token")
        assert step.body["role_descriptors"] == {"clusterlog_ship": privileges("ship", failure_store=True)}
        assert step.body["metadata"]["managed_by"] == "clusterlog"

    def test_a_key_whose_file_is_there_is_not_made_again(self):
        there = replace(ADMIN, keys=(Key("id7", "clusterlog_ship", (PATTERN,)),))
        plan = planned(TokenFile("ship", "/h/ship.token", "id7"), there)
        assert plan == Plan(kept=("API key clusterlog_ship in /h/ship.token",))

    @pytest.mark.parametrize(
        ("holds", "present", "told"),
        [
            ("id7", (), "it holds something else than a key of this server"),
            ("", (), "it holds something else than a key of this server"),
            ("id7", (Key("id7", "clusterlog_ship", ("logs-clusterlog.*-test",)),), "its key is for other streams"),
            ("id7", (Key("id7", "clusterlog_read", (PATTERN,)),), "its key is for other streams"),
        ],
    )
    def test_a_file_with_anything_else_is_never_overwritten(self, holds, present, told):
        (refusal,) = planned(TokenFile("ship", "/h/ship.token", holds), replace(ADMIN, keys=present)).refused
        assert "/h/ship.token is there already" in refusal
        assert told in refusal

    @pytest.mark.parametrize(
        ("security", "lacks", "told"),
        [
            (Security(), {}, "does not ask who is there"),
            (replace(ADMIN, as_key="id1"), {}, "who comes with an API key cannot make others"),
            (replace(ADMIN, rights=frozenset()), {}, "the right manage_own_api_key is lacking"),
            (ADMIN, {"ship": "create_doc"}, "a key can do no more than who makes it, and you lack create_doc"),
        ],
    )
    def test_where_no_key_can_be_made_it_is_said_before_anything_is(self, security, lacks, told):
        plan = planned(TokenFile("ship", "/h/ship.token"), security, lacks=lacks)
        assert plan.steps == ()
        assert told in plan.refused[0]

    def test_what_somebody_may_not_do_no_key_of_theirs_may(self, scripted):
        told = {"cluster": {}, "index": {PATTERN: {"create_doc": False, "auto_configure": True}}}
        client = scripted({HAS: (200, told)})
        assert lacking(client, ["ship"], ADMIN, (PATTERN,)) == {"ship": "create_doc"}
        assert client.asked[0][2]["index"] == privileges("ship", failure_store=True)["indices"]

    def test_who_may_all_of_it_lacks_nothing(self, scripted):
        told = {"cluster": {"monitor": True}, "index": {PATTERN: {"read": True}}}
        assert lacking(scripted({HAS: (200, told)}), ["read", "setup"], ADMIN, (PATTERN,)) == {}


class TestFiles:
    def test_each_use_has_a_file_and_the_id_in_it_is_read_and_not_its_secret(self, tmp_path):
        (tmp_path / "ship.token").write_text(token("id7") + "\n")
        (tmp_path / "setup.token").write_text("a password")
        found = token_files(["ship", "read", "setup"], str(tmp_path))
        assert found == (
            TokenFile("ship", f"{tmp_path}/ship.token", "id7"),
            TokenFile("read", f"{tmp_path}/read.token", None),
            TokenFile("setup", f"{tmp_path}/setup.token", ""),
        )

    def test_keys_that_are_shown_have_no_file(self):
        assert token_files(["ship"], SHOWN) == (TokenFile("ship", SHOWN),)

    def test_a_place_that_is_no_directory_is_told(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SettingError, match="cannot read"):
            token_files(["ship"], str(tmp_path / "file"))

    def test_a_reserved_file_is_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "new" / "ship.token"
        with reserved(str(path)) as file:
            file.write(b"secret")
        assert path.read_bytes() == b"secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_file_for_a_secret_that_never_came_is_gone_again(self, tmp_path):
        with pytest.raises(StoreDenied), reserved(str(tmp_path / "ship.token")):
            raise StoreDenied("no")
        assert os.listdir(tmp_path) == []

    def test_a_file_that_was_reserved_for_a_key_that_never_came_is_free(self, tmp_path):
        """Whoever reserved it was killed before the server had answered."""
        path = tmp_path / "ship.token"
        path.touch(0o644)
        assert token_files(["ship"], str(tmp_path)) == (TokenFile("ship", str(path), None),)
        with reserved(str(path)) as file:
            file.write(b"secret")
        assert path.read_bytes() == b"secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_file_of_spaces_is_somebodys(self, tmp_path):
        (tmp_path / "ship.token").write_text(" \n")
        assert token_files(["ship"], str(tmp_path))[0].holds == ""

    def test_a_file_that_is_there_is_not_overwritten(self, tmp_path):
        (tmp_path / "ship.token").write_text("mine")
        with pytest.raises(SettingError, match="is there already"), reserved(str(tmp_path / "ship.token")):
            pass
        assert (tmp_path / "ship.token").read_text() == "mine"

    def test_a_file_that_cannot_be_made_is_told_before_a_key_is(self, tmp_path, monkeypatch):
        def denied(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(keys_room.os, "open", denied)
        with pytest.raises(NotAllowed, match="permission denied"), reserved(str(tmp_path / "ship.token")):
            pass


def answers(**more):
    told = {
        AUTHENTICATE: (200, {"username": "u", "authentication_type": "realm"}),
        HAS: lambda body: (
            (200, {"cluster": {"manage_security": True, "manage_api_key": True, "manage_own_api_key": True}})
            if body.get("cluster")
            else (200, {})
        ),
        ROLES: (200, {"clusterlog_ship": {"cluster": []}}),
        KEYS: (200, {"api_keys": []}),
    }
    return told | {globals()[name]: value for name, value in more.items()}


class TestLook:
    @pytest.mark.parametrize("status", [400, 404, 405])
    def test_a_server_that_does_not_know_the_question_asks_nobody(self, scripted, status):
        assert look(scripted({AUTHENTICATE: (status, {"error": "no handler found"})})) == Security()

    def test_wrong_credentials_are_told(self, scripted):
        with pytest.raises(StoreDenied, match="401"):
            look(scripted({AUTHENTICATE: (401, {})}))

    def test_the_rights_of_who_asks_and_the_roles_there_are_are_known(self, scripted):
        found = look(scripted(answers()))
        assert (found.on, found.failure_store, found.as_key) == (True, True, "")
        assert found.rights == ADMIN.rights
        assert found.roles == {"clusterlog_ship": {"cluster": []}}

    def test_a_right_that_a_server_does_not_know_is_not_given(self, scripted):
        unknown = (400, {"error": {"reason": "unknown index privilege [read_failure_store]"}})
        has = answers()[HAS]
        found = look(scripted(answers(HAS=lambda body: has(body) if body.get("cluster") else unknown)))
        assert not found.failure_store

    def test_a_server_that_has_no_time_to_tell_is_not_taken_for_one_without_that_right(self, scripted):
        """Else the role for reading would lose it."""
        has = answers()[HAS]
        with pytest.raises(StoreUnavailable, match="has too much to do"):
            look(scripted(answers(HAS=lambda body: has(body) if body.get("cluster") else (503, {}))))

    def test_who_comes_with_a_key_is_known_by_it(self, scripted):
        told = {"authentication_type": "api_key", "api_key": {"id": "id1", "name": "n"}}
        assert look(scripted(answers(AUTHENTICATE=(200, told)))).as_key == "id1"

    def test_keys_of_ours_that_are_in_force_are_found_with_what_they_are_for(self, scripted):
        ours = {"metadata": {"managed_by": "clusterlog"}, "name": "clusterlog_ship"}
        role = {"clusterlog_ship": {"indices": [{"names": ["logs-clusterlog.*-test"]}]}}
        told = [
            {"id": "a", **ours, "role_descriptors": role, "invalidated": False},
            {"id": "b", **ours, "invalidated": True},
            {"id": "c", "name": "clusterlog_mine", "metadata": {}},
            {"id": "d", **ours},
        ]
        found = look(scripted(answers(KEYS=(200, {"api_keys": told}))))
        assert found.keys == (Key("a", "clusterlog_ship", ("logs-clusterlog.*-test",)), Key("d", "clusterlog_ship"))

    def test_without_rights_nothing_is_asked_that_would_be_refused(self, scripted):
        has = (200, {"cluster": {"manage_security": False, "manage_api_key": False, "manage_own_api_key": False}})
        client = scripted(answers(HAS=has))
        found = look(client)
        assert (found.rights, found.roles, found.keys) == (frozenset(), {}, ())
        assert {path for _, path, _ in client.asked}.isdisjoint({ROLES[1], KEYS[1]})
