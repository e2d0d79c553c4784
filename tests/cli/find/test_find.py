"""Asking: what `clusterlog search` lists and `clusterlog trace` puts together, of events that were just written."""

from __future__ import annotations

import errno
import json
import sys

import pytest

from clusterlog.cli.home import stored
from clusterlog.errors import NotAllowed, StoreUnavailable
from clusterlog.search.language import parsing

ONE, TWO = "a" * 24 + "00000001", "b" * 24 + "00000002"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def shop(home):
    """Two requests on two nodes; nothing is delivered yet."""
    shop, orders = home.speaker(), home.speaker("orders", "orders-1")
    shop.say("order placed", request=ONE, order=7)
    orders.say("reserve stock", request=ONE, level="debug")
    orders.say("out of stock", request=ONE, level="error", sku="a9")
    orders.answer(ONE, 500)
    shop.say("order placed", request=TWO, order=8)
    shop.answer(TWO, 200)
    shop.end()
    orders.end()
    return home


def test_search_finds_what_was_only_just_logged_oldest_first(run, shop):
    result = run("search", "not dataset: clusterlog.state")
    assert (result.code, result.err) == (0, "")
    assert result.lines == [
        f"2026-11-03T12:00:01.000Z  shop-1    I  {ONE}  shop.api    order placed  order=7",
        f"2026-11-03T12:00:01.001Z  shop-1    I  {TWO}  shop.api    order placed  order=8",
        f"2026-11-03T12:00:01.002Z  shop-1    I  {TWO}  access      GET /orders → 200 in 5 ms",
        f"2026-11-03T12:00:02.000Z  orders-1  D  {ONE}  shop.api    reserve stock",
        f"2026-11-03T12:00:02.001Z  orders-1  E  {ONE}  shop.api    out of stock  sku=a9",
        f"2026-11-03T12:00:02.002Z  orders-1  I  {ONE}  access      GET /orders → 500 in 5 ms",
    ]
    assert not list((shop.path / "spool").glob("*.seg"))


def test_a_limit_keeps_the_newest_and_0_keeps_all(run, shop):
    everything = run("search", "--limit", "0").lines
    assert len(everything) == 10
    assert [line.split()[0] for line in run("search", "--limit", "2").lines] == [
        line.split()[0] for line in everything[-2:]
    ]


def test_a_person_is_told_how_many_were_left_out(run, shop, on_terminal):
    assert run("search", "--limit", "2", "--state").err == "the newest 2 of 10 events; --limit 0 shows all\n"
    assert run("search", "--limit", "10", "--state").err == ""


def test_a_person_sees_no_state_events_unless_asked_for_and_is_told_of_them(run, shop, on_terminal):
    result = run("search")
    assert len(result.lines) == 6 and not any("open " in line or "close " in line for line in result.lines)
    assert result.err == "4 state events not shown; --state shows them\n"
    assert len(run("search", "--state").lines) == 10
    for query in ("event.kind: state", "event.action: open or event.action: close", "event.dataset: clusterlog.state"):
        asked = run("search", query)
        assert len(asked.lines) == 4 and asked.err == ""
    assert run("search", "level: error").err == ""


def test_where_all_that_matches_are_state_events_a_person_is_told_so(run, shop, on_terminal):
    result = run("search", "open")
    assert (result.code, result.out, result.err) == (1, "", "2 state events not shown; --state shows them\n")


def test_pipes_and_counts_have_state_events_too(run, shop):
    assert len(run("search").lines) == len(run("search", "--ndjson").lines) == 10
    assert run("search", "--count").out == "10\n"


def test_words_of_a_query_need_no_quotes_around_them_all(run, shop):
    assert run("search", "level:", "error", "and", "node:", "orders-1", "--count").out == "1\n"


@pytest.mark.parametrize(("query", "code", "out"), [("level: error", 0, "1\n"), ("level: critical", 1, "0\n")])
def test_a_count_is_one_integer_and_none_is_1_as_with_grep(run, shop, query, code, out):
    result = run("search", "--count", query)
    assert (result.code, result.out, result.err) == (code, out, "")


@pytest.mark.parametrize("form", [[], ["--ndjson"]])
def test_nothing_found_is_1_and_silence(run, shop, form):
    result = run("search", "level: critical", *form)
    assert (result.code, result.out, result.err) == (1, "", "")


def test_documents_come_byte_for_byte_as_they_were_written(run, shop):
    speaker = shop.speaker()
    speaker.say("\u202e\x7f\x9b ü 日本")
    speaker.end()
    written = run("spool", "cat", "--json").lines
    found = run("search", "--ndjson", "--limit", "0").lines
    assert sorted(found) == sorted(written)


def test_one_document_for_machines_names_its_schema(run, shop):
    told = json.loads(run("search", "--json", "level: error").out)
    assert (told["schema"], told["query"]) == ("clusterlog.search/1", "level: error")
    assert [event["message"] for event in told["events"]] == ["out of stock"]
    empty = run("search", "--json", "level: critical")
    assert (empty.code, json.loads(empty.out)["events"]) == (1, [])


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--since", "2026-11-03T12:00:02Z"], "5\n"),
        (["--until", "2026-11-03T12:00:02Z"], "5\n"),
        (["--since", "2026-11-04"], "0\n"),
        (["--since", "2026-11-03", "--until", "2026-11-04"], "10\n"),
        (["--since"], "10\n"),
    ],
)
def test_times_bound_what_is_found_and_since_alone_means_everything(run, shop, options, count):
    assert run("search", "--count", *options).out == count


def test_a_time_that_is_none_is_told_with_the_forms_that_are(run, shop):
    result = run("search", "--since", "yesterday")
    assert result.code == 2
    assert result.err.startswith("clusterlog: 'yesterday' is not a time: write ")


def test_a_query_that_cannot_be_read_is_shown_with_the_place(run, shop):
    result = run("search", "level: error and statsu >= 500")
    assert result.code == 2
    first, query, mark = result.err.removesuffix("\n").split("\n")
    assert first.startswith('clusterlog: no field "statsu": did you mean status')
    assert query == "  level: error and statsu >= 500"
    assert mark == "                   ^^^^^^"


def test_without_the_grammar_s_library_the_extra_is_named(run, shop, monkeypatch):
    parsing._parser.cache_clear()
    for name in ("lark", "lark.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    result = run("search", "level: error")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert 'pip install "clusterlog[server]"' in result.err


@pytest.mark.parametrize("command", [("search",), ("trace", ONE)])
def test_a_home_that_does_not_exist_is_not_made(run, home, command):
    result = run(*command)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"clusterlog: no home at {home}: nothing has logged there; --home DIR names another\n"
    assert not home.path.exists()


@pytest.mark.parametrize("command", ["search", "trace", "errors", "verify", "diff", "export", "tail"])
def test_a_store_elsewhere_that_does_not_answer_is_said_in_one_line(run, shop, command):
    words = ["a" * 32] if command in ("trace", "diff", "export") else []
    result = run(command, *words, "--store", "http://127.0.0.1:1")
    told = "clusterlog: http://127.0.0.1:1: nothing listens there (connection refused)\n"
    assert (result.code, result.out, result.err) == (3, "", told)


def test_a_store_elsewhere_is_that_of_the_home_where_its_settings_name_one(run, home, shop):
    (home.path / "clusterlog.toml").write_text('store = "http://127.0.0.1:1"\n')
    assert run("search").code == 3


@pytest.mark.parametrize(
    "error",
    [
        NotAllowed("cannot write in there"),
        StoreUnavailable("cannot write in there"),
        OSError(errno.ENOSPC, "cannot write in there"),
    ],
)
def test_what_may_not_be_delivered_is_said_and_the_rest_is_found(run, shop, monkeypatch, error):
    run("ship", "--once")
    late = shop.speaker()
    late.say("too late")
    late.end()

    def refused(settings, timeout):
        raise error

    monkeypatch.setattr(stored, "deliver", refused)
    result = run("search", "--count")
    assert (result.code, result.out) == (0, "10\n")
    assert result.err.startswith("clusterlog: the newest events may be missing: ")
    assert result.err.endswith("cannot write in there\n")
    assert len(result.err.splitlines()) == 1


def test_hostile_text_reaches_a_terminal_escaped(run, home, on_terminal):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    speaker = home.speaker(node=hostile)
    speaker.say(hostile, request=ONE, key=hostile)
    speaker.end()
    for words in (("search",), ("search", "--ndjson"), ("search", "--json"), ("trace", ONE), ("trace", ONE, "--json")):
        text = run(*words).out
        assert "<b>" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")], words


def test_trace_tells_a_request_from_all_its_nodes(run, shop):
    result = run("trace", ONE)
    assert (result.code, result.err) == (0, "")
    assert f"Request {ONE}  GET /orders" in result.out
    for said in ("order placed", "reserve stock", "out of stock", "500", "shop-1", "orders-1"):
        assert said in result.out
    assert TWO not in result.out


def test_trace_for_machines_holds_the_documents_as_they_are_stored(run, shop):
    told = json.loads(run("trace", ONE, "--json").out)
    assert told["schema"] == "clusterlog.trace/1"
    assert (told["request"]["id"], told["request"]["status"], told["request"]["events"]) == (ONE, 500, 4)
    stored = [json.loads(line) for line in run("search", "--ndjson", f"request: {ONE}").lines]
    assert sorted(told["events"], key=lambda e: e["@timestamp"]) == stored


@pytest.mark.parametrize("asked", [TRACE, TRACE.upper(), "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"])
def test_a_trace_id_finds_its_requests_and_says_so_if_there_are_several(run, shop, asked):
    result = run("trace", asked, "--json")
    assert json.loads(result.out)["request"]["events"] == 6
    assert result.err == f"2 requests of one trace, shown together: {ONE}, {TWO}\n"


@pytest.mark.parametrize("asked", ["00000001", "..00000001", "a00000001"])
def test_the_end_of_an_id_will_do_as_search_shows_it(run, shop, asked):
    assert json.loads(run("trace", asked, "--json").out)["request"]["id"] == ONE


def test_an_end_that_several_ids_have_is_answered_with_those(run, shop):
    assert run("trace", "000000").code == 1
    more = shop.speaker()
    more.say("x", request="c" * 24 + "00000001")
    more.end()
    result = run("trace", "00000001")
    assert result.code == 1
    *offered, last = result.err.removesuffix("\n").split("\n")
    assert last == "clusterlog: 2 requests fit 00000001: give the whole id of one, or more of it"
    assert [line.split()[1] for line in offered] == ["request", "c" * 24 + "00000001", ONE]


def test_a_request_that_is_not_there_is_answered_with_what_is(run, shop):
    result = run("trace", "f" * 32)
    assert (result.code, result.out) == (1, "")
    told = rf"clusterlog: no request {'f' * 32}: stored are events from 2026-11-03T12:00:01Z to 2026-11-03T12:00:02Z"
    assert result.err == f"{told}; nothing waits in the spools\n"


def test_a_picture_fits_its_width_and_can_be_plain_ascii(run, shop):
    for width in (40, 72, 100):
        assert max(map(len, run("trace", ONE, "--width", width, "--ascii").lines)) <= width
    assert run("trace", ONE, "--ascii").out.isascii()
    assert run("trace", ONE, "--width", "20").code == 2


def test_the_end_of_a_foreign_id_is_taken_with_its_dots_and_no_other_word_is_looked_for_everywhere(run, shop):
    speaker = shop.speaker()
    speaker.say("from elsewhere", request="order-from-partner_17.x")
    speaker.end()
    shown = run("search", "message: elsewhere").lines[0].split()[3]
    assert shown == "order-from-partner_17.x"
    assert json.loads(run("trace", "..partner_17.x", "--json").out)["request"]["id"] == shown
    assert run("trace", "partner_17.x").code == 1
