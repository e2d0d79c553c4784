"""What commands say of a search server that does not answer as it should: one clear line, and an exit code.

The server here says what a test wants it to; that real ones answer so is shown beside the sink and the store.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clusterlog.store import opening

REQUEST = "a" * 32
COMMANDS = {
    "search": ["search"],
    "ndjson": ["search", "--ndjson"],
    "count": ["search", "--count"],
    "requests": ["search", "--group", "request", "--json"],
    "trace": ["trace", REQUEST],
    "export": ["export", REQUEST, "--format", "jsonl"],
    "diff": ["diff", REQUEST],
    "errors": ["errors"],
    "verify": ["verify"],
    "tail": ["tail"],
}
SHARDS = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}
FAILED = {
    "total": 2,
    "successful": 1,
    "failed": 1,
    "failures": [
        {"shard": 0, "index": "one", "reason": {"type": "circuit_breaking_exception", "reason": "too\nlarge"}}
    ],
}
TYPES = {
    "@timestamp": "date_nanos",
    "event.id": "keyword",
    "event.sequence": "long",
    "http.request.id": "keyword",
    "message": "text",
    "process.entity_id": "keyword",
}
FIELDS = {"indices": ["one"], "fields": {name: {kind: {"type": kind}} for name, kind in TYPES.items()}}
EMPTY = {name: {"buckets": []} for name in ("by", "numbers", "ids")}
GREETING = {"name": "n1", "version": {"number": "8.19.0"}, "tagline": "You Know, for Search"}


def event(number, **more):
    return {
        "@timestamp": f"2026-11-03T12:00:00.{number:09d}Z",
        "event": {
            "id": f"{'b' * 32}-{number:011x}",
            "sequence": number,
            "kind": "event",
            "dataset": "clusterlog.access",
        },
        "process": {"entity_id": "b" * 32, "pid": 7},
        "http": {"request": {"id": REQUEST}},
        "log": {"level": "info", "logger": "shop"},
        "service": {"name": "shop", "node": {"name": "shop-1"}},
        "url": {"path": "/cart"},
        "message": "hello",
        **more,
    }


def hits(*events, **more):
    found = [
        {"_index": "one", "_source": each, "sort": [1_793_707_200_000_000_000, each["event"]["id"]]} for each in events
    ]
    return 200, {"timed_out": False, "_shards": SHARDS, "hits": {"hits": found}, "aggregations": dict(EMPTY), **more}


def refusal(status, kind, reason):
    return status, {"error": {"type": kind, "reason": reason}, "status": status}


class Server:
    """Says to a path that ends so what it is told to: status and body, JSON or bytes, or a function of the question."""

    def __init__(self):
        self.answers = {
            "/": (200, GREETING),
            "_field_caps": (200, FIELDS),
            "_search": hits(),
            "_count": (200, {"count": 0, "_shards": SHARDS}),
            "_pit": refusal(405, "", "no"),
            "point_in_time": refusal(405, "", "no"),
        }

    def answer(self, method, path, body):
        word = path.partition("?")[0].rpartition("/")[2] or "/"
        said = self.answers[word]
        return said(json.loads(body or b"{}")) if callable(said) else said


@contextmanager
def listening(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, told = server.answer(self.command, self.path, body)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if isinstance(told, bytes) else "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_one)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.handle_error = lambda *about: None  # who asked has gone
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def ask(run, home, turns, server):
    """Call a command on the server; it looks on for no longer than a moment."""
    home.path.mkdir(parents=True, exist_ok=True)
    with listening(server) as url:

        def asked(name, *options):
            turns()
            return run(*COMMANDS[name], "--store", url, *options)

        asked.url = url
        yield asked


def every(*left_out):
    return pytest.mark.parametrize("command", [name for name in COMMANDS if name not in left_out])


def one_line(result, code, *parts):
    assert (result.code, result.err.count("\n")) == (code, 1), result
    assert "Traceback" not in result.err
    assert all(part in result.err for part in parts), result.err


@every()
def test_credentials_that_are_lacking_are_asked_for(ask, server, command):
    server.answers["/"] = refusal(401, "security_exception", "missing authentication credentials")
    one_line(ask(command), 4, "wants to know who we are (401): set token or token_file")


@every()
def test_credentials_that_are_wrong_are_told(ask, server, tmp_path, command):
    server.answers["/"] = refusal(401, "security_exception", "unable to authenticate")
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("id:secret")
    result = ask(command, "--token-file", key)
    one_line(result, 4, "does not accept our", "(401)", "unable to authenticate")
    assert "secret" not in result.err


@every("tail")
def test_rights_that_are_lacking_are_named(ask, server, command):
    denied = refusal(403, "security_exception", "action [indices:data/read] is unauthorized")
    server.answers |= {"_field_caps": denied, "_search": denied, "_count": denied}
    one_line(ask(command), 4, "may not do this (403)", "reading needs the rights read and view_index_metadata")


@every("verify", "tail")
def test_where_no_index_is_nothing_is_found(ask, server, command):
    server.answers["_field_caps"] = 200, {"indices": [], "fields": {}}
    server.answers["_search"] = hits(_shards={"total": 0, "successful": 0, "failed": 0})
    result = ask(command)
    assert result.code == 1
    assert "Traceback" not in result.err
    if command in ("trace", "export", "diff"):
        one_line(result, 1, REQUEST)


def test_a_field_that_nobody_has_mapped_yet_is_asked_all_the_same(ask, server):
    server.answers["_search"] = lambda asked: hits(event(1)) if "_ignored" in json.dumps(asked) else hits()
    result = ask("search", "labels.never: seen")
    assert (result.code, result.out) == (1, "")


@every("tail")
def test_a_page_instead_of_an_answer_is_told(ask, server, command):
    server.answers |= dict.fromkeys(("_field_caps", "_search", "_count"), (200, b"<html>Log in</html>"))
    one_line(ask(command), 3, "answers 200", "is a proxy in between?")


@every("tail")
def test_an_answer_that_is_cut_off_is_none(ask, server, command):
    server.answers |= dict.fromkeys(("_search", "_count"), (200, b'{"hits": {"hits": [{"_sour'))
    one_line(ask(command), 3, "answers 200")


@every("tail")
def test_a_server_that_fails_is_told_in_its_own_words(ask, server, command):
    failed = refusal(503, "search_phase_execution_exception", "all shards\nfailed")
    server.answers |= {"_search": failed, "_count": failed}
    one_line(ask(command), 3, "(503)", "all shards failed")


@pytest.mark.parametrize("command", ["verify"])
def test_too_many_buckets_are_told(ask, server, command):
    many = refusal(400, "too_many_buckets_exception", "Trying to create too many buckets. Must be less than [10]")
    server.answers |= {"_count": (200, {"count": 9, "_shards": SHARDS}), "_search": many}
    one_line(ask(command), 3, "too many buckets")


@every()
def test_a_server_that_says_nothing_is_not_waited_for(ask, server, monkeypatch, command):
    over = threading.Event()
    monkeypatch.setattr(opening, "GREETING_S", 0.2)
    server.answers["/"] = lambda asked: (over.wait(60), (200, GREETING))[1]
    try:
        one_line(ask(command), 3, "no answer within 0.2 s")
    finally:
        over.set()


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"_shards": FAILED}, "1 of 2 shards failed (one: circuit_breaking_exception: too large)"),
        ({"timed_out": True}, "the search ran out of time"),
    ],
)
@pytest.mark.parametrize("command", ["search", "ndjson", "trace", "export", "requests"])
def test_what_could_be_found_is_shown_and_said_to_be_a_part(ask, server, command, lacking, said):
    server.answers["_search"] = hits(event(1), event(2), **lacking)
    result = ask(command)
    assert result.code == 5
    assert REQUEST in result.out
    assert f"clusterlog: some events cannot be read: {said}" in result.err


@pytest.mark.parametrize("command", ["trace", "export", "diff"])
def test_what_may_lie_in_what_cannot_be_read_is_not_said_to_be_absent(ask, server, command):
    server.answers["_search"] = hits(_shards=FAILED)
    one_line(ask(command), 5, "some events cannot be read: 1 of 2 shards failed")


def test_a_number_that_lacks_something_is_none(ask, server):
    server.answers["_count"] = 200, {"count": 7, "_shards": FAILED}
    result = ask("count")
    one_line(result, 5, "1 of 2 shards failed")
    assert result.out == ""


def test_a_store_that_is_out_of_time_is_asked_again_and_then_told(ask, server, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr("clusterlog.store.elasticsearch.reading.asker._AGAIN", (0.0, 0.0))
    asked = []

    def busy(question):
        asked.append(question)
        return refusal(429, "es_rejected_execution_exception", "rejected execution")

    server.answers["_search"] = busy
    one_line(ask("search"), 3, "has too much to do (429)")
    assert len(asked) == 3


def test_very_large_events_are_shown_whole(ask, server):
    server.answers["_search"] = hits(*(event(number, message="x" * (4 << 20)) for number in range(1, 5)))
    result = ask("ndjson")
    assert result.code == 0
    assert [len(json.loads(line)["message"]) for line in result.out.splitlines()] == [4 << 20] * 4
