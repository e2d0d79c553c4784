"""What a link to a hub makes of servers that are none, of those that answer oddly, and of several in one URL."""

import json
import os
import socket
import threading
import time
from contextlib import closing

import pytest

from clusterlog.control.bus import base
from clusterlog.control.bus.base import Gap
from clusterlog.control.bus.hub.link import HubBus
from clusterlog.errors import BusDenied, BusUnreachable, NotAllowed, Rejected, SettingError
from clusterlog.settings import load
from clusterlog.testing.buses import PATIENCE_S, until

FIRST = b'{"after": "life.0", "notices": ["gap"]}'


def bus(url, **settings):
    return HubBus(url, "test", load({"home": "/nowhere", "token": "secret-token", **settings}, environ={}))


def answer(body=b"{}", status="200 OK", more=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Rogue:
    """A server that answers each request with the next of ``answers``, whatever was asked; bytes, or what says them."""

    def __init__(self, *answers):
        self.heads = []
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self.url = f"hub+http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            each.close()
        self._thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while head := connection.recv(65536):
                self.heads.append(head.decode())
                said = self._answers.pop(0) if self._answers else answer()
                if callable(said):
                    said(connection)
                else:
                    connection.sendall(said)
        except OSError:
            pass


@pytest.fixture
def hasty(monkeypatch):
    """Calling it shortens the time that a link gives a server: before, a slow machine needs all of it."""

    def shorten():
        monkeypatch.setattr(base, "PATIENCE_S", 1.0)
        monkeypatch.setattr(base, "SILENCE_S", 1.5)

    return shorten


ODD = {
    "no JSON": answer(b"<html>welcome</html>"),
    "an array": answer(b"[]"),
    "other members": answer(b'{"after": "x"}'),
    "other types": answer(b'{"after": "x", "notices": 7}'),
    "an unknown notice": answer(b'{"after": "x", "notices": ["what"]}'),
    "no base64": answer(b'{"after": "x", "notices": [{"message": "!"}]}'),
    "too deep": answer(b'{"after": ' + b"[" * 100_000),
    "a redirect": answer(b"", "302 Found", "Location: http://elsewhere/\r\n"),
    "an error": answer(b"{}", "500 Internal Server Error"),
    "an odd length": b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\nConnection: close\r\n\r\nx",
    "odd chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "bytes": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("odd", ODD)
def test_f14_an_odd_answer_is_said_in_one_line_and_shows_no_token(odd, hasty):
    hasty()
    with Rogue(ODD[odd]) as rogue, pytest.raises(BusUnreachable) as refused:
        bus(rogue.url).open()
    said = str(refused.value)
    assert said.startswith(f"{rogue.url}: ")
    assert "\n" not in said
    assert "secret-token" not in said


@pytest.mark.parametrize("call", ["read", "leases"])
@pytest.mark.parametrize(
    "body", [b"{}", b"null", b'{"document": 1, "leases": 1}', b'{"document": null, "leases": [{}]}']
)
def test_f14_an_odd_answer_to_a_call_ends_the_link(call, body):
    with Rogue(answer(FIRST), answer(body)) as rogue:
        link = bus(rogue.url).open()
        with pytest.raises(BusUnreachable, match="not as a clusterlog serve does"):
            getattr(link, call)()
        link.close()


def trickle(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def test_an_answer_that_comes_byte_by_byte_is_given_up(hasty):
    hasty()
    with Rogue(trickle) as rogue, pytest.raises(BusUnreachable, match="no answer within 1 s"):
        bus(rogue.url).open()


def test_f14_an_answer_of_more_bytes_than_there_can_be_is_given_up_whatever_it_says(monkeypatch):
    monkeypatch.setattr("clusterlog.control.bus.hub.wire.MOST_ANSWER", 1 << 20)
    with Rogue(answer(FIRST), answer(b" " * (10 << 20))) as rogue:
        link = bus(rogue.url).open()
        with pytest.raises(BusUnreachable, match="not as a clusterlog serve"):
            link.lease("a", b"", 30.0, "e/1")
        link.close()


def test_what_is_more_than_a_hub_takes_is_refused_before_it_is_sent():
    with Rogue(answer(FIRST)) as rogue:
        link = bus(rogue.url).open()
        with pytest.raises(Rejected):
            link.write(os.urandom(2 << 20), None)
        assert len(rogue.heads) == 1
        link.close()


def test_a_poll_that_is_not_answered_is_dead_after_the_silence(hasty):
    with Rogue(answer(FIRST), lambda connection: None) as rogue:
        link = bus(rogue.url).open()
        assert until(link, bool) == [Gap()]
        hasty()
        with pytest.raises(BusUnreachable, match="nothing was heard"):
            until(link, lambda come: False)
        link.close()


def test_each_poll_goes_on_where_the_one_before_ended():
    news = answer(b'{"after": "life.7", "notices": ["changed"]}')
    with Rogue(answer(FIRST), news, lambda connection: None) as rogue:
        link = bus(rogue.url).open()
        until(link, lambda come: len(come) == 2)
        link.wait(0.0)
        end = time.monotonic() + PATIENCE_S
        while len(rogue.heads) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        link.close()
    assert ["after=&" in rogue.heads[0], "after=life.0&" in rogue.heads[1], "after=life.7&" in rogue.heads[2]] == [
        True
    ] * 3


def test_an_idle_connection_that_the_server_ended_is_made_anew():
    read = answer(b'{"document": null, "now_ns": 1}', more="Connection: close\r\n")
    ended = threading.Event()

    def once(connection):
        connection.sendall(answer(b'{"document": null, "now_ns": 1}'))
        connection.close()
        ended.set()

    with Rogue(answer(FIRST), once, read, read) as rogue, closing(bus(rogue.url).open()) as link:
        assert link.read().document is None
        assert ended.wait(PATIENCE_S)
        for _ in range(2):
            assert link.read().document is None


def test_of_several_hosts_the_first_that_answers_is_the_bus():
    with Rogue(answer(b"", "503 Service Unavailable")) as ending, Rogue(answer(FIRST)) as well:
        link = bus(f"{ending.url},{well.url}").open()
        assert until(link, bool) == [Gap()]
        assert len(ending.heads) == len(well.heads) == 1
        link.close()


def test_where_no_host_answers_each_is_told_and_one_that_denies_decides():
    denies, busy = Rogue(answer(b"", "401 Unauthorized")), Rogue(answer(b"", "503 No"))
    with denies, busy, pytest.raises(BusDenied) as refused:
        bus(f"{busy.url},{denies.url}").open()
    assert busy.url in str(refused.value)
    assert denies.url in str(refused.value)
    assert "secret-token" not in str(refused.value)


def test_the_token_of_the_url_is_for_its_host_alone_and_never_shown():
    with Rogue(answer(FIRST)) as known, Rogue(answer(FIRST)) as other:
        with_token = bus(known.url.replace("//", "//any:token-of-the-url@"))
        with_token.open().close()
        bus(other.url).open().close()
        assert "token-of-the-url" not in with_token.name
        assert "Basic " in known.heads[0]
        assert "secret-token" not in known.heads[0]
        assert "secret-token" in other.heads[0]


def test_f32_the_token_to_control_is_taken_from_a_copy_of_the_servers_file_each_time(tmp_path):
    file = tmp_path / "serve.json"
    with Rogue(answer(FIRST), answer(FIRST)) as rogue:
        at = bus(rogue.url, token="", token_file=str(file))
        for word in ("first", "second"):
            file.write_text(json.dumps({"tokens": {"write": "w", "read": "r", "control": word}}))
            at.open().close()
    assert ["first" in rogue.heads[0], "second" in rogue.heads[1]] == [True, True]


@pytest.mark.parametrize("url", ["hub+http://", "hub+ftp://host", "hub+http://host:99999", "hub+http://ho st"])
def test_a_url_that_cannot_be_right_is_a_setting_that_cannot_be_used(url):
    with pytest.raises(SettingError, match="hub"):
        HubBus(url, "test", load({"home": "/nowhere"}, environ={}))


def test_files_that_cannot_be_used_are_said_as_settings_are(tmp_path):
    with pytest.raises(SettingError, match="ca_file"):
        bus("hub+https://localhost", ca_file=str(tmp_path / "none.pem")).open()
    with pytest.raises((SettingError, NotAllowed), match="token_file"):
        bus("hub+https://localhost", token="", token_file=str(tmp_path / "none")).open()


def test_the_port_of_a_hub_need_not_be_said():
    assert bus("hub+http://a,b:99").name == "hub+http://a:8520,hub+http://b:99"
