"""Who does nothing with a connection keeps nobody else from being answered, and lengths that lie mislead none."""

from __future__ import annotations

import functools
import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from clusterlog.web import api, connection, server
from clusterlog.web.intake import body

ROOT = str(Path(__file__).parents[2])
BODY = b'{"create":{}}\n{"message":"hello"}\n'


def connected(ask):
    return socket.create_connection((ask.host, ask.port), timeout=30)


def head(ask, *lines, path="/_bulk", right="write"):
    shown = f"Authorization: Bearer {getattr(ask.tokens, right)}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", shown, *lines, "", ""]).encode()


def everything(one):
    """All that comes until the other end closes."""
    got = b""
    try:
        while piece := one.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        pass
    return got


def test_a_connection_on_which_nothing_comes_is_ended(ask, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    with connected(ask) as silent:
        assert everything(silent) == b""


def is_ended(dripping):
    """Whether a connection is ended though letter after letter comes in time."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            dripping.sendall(b"G")
        except OSError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"], ids=["at first", "after another"])
def test_a_head_that_comes_letter_by_letter_is_not_waited_for(ask, monkeypatch, before):
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    with connected(ask) as slow:
        slow.sendall(before)
        assert not before or slow.recv(1 << 16).startswith(b"HTTP/1.1 421 ")
        assert is_ended(slow)


def test_a_connection_that_is_used_lasts_longer_than_any_head(ask, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 1.0)
    with closing(http.client.HTTPConnection(ask.host, ask.port, timeout=30)) as used:
        used.request("GET", "/", headers={"Authorization": f"Bearer {ask.tokens.read}"})
        used.getresponse().read()
        there = used.sock
        time.sleep(1.2)
        used.request("GET", "/", headers={"Authorization": f"Bearer {ask.tokens.read}"})
        assert (used.getresponse().status, used.sock) == (200, there)


@pytest.mark.parametrize("more", ["X-Long: " + "x" * (1 << 20), "\r\n".join(f"X-{n}: y" for n in range(100_000))])
def test_a_head_that_does_not_end_is_refused(ask, more):
    with connected(ask) as sender:
        try:
            sender.sendall(head(ask, more)[:-4])
        except OSError:  # it was closed before all was sent
            return
        assert everything(sender)[:12] in (b"HTTP/1.1 400", b"")
    assert ask("GET", "/").status == 200


def test_an_answer_that_nobody_takes_is_given_up(running, monkeypatch):
    monkeypatch.setattr(connection, "TAKEN_S", 0.2)
    ended = threading.Event()

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        ended.set()

    monkeypatch.setattr(running.switch, "app", endless)
    with socket.create_connection(running.socket.getsockname(), timeout=30) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended.wait(30)


@pytest.fixture
def crowded(running, store, tmp_path, monkeypatch):
    """A server that takes five connections at once."""
    monkeypatch.setattr(server, "most_connections", lambda: 5)
    own = type(running)()
    with own.serving(store, tmp_path) as ask:
        yield ask
    own.end()


def test_where_all_connections_are_taken_the_one_that_was_idle_longest_makes_room(crowded):
    with ExitStack() as stack:
        working = stack.enter_context(connected(crowded))
        working.sendall(head(crowded, f"Content-Length: {len(BODY)}") + BODY[:10])
        assert crowded("GET", "/").status == 200
        idle = [stack.enter_context(connected(crowded)) for _ in range(20)]
        assert [crowded.bulk({"create": {}}, {"n": n}).items for n in range(5)] == [[("create", 201)]] * 5
        assert everything(idle[0]) == b""
        working.sendall(BODY[10:])
        assert working.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_as_many_connections_are_taken_as_leave_descriptors_for_the_store():
    limits = [(40, 40), (300, 300), (300, 900), (1024, 1024), (1024, 1 << 20)]
    program = (
        "import resource, sys; from clusterlog.web.connection import most_connections\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))\n"
        "print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    told = []
    for soft, hard in limits:
        command = [sys.executable, "-c", program, str(soft), str(hard)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ROOT})
        if "not allowed to raise" not in done.stderr:  # the machine itself allows less
            told.append(((soft, hard), tuple(map(int, done.stdout.split()))))
    expected = dict(zip(limits, [(10, 40), (75, 300), (644, 900), (768, 1024), (1000, 4096)], strict=True))
    assert dict(told) == {limit: expected[limit] for limit, _ in told}
    assert len(told) >= 4


def test_a_crowd_that_comes_at_once_takes_no_descriptor_from_the_store(serve):
    """Without a token, and more of them than the process may have files."""
    served = serve()
    served.end()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", functools.partial(subprocess.Popen, preexec_fn=few_files))
        served.begin()
    process = psutil.Process(served.process.pid)
    assert process.rlimit(psutil.RLIMIT_NOFILE) == (256, 256)
    with ExitStack() as stack:
        for number in range(2):
            served.process.send_signal(signal.SIGSTOP)  # so that all of them wait to be accepted at once
            for _ in range(400):
                stack.enter_context(connected(served.ask))
            served.process.send_signal(signal.SIGCONT)
            answered(served.ask, number)
        assert process.num_fds() < 200
    assert served.end() == 0
    assert "Traceback" not in served.console.read_text()


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def answered(ask, number):
    """Sent until it is stored, since a crowd may keep a sender out for a moment."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if ask.bulk({"index": {"_id": f"n{number}"}}, {"n": number}).status == 200:
                return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("not answered")


# lengths that lie


def test_a_body_that_is_shorter_than_it_says_is_not_waited_for_long_and_nothing_of_it_is_stored(ask, monkeypatch):
    monkeypatch.setattr(body, "PATIENCE_S", 0.2)
    monkeypatch.setattr(api, "PATIENCE_S", 0.2)
    for path, right in (("/_bulk", "write"), ("/api/v1/search", "read")):
        with connected(ask) as liar:
            liar.sendall(head(ask, f"Content-Length: {len(BODY) + 10}", path=path, right=right) + BODY)
            assert liar.recv(1 << 16).startswith(b"HTTP/1.1 408 ")
    assert ask.found() == []


def test_a_body_that_is_longer_than_it_says_is_taken_as_far_as_it_said_and_the_rest_is_no_request(ask):
    with connected(ask) as liar:
        liar.sendall(
            head(ask, f"Content-Length: {len(BODY)}") + BODY + b'{"create":{}}\n{"message":"smuggled"}\n\r\n\r\n'
        )
        got = everything(liar)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.count(b"HTTP/1.1 400 ") == 1
    assert [each["message"] for each in ask.found()] == ["hello"]


@pytest.mark.parametrize(
    "lengths",
    [
        ["Content-Length: 5", f"Content-Length: {len(BODY)}"],
        ["Content-Length: -1"],
        ["Content-Length: 0x10"],
        ["Content-Length: "],
        [f"Content-Length: {len(BODY)}, 7"],
        [f"Content-Length: +{len(BODY)}"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: identity"],
    ],
)
def test_lengths_that_can_be_read_in_two_ways_are_refused(ask, lengths):
    with connected(ask) as liar:
        liar.sendall(head(ask, *lengths) + BODY)
        assert everything(liar)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501")
    assert ask.found() == []


def test_chunks_are_counted_and_not_what_a_header_says_beside_them(ask):
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    with connected(ask) as sender:
        sender.sendall(head(ask, "Transfer-Encoding: chunked", "Connection: close") + chunked)
        assert json.loads(everything(sender).partition(b"\r\n\r\n")[2])["errors"] is False
    assert len(ask.found()) == 1
