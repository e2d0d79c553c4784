"""What is said of each thing that can go wrong on the way, by servers with which it does."""

from __future__ import annotations

import socket

import pytest
from urllib3 import exceptions

from clusterlog.errors import SettingError, StoreUnavailable
from clusterlog.store.elasticsearch.wire import node
from clusterlog.store.elasticsearch.wire.trouble import sentence

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def trouble(client):
    """What is said where a URL does not answer."""

    def ask(url, timeout=5.0, **settings):
        with pytest.raises(StoreUnavailable) as told:
            client(url, **settings).call("GET", "/", timeout=timeout)
        assert "\n" not in str(told.value) and len(str(told.value)) < 250
        return str(told.value)

    return ask


def test_a_port_nobody_listens_on(trouble, unused_port):
    url = f"http://127.0.0.1:{unused_port}"
    assert trouble(url) == f"{url}: nothing listens there (connection refused)"


def test_a_name_that_resolves_to_nothing(trouble):
    assert trouble("http://nothing.invalid:9200") in {
        "http://nothing.invalid:9200: no host of that name is known",
        "http://nothing.invalid:9200: its name cannot be looked up now: the name server does not answer",
    }


def test_a_name_no_host_can_have(trouble):
    assert "no name a host can have" in trouble(f"http://{'x' * 64}.example:9200") or "no host of that name"


def test_a_host_that_cannot_be_reached(trouble, monkeypatch):
    monkeypatch.setattr(node, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        others = [socket.socket() for _ in range(4)]
        for each in others:  # the queue of a server that accepts nobody is full: whoever comes now is not answered
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        assert trouble(url) == f"{url}: cannot be reached, nothing answers there"
        for each in others:
            each.close()


def test_a_server_that_does_not_answer_in_time(trouble, speaker):
    url = f"http://127.0.0.1:{speaker('hang').port}"
    assert trouble(url, 0.3) == f"{url}: connected, but no answer within 0.3 s"


def test_a_server_that_says_nothing(trouble, speaker):
    assert trouble(f"http://127.0.0.1:{speaker(None).port}").endswith(
        "closed the connection without an answer; does it speak https?"
    )


def test_plain_http_to_a_server_that_speaks_tls(trouble, speaker, certificates):
    server = speaker(tls=certificates.context(certificates.server()))
    assert "does it speak https?" in trouble(f"http://127.0.0.1:{server.port}")


def test_tls_to_a_server_that_speaks_plain_http(trouble, speaker):
    server = speaker(lambda request: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    told = trouble(f"https://127.0.0.1:{server.port}", fingerprint="ab" * 32)
    assert told.endswith(f"does not speak TLS: write http://127.0.0.1:{server.port}")


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b'Content-Length: 100\r\nConnection: close\r\n\r\n{"ok":',
        HEAD + b'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n64\r\n{"ok":',
        HEAD + b"Content-Length: 30\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nno gzip",
    ],
)
def test_a_connection_that_is_cut_in_the_middle_of_an_answer(trouble, speaker, answer):
    assert "the connection broke in the middle of the answer" in trouble(f"http://127.0.0.1:{speaker(answer).port}")


def test_an_answer_without_its_body_is_no_success(client, speaker):
    """What is left of an answer behind a proxy that cuts it after its head, where that says no length."""
    server = speaker(HEAD + b"Connection: close\r\n\r\n")
    answer = client(f"http://127.0.0.1:{server.port}").call("GET", "/")
    assert (answer.status, answer.body) == (200, None)


def test_a_server_that_does_not_speak_http(trouble, speaker):
    told = trouble(f"http://127.0.0.1:{speaker(b'SSH-2.0-OpenSSH_9.2 Connection: close').port}")
    assert "something that is not HTTP" in told


def test_a_page_is_an_answer_without_a_body_that_can_be_read(client, speaker):
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
    answer = client(f"http://127.0.0.1:{speaker(page).port}").call("GET", "/")
    assert (answer.status, answer.body, answer.content) == (200, None, b"<html>")


def test_a_proxy_nobody_listens_behind(trouble, unused_port):
    told = trouble("https://es.example:9200", proxy=f"http://u:secret@127.0.0.1:{unused_port}")
    assert told == (
        f"https://es.example:9200: the proxy http://127.0.0.1:{unused_port}: nothing listens there (connection refused)"
    )


def test_a_proxy_that_leads_nowhere(trouble, proxy):
    told = trouble("https://es.example:9200", proxy=f"http://127.0.0.1:{proxy().port}")
    assert "leads nowhere: 503 service unavailable" in told


def test_a_proxy_that_wants_a_password(trouble, proxy):
    told = trouble("https://es.example:9200", proxy=f"http://127.0.0.1:{proxy(wants=b'Basic').port}")
    assert "407 proxy authentication required" in told


def test_a_network_that_leads_nowhere():
    error = exceptions.NewConnectionError(None, "x")
    error.__cause__ = OSError(101, "Network is unreachable")
    assert sentence(error, "http://es:9200", "", 1.0) == "http://es:9200: cannot be reached, no network leads there"


def test_another_trouble_is_told_in_the_systems_own_words():
    error = exceptions.NewConnectionError(None, "x")
    error.__cause__ = OSError(24, "Too many open files")
    assert sentence(error, "http://es:9200", "", 1.0) == "http://es:9200: cannot be reached: too many open files"


@pytest.mark.parametrize(
    ("environ", "host", "through"),
    [
        ({"https_proxy": "P"}, "https://es.example", True),
        ({"HTTPS_PROXY": "P"}, "https://es.example", True),
        ({"ALL_PROXY": "P"}, "https://es.example", True),
        ({"HTTP_PROXY": "P"}, "https://es.example", False),
        ({"HTTPS_PROXY": "P", "NO_PROXY": "example"}, "https://es.example", False),
        ({"HTTPS_PROXY": "P", "NO_PROXY": "es.example:443"}, "https://es.example", False),
        ({"HTTPS_PROXY": "P", "NO_PROXY": "other"}, "https://es.example", True),
        ({"HTTPS_PROXY": "P"}, "https://localhost", False),
        ({}, "https://es.example", False),
    ],
)
def test_the_proxy_of_the_environment_is_taken_as_other_programs_take_it(monkeypatch, environ, host, through):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value.replace("P", "proxy:3128") if value == "P" else value)
    from clusterlog.settings.servers.hosts import hosts

    (found,) = hosts(host)
    assert node.proxy_for(found, "environment") == ("http://proxy:3128" if through else "")
    assert node.proxy_for(found, "none") == ""


def test_a_proxy_of_another_kind_is_refused(client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://u:secret@proxy:1080")
    with pytest.raises(SettingError) as told:
        client("https://es.example:9200")
    assert "socks5://proxy:1080" in str(told.value) and "proxy = none" in str(told.value)


def test_plain_http_goes_through_a_proxy_with_its_password(client, proxy):
    way = proxy(wants=b"Basic dTpwOg==")
    asked = client("http://es.example:9200/x", proxy=f"http://u:p%3A@127.0.0.1:{way.port}")
    assert asked.call("GET", "/_search").body == {"ok": True}
    assert way.requests[-1].startswith(b"GET http://es.example:9200/x/_search HTTP/1.1\r\n")
