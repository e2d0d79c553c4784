"""The door: nothing gets in without a token, no token does what another is for, and no browser is led in."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing

import pytest

OF_WRITERS = [("POST", "/_bulk"), ("PUT", "/_bulk"), ("POST", "/shop/_bulk")]
OF_READERS = [
    ("POST", "/api/v1/search"),
    ("POST", "/api/v1/count"),
    ("GET", f"/api/v1/sequences/{'a' * 32}"),
    ("GET", "/api/v1/audit"),
]
OF_BOTH = [("GET", "/_refresh"), ("POST", "/shop/_refresh")]
OF_ALL = [("GET", "/"), ("HEAD", "/"), ("GET", "/_license"), ("GET", "/_cluster/health"), ("GET", "/_nodes/_local")]
BODY = '{"create": {}}\n{"message": "hello"}\n'


def allowed(ask, right, method, path):
    return ask(method, path, BODY if path.endswith("_bulk") else None, right=right).status


@pytest.mark.parametrize(
    ("rights", "requests"),
    [("write", OF_WRITERS), ("read", OF_READERS), ("write read", OF_BOTH), ("write read control", OF_ALL)],
)
def test_each_right_is_good_for_its_own_requests_and_no_others(ask, rights, requests):
    for method, path in requests:
        for right in ("write", "read", "control"):
            expected = 200 if right in rights.split() else 403
            assert allowed(ask, right, method, path) == expected, (right, method, path)


def test_what_is_refused_for_its_right_says_which_one_it_takes(ask):
    said = ask("POST", "/_bulk", BODY, right="read")
    assert said.json["error"]["type"] == "security_exception"
    assert said.reason == "the token may read, and this needs one that may write"
    assert not ask.found()


@pytest.mark.parametrize(("method", "path"), [*OF_WRITERS, *OF_READERS, *OF_BOTH, *OF_ALL, ("GET", "/nothing")])
def test_without_a_token_nothing_is_said_but_how_to_show_one(ask, method, path):
    said = ask(method, path, BODY, right="")
    assert said.status == 401
    assert said.headers["WWW-Authenticate"] == 'Basic realm="clusterlog", Bearer, ApiKey'
    if method != "HEAD":
        assert said.reason.startswith("a token is needed: ")
    assert not ask.found()


@pytest.mark.parametrize("shown", ["Bearer nonsense", "ApiKey bm9uc2Vuc2U6bm9uc2Vuc2U=", "Basic \xff"])
def test_a_token_of_somebody_else_is_as_good_as_none(ask, shown):
    said = ask("POST", "/_bulk", BODY, Authorization=shown)
    assert said.status == 401
    assert said.reason.startswith("this token is none of this server's: ")
    assert not ask.found()


def test_every_answer_has_the_header_that_the_official_client_looks_for(ask):
    for right, path in (("write", "/"), ("write", "/nothing"), ("", "/"), ("write", "/api/v1/audit")):
        assert ask("GET", path, right=right).headers["X-Elastic-Product"] == "Elasticsearch"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8520", "LOCALHOST", "127.0.0.1:1"])
def test_a_server_on_loopback_answers_to_its_own_names(ask, host):
    assert ask("GET", "/", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8520", "127.0.0.1.evil.example", "", "[::1]:8520"])
def test_and_to_no_other_by_which_a_browser_was_led_here(ask, host):
    said = ask("GET", "/", Host=host)
    assert said.status == 421
    assert said.reason.startswith("this server is 127.0.0.1, localhost and not ")


def test_on_a_network_it_answers_to_any_name(running, store, tmp_path):
    with running.serving(store, tmp_path, names=()) as ask:
        assert ask("GET", "/", Host="logs.example.com").status == 200


def test_who_sends_much_and_is_refused_hears_why_and_may_go_on(ask):
    with closing(http.client.HTTPConnection(ask.host, ask.port, timeout=30)) as connection:
        for _ in range(2):
            connection.request("POST", "/_bulk", b" " * (8 << 20), {"Authorization": "Bearer nonsense"})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (401, True)


def test_who_waits_to_be_asked_for_a_body_is_not_asked_for_one_that_is_refused(ask):
    with socket.create_connection((ask.host, ask.port), timeout=30) as sender:
        sender.sendall(b"POST /_bulk HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert sender.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_a_body_that_does_not_come_is_not_waited_for(ask):
    with socket.create_connection((ask.host, ask.port), timeout=30) as sender:
        sender.sendall(b"POST /_bulk HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert sender.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
