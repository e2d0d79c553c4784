"""Data sets with a template, events for them, clients and sinks; servers that say what a test wants them to."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest
from certificates import Certificates

from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.transport import Answer, Client

INSTANCE = "0190aaaa0000700080000000000000f0"
MAPPINGS = {"properties": {"@timestamp": {"type": "date_nanos"}, "count": {"type": "long"}}}


def settings_of(**given):
    """Settings of a home that is not there, and of nothing outside."""
    return load({"home": "/nowhere", **given}, environ={})


def make_delivery(dataset, sequence, *, instance=INSTANCE, id=None, **more):
    """Event number ``sequence`` of a process, as our encoder writes it; ``more`` are further members."""
    id = f"{instance}-{sequence:011x}" if id is None else id
    event = {
        "@timestamp": f"2026-11-20T12:00:00.{sequence:09d}Z",
        "process": {"pid": 4711, "entity_id": instance},
        "event": {"id": id, "sequence": sequence, "kind": "event", "dataset": dataset},
        "log": {"level": "info", "logger": "shop.api"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": "test"},
        "host": {"name": "h"},
        "message": f"event number {sequence}",
        **more,
    }
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return Delivery(id, instance, sequence, body)


def make_answer(body=None, status=200, content=None, **headers):
    """What a server may have answered: a body that is JSON, or any content."""
    content = json.dumps(body).encode() if content is None else content
    return Answer(status, body, {"content-type": "application/json", **headers}, "http://es:9200", content)


def make_streams(engine, dataset, **template):
    """A template that makes data streams of a data set."""
    made = {
        "index_patterns": [f"logs-{dataset}-*"],
        "priority": 500,
        "data_stream": {},
        "template": {"mappings": MAPPINGS, "settings": {"number_of_replicas": 0}, **template},
    }
    status, answer = engine.call("PUT", f"/_index_template/{dataset}", made)
    assert status == 200, answer


def stored_ids(engine, dataset):
    """The ids of all events in the streams of a data set, in their order of id."""
    engine.call("POST", f"/logs-{dataset}-*/_refresh")
    asked = {"size": 10_000, "_source": False, "query": {"match_all": {}}}
    status, answer = engine.call("POST", f"/logs-{dataset}-*/_search", asked)
    assert status == 200, answer
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


@pytest.fixture(scope="session")
def settings():
    return settings_of


@pytest.fixture(scope="session")
def delivery():
    return make_delivery


@pytest.fixture(scope="session")
def answered():
    return make_answer


@pytest.fixture(scope="session")
def streams():
    return make_streams


@pytest.fixture(scope="session")
def stored():
    return stored_ids


@pytest.fixture
def client():
    """Make clients for a URL and settings."""
    with ExitStack() as made:
        yield lambda url, **given: made.enter_context(closing(Client.of(settings_of(**given), url=url)))


@pytest.fixture
def sink():
    """Make sinks for a URL and settings."""
    with ExitStack() as made:

        def begin(url, **given):
            settings = settings_of(**given)
            return made.enter_context(closing(ElasticsearchSink(Client.of(settings, url=url, kind="write"), settings)))

        yield begin


@pytest.fixture(scope="session")
def until():
    """Ask again and again until the answer is true, and give it."""

    def ask(condition, patience_s=60.0):
        end = time.monotonic() + patience_s
        while not (found := condition()):
            assert time.monotonic() < end, "it never was"
            time.sleep(0.1)
        return found

    return ask


@pytest.fixture
def unused_port():
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


class Speaker:
    """Listens on a port, reads each request and sends ``answer``: bytes, or a function of the request's bytes.

    ``None`` as an answer closes the connection, ``"hang"`` keeps silent until the end.
    """

    def __init__(self, answer=ANSWER, tls=None):
        self.answer, self.tls = answer, tls
        self.requests = []
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._speak, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _speak(self, connection):
        connection.settimeout(10)
        with suppress(OSError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                while request := read_request(connection):
                    self.requests.append(request)
                    answer = self.answer(request) if callable(self.answer) else self.answer
                    if answer == "hang":
                        self._over.wait(10)
                    if not isinstance(answer, bytes):
                        return
                    connection.sendall(answer)
                    if b"Connection: close" in answer:
                        return

    def close(self):
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def read_request(connection):
    """Head and body of one request; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        data += more
        if not more or not data[:1].isalpha():
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Proxy(Speaker):
    """An HTTP proxy: answers what is sent through it itself, and leads every tunnel to ``target``."""

    def __init__(self, target=None, wants=b""):
        self.target, self.wants = target, wants
        super().__init__()

    def _speak(self, connection):
        connection.settimeout(10)
        with suppress(OSError), connection:
            request = read_request(connection)
            self.requests.append(request)
            if self.wants and self.wants not in request:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif not request.startswith(b"CONNECT"):
                connection.sendall(ANSWER.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            elif self.target is None:
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with socket.create_connection(("127.0.0.1", self.target)) as other:
                    back = threading.Thread(target=_pump, args=(other, connection), daemon=True)
                    back.start()
                    _pump(connection, other)


def _pump(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def speaker():
    """Start servers that speak."""
    with ExitStack() as started:

        def start(answer=ANSWER, tls=None):
            made = Speaker(answer, tls)
            started.callback(made.close)
            return made

        yield start


@pytest.fixture
def proxy():
    """Start proxies."""
    with ExitStack() as started:

        def start(target=None, wants=b""):
            made = Proxy(target, wants)
            started.callback(made.close)
            return made

        yield start


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))
