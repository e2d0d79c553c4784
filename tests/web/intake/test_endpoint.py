"""Items in, results out, each judged for itself and in the words that senders to Elasticsearch know."""

from __future__ import annotations

import errno
import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.store.embedded.raw import live
from clusterlog.web.intake import endpoint
from clusterlog.web.intake.body import Load

INSTANCE = "0190aaaa0000700080000000000000f0"


def numbered(sequence, **fields):
    """The two lines of an event that bears its own id."""
    id = f"{INSTANCE}-{sequence:011x}"
    about = {"event": {"id": id, "sequence": sequence}, "process": {"entity_id": INSTANCE}}
    return {"create": {"_index": "logs", "_id": id}}, {"@timestamp": "2026-11-03T12:00:00Z", **about, **fields}


def messages(ask):
    return [each["message"] for each in ask.found()]


def only(said):
    (item,) = said.json["items"]
    ((action, told),) = item.items()
    return action, told


def only_reason(said, number):
    (told,) = said.json["items"][number].values()
    return told["error"]["reason"]


def test_what_is_created_is_found_and_answered_as_elasticsearch_does(ask):
    said = ask.bulk(*numbered(1, message="hello"))
    assert said.status == 200
    assert said.headers["Content-Type"] == "application/json"
    assert (said.json["errors"], type(said.json["took"])) == (False, int)
    assert only(said) == (
        "create",
        {
            "_index": "logs",
            "_id": f"{INSTANCE}-00000000001",
            "_version": 1,
            "result": "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": 0,
            "_primary_term": 1,
            "status": 201,
        },
    )
    assert messages(ask) == ["hello"]


def test_a_second_create_of_an_id_is_a_conflict_and_changes_nothing(ask):
    ask.bulk(*numbered(1, message="first"))
    said = ask.bulk(*numbered(1, message="second"), *numbered(2, message="third"), *numbered(2, message="fourth"))
    assert said.items == [("create", 409), ("create", 201), ("create", 409)]
    assert said.json["errors"]
    assert said.json["items"][0]["create"]["error"]["type"] == "version_conflict_engine_exception"
    assert messages(ask) == ["first", "third"]


@pytest.mark.parametrize("id", [f"{INSTANCE}-00000000001", "somebody's"])
def test_an_index_of_what_is_there_is_a_noop_and_of_another_event_an_error(ask, id):
    def send(message):
        return ask.bulk({"index": {"_id": id}}, {"event": {"id": id}, "message": message})

    assert only(send("first"))[1]["status"] == 201
    again = only(send("first"))[1]
    assert (again["status"], again["result"]) == (200, "noop")
    other = only(send("second"))[1]
    assert (other["status"], other["error"]["type"]) == (400, "illegal_argument_exception")
    assert "another event has this id" in other["error"]["reason"]
    assert messages(ask) == ["first"]


def test_two_of_one_id_in_one_request_are_judged_by_the_first(ask):
    about = {"index": {"_id": "a"}}
    one, other = {"event": {"id": "a"}, "message": "one"}, {"event": {"id": "a"}, "message": "other"}
    assert ask.bulk(about, one, about, one, about, other).items == [("index", 201), ("index", 200), ("index", 400)]
    assert messages(ask) == ["one"]


def test_many_that_are_there_already_are_told_apart(ask):
    def send(changed):
        lines = []
        for n in range(250):
            lines += [{"index": {"_id": f"a{n}"}}, {"event": {"id": f"a{n}"}, "n": -n if n == changed else n}]
        return [status for _, status in ask.bulk(*lines).items]

    assert set(send(None)) == {201}
    assert send(201) == [400 if n == 201 else 200 for n in range(250)]


def test_strangers_documents_have_ids_of_ours_in_the_answer(ask):
    said = ask.bulk({"index": {}}, {"message": "a"}, {"create": {"_id": "mine"}}, {"message": "b"}, path="/shop/_bulk")
    (first, second) = (told for item in said.json["items"] for told in item.values())
    assert (first["_index"], first["status"], second["_id"], second["status"]) == ("shop", 201, "mine", 201)
    assert sorted(each["event"]["id"] for each in ask.found()) == sorted([first["_id"], "mine"])
    assert {each["service"]["name"] for each in ask.found()} == {"shop"}


def test_a_stranger_s_document_sent_again_under_its_id_is_known(ask):
    document = {"message": "no time of its own"}
    send = [ask.bulk({action: {"_id": "mine"}}, document).items for action in ("index", "index", "create")]
    assert send == [[("index", 201)], [("index", 200)], [("create", 409)]]
    assert len(ask.found()) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":', "not JSON"),
        (b"", "empty"),
        (b"[1]", "a list and not an object"),
        (b'{"a":"\xff"', "not JSON"),
        (b'{"resourceSpans":[]}', "no record"),
    ],
)
def test_a_document_that_cannot_be_read_is_its_own_failure_alone(ask, line, reason):
    said = ask.bulk({"index": {}}, {"message": "a"}, {"create": {}}, line, {"index": {}}, {"message": "b"})
    assert said.items == [("index", 201), ("create", 400), ("index", 201)]
    error = said.json["items"][1]["create"]["error"]
    assert error["type"] == "document_parsing_exception"
    assert reason in error["reason"]
    assert sorted(messages(ask)) == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "reason"), [({}, "has no event.id"), ({"event": {"id": "b"}}, "is 'b'"), (b"x", "not JSON")]
)
def test_what_is_sent_under_an_id_of_ours_must_bear_it(ask, document, reason):
    said = ask.bulk({"create": {"_id": f"{INSTANCE}-00000000001"}}, document)
    assert only(said)[1]["status"] == 400
    assert reason in only(said)[1]["error"]["reason"]


def test_a_translation_that_fails_costs_its_own_document_alone_and_is_complained_of_once(ask, monkeypatch, capfd):
    from clusterlog.encode.foreign.translation import Lines

    real = Lines.events

    def fail(self, document, number, line, id):
        if document["message"] == "b":
            raise KeyError("b")
        return real(self, document, number, line, id)

    monkeypatch.setattr(Lines, "events", fail)
    lines = [each for name in "abc" for each in ({"index": {}}, {"message": name})]
    said = ask.bulk(*lines)
    assert said.items == [("index", 201), ("index", 400), ("index", 201)]
    assert only_reason(said, 1).startswith("an internal error of clusterlog ")
    assert [each["event"]["sequence"] for each in ask.found()] == [1, 2]
    ask.bulk(*lines)
    assert capfd.readouterr().err.count("Traceback") == 1


def test_other_actions_are_refused_one_by_one(ask):
    said = ask.bulk({"delete": {"_id": "a"}}, {"create": {}}, {"message": "a"}, {"update": {"_id": "a"}}, {"doc": {}})
    assert said.items == [("delete", 400), ("create", 201), ("update", 400)]


def test_a_request_in_which_nothing_can_be_stored_is_answered_item_by_item(ask):
    assert ask.bulk({"create": {}}, b"{", {"delete": {"_id": "a"}}).items == [("create", 400), ("delete", 400)]


@pytest.mark.parametrize("body", ["", "\n", "nonsense\n", '{"create":{}}\n{}'])
def test_a_request_that_cannot_be_read_is_400_and_stores_nothing(ask, body):
    said = ask("POST", "/_bulk", body)
    assert (said.status, said.json["error"]["type"]) == (400, "illegal_argument_exception")
    good = '{"create":{}}\n{"message":"a"}\n'
    assert ask("POST", "/_bulk", good + "nonsense\n{}\n").status == 400
    assert ask.found() == []


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/x-ndjson",
        "application/vnd.elasticsearch+x-ndjson; compatible-with=9",
        "application/vnd.elasticsearch+json;compatible-with=8",
        "application/x-www-form-urlencoded",
        "",
    ],
)
def test_any_content_type_is_taken(ask, kind):
    assert ask.bulk({"create": {}}, {"message": "a"}, Content_Type=kind).items == [("create", 201)]


def test_rsyslog_s_blank_lines_are_read_over(ask):
    body = b'{"index":{"_index":"system"}}\n{"message":"a"}\n\n{"index":{"_index":"system"}}\n{"message":"b"}\n\n'
    said = ask("POST", "/_bulk", body, Content_Type="application/json; charset=utf-8")
    assert said.items == [("index", 201)] * 2


def test_gzip_is_taken(ask):
    body = gzip.compress(b'{"create":{}}\n{"message":"packed"}\n')
    assert ask("POST", "/_bulk", body, Content_Encoding="gzip").items == [("create", 201)]
    assert messages(ask) == ["packed"]
    assert ask("POST", "/_bulk", b"x", Content_Encoding="gzip").status == 400


def test_too_large_a_request_is_413_and_the_limit_is_said(ask):
    said = ask("POST", "/_bulk", b" " * (33 << 20))
    assert said.status == 413
    assert said.reason.startswith("a request may have 33,554,432 bytes (32 MiB), and this one has ")


def test_who_judges_items_by_their_status_is_told_no_more(ask):
    path = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
    said = ask.bulk(*numbered(1), *numbered(1), {"index": {"_id": "a"}}, {"event": {"id": "a"}}, path=path)
    assert said.json["items"][0] == {"create": {"status": 201}}
    assert said.json["items"][1]["create"]["status"] == 409
    assert sorted(said.json["items"][1]["create"]["error"]) == ["index", "reason", "shard", "type"]
    again = ask.bulk({"index": {"_id": "a"}}, {"event": {"id": "a"}}, path=path)
    assert again.json["items"] == [{"index": {"status": 200}}]
    assert "_id" in only(ask.bulk(*numbered(2), path="/_bulk?filter_path=items.*._id,items.*.status"))[1]


def test_what_was_answered_is_found_by_the_next_question(ask):
    for n in range(1, 20):
        ask.bulk(*numbered(n))
        assert len(ask.found()) == n


def test_many_senders_at_once_lose_and_double_nothing(ask):
    def send(sender):
        own = [each for n in range(20) for each in numbered(n + 1 + sender // 2 * 20)]
        foreign = [each for n in range(20) for each in ({"index": {}}, {"message": f"{sender}/{n}"})]
        said = ask.bulk(*own, *foreign)
        return [status for _, status in said.items]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(send, range(16)) for status in found]
    assert (statuses.count(201), statuses.count(409)) == (160 + 320, 160)
    found = ask.found()
    assert len(found) == len({each["event"]["id"] for each in found}) == 480
    own = sorted(each["event"]["sequence"] for each in found if "message" in each)
    assert own == list(range(1, 321))


@pytest.mark.parametrize(
    ("said", "found"),
    [("2036-01-01T00:00:00Z", True), ("1996-01-01T00:00:00.000000001Z", False), ("2199-12-31T23:59:59Z", True)],
)
def test_a_sender_whose_clock_is_years_off_is_believed_as_far_as_a_day(ask, said, found):
    """One bad clock must not stand in front of every newest page; the event itself says what it said."""
    id = f"{INSTANCE}-00000000001"
    event = {"@timestamp": said, "event": {"id": id, "sequence": 1}, "process": {"entity_id": INSTANCE}}
    assert (
        ask.bulk({"create": {"_id": id}}, event, {"create": {}}, {"time": said, "msg": "x"}).items
        == [("create", 201)] * 2
    )
    assert all(each["@timestamp"].startswith(said[:10]) for each in ask.found())
    in_two_days = datetime.now(UTC) + timedelta(days=2)
    near = {"since": "2026-01-01T00:00:00Z", "until": f"{in_two_days:%Y-%m-%dT%H:%M:%SZ}"}
    assert len(ask.found(near)) == (2 if found else 0)


# when it cannot be done now


@pytest.fixture
def full(monkeypatch):
    """A disk on which nothing has room, as long as the list holds something."""
    there = [errno.ENOSPC]
    real = live.write_at

    def write(fd, data, at):
        if there:
            raise OSError(there[0], os.strerror(there[0]))
        real(fd, data, at)

    monkeypatch.setattr(live, "write_at", write)
    return there


def test_a_full_disk_is_answered_as_a_flood_stage_is_and_nothing_is_lost_by_sending_again(ask, full):
    lines = (*numbered(1), {"index": {}}, {"message": "a"}, {"create": {}}, b"{")
    said = ask.bulk(*lines)
    assert (said.status, said.items) == (200, [("create", 429), ("index", 429), ("create", 400)])
    error = said.json["items"][0]["create"]["error"]
    assert error["type"] == "cluster_block_exception"
    assert error["reason"].endswith("No space left on device")
    assert ask.found() == []
    full.clear()
    assert ask.bulk(*lines).items == [("create", 201), ("index", 201), ("create", 400)]
    assert sorted(each["event"]["sequence"] for each in ask.found()) == [1, 1]


def test_a_disk_that_fails_is_503_and_to_be_tried_again(ask, full):
    full[0] = errno.EIO
    said = ask.bulk(*numbered(1))
    assert (said.status, said.headers["Retry-After"]) == (503, "1")
    assert said.json["error"]["type"] == "unavailable_shards_exception"
    full.clear()
    assert ask.bulk(*numbered(1)).items == [("create", 201)]


def test_a_store_that_was_closed_is_503(ask, store):
    store.close()
    assert ask.bulk(*numbered(1)).status == 503


def test_an_index_that_is_being_mended_makes_what_needs_it_wait(ask, store, monkeypatch):
    ask.bulk({"create": {"_id": "a"}}, {"event": {"id": "a"}})
    monkeypatch.setattr(store._writer, "_is_known", lambda id: None)
    said = ask.bulk({"create": {"_id": "a"}}, {"event": {"id": "a"}}, *numbered(1))
    assert said.items == [("create", 429), ("create", 201)]
    assert said.json["items"][0]["create"]["error"]["type"] == "es_rejected_execution_exception"


def test_what_is_there_but_cannot_be_read_is_not_called_another(ask, store, monkeypatch):
    lines = {"index": {"_id": "a"}}, {"event": {"id": "a"}}
    ask.bulk(*lines)
    monkeypatch.setattr(store, "find", lambda query: iter(()))
    assert ask.bulk(*lines).items == [("index", 429)]


def test_more_than_can_be_taken_at_once_is_429_with_a_time_to_wait(running, store, tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "Load", lambda: Load(most_bytes=1_000))
    with running.serving(store, tmp_path) as ask:
        said = ask.bulk(*numbered(1, message="x" * 1_000))
        assert (said.status, said.headers["Retry-After"]) == (429, "1")
        assert said.json["error"]["type"] == "es_rejected_execution_exception"
        assert ask.bulk(*numbered(2)).items == [("create", 201)]


def test_a_refresh_that_cannot_be_had_does_not_make_what_is_stored_a_failure(ask, store, monkeypatch):
    def fail():
        raise StoreUnavailable("no index")

    with monkeypatch.context() as patch:
        patch.setattr(store, "flush", fail)
        assert ask.bulk(*numbered(1), path="/_bulk?refresh=true").items == [("create", 201)]
        assert ask("POST", "/_refresh").status == 503
    assert ask("POST", "/_refresh").json == {"_shards": {"total": 1, "successful": 1, "failed": 0}}


def test_a_failure_nobody_foresaw_is_500_and_told_on_standard_error(ask, store, monkeypatch, capfd):
    def fail(batch):
        raise KeyError("\x1b[31m")

    monkeypatch.setattr(store, "deliver", fail)
    said = ask.bulk(*numbered(1))
    assert (said.status, said.reason.startswith("an internal error of clusterlog ")) == (500, True)
    err = capfd.readouterr().err
    assert err.startswith("clusterlog: internal error, please report it:\nTraceback ")
    assert "\x1b" not in err


def test_a_sender_that_goes_away_in_the_middle_leaves_nothing_behind(ask, capfd):
    import socket

    head = f"POST /_bulk HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ask.tokens.write}\r\n"
    with socket.create_connection((ask.host, ask.port)) as sender:
        sender.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n" + b'{"create":{}}\n{"message":"half"}\n')
    assert ask.bulk({"create": {}}, {"message": "whole"}).items == [("create", 201)]
    assert messages(ask) == ["whole"]
    assert capfd.readouterr().err == ""


def test_the_answer_of_a_large_request_is_whole(ask):
    lines = [each for n in range(1, 5_001) for each in numbered(n)]
    said = ask.bulk(*lines)
    assert said.items == [("create", 201)] * 5_000
    assert json.loads(said.content)["errors"] is False
