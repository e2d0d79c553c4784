"""`clusterlog search --group request`: whose requests, what happened in them, each told once and as a whole."""

from __future__ import annotations

import json
import random

import pytest

from clusterlog.cli import paint
from clusterlog.encode.identity import key_file, rotate
from clusterlog.settings import load

FAILED = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
COUNT = 2000


@pytest.fixture
def crowd(stories, home):
    """What 2,000 requests of ten users left behind, and whose each was.

    Everybody is on one shop first and on the other later, all keys of the home change on the way, and only the shop
    knows who asks: what the other nodes tell of a request names nobody.
    """
    chance = random.Random(7)
    file = key_file(load({"home": str(home)}))
    keys = rotate(file)
    owner, documents = {}, []
    nodes = [
        stories.Story("", number).process(node)
        for number, node in enumerate(("shop-1", "shop-2", "orders-1", "orders-2"), 1)
    ]
    for number in range(COUNT):
        if number in (700, 1400):
            keys = rotate(file, now=float(number))
        user, at = chance.choice(USERS), number * 7.0
        request = f"0193f0c2{chance.getrandbits(96):024x}"
        owner[request] = user
        shop = nodes[(USERS.index(user) + (number > COUNT // 2)) % 2]
        told = [shop]
        if chance.random() < 0.6:
            told.append(chance.choice(nodes[2:]))
        for process in told:
            process.story.documents, process.story.id = [], request
        failed = len(told) == 2 and chance.random() < 0.2
        if len(told) == 2:
            level = "error" if failed else "info"
            told[1].log(at + 3, "stock looked up", level=level, span="s2")
            told[1].access(at + 4, 2, "GET /stock", 500 if failed else 200, span="s2", parent="c1")
            shop.call(at + 5, 4, "GET http://orders/stock", 500 if failed else 200, span="c1", parent="s1")
        shop.log(at + 1, "asked", span="s1")
        shop.access(at + 6, 6, "GET /", 502 if failed else 200, span="s1")
        for event in shop.story.documents:
            event["user"] = {"hash": keys[-1].hash(user)}
            event.setdefault("clusterlog", {})["user"] = {"key_id": keys[-1].id}
        documents += [event for process in told for event in process.story.documents]
    return owner, documents


def rows_of(result):
    return json.loads(result.out)["requests"]


def test_a_user_s_requests_are_found_exactly_among_2000_across_nodes_a_node_change_and_changes_of_the_key(
    run, keep, crowd
):
    owner, documents = crowd
    keep(*documents)
    events, nodes = {}, {}
    for event in documents:
        request = event["http"]["request"]["id"]
        events[request] = events.get(request, 0) + 1
        nodes.setdefault(request, set()).add(event["service"]["node"]["name"])
    failed = {e["http"]["request"]["id"] for e in documents if e["log"]["level"] == "error"}
    for user in ("alice", "judy"):
        hers = {request for request, who in owner.items() if who == user}
        found = rows_of(run("search", "--user", user, "--group", "request", "--limit", "0", "--json"))
        assert [row["id"] for row in found] == [request for request in owner if request in hers]
        assert {row["id"]: (row["events"], set(row["nodes"])) for row in found} == {
            request: (events[request], nodes[request]) for request in hers
        }
        assert {"shop-1", "shop-2", "orders-1", "orders-2"} == set().union(*(row["nodes"] for row in found))
        assert len({row["users"][0] for row in found}) == 3
        asked = ("search", "node: orders-* and level: error", "--user", user, "--group", "request", "--limit", "0")
        assert {row["id"] for row in rows_of(run(*asked, "--json"))} == hers & failed
        assert run(*asked, "--count").out == f"{len(hers & failed)}\n"
    newest = rows_of(run("search", "--user", "alice", "--group", "request", "--limit", "5", "--json"))
    assert [row["id"] for row in newest] == [request for request, who in owner.items() if who == "alice"][-5:]


def test_for_events_whose_they_are_is_one_more_condition(run, keep, crowd):
    owner, documents = crowd
    hers = [e for e in documents if owner[e["http"]["request"]["id"]] == "bob" and "user" in e]
    keep(*documents)
    assert run("search", "--user", "bob", "--count").out == f"{len(hers)}\n"
    assert run("search", "--user", "bob", "node: orders-1", "--count").out == "0\n"
    assert run("search", "--user", "mallory", "--count").code == 1


def test_a_home_without_a_key_says_so(run, checkouts):
    result = run("search", "--user", "alice")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"clusterlog: no user key in {checkouts}")


def test_a_session_is_found_by_its_cookie(run, home, keep, stories):
    (key,) = rotate(key_file(load({"home": str(home)})))
    for number, cookie in enumerate(("c0ffee", "other"), 1):
        story = stories.Story(f"request-{number}", number)
        own = {"clusterlog": {"session": {"hash": key.hash(cookie)}}}
        story.process("shop-1").access(number, 1, "GET /", 200, span="s1", **own)
        keep(*story.documents)
    (row,) = rows_of(run("search", "--session", "c0ffee", "--group", "request", "--json"))
    assert (row["id"], row["sessions"]) == ("request-1", [key.hash("c0ffee")])


def test_in_a_pipe_a_row_is_whole(run, checkouts):
    result = run("search", "--group", "request", "level: error or request: healthy-1")
    assert (result.code, result.err) == (0, "")
    before = "2026-11-03T12:00:00.000Z", FAILED, "E", "POST", "/checkout", "502", "FAILED", "1,836", "ms"
    after = "2026-11-03T12:00:02.000Z", "healthy-1", "I", "POST", "/checkout", "201", "ok", "58", "ms"
    heading, *lines = (line.split() for line in result.lines)
    assert heading == ["started", "request", "status", "took", "events", "user", "nodes"]
    assert lines == [
        [*before, "8", "of", "11", "-", "shop-1", "→", "orders-2", "→", "payments-1"],
        [*after, "11", "-", "shop-2", "→", "orders-1", "→", "payments-1"],
    ]
    assert len({line.index("POST") for line in result.lines[1:]}) == 1


def test_people_get_short_ids_and_the_day_once(run, checkouts, monkeypatch, on_terminal):
    monkeypatch.setattr(paint, "width", lambda: 120)
    assert run("search", "--group", "request", "--limit", "2").lines == [
        "2026-11-03    request                       status   took  events  nodes",
        "12:00:02.000  healthy-1  I  POST /checkout  201 ok  58 ms      11  shop-2 → orders-1 → payments-1",
        "12:00:03.000  healthy-2  I  POST /checkout  201 ok  58 ms      11  shop-2 → orders-1 → payments-1",
    ]
    monkeypatch.setattr(paint, "width", lambda: 80)
    assert run("search", "--group", "request", "--limit", "1").lines == [
        "2026-11-03  request                       status   took  events  nodes",
        "12:00:03    healthy-2  I  POST /checkout  201 ok  58 ms      11  shop-2 +2",
    ]
    monkeypatch.setattr(paint, "width", lambda: 60)
    assert run("search", "--group", "request", "--limit", "1").lines == [
        "2026-11-03  request                       status   took",
        "12:00:03    healthy-2  I  POST /checkout  201 ok  58 ms",
    ]
    monkeypatch.setattr(paint, "width", lambda: 44)
    assert run("search", "--group", "request", "--limit", "1").lines == [
        "2026-11-03  request                 status …",
        "12:00:03    healthy-2  I  POST /c…  201 ok …",
    ]
    assert run("search", "--group", "request", "--limit", "1").err == "the newest 1 request; --limit 0 shows all\n"
    assert run("search", "--group", "request", "--limit", "4").err == ""


def test_what_is_asked_for_plain_is_whole_on_a_terminal_too(run, checkouts, monkeypatch, on_terminal):
    monkeypatch.setattr(paint, "width", lambda: 60)
    lines = run("search", "--group", "request", "--format", "plain").lines
    assert FAILED in lines[1]
    assert lines[1].endswith("payments-1")


def test_the_slowest_come_last_if_they_are_asked_for(run, checkouts):
    asked = ("search", "--group", "request", "--sort", "duration", "--limit", "1", "--ndjson")
    assert [json.loads(line)["id"] for line in run(*asked).lines] == [FAILED]


def test_an_order_of_requests_without_requests_is_a_usage_error(run, checkouts):
    result = run("search", "--sort", "duration")
    assert (result.code, result.out) == (2, "")
    assert "add --group request" in result.err


@pytest.mark.parametrize("form", [[], ["--ndjson"], ["--count"]])
def test_nothing_found_is_1(run, checkouts, form):
    result = run("search", "--group", "request", "node: nowhere", *form)
    assert (result.code, result.out, result.err) == (1, "0\n" if form == ["--count"] else "", "")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["search", "node: nowhere"], "no event matches: "),
        (["search", "node: nowhere", "--group", "request"], "no request matches: "),
        (["errors", "node: nowhere"], "no error matches: "),
        (["errors", "--new", "--since", "2026-11-04"], "no error is new: "),
    ],
)
def test_a_person_who_finds_nothing_is_told_of_which_time_there_is_something(
    run, checkouts, on_terminal, command, said
):
    result = run(*command)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"{said}stored are events from 2026-11-03T12:00:00Z to 2026-11-03T12:00:03Z\n"


def test_hostile_text_reaches_a_terminal_escaped(run, stories, keep, on_terminal):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    story = stories.Story(hostile)
    story.process(hostile).access(1, 1, f"{hostile} /", 200, user={"hash": hostile})
    keep(*story.documents)
    for options in ((), ("--json",), ("--ndjson",), ("--format", "plain")):
        text = run("search", "--group", "request", *options).out
        assert "<b>" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")]
