"""The keys of the user hashes on the command line: listed by id, changed without losing anybody."""

from __future__ import annotations

import json

import pytest

from clusterlog.encode.identity import Key, read_keys


@pytest.fixture
def file(home):
    home.path.mkdir()
    (home.path / "user.key").write_text("a key of mine\n")
    return home.path / "user.key"


def test_keys_are_listed_by_id_and_never_shown(run, file):
    run("key", "rotate")
    first, second = read_keys(file)
    result = run("key", "ls")
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.lines] == [
        ["KEY", "SINCE", "STATE"],
        [first.id, "-", "older"],
        [second.id, second.since, "current"],
    ]
    assert first.secret.decode() not in result.out
    assert second.secret.decode() not in result.out


def test_rotating_says_which_key_is_current_and_where_else_it_is_needed(run, file):
    result = run("key", "rotate")
    fresh = read_keys(file)[-1]
    assert result.code == 0
    assert result.lines[-1].split() == [fresh.id, fresh.since, "current"]
    assert result.err.startswith(f"{fresh.id} is the current key; running processes take it within 5 seconds\n")
    assert f"copy {file} " in result.err


def test_as_json_keys_are_a_document_of_their_own(run, file):
    result = run("key", "rotate", "--json")
    fresh = read_keys(file)[-1]
    assert json.loads(result.out) == {
        "schema": "clusterlog.keys/1",
        "file": str(file),
        "keys": [
            {"id": Key(b"a key of mine").id, "since": None, "current": False},
            {"id": fresh.id, "since": fresh.since, "current": True},
        ],
    }
    assert run("key", "ls", "--json").out == result.out


def test_the_age_of_a_key_nobody_has_noted_is_not_guessed(run, file):
    assert json.loads(run("key", "ls", "--json").out)["keys"] == [
        {"id": Key(b"a key of mine").id, "since": None, "current": True}
    ]


def test_a_home_without_a_key_has_none_to_list_and_gets_its_first_by_rotating(run, home):
    listed = run("key", "ls")
    assert (listed.code, listed.out) == (1, "")
    assert listed.err.startswith(f"clusterlog: no user key in {home}/user.key: ")
    made = run("key", "rotate")
    assert made.code == 0
    assert made.err == f"made the first key in {home}/user.key\n"
    assert run("key", "ls").code == 0


def test_another_file_can_be_named(run, tmp_path):
    (tmp_path / "shared.key").write_text("shared")
    result = run("key", "ls", "--user-key", tmp_path / "shared.key")
    assert result.lines[-1].split() == [Key(b"shared").id, "-", "current"]


def test_a_file_that_is_no_key_is_told_in_one_line(run, file):
    file.write_text("# clusterlog user keys\nnothing\n")
    for words in (("ls",), ("rotate",)):
        result = run("key", *words)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert "has no key in line 2" in result.err
    assert file.read_text() == "# clusterlog user keys\nnothing\n"
