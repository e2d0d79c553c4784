"""Doing what is planned: in order, told step by step, and broken off where the server says no."""

from __future__ import annotations

import pytest

from clusterlog.errors import SettingError, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.provision.apply import perform
from clusterlog.store.elasticsearch.provision.keys import SHOWN, TokenFile, keys
from clusterlog.store.elasticsearch.provision.plan import Plan, Step
from clusterlog.store.elasticsearch.provision.rights import Security
from clusterlog.store.elasticsearch.streams import PATTERN

SECURITY = Security(True, frozenset({"manage_api_key"}))
CREATE = ("POST", "/_security/api_key")
DELETE = ("DELETE", "/_security/api_key")
MADE = {"id": "id7", "name": "clusterlog_ship", "api_key": "s3cret", "encoded": "aWQ3OnMzY3JldA=="}


def put(name):
    return Step("create", "component template", name, "PUT", f"/_component_template/{name}", {"template": {}})


def test_steps_are_done_in_their_order_and_each_is_told(scripted):
    client = scripted({("PUT", f"/_component_template/{name}"): (200, {"n": name}) for name in "abc"})
    told = []
    perform(client, Plan((put("b"), put("a"), put("c"))), lambda step, answer: told.append((step.name, answer)))
    assert told == [("b", {"n": "b"}), ("a", {"n": "a"}), ("c", {"n": "c"})]
    assert client.asked[0] == ("PUT", "/_component_template/b", {"template": {}})


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ((403, {"error": {"reason": "no"}}), StoreDenied, "the right manage_index_templates is lacking"),
        (
            (400, {"error": {"reason": "mapper [x] cannot be changed"}}),
            StoreUnavailable,
            "mapper .x. cannot be changed",
        ),
        ((503, {}), StoreUnavailable, "has too much to do"),
        ((200, StoreUnavailable("http://es:9200: connected, but no answer")), StoreUnavailable, "no answer"),
    ],
)
def test_it_ends_at_the_first_step_that_fails_and_says_which(scripted, answer, error, told):
    client = scripted({("PUT", "/_component_template/a"): (200, {}), ("PUT", "/_component_template/b"): answer})
    done = []
    with pytest.raises(error, match=told) as caught:
        perform(client, Plan((put("a"), put("b"), put("c"))), lambda step, _: done.append(step.name))
    assert done == ["a"]
    assert len(client.asked) == 2
    if error is StoreDenied or "mapper" in told:
        assert str(caught.value).startswith("http://es:9200: cannot create component template b: ")


def key_plan(path):
    return keys([TokenFile("ship", path)], SECURITY, (PATTERN,), {})


def test_the_secret_of_a_key_goes_into_its_file_and_nowhere_else(scripted, tmp_path):
    path = tmp_path / "ship.token"
    client = scripted({CREATE: (200, MADE)})
    perform(client, key_plan(str(path)))
    assert path.read_text() == "aWQ3OnMzY3JldA==\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_key_is_made_whose_file_cannot_be(scripted, tmp_path):
    (tmp_path / "ship.token").write_text("made meanwhile")
    client = scripted({CREATE: (200, MADE)})
    with pytest.raises(SettingError, match="is there already"):
        perform(client, key_plan(str(tmp_path / "ship.token")))
    assert client.asked == []


def test_a_key_that_was_refused_leaves_no_file(scripted, tmp_path):
    client = scripted({CREATE: (403, {"error": {"reason": "no"}})})
    with pytest.raises(StoreDenied):
        perform(client, key_plan(str(tmp_path / "ship.token")))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_shown_is_told_to_who_asked(scripted):
    told = []
    perform(scripted({CREATE: (200, MADE)}), key_plan(SHOWN), lambda step, answer: told.append(answer["encoded"]))
    assert told == ["aWQ3OnMzY3JldA=="]


def removed(path):
    return Plan((Step("remove", "API key", "clusterlog_ship", *DELETE, {"ids": ["id7"]}, file=path),))


def test_a_key_that_is_taken_back_takes_its_file_along(scripted, tmp_path):
    path = tmp_path / "ship.token"
    path.write_text("x")
    perform(scripted({DELETE: (200, {"invalidated_api_keys": ["id7"], "error_count": 0})}), removed(str(path)))
    assert not path.exists()


def test_a_key_that_could_not_be_taken_back_is_told_and_keeps_its_file(scripted, tmp_path):
    path = tmp_path / "ship.token"
    path.write_text("x")
    answer = {"error_count": 1, "error_details": [{"reason": "not now"}]}
    with pytest.raises(StoreUnavailable, match="cannot remove API key clusterlog_ship: not now"):
        perform(scripted({DELETE: (200, answer)}), removed(str(path)))
    assert path.exists()
