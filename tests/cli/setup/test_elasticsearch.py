"""Setting up a search server: shown, asked, done, told, and taken back; on the real one that all tests share."""

from __future__ import annotations

import io
import json
import sys

import pytest

from clusterlog.cli.setup import elasticsearch as room
from clusterlog.errors import StoreDenied
from clusterlog.store.elasticsearch.provision import apply
from clusterlog.store.elasticsearch.provision.plan import Plan, Step
from clusterlog.store.elasticsearch.provision.server import Server

STORE = ("--store", "http://127.0.0.1:9")
SERVER = Server("elasticsearch", "9.5.0", frozenset(), {})


def put(name):
    return Step("create", "component template", name, "PUT", f"/_component_template/{name}", {}, None, {"a": 1})


def key(file):
    body = {"name": "clusterlog_ship"}
    return Step("create", "API key", "clusterlog_ship", "POST", "/_security/api_key", body, None, {}, file=file)


@pytest.fixture
def planned(monkeypatch):
    """Makes the command find this to do; what it does of it is noted, and the named step fails."""

    def made(plan, fails=""):
        done = []

        def perform(client, plan, tell):
            for step in plan.steps:
                if step.name == fails:
                    raise StoreDenied("http://es:9200: cannot create component template b: the right x is lacking")
                done.append(step.name)
                tell(step, {"id": "id7", "encoded": "aWQ3OnMzY3JldA=="})

        monkeypatch.setattr(room, "_planned", lambda client, wish: room.Told("http://es:9200", SERVER, plan))
        monkeypatch.setattr(apply, "perform", perform)
        return done

    return made


@pytest.fixture
def answers(monkeypatch, on_terminal):
    """What somebody types on the terminal."""
    return lambda typed: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))


def setup(run, *options):
    return run("setup", "elasticsearch", *STORE, *options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--retention", "30 days"), "'30 days': expected a time such as 30d or 12h, or forever"),
        (("--retention", "0d"), "'0d': expected a time such as 30d"),
        (("--replicas", "many"), "'many': expected a number, or auto"),
        (("--replicas", "-1"), "'-1': expected a number, or auto"),
        (("--keys", "ship,wrte"), "'wrte': there are ship, read, setup"),
        (("--environment", "production"), "--environment is for keys"),
        (("--keys-to", "."), "--keys-to is for keys"),
        (("--remove",), "--remove needs --yes where nobody can be asked"),
        (("--remove", "--yes", "--keys", "ship"), "--remove stands alone"),
        (("--remove", "--yes", "--retention", "1d"), "--remove stands alone"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line_before_anybody_is_asked(run, planned, options, told):
    done = planned(Plan((put("a"),)))
    result = setup(run, *options)
    assert (result.code, result.out, result.err.count("\n"), done) == (2, "", 1, [])
    assert told in result.err


def test_a_server_has_to_be_named(run):
    result = run("setup", "elasticsearch")
    assert (result.code, result.out) == (2, "")
    assert result.err == "clusterlog: no server is named: --store https://host:9200, or the setting store\n"


def test_a_server_that_is_not_there_is_told(run):
    result = setup(run)
    assert (result.code, result.out) == (3, "")
    assert result.err == "clusterlog: http://127.0.0.1:9: nothing listens there (connection refused)\n"


def test_the_group_alone_answers_with_what_can_be_set_up(run):
    result = run("setup", "--help")
    assert result.code == 0
    assert "  elasticsearch  Make templates and roles on a search server" in result.out


def test_a_dry_run_shows_the_plan_and_changes_nothing(run, planned):
    done = planned(Plan((put("a"), put("b"))))
    result = setup(run, "--dry-run")
    assert (result.code, result.err, done) == (0, "", [])
    assert result.lines[0] == "Elasticsearch 9.5.0 at http://es:9200, full profile"
    assert result.lines[-1] == "2 to create"


def test_where_nobody_can_be_asked_the_plan_is_carried_out_and_each_change_told(run, planned):
    done = planned(Plan((put("a"), put("b"))))
    result = setup(run)
    assert (result.code, done) == (0, ["a", "b"])
    assert result.err == "created component template a\ncreated component template b\n2 changes made\n"


@pytest.mark.parametrize(("typed", "code", "expected"), [("y\n", 0, ["a"]), ("n\n", 1, []), ("\n", 1, [])])
def test_on_a_terminal_it_asks_and_does_what_it_is_told(run, planned, answers, typed, code, expected):
    done = planned(Plan((put("a"),)))
    answers(typed)
    result = setup(run)
    assert (result.code, done) == (code, expected)
    assert "make these changes? [y/N]" in result.err
    assert ("nothing was changed" in result.err) is (code == 1)


def test_yes_is_the_answer_before_the_question(run, planned, on_terminal):
    done = planned(Plan((put("a"),)))
    result = setup(run, "--yes")
    assert (result.code, done) == (0, ["a"])
    assert "make these changes?" not in result.err


def test_taking_back_needs_the_word_where_nobody_can_be_asked(run, planned):
    done = planned(Plan((put("a"),)))
    assert setup(run, "--remove", "--yes").code == 0
    assert done == ["a"]
    assert setup(run, "--remove", "--json").code == 2
    assert setup(run, "--remove", "--dry-run").code == 0
    assert done == ["a"]


def test_where_there_is_nothing_to_do_nobody_is_asked(run, planned, answers):
    planned(Plan(kept=("index template clusterlog",)))
    result = setup(run)
    assert (result.code, result.err) == (0, "")
    assert result.lines[-1] == "nothing to do: 1 as they should be"


def test_what_is_refused_is_shown_and_nothing_is_done(run, planned):
    done = planned(Plan((put("a"),), ("role clusterlog_ship is there",)))
    result = setup(run, "--yes")
    assert (result.code, done) == (2, [])
    assert result.err == "clusterlog: role clusterlog_ship is there\n"
    assert "  refused: role clusterlog_ship is there" in result.lines


def test_a_failure_half_way_says_how_far_it_came_and_how_to_go_on(run, planned):
    done = planned(Plan((put("a"), put("b"), put("c"))), fails="b")
    result = setup(run)
    assert (result.code, done) == (4, ["a"])
    assert result.err.splitlines() == [
        "created component template a",
        "clusterlog: 1 change of 3 made: the same command again makes the rest",
        "clusterlog: http://es:9200: cannot create component template b: the right x is lacking",
    ]


def test_as_json_it_is_one_document_with_every_request_and_whether_it_was_made(run, planned):
    planned(Plan((put("a"), put("b")), notes=("n",), kept=("k",)), fails="b")
    result = setup(run, "--json")
    assert result.code == 4
    told = json.loads(result.out)
    assert told["schema"] == "clusterlog.setup/1"
    assert told["server"] == {"flavour": "elasticsearch", "version": "9.5.0", "profile": "full"}
    assert [(step["name"], step["done"]) for step in told["plan"]] == [("a", True), ("b", False)]
    assert told["plan"][0]["request"] == {"method": "PUT", "path": "/_component_template/a", "body": {}}
    assert (told["notes"], told["kept"], told["refused"], told["left_out"]) == (["n"], ["k"], [], [])
    assert told["error"].startswith("http://es:9200: cannot create component template b")


@pytest.mark.parametrize("options", [("--dry-run",), ()])
def test_as_json_nothing_is_asked_and_nothing_else_is_on_standard_output(run, planned, answers, options):
    answers("")
    planned(Plan((put("a"),)))
    result = setup(run, "--json", *options)
    assert (result.code, len(result.lines)) == (0, 1)
    assert json.loads(result.out)["plan"][0]["done"] is (not options)


def test_a_key_is_told_by_its_file_and_never_itself(run, planned):
    planned(Plan((key("/h/ship.token"),)))
    result = setup(run)
    assert "created API key clusterlog_ship in /h/ship.token" in result.err
    assert "aWQ3" not in result.out + result.err
    told = json.loads(setup(run, "--json").out)
    assert told["keys"] == [{"name": "clusterlog_ship", "id": "id7", "file": "/h/ship.token"}]


def test_a_key_is_shown_where_that_is_asked_for(run, planned):
    planned(Plan((key("-"),)))
    result = setup(run, "--keys", "ship", "--keys-to", "-")
    assert result.lines[-1] == "clusterlog_ship aWQ3OnMzY3JldA=="
    told = json.loads(setup(run, "--json").out)
    assert told["keys"] == [{"name": "clusterlog_ship", "id": "id7", "token": "aWQ3OnMzY3JldA=="}]


@pytest.fixture
def bare(elasticsearch):
    """The shared server without templates of ours, before and after."""

    def cleared():
        for path in ("_index_template/clusterlog", "_component_template/clusterlog@*"):
            status, answer = elasticsearch.call("DELETE", f"/{path}")
            assert status in (200, 404), f"somebody has left data streams of the templates that are tested: {answer}"

    cleared()
    yield elasticsearch
    cleared()


def test_a_real_server_is_planned_for_set_up_left_alone_and_cleared(run, bare):
    here = ("setup", "elasticsearch", "--store", bare.url)
    full = run(*here, "--dry-run")
    assert (full.code, full.err) == (0, "")
    assert full.lines[0] == f"Elasticsearch 8.19.0 at {bare.url}, reduced profile"
    assert any(line.startswith("  without component template ecs@mappings: ") for line in full.lines)
    assert '+        "http.request.id": {"ignore_above": 8191, "index": true, "type": "keyword"},' in full.lines
    assert full.lines[-1] == "3 to create"
    assert bare.call("GET", "/_index_template/clusterlog")[0] == 404

    made = run(*here)
    assert (made.code, made.err.splitlines()[-1]) == (0, "3 changes made")
    status, told = bare.call("POST", "/_index_template/_simulate_index/logs-clusterlog.nobody-nowhere")
    assert status == 200
    assert told["template"]["settings"]["index"]["mode"] == "logsdb"
    assert told["template"]["mappings"]["properties"]["labels"]["type"] == "flattened"

    assert run(*here, "--dry-run").lines[-1] == "nothing to do: 3 as they should be"
    again = run(*here)
    assert (again.code, again.err, again.lines[-1]) == (0, "", "nothing to do: 3 as they should be")

    less = run(*here, "--retention", "7d", "--replicas", "0")
    assert (
        less.err
        == "updated component template clusterlog@settings\nupdated index template clusterlog\n2 changes made\n"
    )
    assert run(*here).lines[-1] == "nothing to do: 3 as they should be"

    gone = run(*here, "--remove", "--yes")
    assert (gone.code, gone.err.splitlines()[-1]) == (0, "3 changes made")
    assert bare.call("GET", "/_index_template/clusterlog")[0] == 404
    assert bare.call("GET", "/_component_template/clusterlog@settings")[0] == 404
    assert run(*here, "--remove", "--yes").lines[-1] == "nothing to do"
