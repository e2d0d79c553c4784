"""Lines over TCP: best effort, and what effort that is."""

import json
import socket
import threading
import time
from dataclasses import replace

import pytest
from logstash_inputs import PARSE_FAILURE, LinesInput

from clusterlog.errors import StoreUnavailable


@pytest.fixture
def lines():
    with LinesInput() as made:
        yield made


@pytest.fixture
def sink(lines, opened):
    return opened(f"jsonlines+tcp://127.0.0.1:{lines.port}")


def wait_for(lines, events):
    end = time.monotonic() + 30
    while len(lines.queue.events) < events:
        assert time.monotonic() < end, "they never came"
        time.sleep(0.01)
    return lines.queue.events


def test_each_event_is_a_line_and_all_have_arrived_when_it_is_closed(lines, sink, batch, statuses):
    sent = batch(1, 200, pad=5000)
    assert statuses(sink.deliver(sent)) == ["stored"] * 200
    sink.close()
    assert wait_for(lines, 200) == [json.loads(each.body) for each in sent]


def test_an_event_on_several_lines_becomes_one(lines, sink, make):
    body = json.dumps(json.loads(make(1).body), indent=2).encode()
    sink.deliver([replace(make(1), body=body)])
    assert wait_for(lines, 1) == [json.loads(body)] and not lines.queue.tagged(PARSE_FAILURE)


def test_what_cannot_be_read_is_refused(lines, sink, make, statuses):
    assert statuses(sink.deliver([replace(make(1), body=b"NaN"), make(2)])) == ["refused", "stored"]
    assert len(wait_for(lines, 1)) == 1


def test_a_far_end_that_said_good_bye_is_connected_to_again_before_anything_is_given_to_it(lines, sink, batch, id_of):
    sink.deliver(batch(1, 2))
    wait_for(lines, 2)
    lines.cut()
    end = time.monotonic() + 30
    while len(lines._open) and time.monotonic() < end:
        time.sleep(0.01)
    sink.deliver(batch(3, 4))
    wait_for(lines, 4)
    assert lines.queue.ids() == [id_of(number) for number in (1, 2, 3, 4)] and lines.connections == 2


def test_what_the_kernel_does_not_take_is_not_stored(opened, batch, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.sinks.logstash.lines.SEND_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        sink = opened(f"jsonlines+tcp://127.0.0.1:{deaf.getsockname()[1]}")
        much = batch(1, 400, pad=50_000)  # more than the buffers of both sides hold
        with pytest.raises(StoreUnavailable, match=r"takes nothing for 0.2 s"):
            sink.deliver(much)


def test_what_was_taken_arrives_although_the_far_end_says_something_that_nobody_reads(opened, batch):
    """A connection that is closed with something unread in it is reset, and what it was to send yet is thrown away."""
    taken, found = threading.Event(), []

    def read(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"hello")
            taken.wait(30)
            time.sleep(0.2)  # by now who closes at once has done it
            while data := connection.recv(65536):
                found.append(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        thread = threading.Thread(target=read, args=(listener,), daemon=True)
        thread.start()
        sink = opened(f"jsonlines+tcp://127.0.0.1:{listener.getsockname()[1]}")
        sink.deliver(batch(1, 50, pad=4000))
        taken.set()
        sink.close()
        thread.join(30)
    assert b"".join(found).count(b"\n") == 50


def test_nobody_there_is_told(opened, batch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="nothing listens there"):
        opened(f"jsonlines+tcp://127.0.0.1:{port}").deliver(batch(1, 1))


def test_over_tls_all_lines_arrive(opened, certificates, batch):
    with LinesInput(tls=certificates.context(certificates.server())) as lines:
        sink = opened(f"jsonlines+tls://localhost:{lines.port}", ca_file=str(certificates.authority()))
        for first in (1, 101):
            sink.deliver(batch(first, first + 99))
        sink.close()
        assert len(wait_for(lines, 200)) == 200 and lines.connections == 1
