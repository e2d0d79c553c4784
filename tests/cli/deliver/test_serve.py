"""`clusterlog serve` as a command: one per home, its tokens, its refusals, and an end in order."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from contextlib import closing, contextmanager

import pytest

from clusterlog.ship.homelock import HomeLock

HELLO = b'{"create":{"_index":"shop"}}\n{"message":"from afar","reqId":"req-1","name":"pay","hostname":"pay-1"}\n'


class Serving:
    """A server that runs."""

    def __init__(self, process, *arguments):
        self.process = process("serve", "--json", *arguments)
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        self.told = json.loads(line)
        self.file = self.told["token_file"]
        with open(self.file, encoding="utf-8") as file:
            self.tokens = json.load(file)["tokens"]
        self.port = int(self.told["url"].rpartition(":")[2])

    def connect(self):
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))

    def shown(self, right="write"):
        return {"Authorization": f"Bearer {self.tokens[right]}"}

    def ask(self, method, path, body=None, right="write"):
        with self.connect() as connection:
            connection.request(method, path, body, self.shown(right))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err.decode().splitlines()


@contextmanager
def stopped(process):
    """The process does nothing meanwhile."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.fixture
def served(process, home):
    return Serving(process, "--home", home, "--listen", "127.0.0.1:0")


def test_when_it_is_ready_it_says_where_it_is_and_where_the_tokens_are(served, home):
    assert served.told == {
        "schema": "clusterlog.serve/1",
        "home": str(home),
        "url": f"http://127.0.0.1:{served.port}",
        "pid": served.process.pid,
        "token_file": str(home.path / "run" / "serve.json"),
    }
    assert sorted(served.tokens) == ["control", "read", "write"]
    assert (home.path / "run" / "serve.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_it_says_what_it_shipped(process, home, number):
    speaker = home.speaker()
    speaker.say("near")
    speaker.end()  # before it begins: of whoever lives it tells, which counts as well
    served = Serving(process, "--home", home, "--listen", "127.0.0.1:0")
    code, (begun, ended) = served.end(number)
    assert code == 0
    assert begun == f"serving {home} at {served.told['url']}; tokens in {served.file}; Ctrl-C ends it"
    assert ended.startswith(f"shipped 3 events to {home.path / 'store'} in ")
    assert HomeLock.holder(home.path) == 0


def test_what_comes_from_afar_and_what_lies_in_the_spools_are_found_together(served, home, run):
    speaker = home.speaker()
    speaker.say("near", request="req-1")
    assert served.ask("POST", "/_bulk", HELLO)[0] == 200
    result = run("trace", "req-1", "--json")
    assert [each["message"] for each in json.loads(result.out)["events"]] == ["near", "from afar"]
    assert "missing" not in result.err
    status = json.loads(run("status", "--json").out)
    assert status["shipper"] == {"state": "running", "pid": served.process.pid}
    assert status["backlog"]["events"] == 0
    code, found = served.ask(
        "POST", "/api/v1/search", b'{"where":{"match":{"field":"message","value":"near"}}}', "read"
    )
    assert (code, len(found.splitlines())) == (200, 2)
    speaker.end()


def test_what_waits_on_another_machine_is_not_called_lost_here(served, home, run):
    far, shipper = "0190aaaa0000700080000000000000f0", "0190aaaa0000700080000000000000f1"
    lines = []
    for instance, sequence, more in (
        (far, 1, {}),
        (far, 2, {}),
        (shipper, 1, {"action": "heartbeat", "kind": "state"}),
    ):
        id = f"{instance}-{sequence:011x}"
        event = {"event": {"id": id, "sequence": sequence, **more}, "process": {"entity_id": instance}}
        event |= {"@timestamp": "2026-11-03T12:00:00Z", "service": {"name": "far", "node": {"name": "far-1"}}}
        if more:
            event["clusterlog"] = {"state": {"instance": far, "last_seq": 5, "backlog_events": 3}}
        lines += [json.dumps({"create": {"_id": id}}), json.dumps(event)]
    assert served.ask("POST", "/_bulk?refresh=true", "\n".join([*lines, ""]))[0] == 200

    def pending():
        result = run("verify", "--json")
        told = json.loads(result.out)
        assert (result.code, told["complete"], told["unexplained"]) == (0, True, [])
        waits = {}
        for each in told["pending"]:
            waits.setdefault(each["instance"], []).append((each["first_seq"], each["last_seq"], each["reason"]))
        return waits

    behind = [(3, 5, "by its last heartbeat")]
    with stopped(served.process):  # so what is said here is in the spool for as long as anybody looks
        speaker = home.speaker()
        speaker.say("near")
        assert pending() == {far: behind, speaker.id: [(1, 2, None)]}
    assert run("ship", "--once").code == 0
    waits = pending()  # of the shipper's own words some may be on their way
    assert (waits[far], speaker.id in waits) == (behind, False)
    speaker.end()


def test_tokens_are_kept_across_restarts_and_the_url_follows(process, home, served):
    before = served.tokens
    assert served.end()[0] == 0
    again = Serving(process, "--home", home, "--listen", "127.0.0.1:0")
    assert again.tokens == before
    with open(again.file, encoding="utf-8") as file:
        assert json.load(file)["url"] == again.told["url"]


@pytest.mark.parametrize("command", [("serve", "--listen", "127.0.0.1:0"), ("ship",)])
def test_a_second_one_at_a_home_is_3_and_names_the_first(served, run, home, command):
    result = run(*command)
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"clusterlog: {home} is being shipped by process {served.process.pid}: ")


def test_who_ships_once_beside_it_waits_until_it_has_delivered(served, home, run):
    speaker = home.speaker()
    speaker.say("near")
    result = run("ship", "--once")
    assert (result.code, result.err[:37]) == (0, "delivered by the shipper of this home")
    speaker.end()


def test_a_port_that_is_taken_is_3_and_leaves_the_home_as_it_was(served, run, tmp_path):
    result = run("serve", "--listen", f"127.0.0.1:{served.port}", "--home", tmp_path / "other")
    assert result.code == 3
    assert result.err == f"clusterlog: cannot listen on 127.0.0.1:{served.port}: address already in use\n"
    assert not (tmp_path / "other" / "run" / "serve.json").exists()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "logs.example.com:8520"])
def test_beyond_this_machine_nothing_is_spoken_without_tls_unless_it_is_asked_for(run, home, listen):
    result = run("serve", "--listen", listen)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"clusterlog: {listen} is open to other machines, ")
    assert "--no-tls" in result.err
    assert not home.path.exists()


def test_it_is_when_it_is_asked_for(process, home):
    served = Serving(process, "--home", home, "--listen", "0.0.0.0:0", "--no-tls")
    assert served.told["url"] == f"http://{socket.gethostname()}:{served.port}"
    assert served.ask("GET", "/")[0] == 200


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--listen", "8520"), "'8520' is no address to listen on"),
        (("--tls-cert", "cert.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-cert", "absent.pem", "--tls-key", "absent.pem"), "cannot read absent.pem"),
    ],
)
def test_options_that_cannot_be_used_are_told_of_in_one_line(run, options, reason):
    result = run("serve", *options)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert reason in result.err


def test_a_home_whose_events_are_to_be_elsewhere_is_not_served(run, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_STORE", "http://elsewhere:9200")
    result = run("serve", "--listen", "127.0.0.1:0")
    assert result.code == 2
    assert "store is set (environment) to have them elsewhere" in result.err


def test_a_directory_of_something_else_is_no_home_and_an_absent_one_becomes_one(run, home, process, tmp_path):
    home.path.mkdir()
    (home.path / "photographs").mkdir()
    assert run("serve").code == 2
    assert [path.name for path in home.path.iterdir()] == ["photographs"]
    assert Serving(process, "--home", tmp_path / "new", "--listen", "127.0.0.1:0").end()[0] == 0


def test_damaged_tokens_are_told_of_before_anything_is_answered(run, home):
    (home.path / "run").mkdir(parents=True)
    (home.path / "run" / "serve.json").write_text("{}")
    result = run("serve", "--listen", "127.0.0.1:0")
    assert (result.code, "does not hold the tokens: remove it" in result.err) == (2, True)


def test_what_is_under_way_when_it_is_to_end_is_answered(served, home, run):
    with served.connect() as connection:
        connection.putrequest("POST", "/_bulk")
        for name, value in {**served.shown(), "Content-Length": str(len(HELLO))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(HELLO[:20])
        assert served.ask("GET", "/")[0] == 200  # by now the other one has begun, too
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            served.process.wait(0.5)
        connection.send(HELLO[20:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["errors"]) == (200, False)
    assert served.process.wait(30) == 0
    assert run("search", "--count", "request: req-1").out == "1\n"


def test_who_holds_a_connection_and_asks_nothing_does_not_keep_it_from_ending(served):
    with socket.create_connection(("127.0.0.1", served.port)), served.connect() as connection:
        connection.request("GET", "/", headers=served.shown())
        connection.getresponse().read()
        assert served.end()[0] == 0


def test_it_says_nothing_of_what_it_is_asked(served):
    for _ in range(3):
        served.ask("POST", "/_bulk", HELLO)
        served.ask("GET", "/nothing")
        served.ask("GET", "/", right="read")
    with socket.create_connection(("127.0.0.1", served.port)) as sender:
        sender.sendall(b"nonsense\x1b[31m\r\n\r\n")
        sender.recv(1000)
    _, lines = served.end()
    assert len(lines) == 2
