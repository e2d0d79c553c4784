"""Questions as JSON and answers as lines, whose last one says that they are whole."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from contextlib import closing

import pytest

from clusterlog.errors import Incomplete, StoreUnavailable
from clusterlog.store.base import Found, Sequences
from clusterlog.web import api
from clusterlog.web.api import Api, _chunks

INSTANCE = "0190aaaa0000700080000000000000f0"


def fill(ask, count, **fields):
    lines = []
    for n in range(1, count + 1):
        id = f"{INSTANCE}-{n:011x}"
        about = {"event": {"id": id, "sequence": n}, "process": {"entity_id": INSTANCE}, "labels": {"n": n % 2}}
        lines += [{"create": {"_id": id}}, {"@timestamp": f"2026-11-03T12:00:00.{n:09d}Z", **about, **fields}]
    assert ask.bulk(*lines).status == 200


def numbers(said):
    return [line["event"]["sequence"] for line in said.lines[:-1]]


@pytest.fixture
def five(ask):
    fill(ask, 5)
    return ask


def test_an_answer_is_the_documents_byte_for_byte_and_a_last_line(ask):
    body = b'{ "event" : {"id":"a"}, "n":1.0}'
    ask.bulk({"create": {"_id": "a"}}, body)
    said = ask.search()
    assert said.headers["Content-Type"] == "application/x-ndjson"
    assert said.content == body + b'\n{"total":1,"next":null}\n'


def test_an_empty_store_answers_with_the_last_line_alone(ask):
    assert ask.search().content == b'{"total":0,"next":null}\n'


def test_a_query_is_asked_with_its_condition_times_and_order(five):
    odd = {"where": {"match": {"field": "labels.n", "value": 1}}}
    assert numbers(five.search(odd)) == [5, 3, 1]
    between = {"since": "2026-11-03T12:00:00.000000002Z", "until": "2026-11-03T12:00:00.000000004Z"}
    assert numbers(five.search({**between, "order": "oldest"})) == [2, 3]


def test_a_page_says_how_many_there_are_and_where_to_go_on(five):
    first = five.search({"limit": 2})
    assert numbers(first) == [5, 4]
    end = first.lines[-1]
    assert end == {"total": 5, "next": ["2026-11-03T12:00:00.000000004Z", f"{INSTANCE}-00000000004"]}
    second = five.search({"limit": 2, "after": end["next"]})
    third = five.search({"limit": 2, "after": second.lines[-1]["next"]})
    assert (numbers(second), numbers(third)) == ([3, 2], [1])
    assert third.lines[-1] == {"total": 5, "next": None}


def test_counting_can_be_spared(five, store, monkeypatch):
    monkeypatch.setattr(store, "count", lambda query: pytest.fail("counted"))
    said = five.search({"limit": 2}, "/api/v1/search?total=false")
    assert said.lines[-1]["total"] is None
    assert five.search({"limit": None}).lines[-1]["total"] == 5  # all were sent, which is a count


def test_none_at_all_can_be_asked_for(five):
    assert five.search({"limit": 0}).lines == [{"total": 5, "next": None}]


def test_with_places_each_line_tells_time_and_id(five):
    said = five.search({"limit": 1}, "/api/v1/search?placed=true")
    ((time, id, document), end) = said.lines
    assert (time, id) == (1_793_707_200_000_000_005, f"{INSTANCE}-00000000005") == (time, document["event"]["id"])
    assert end["next"][1] == id


def test_an_answer_ends_before_it_has_more_bytes_than_asked_for_and_has_one_event_at_least(ask):
    fill(ask, 5, message="x" * 1_000)
    for size, expected in ((1, 1), (2_500, 2), (1 << 20, 5)):
        said = ask.search({}, f"/api/v1/search?bytes={size}")
        assert len(said.lines) - 1 == expected
        assert (said.lines[-1]["next"] is None) == (expected == 5)


def test_a_document_is_one_line_whatever_is_in_it(ask, store, monkeypatch):
    found = [Found((1, 'a"\\\n'), b'{\n"event":{"id":"a\\"\\\\\\n"}}')]
    monkeypatch.setattr(store, "find", lambda query: iter(found))
    assert ask.search().lines[0] == {"event": {"id": 'a"\\\n'}}
    assert ask.search({}, "/api/v1/search?placed=true").lines[0][1] == 'a"\\\n'


def test_counting_is_a_question_of_its_own(five):
    odd = {"where": {"match": {"field": "labels.n", "value": 1}}, "limit": 1}
    assert five.search(odd, "/api/v1/count").json == {"count": 3}


def test_the_numbers_of_an_instance_are_told_as_ranges(five):
    expected = {"instance": INSTANCE, "stored": [[1, 5]], "twice": [], "unreadable": []}
    assert five("GET", f"/api/v1/sequences/{INSTANCE}", right="read").json == expected
    assert five("GET", "/api/v1/sequences/nobody", right="read").json["stored"] == []


def test_an_audit_says_how_far_it_is_what_it_found_and_that_it_is_over(five):
    *progress, found, end = five("GET", "/api/v1/audit", right="read").lines
    assert found["stored"] == [[1, 5]]
    assert end == {"instances": 1}
    assert progress and all(list(each) == ["progress"] for each in progress)
    assert progress[-1]["progress"][0] == progress[-1]["progress"][1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nonsense", "the query is not JSON"),
        (b'{"where": {"and": 5}}', "where.and: expected a list of conditions"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"where":' + b'{"not":' * 500 + b"{}" + b"}" * 501, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/count"])
def test_what_is_no_query_is_400_with_one_line(ask, body, reason, path):
    said = ask("POST", path, body, right="read")
    assert (said.status, said.headers["Content-Type"]) == (400, "application/json")
    assert reason in said.reason and "\n" not in said.reason


@pytest.mark.parametrize("parameter", ["bytes=many", "bytes=-1", "bytes=" + "9" * 20, "placed=1", "total=maybe"])
def test_a_parameter_that_cannot_be_read_is_named(ask, parameter):
    said = ask.search({}, f"/api/v1/search?{parameter}")
    assert (said.status, said.reason.split(":")[0]) == (400, parameter.split("=")[0])


def test_a_query_larger_than_any_is_413(ask):
    assert ask("POST", "/api/v1/search", b" " * (9 << 20), right="read").status == 413


@pytest.mark.parametrize("value", [10**400, -(10**30), 2**64, 0.1, "\ud800", "a" * 100_000])
def test_odd_values_are_questions_like_any_other(five, value):
    for node in (
        {"match": {"field": "labels.n", "value": value}},
        {"range": {"field": "event.sequence", "gt": value}},
        {"range": {"field": "clusterlog.metrics.x", "lt": value}},
        {"match": {"field": "event.sequence", "value": value}},
    ):
        assert "total" in five.search({"where": node}).lines[-1], node


def test_a_word_that_is_no_path_here_is_404_and_says_what_there_is(ask):
    for method, path in (("POST", "/shop/_search"), ("GET", "/_cat/indices"), ("GET", "/api/v1/nothing")):
        said = ask(method, path, right="read")
        assert (said.status, "serve takes _bulk and answers /api/v1/search" in said.reason) == (404, True)
    assert ask("DELETE", "/", right="read").status == 405


# when not all can be had


def failing(store, monkeypatch, error, after=1):
    def find(query):
        yield from [Found((1, "a"), b'{"event":{"id":"a"}}')] * after
        raise error

    monkeypatch.setattr(store, "find", find)


def test_what_cannot_be_read_is_told_in_the_last_line(ask, store, monkeypatch):
    failing(store, monkeypatch, Incomplete("some events cannot be read: frame 3"))
    assert ask.search().lines[-1] == {"total": 1, "next": None, "problem": "some events cannot be read: frame 3"}


def test_counting_what_cannot_be_read_says_so(ask, store, monkeypatch):
    def count(query):
        raise Incomplete("frame 3")

    monkeypatch.setattr(store, "count", count)
    assert ask.search({}, "/api/v1/count").json == {"count": None, "problem": "frame 3"}
    assert ask.search({"limit": 0}).lines == [{"total": None, "next": None, "problem": "frame 3"}]


def test_a_store_that_fails_in_the_middle_ends_the_answer_with_an_error(ask, store, monkeypatch, capfd):
    failing(store, monkeypatch, StoreUnavailable("the disk is gone"))
    assert ask.search().lines[-1] == {"error": {"type": "unavailable_shards_exception", "reason": "the disk is gone"}}
    failing(store, monkeypatch, KeyError("x"))
    assert ask.search().lines[-1]["error"]["reason"].startswith("an internal error of clusterlog ")
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StoreUnavailable("cannot read"), "cannot read"), (KeyError("x"), "an internal error of clusterlog")],
)
def test_an_audit_that_fails_says_so(ask, store, monkeypatch, error, reason):
    def audit(progress):
        progress(0, 9)
        yield Sequences(INSTANCE, ((1, 2),))
        raise error

    monkeypatch.setattr(store, "audit", audit)
    lines = ask("GET", "/api/v1/audit", right="read").lines
    assert lines[0] == {"progress": [0, 9]}
    assert lines[-1]["error"]["reason"].startswith(reason)


@pytest.mark.parametrize("pack", [False, True])
def test_an_answer_of_few_lines_is_sent_as_it_comes_to_who_would_take_silence_for_the_end(pack):
    now = 0.0

    def lines():
        nonlocal now
        for n in range(6):
            yield b"%d\n" % n
            now += 0.5

    reader = zlib.decompressobj(31)
    pieces = list(_chunks(lines(), pack=pack, clock=lambda: now))
    assert [reader.decompress(each) if pack else each for each in pieces] == [b"0\n1\n2\n", b"3\n4\n", b"5\n"]


def test_who_does_not_wait_for_an_audit_ends_it(store, monkeypatch):
    told = []

    def audit(progress):
        for n in range(1_000_000):
            told.append(n)
            progress(n, 1_000_000)
        yield

    monkeypatch.setattr(store, "audit", audit)
    lines = Api(store)._audited()
    next(lines)
    lines.close()
    ended = [thread for thread in api_threads() if not thread.join(30)]
    assert all(not thread.is_alive() for thread in ended)
    assert len(told) < 1_000_000


def api_threads():
    import threading

    return [thread for thread in threading.enumerate() if thread.name == "clusterlog-audit"]


def test_an_index_that_cannot_be_written_does_not_keep_an_answer_back(five, store, monkeypatch):
    def flush():
        raise StoreUnavailable("no index")

    five.search()
    monkeypatch.setattr(store, "flush", flush)
    assert len(five.found()) == 5


# how it is sent


def test_an_answer_is_packed_for_another_machine_that_takes_it_and_not_for_this_one(five, monkeypatch):
    packed = {"Accept-Encoding": "gzip"}
    assert five("POST", "/api/v1/search", right="read", **packed).headers["Content-Encoding"] is None
    monkeypatch.setattr(api, "_is_here", lambda request: False)
    said = five("POST", "/api/v1/search", right="read", **packed)
    assert said.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(said.content).splitlines()[-1]) == {"total": 5, "next": None}
    assert five("POST", "/api/v1/search", right="read").headers["Content-Encoding"] is None


@pytest.mark.parametrize("pack", [False, True])
def test_a_large_answer_comes_in_pieces_and_is_the_same(ask, monkeypatch, pack):
    fill(ask, 300, message="x" * 1_000)
    monkeypatch.setattr(api, "_is_here", lambda request: not pack)
    said = ask("POST", "/api/v1/search", '{"limit":null,"order":"oldest"}', right="read", Accept_Encoding="gzip")
    lines = (gzip.decompress(said.content) if pack else said.content).splitlines()
    assert [json.loads(line)["event"]["sequence"] for line in lines[:-1]] == list(range(1, 301))


def test_who_stops_reading_an_answer_does_not_stop_others(ask):
    fill(ask, 2_000, message="x" * 2_000)
    with closing(http.client.HTTPConnection(ask.host, ask.port, timeout=30)) as connection:
        shown = {"Authorization": f"Bearer {ask.tokens.read}"}
        for _ in range(api.THREADS + 2):
            connection.request("POST", "/api/v1/search", '{"limit":null}', shown)
            connection.getresponse().read(10)
            connection.close()
        assert ask.search({}, "/api/v1/count").json == {"count": 2_000}
