"""Each fault that a home, its delivery or its machine can have is planted once, and the doctor names it."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections import namedtuple

import pytest

from clusterlog.cli.setup.doctor import clock, delivery
from clusterlog.cli.setup.doctor import home as home_room
from clusterlog.errors import StoreUnavailable
from clusterlog.spool import filesystem
from clusterlog.store.embedded import EmbeddedStore


@pytest.fixture
def found(run, monkeypatch):
    """Findings by what was looked at; each check is in at most one state here."""
    monkeypatch.setattr(clock, "unsynchronised", lambda: False)

    def ask(*arguments):
        result = run("doctor", "--json", *arguments)
        findings = json.loads(result.out)["findings"]
        assert result.code == any(each["state"] == "problem" for each in findings)
        return {each["check"]: each for each in findings}

    return ask


def spoken(home, *origin):
    """A process that said something and ended."""
    speaker = home.speaker(*origin)
    speaker.say("hello")
    speaker.end()


def test_a_home_in_use_is_well(found, home, run):
    spoken(home)
    run("ship", "--once")
    states = {check: each["state"] for check, each in found().items()}
    assert set(states.values()) <= {"ok", "note"}, states
    assert {"home", "disk", "spool", "user key", "shipper", "store", "clock", "node name"} <= states.keys()


def test_nothing_is_made_by_looking(found, home):
    assert found()["home"]["state"] == "note"
    assert not home.path.exists()


def test_a_home_that_cannot_be_written(tmp_path):
    """Asked as a user who owns nothing here; who is no other user closes the directory to himself."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    for each in tmp_path, *tmp_path.parents[:3]:
        each.chmod(each.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            (finding,) = home_room._directory(closed)
            os.write(writing, f"{finding.state}: {finding.text}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        said = told.read()
    assert said.startswith("problem: ")
    assert "cannot be written by user" in said


def test_a_home_on_a_network_file_system(found, home, monkeypatch):
    monkeypatch.setattr(filesystem, "kind_of", lambda path: "nfs4")
    finding = found()["home"]
    assert finding["state"] == "problem"
    assert "network file system (nfs4)" in finding["text"]
    assert "local disk" in finding["mend"]


def test_a_home_that_others_may_write(found, home):
    home.path.mkdir(mode=0o777)
    home.path.chmod(0o777)
    assert found()["home"]["mend"] == f"chmod 700 {home.path}"


@pytest.mark.parametrize(("free", "state"), [(1, "problem"), (700, "warning"), (5000, "ok")])
def test_a_disk_that_is_nearly_full(found, home, monkeypatch, free, state):
    Disk = namedtuple("Disk", "f_frsize f_bavail f_blocks")  # noqa: PYI024
    monkeypatch.setattr(home_room.os, "statvfs", lambda path: Disk(1 << 20, free, 100_000))
    finding = found()["disk"]
    assert finding["state"] == state
    assert finding["mend"] or state == "ok"


def test_a_spool_that_is_nearly_full(found, home, monkeypatch):
    spoken(home)
    monkeypatch.setenv("CLUSTERLOG_DISK_LIMIT", "100")
    assert found()["spool"]["state"] == "problem"


def test_a_user_key_that_is_missing(found, home, monkeypatch, tmp_path):
    monkeypatch.setenv("CLUSTERLOG_USER_KEY", str(tmp_path / "team.key"))
    finding = found()["user key"]
    assert finding["state"] == "problem"
    assert "copy the key of another node" in finding["mend"]


def test_a_user_key_that_others_can_read(found, home, monkeypatch, tmp_path):
    key = tmp_path / "team.key"
    key.write_text("secret")
    key.chmod(0o644)
    monkeypatch.setenv("CLUSTERLOG_USER_KEY", str(key))
    assert found()["user key"]["mend"] == f"chmod 600 {key}"
    key.chmod(0o600)
    assert found()["user key"]["state"] == "ok"


def test_a_user_key_that_is_none(found, home, monkeypatch, tmp_path):
    key = tmp_path / "team.key"
    key.write_text("")
    monkeypatch.setenv("CLUSTERLOG_USER_KEY", str(key))
    finding = found()["user key"]
    assert (finding["state"], finding["text"]) == ("problem", f"the user key {key} is empty")
    assert finding["mend"] == f"{key}: remove it, and the next user makes one, or write a key"
    monkeypatch.setenv("CLUSTERLOG_USER_KEY", str(tmp_path))
    finding = found()["user key"]
    assert (finding["state"], finding["mend"]) == ("problem", "let user_key name the file with the key")


def test_a_shipper_that_does_not_run_while_events_wait(found, home):
    home.speaker().say("hello")  # its clock is that of November 2026: it waits for years, or in the future
    waiting = found()["shipper"]
    assert waiting["state"] == ("problem" if time.time_ns() > 1_793_707_300_000_000_000 else "note")
    assert "2 events" in waiting["text"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "none runs; 2 events waiting: trace and search deliver what waits"),
        (("--store", "http://127.0.0.1:1"), "none runs; 2 events waiting: `clusterlog ship` delivers what waits"),
    ],
)
def test_who_delivers_what_was_said_just_now(found, home, monkeypatch, words, text):
    home.path.mkdir()
    monkeypatch.setattr(delivery, "LATE_S", float("inf"))
    assert found(*words)["shipper"]["text"] == "none runs; nothing waits"
    home.speaker().say("hello")
    assert found(*words)["shipper"]["text"] == text


def test_a_store_that_does_not_answer(found, home):
    finding = found("--store", "http://127.0.0.1:1/")["store"]
    assert finding["state"] == "problem"
    assert finding["text"] == "http://127.0.0.1:1: nothing listens there (connection refused)"


def answering(status, content, kind="application/json"):
    """A server that says the same to everybody."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.command == "POST":
                self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 # the library's own way to name it

        def log_message(self, *_):
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)


@pytest.mark.parametrize(
    ("status", "content", "state", "said"),
    [
        (200, b'{"version":{"number":"8.19.0"}}', "ok", "answers: Elasticsearch 8.19.0"),
        (200, b'{"version":{"number":"3.8.0","distribution":"opensearch"}}', "ok", "answers: OpenSearch 3.8.0"),
        (200, b'{"clusterlog":{"version":"0.1.0"},"version":{}}', "ok", "answers: clusterlog serve 0.1.0"),
        (403, b'{"error":{"type":"security_exception"}}', "ok", "does not tell us its name"),
        (401, b"{}", "problem", "does not accept our user and password in the URL (401)"),
        (200, b"<html>log in</html>", "problem", "is a proxy or a log-in page in between?"),
        (404, b"not found", "problem", "does not do what a store does (404)"),
        (503, b"{}", "problem", "has too much to do (503)"),
    ],
)
def test_what_answers_in_the_place_of_a_store(found, home, status, content, state, said):
    with answering(status, content) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for option, check in (("--store", "store"), ("--sink", "sink")):
            finding = found(option, f"http://user:secret@127.0.0.1:{server.server_port}/")[check]
            assert finding["state"] == state and said in finding["text"]
            assert "secret" not in finding["text"]
        server.shutdown()


@pytest.mark.parametrize(
    ("granted", "state", "said"),
    [
        (("create_doc", "auto_configure", "read", "view_index_metadata"), "ok", "may ship and read"),
        (("create_doc", "auto_configure"), "note", "may not read (lacking read, view_index_metadata)"),
        (("create_doc", "read", "view_index_metadata"), "note", "may not ship (lacking auto_configure)"),
        ((), "problem", "may not ship (lacking auto_configure, create_doc) nor read (lacking"),
    ],
)
def test_what_the_credentials_may_not_do(found, home, granted, state, said):
    names = ("create_doc", "auto_configure", "read", "view_index_metadata")
    told = {"index": {"logs-clusterlog.app-development": {name: name in granted for name in names}}}
    with answering(200, json.dumps({"version": {"number": "9.5.0"}, **told}).encode()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        finding = found("--store", f"http://127.0.0.1:{server.server_port}")["rights"]
        assert finding["state"] == state and said in finding["text"]
        server.shutdown()


def test_an_embedded_store_that_cannot_be_read(found, home, monkeypatch):
    def refuse(directory, mode):
        raise StoreUnavailable(f"{directory}: cannot be read")

    (home.path / "store").mkdir(parents=True)
    monkeypatch.setattr(EmbeddedStore, "open", refuse)
    assert found()["store"]["state"] == "problem"


def test_a_clock_that_was_ahead(found, home, run, monkeypatch):
    spoken(home)
    run("ship", "--once")
    monkeypatch.setattr(time, "time_ns", lambda: 1_793_707_200_000_000_000 - 3_600_000_000_000)
    finding = found()["clock"]
    assert finding["state"] == "problem"
    assert "later than now" in finding["text"]


def test_a_clock_that_nobody_set(monkeypatch):
    monkeypatch.setattr(clock, "unsynchronised", lambda: False)
    (finding,) = clock.examine(None, 0)
    assert (finding.state, finding.text) == ("problem", "it is 1970-01-01 here")


def test_a_clock_that_nobody_synchronises(found, home, monkeypatch):
    monkeypatch.setattr(clock, "unsynchronised", lambda: True)
    assert found()["clock"]["state"] == "warning"


def test_two_hosts_whose_nodes_have_one_name(found, home, run):
    spoken(home, "shop", "shop-1", "host-1")
    spoken(home, "shop", "shop-1", "host-2")
    spoken(home, "orders", "orders-1", "host-2")
    run("ship", "--once")
    finding = found()["node name"]
    assert finding["state"] == "problem"
    assert finding["text"] == "shop-1 is the name of 2 hosts: host-1, host-2"
    assert "CLUSTERLOG_NODE" in finding["mend"]


def test_a_node_that_is_called_localhost(found, home, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_NODE", "localhost")
    assert found()["node name"]["state"] == "problem"


def test_what_is_said_to_people_names_the_check_the_finding_and_the_mend(run, home, monkeypatch):
    monkeypatch.setattr(clock, "unsynchronised", lambda: False)
    home.path.mkdir(mode=0o777)
    home.path.chmod(0o777)
    result = run("doctor")
    assert result.code == 1
    assert "✖ home" in result.out
    assert f"mend: chmod 700 {home.path}" in result.out
    assert result.err == "1 problem, 0 warnings\n"


def test_settings_are_told_with_where_they_came_from(run, home, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_LEVEL", "debug")
    monkeypatch.setenv("CLUSTERLOG_STORE", "https://user:secret@search.example/")
    told = json.loads(run("doctor", "--settings", "--json").out)
    assert told["settings"]["level"] == {"value": "DEBUG", "origin": "environment"}
    assert told["settings"]["home"]["origin"] == "argument"
    assert told["settings"]["linger"] == {"value": 60.0, "origin": "default"}
    assert "secret" not in json.dumps(told)
    lines = run("doctor", "--settings").lines
    assert lines[0].split() == ["SETTING", "VALUE", "ORIGIN"]
    assert any(line.split() == ["level", "DEBUG", "environment"] for line in lines)


def test_settings_are_shown_without_what_is_secret_in_them(run, home, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_TOKEN", "hidden")
    monkeypatch.setenv("CLUSTERLOG_PROXY", "http://u:hidden@proxy:3128")
    monkeypatch.setenv("CLUSTERLOG_STORE", "https://u:hidden@a:9200,v:hidden@b:9200")
    told = run("doctor", "--settings", "--json").out + run("doctor", "--settings").out
    assert "hidden" not in told and "(not shown)" in told and "https://a:9200,b:9200" in told
