"""What a store refused is listed with its reason, shown, sent again under its id, or thrown away; all of it is told."""

import json
from contextlib import closing

import pytest

from clusterlog.ship.dead import quarantine
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.ship.homelock import HomeLock
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Match, Query

NOON = 1_793_707_200_000_000_000


@pytest.fixture
def refused(home, run, monkeypatch):
    """A process said six lines, of which the store refused two; they lie in ``dead/``."""
    speaker = home.speaker()
    for number in range(6):
        speaker.say(f"line {number}", "error" if number == 4 else "info")
    speaker.end()
    real = EmbeddedStore.deliver

    def deliver(self, batch):
        from clusterlog.store.base import Outcome

        bad = {each.id for each in batch if b'"line 3"' in each.body or b'"line 4"' in each.body}
        stored = iter(real(self, [each for each in batch if each.id not in bad]))
        return [Outcome("refused", "object mapping for [x]") if each.id in bad else next(stored) for each in batch]

    with monkeypatch.context() as broken:
        broken.setattr(EmbeddedStore, "deliver", deliver)
        assert run("ship", "--once").code == 0
    return home


def stored(home, query):
    with closing(EmbeddedStore.open(home.path / "store", "read")) as store:
        return [json.loads(found.body) for found in store.find(query)]


def ids_of(home):
    return [letter.id for letter in letters(home.path / "dead")]


def test_they_are_listed_newest_first_with_cause_and_reason(refused, run):
    result = run("dead", "ls")
    assert result.code == 0
    head, *rows = result.lines
    assert head.split() == ["KEPT", "EVENT", "CAUSE", "SENT", "REASON"]
    assert len(rows) == 2 and all("refused" in row and row.endswith("object mapping for [x]") for row in rows)
    assert result.err == f"2 events in {refused}/dead: 2 refused\n"


def test_for_machines_each_letter_has_all_that_is_known(refused, run):
    told = json.loads(run("dead", "ls", "--json").out)
    assert (told["schema"], told["count"], len(told["letters"])) == ("clusterlog.dead.ls/1", 2, 2)
    assert {each["id"] for each in told["letters"]} == set(ids_of(refused))
    assert set(told["letters"][0]) == {
        "id",
        "instance",
        "sequence",
        "cause",
        "reason",
        "sink",
        "attempts",
        "kept",
        "bytes",
    }


def test_a_list_can_be_bounded_and_chosen_by_reason(refused, run):
    assert len(run("dead", "ls", "--limit", "1").lines) == 2
    assert "--limit 0 shows the other 1" in run("dead", "ls", "--limit", "1").err
    assert json.loads(run("dead", "ls", "--json", "--reason", "OBJECT").out)["count"] == 2
    assert json.loads(run("dead", "ls", "--json", "--reason", "quota").out)["count"] == 0


def test_without_letters_there_is_nothing_to_list(home, run):
    home.speaker().say("x")
    assert run("dead", "ls").err == "no dead letters\n" and run("dead", "ls").code == 0
    assert run("dead", "replay", "--all").code == 1
    assert run("dead", "ls", "--home", home.path / "nowhere").code == 1


def test_one_is_shown_with_the_event_itself(refused, run):
    first, _ = ids_of(refused)
    told = json.loads(run("dead", "show", first, "--json").out)
    assert told["schema"] == "clusterlog.dead.show/1"
    assert told["event"]["event"]["id"] == first and told["reason"] == "object mapping for [x]"
    lines = run("dead", "show", first).lines
    assert lines[0] == f"event   {first}" and "  }," in lines
    assert run("dead", "show", first[:-1]).code == 1  # both begin so
    assert run("dead", "show", "nothing").code == 1


def test_what_is_no_event_is_shown_without_steering_the_terminal(home, run):
    home.speaker().say("x")
    kept = Quarantine(home.path / "dead", "f" * 32, "store")
    kept.keep(Delivery("odd", "e" * 32, 4, b"not json \x1b[31m \xff"), "not JSON", NOON)
    kept.close()
    assert run("dead", "show", "odd").lines[-1] == r"not json \x1b[31m \xff"
    told = json.loads(run("dead", "show", "odd", "--json").out)
    assert told["event"] is None and told["body"].startswith("not json")
    result = run("dead", "replay", "--all", "--json")
    assert json.loads(result.out) == {
        "schema": "clusterlog.dead.replay/1",
        "home": str(home),
        "replayed": 0,
        "left": ["odd"],
    }
    assert ids_of(home) == ["odd"]


def test_replayed_they_are_stored_under_their_ids_as_they_were_said(refused, run):
    before = {letter.id: letter.body for letter in letters(refused.path / "dead")}
    result = run("dead", "replay", "--all")
    assert result.code == 0
    assert result.err == "2 events went back into the spool; `clusterlog ship` delivers what lies there\n"
    assert ids_of(refused) == []
    assert run("ship", "--once").code == 0
    for id, body in before.items():
        assert stored(refused, Query(Match("event.id", id))) == [json.loads(body)]
    assert list((refused.path / "spool").iterdir()) == []


def test_a_replay_is_told_and_afterwards_every_number_is_stored(refused, run):
    assert run("verify").code == 0
    told = json.loads(run("verify", "--json").out)
    assert [each["reason"] for each in told["explained"]] == ["dead_letter: object mapping for [x]"] * len(
        told["explained"]
    )
    run("dead", "replay", "--all")
    run("ship", "--once")
    told = json.loads(run("verify", "--json").out)
    assert told["complete"] and told["explained"] == [] and told["duplicates"] == []
    (replayed,) = {
        (each["clusterlog"]["state"]["instance"], each["clusterlog"]["state"]["count"])
        for each in stored(refused, Query(Match("event.action", "replay")))
    }
    assert replayed == (refused.speakers[0].id, 2)
    assert not stored(refused, Query(Match("event.action", "crash-close")))  # what was replayed is no process


def test_what_is_refused_again_comes_back_with_its_own_number(refused, run, monkeypatch):
    from clusterlog.store.base import Outcome

    known = [(letter.id, letter.instance, letter.sequence) for letter in letters(refused.path / "dead")]
    run("dead", "replay", "--all")
    real = EmbeddedStore.deliver

    def deliver(self, batch):
        bad = {id for id, _, _ in known}
        stored = iter(real(self, [each for each in batch if each.id not in bad]))
        return [Outcome("refused", "still no") if each.id in bad else next(stored) for each in batch]

    with monkeypatch.context() as broken:
        broken.setattr(EmbeddedStore, "deliver", deliver)
        run("ship", "--once")
    again = list(letters(refused.path / "dead"))
    assert [(letter.id, letter.instance, letter.sequence) for letter in again] == known
    assert {letter.reason for letter in again} == {"still no"}
    assert json.loads(run("verify", "--json").out)["complete"]


def test_one_alone_can_be_replayed_and_those_with_a_reason(refused, run):
    first, second = ids_of(refused)
    assert run("dead", "replay", first).code == 0
    assert ids_of(refused) == [second]
    assert run("dead", "replay", "--reason", "quota").code == 1
    assert run("dead", "replay", "--reason", "mapping").code == 0
    assert ids_of(refused) == []


@pytest.mark.parametrize("command", ["replay", "purge"])
def test_which_ones_has_to_be_said(refused, run, command):
    result = run("dead", command)
    assert result.code == 2 and "Give ids, --reason TEXT or --all" in result.err
    assert run("dead", command, ids_of(refused)[0], "--all").code == 2
    assert len(ids_of(refused)) == 2


def test_who_is_to_deliver_is_named(refused, run, monkeypatch):
    monkeypatch.setattr(HomeLock, "holder", staticmethod(lambda home: 4711))
    assert "process 4711 delivers what lies there" in run("dead", "replay", "--all").err


def test_a_spool_that_may_not_grow_takes_nothing_back(refused, run, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_DISK_LIMIT", "1")
    result = run("dead", "replay", "--all")
    assert result.code == 3 and "the spool may not grow now (disk_limit)" in result.err
    assert len(ids_of(refused)) == 2


def test_thrown_away_they_are_explained_as_that(refused, run):
    first, _ = ids_of(refused)
    assert run("dead", "purge", first).err == "threw away 1 event\n"
    assert json.loads(run("dead", "purge", "--all", "--json").out)["purged"] == 1
    assert ids_of(refused) == []
    run("ship", "--once")
    told = json.loads(run("verify", "--json").out)
    assert told["complete"] and sum(each["count"] for each in told["explained"]) == 2
    assert "lost      2 dead_letter_purged" in run("status").lines


def test_status_counts_them_with_the_first_reason(refused, run):
    assert "refused   2 events in dead/, the first for: object mapping for [x]" in run("status").lines
    told = json.loads(run("status", "--json").out)
    assert (told["dead"], told["dead_reason"]) == (2, "object mapping for [x]")
    before = told["accepted"]
    run("dead", "replay", "--all")
    assert "refused   nothing" in run("status").lines
    voice = 3  # that it began, what it did, that it ended
    assert json.loads(run("status", "--json").out)["accepted"] == before + voice


def test_doctor_says_what_to_do_about_them(refused, run):
    result = run("doctor")
    assert "2 events in dead/ were refused, the first for: object mapping for [x]" in result.out
    assert "clusterlog dead replay --all" in result.out


def test_the_oldest_are_dropped_beyond_the_limit_and_that_is_told(home, run, monkeypatch):
    monkeypatch.setattr(quarantine, "SEGMENT_BYTES", 2000)
    monkeypatch.setattr(quarantine, "DISK_LIMIT", 8000)
    speaker = home.speaker()
    for number in range(60):
        speaker.say(f"line {number}")
    speaker.end()
    real = EmbeddedStore.deliver

    def deliver(self, batch):
        from clusterlog.store.base import Outcome

        bad = {each.id for each in batch if b'"message":"line ' in each.body}
        stored = iter(real(self, [each for each in batch if each.id not in bad]))
        return [Outcome("refused", "no") if each.id in bad else next(stored) for each in batch]

    with monkeypatch.context() as broken:
        broken.setattr(EmbeddedStore, "deliver", deliver)
        run("ship", "--once")
    left = len(ids_of(home))
    assert 0 < left < 60
    run("ship", "--once")
    assert f"lost      {60 - left} dead_letter_limit" in run("status").lines
    told = json.loads(run("verify", "--json").out)
    assert told["complete"] and sum(each["count"] for each in told["explained"]) == 60
