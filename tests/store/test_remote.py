"""What a remote store makes of answers: pages, and never a shorter answer in place of a broken one.

That it answers as every store does is shown against a server (``tests/web/test_remote_contract.py``).
"""

from __future__ import annotations

import json
from itertools import islice

import pytest

from clusterlog.errors import Incomplete, NotAllowed, QueryError, StoreUnavailable
from clusterlog.store.base import Sequences
from clusterlog.store.elasticsearch.transport import Answer
from clusterlog.store.query import Match, Query
from clusterlog.store.remote import FIRST_PAGE, GROWTH, LARGEST_PAGE, RemoteStore
from clusterlog.store.wire import decoded, stamp

HERE = "http://here:8520"


class Script:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.closed = 0

    def call(self, method, path, body=None, *, params=None):
        self.asked.append((method, path, body, params))
        status, content = self.answers.pop(0)
        try:
            told = json.loads(content)
        except ValueError:
            told = None
        return Answer(status, told, {}, HERE, content)

    def close(self):
        self.closed += 1

    @property
    def queries(self):
        return [decoded(body) for _, _, body, _ in self.asked]


def document(number):
    return json.dumps({"event": {"id": f"e{number}"}}).encode()


def page(*numbers, after=None, **more):
    lines = [b'[%d,"e%d",%b]' % (number, number, document(number)) for number in numbers]
    end = {"total": None, "next": None if after is None else [stamp(after), f"e{after}"], **more}
    return 200, b"".join(line + b"\n" for line in (*lines, json.dumps(end).encode()))


def found(script, query=None):
    return [each.key for each in RemoteStore(script).find(query or Query(limit=None))]


def test_a_document_comes_as_it_is_stored_and_its_key_is_what_the_server_says():
    body = b'{ "event":{"id":"a\\"b"} , "n":1.0}'
    (only,) = RemoteStore(Script((200, b'[-5,"a\\"b",' + body + b']\n{"total":1,"next":null}\n'))).find(Query())
    assert (only.key, only.body) == ((-5, 'a"b'), body)


def test_pages_follow_each_other_and_grow():
    script = Script(page(9, 8, after=8), page(7, after=7), page(6, after=6), page(5, after=5), page(4))
    asked = Query(Match("a", 1), limit=None)
    assert found(script, asked) == [(n, f"e{n}") for n in (9, 8, 7, 6, 5, 4)]
    assert [each.after for each in script.queries] == [None, (8, "e8"), (7, "e7"), (6, "e6"), (5, "e5")]
    assert {each.where for each in script.queries} == {Match("a", 1)}
    sizes = [int(params["bytes"]) for *_, params in script.asked]
    assert sizes == [FIRST_PAGE, FIRST_PAGE * GROWTH, FIRST_PAGE * GROWTH**2, LARGEST_PAGE, LARGEST_PAGE]
    assert all(params["placed"] == "true" and params["total"] == "false" for *_, params in script.asked)


def test_a_limit_holds_over_all_pages():
    script = Script(page(9, 8, after=8), page(7, after=7))
    assert len(found(script, Query(limit=3))) == 3
    assert [each.limit for each in script.queries] == [3, 1]
    assert found(Script(), Query(limit=0)) == []


def test_who_reads_no_further_causes_no_further_question():
    script = Script(page(9, 8, after=8))
    assert len(list(islice(RemoteStore(script).find(Query(limit=None)), 2))) == 2
    assert len(script.asked) == 1


def test_what_could_not_be_read_is_told_when_all_the_rest_was_given():
    script = Script(page(9, after=9, problem="frame 3"), page(8))
    given = []
    with pytest.raises(Incomplete, match="frame 3"):
        given.extend(RemoteStore(script).find(Query(limit=None)))
    assert [each.key[0] for each in given] == [9, 8]


WHOLE = page(9, 8)[1]


@pytest.mark.parametrize("cut", range(0, len(WHOLE) - 1, 7))
def test_an_answer_that_was_cut_off_anywhere_is_an_error_and_not_a_shorter_one(cut):
    with pytest.raises(StoreUnavailable, match="cut off"):
        found(Script((200, WHOLE[:cut])))


@pytest.mark.parametrize(
    "content",
    [
        b"<html>please log in</html>",
        b"{}",
        b"[]\n[]\n",
        b'{"took":1,"hits":{}}\n',
        b'[9]\n{"total":1,"next":null}\n',
        b'{"event":{"id":"a"}}\n{"total":1,"next":null}\n',
        b'[9,"a",{}\n{"total":1,"next":null}\n',
        b'{"total":0,"next":5}\n',
        b'{"total":0,"next":["yesterday","a"]}\n',
    ],
)
def test_what_is_no_answer_of_a_serve_is_said_to_be_none(content):
    with pytest.raises(StoreUnavailable, match=f"{HERE}: .*clusterlog serve"):
        found(Script((200, content)))


def test_what_went_wrong_there_after_it_had_begun_is_told():
    content = page(9)[1].splitlines()[0] + b'\n{"error":{"type":"x","reason":"the disk is gone"}}\n'
    with pytest.raises(StoreUnavailable, match=f"{HERE}: the disk is gone"):
        found(Script((200, content)))


def refusal(status, reason="because"):
    return status, json.dumps({"error": {"type": "x", "reason": reason}, "status": status}).encode()


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(400, QueryError, 2), (401, NotAllowed, 4), (403, NotAllowed, 4), (429, StoreUnavailable, 3)]
    + [(status, StoreUnavailable, 3) for status in (404, 413, 500, 502, 503)],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda store: list(store.find(Query())),
        lambda store: store.count(Query()),
        lambda store: store.sequences("a" * 32),
        lambda store: list(store.audit()),
    ],
)
def test_a_refusal_is_told_in_one_line_and_by_the_exit_code_it_deserves(status, error, code, ask):
    with pytest.raises(error) as caught:
        ask(RemoteStore(Script(refusal(status))))
    assert caught.value.exit_code == code
    assert str(caught.value).startswith(HERE) and "\n" not in str(caught.value)


def test_counting_asks_without_a_place_to_go_on_from():
    script = Script((200, b'{"count":7}'))
    assert RemoteStore(script).count(Query(after=(1, "a"))) == 7
    assert script.queries == [Query()]


def test_a_count_that_is_none_is_an_error():
    with pytest.raises(Incomplete, match="frame 3"):
        RemoteStore(Script((200, b'{"count":null,"problem":"frame 3"}'))).count(Query())
    with pytest.raises(StoreUnavailable, match="not as a clusterlog serve does"):
        RemoteStore(Script((200, b"7"))).count(Query())


def test_an_instance_is_asked_for_whatever_its_name_is():
    script = Script((200, b'{"instance":"a/b?","stored":[[1,2]],"twice":[[2,2]],"unreadable":[]}'))
    assert RemoteStore(script).sequences("a/b?") == Sequences("a/b?", ((1, 2),), ((2, 2),))
    assert script.asked[0][1] == "/api/v1/sequences/a%2Fb%3F"


def test_an_audit_that_was_cut_off_is_none():
    whole = b'{"progress":[1,2]}\n{"instance":"a","stored":[],"twice":[],"unreadable":[]}\n{"instances":1}\n'
    told = []
    assert list(RemoteStore(Script((200, whole))).audit(lambda *pair: told.append(pair))) == [Sequences("a", ())]
    assert told == [(1, 2)]
    with pytest.raises(StoreUnavailable, match="cut off"):
        list(RemoteStore(Script((200, whole[: whole.index(b'{"instances"')]))).audit())


def test_closing_closes_the_client():
    script = Script()
    RemoteStore(script).close()
    assert script.closed == 1
