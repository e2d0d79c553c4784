"""Lumberjack: each row of what the beats input was seen to do, and every way its connections end."""

import json
import socket
import ssl
import struct
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logstash_inputs import BeatsInput, drawn, in_turn

from clusterlog.errors import StoreUnavailable
from clusterlog.settings.servers.hosts import Host
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint
from clusterlog.ship.sinks.logstash import lumberjack
from clusterlog.ship.sinks.logstash.frames import window
from clusterlog.store.base import Delivery


@pytest.fixture
def beats():
    with BeatsInput(keepalive_s=0.05) as made:
        yield made


@pytest.fixture
def sink(beats, opened):
    return opened(f"lumberjack+tcp://127.0.0.1:{beats.port}")


@contextmanager
def spoken(beats):
    with socket.create_connection(("127.0.0.1", beats.port), 5) as connection:
        yield connection


def ack(connection):
    """The next acknowledgement; ``None`` if the connection was closed instead."""
    try:
        data = connection.recv(6, socket.MSG_WAITALL)
    except ConnectionError:
        return None
    return struct.unpack(">2sI", data)[1] if data else None


def frame(number, body=b"{}"):
    return b"2J" + struct.pack(">II", number, len(body)) + body


def opening(events):
    return b"2W" + struct.pack(">I", events)


# What the stand-in does is what the real server was seen to do.


@pytest.mark.parametrize(
    ("sent", "acks"),
    [
        (window([b"{}"] * 3, compressed=False), [3]),
        (window([b"{}"] * 2, compressed=True), [2]),
        (opening(2) + frame(100) + frame(101), [101]),
        (opening(0), [0]),
        (
            opening(2) + window([b"{}"], compressed=True)[6:] + window([b"{}"], compressed=True)[6:],
            [1],
        ),
        (window([b"{}"], compressed=False) * 2, [1, 1]),
        (opening(2) + frame(1, b"{}") + frame(2, b"NaN"), [None]),
        (opening(1) + frame(1, b""), [None]),
        (opening(1) + frame(1, b"[]"), [None]),
        (b"1W" + struct.pack(">I", 1), [None]),
    ],
    ids=[
        "a window is acknowledged by its last number",
        "compressed",
        "numbers are echoed",
        "an empty window",
        "two compressed frames",
        "two windows at once",
        "NaN",
        "no payload",
        "no object",
        "another version",
    ],
)
def test_the_stand_in_answers_as_the_beats_input_does(beats, sent, acks):
    with spoken(beats) as connection:
        connection.sendall(sent)
        assert [ack(connection) for _ in acks] == acks


def test_the_stand_in_has_queued_what_came_before_a_payload_it_cannot_read(beats):
    with spoken(beats) as connection:
        connection.sendall(opening(3) + frame(1, b'{"n":1}') + frame(2, b"NaN") + frame(3, b'{"n":3}'))
        assert ack(connection) is None
    assert beats.queue.events == [{"n": 1}]


def test_the_stand_in_never_acknowledges_what_follows_a_window_that_was_not_complete(beats):
    with spoken(beats) as connection:
        connection.sendall(opening(3) + frame(1, b'{"n":1}') + opening(1) + frame(1, b'{"n":2}'))
        assert ack(connection) == 1
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert beats.queue.events == [{"n": 1}]


def test_the_stand_in_ends_a_connection_on_which_nothing_comes():
    with BeatsInput(idle_s=0.05) as beats, spoken(beats) as connection:
        assert ack(connection) is None


# What the sink makes of it.


def test_what_is_acknowledged_is_stored_unchanged_and_in_order(beats, sink, batch, statuses):
    sent = batch(1, 300)
    assert statuses(sink.deliver(sent)) == ["stored"] * 300
    assert beats.queue.events == [json.loads(each.body) for each in sent]


def test_windows_follow_each_other_on_one_connection(beats, sink, batch, id_of):
    for first in range(1, 100, 10):
        sink.deliver(batch(first, first + 9))
    assert beats.connections == 1 and beats.windows == [10] * 10
    assert beats.queue.ids() == [id_of(number) for number in range(1, 101)]


def test_what_goes_elsewhere_is_compressed_and_what_stays_here_is_not(beats, opened, batch):
    url = f"lumberjack+tcp://127.0.0.1:{beats.port}"
    for compression, kinds in (("auto", "WJJJ"), ("on", "WCJJJ"), ("off", "WJJJ")):
        beats.kinds.clear()
        opened(url, compression=compression).deliver(batch(1, 3))
        assert "".join(beats.kinds) == kinds, compression


def test_signs_of_life_are_waited_through(beats, sink, batch, statuses):
    beats.queue.block()
    told = []
    thread = threading.Thread(target=lambda: told.extend(statuses(sink.deliver(batch(1, 2)))))
    thread.start()
    while beats.alive_said < 3:
        time.sleep(0.01)
    assert not told
    beats.queue.go_on()
    thread.join(30)
    assert told == ["stored", "stored"]


def test_a_pipeline_that_takes_nothing_for_long_is_told_about_although_it_lives(beats, sink, batch, monkeypatch):
    monkeypatch.setattr(lumberjack, "BLOCKED_S", 0.2)
    beats.queue.block()
    with pytest.raises(
        StoreUnavailable, match=r"alive, but has not taken 2 events for 0.2 s: its pipeline is blocked"
    ) as told:
        sink.deliver(batch(1, 2))
    assert told.value.advice == "slower"


def test_without_a_sign_of_life_the_wait_ends_and_the_outcome_is_unknown(opened, batch, monkeypatch):
    monkeypatch.setattr(lumberjack, "ANSWER_S", 0.2)
    with BeatsInput(keepalive_s=60) as beats:
        beats.queue.block()
        with pytest.raises(StoreUnavailable, match=r"no acknowledgement and no sign of life within 0.2 s") as told:
            opened(f"lumberjack+tcp://127.0.0.1:{beats.port}").deliver(batch(1, 2))
        assert told.value.advice == "slower"


def test_of_a_window_that_is_acknowledged_in_part_the_rest_is_sent_again(beats, sink, batch, statuses, id_of):
    beats.script = in_turn("partial")
    outcomes = sink.deliver(batch(1, 10))
    assert statuses(outcomes) == ["stored"] * 5 + ["retry"] * 5
    assert "closed the connection after 5 of 10 events" in outcomes[5].reason
    assert statuses(sink.deliver(batch(6, 10))) == ["stored"] * 5
    assert beats.queue.ids() == [id_of(number) for number in range(1, 11)]


@pytest.mark.parametrize("fault", ["cut", "lost", "within"])
def test_a_connection_that_ends_without_an_acknowledgement_says_nothing_of_any_event(beats, sink, batch, fault):
    beats.script = in_turn(fault)
    with pytest.raises(StoreUnavailable, match="closed the connection without an ack; does it speak TLS") as told:
        sink.deliver(batch(1, 10))
    assert told.value.advice == "again"
    assert {each.status for each in sink.deliver(batch(1, 10))} == {"stored"}


@pytest.mark.parametrize("answer", [b"2", b"2A", struct.pack(">2sI", b"2A", 10)[:5]])
def test_half_an_acknowledgement_is_a_connection_that_ended(opened, batch, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer, args=(listener, answer, True), daemon=True).start()
        with pytest.raises(StoreUnavailable, match="closed the connection without an ack") as told:
            opened(f"lumberjack+tcp://127.0.0.1:{listener.getsockname()[1]}").deliver(batch(1, 10))
    assert told.value.advice == "again"


def test_an_idle_connection_that_has_ended_is_replaced_without_a_word(beats, sink, batch, statuses, id_of):
    sink.deliver(batch(1, 2))
    beats.cut()
    assert statuses(sink.deliver(batch(3, 4))) == ["stored"] * 2
    assert beats.connections == 2 and beats.queue.ids() == [id_of(number) for number in (1, 2, 3, 4)]


def test_a_connection_that_breaks_on_its_second_window_before_any_answer_is_replaced_once(beats, sink, batch, statuses):
    beats.script = in_turn("none", "cut")
    sink.deliver(batch(1, 2))
    assert statuses(sink.deliver(batch(3, 4))) == ["stored"] * 2
    assert beats.connections == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(beats, batch):
    now = [0.0]
    endpoint = Endpoint(Host("lumberjack+tcp", "127.0.0.1", beats.port), Certificates())
    with closing(lumberjack.LumberjackSink([endpoint], compressed=False, monotonic=lambda: now[0])) as sink:
        sink.deliver(batch(1, 1))
        now[0] += lumberjack.IDLE_S - 1
        sink.deliver(batch(2, 2))
        assert beats.connections == 1
        now[0] += lumberjack.IDLE_S + 1
        sink.deliver(batch(3, 3))
        assert beats.connections == 2


def test_what_cannot_be_read_is_never_sent_and_costs_its_neighbours_nothing(beats, sink, make, statuses):
    from dataclasses import replace

    poison = [make(1), replace(make(2), body=b'{"n":NaN}'), make(3)]
    assert statuses(sink.deliver(poison)) == ["stored", "refused", "stored"]
    assert statuses(sink.deliver([replace(make(4), body=b"[]")])) == ["refused"]
    assert beats.windows == [2]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers with HTTP: write logstash\\+http"),
        (struct.pack(">2sI", b"2A", 77), "an acknowledgement of event 77 of 2"),
        (b"220 mail.example\r\n", "bytes that are no acknowledgement"),
    ],
    ids=["HTTP", "too many", "mail"],
)
def test_an_answer_that_is_none_acknowledges_nothing_and_is_told(beats, sink, batch, answer, told):
    beats.answer = answer
    with pytest.raises(StoreUnavailable, match=told) as failure:
        sink.deliver(batch(1, 2))
    assert failure.value.advice == "wait"


def test_threads_share_a_sink_each_on_its_own_connection(beats, sink, batch, id_of):
    def deliver(part):
        for first in range(part * 100 + 1, part * 100 + 101, 20):
            sink.deliver(batch(first, first + 19))

    threads = [threading.Thread(target=deliver, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(beats.queue.ids()) == [id_of(number) for number in range(1, 401)]
    assert beats.connections <= 4


def test_of_several_hosts_one_that_cannot_be_reached_rests(opened, batch, statuses):
    with BeatsInput() as beats, socket.create_server(("127.0.0.1", 0)) as other:
        gone = other.getsockname()[1]
        other.close()
        sink = opened(f"lumberjack+tcp://127.0.0.1:{gone},127.0.0.1:{beats.port}")
        for number in range(1, 7):
            assert statuses(sink.deliver(batch(number, number))) == ["stored"]
    with pytest.raises(StoreUnavailable) as told:
        opened(f"lumberjack+tcp://127.0.0.1:{gone},127.0.0.1:{beats.port}").deliver(batch(1, 1))
    for port in (gone, beats.port):
        assert f"lumberjack+tcp://127.0.0.1:{port}: nothing listens there (connection refused)" in str(told.value)


# TLS


def server_side(certificates, *, wants=""):
    context = certificates.context(certificates.server())
    if wants:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.authority(wants))
    return context


@pytest.fixture
def secure(certificates):
    with BeatsInput(tls=server_side(certificates)) as made:
        yield made


@pytest.fixture
def mutual(certificates):
    with BeatsInput(tls=server_side(certificates, wants="ca")) as made:
        yield made


def test_over_tls_events_arrive(secure, opened, certificates, batch, statuses):
    sink = opened(f"lumberjack+tls://localhost:{secure.port}", ca_file=str(certificates.authority()))
    for first in (1, 11):
        assert statuses(sink.deliver(batch(first, first + 9))) == ["stored"] * 10
    assert secure.connections == 1


@pytest.mark.parametrize("of", ["server", "ca"])
def test_a_certificate_is_known_by_its_fingerprint_or_that_of_its_authority(opened, certificates, batch, statuses, of):
    pem = certificates.server() if of == "server" else certificates.authority()
    with BeatsInput(tls=certificates.context(certificates.server(), certificates.authority())) as beats:
        sink = opened(f"lumberjack+tls://localhost:{beats.port}", fingerprint=certificates.fingerprint(pem))
        assert statuses(sink.deliver(batch(1, 2))) == ["stored"] * 2


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        ("DNS:localhost", {}, "signed by nobody this machine trusts: set ca_file or fingerprint"),
        ("DNS:elsewhere", {"ca_file": "ca"}, "its certificate is for another name"),
        (
            "DNS:localhost",
            {"fingerprint": "0" * 64},
            "another certificate than the one with the fingerprint that is set",
        ),
    ],
    ids=["unknown authority", "another name", "another fingerprint"],
)
def test_a_server_that_is_not_believed_is_sent_nothing(opened, certificates, batch, names, given, told):
    given = {name: str(certificates.authority()) if value == "ca" else value for name, value in given.items()}
    certificate = certificates.server(names.partition(":")[2], names=names)
    with BeatsInput(tls=certificates.context(certificate)) as beats:
        with pytest.raises(StoreUnavailable, match=told):
            opened(f"lumberjack+tls://localhost:{beats.port}", **given).deliver(batch(1, 1))
        assert not beats.windows


def test_a_server_that_wants_a_certificate_gets_it(mutual, opened, certificates, batch, statuses):
    mine = certificates.server("client", names="DNS:shop-1")
    own = {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))}
    sink = opened(f"lumberjack+tls://localhost:{mutual.port}", ca_file=str(certificates.authority()), **own)
    assert statuses(sink.deliver(batch(1, 5))) == ["stored"] * 5


def test_a_server_that_wants_a_certificate_and_gets_none_is_told_by_what_it_says(mutual, opened, certificates, batch):
    sink = opened(f"lumberjack+tls://localhost:{mutual.port}", ca_file=str(certificates.authority()))
    with pytest.raises(
        StoreUnavailable, match="wants a certificate of ours that it trusts: set cert_file and key_file"
    ):
        sink.deliver(batch(1, 1))


def test_a_server_that_does_not_accept_our_certificate_is_told(mutual, opened, certificates, batch):
    mine = certificates.server("stranger", authority="other")
    own = {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))}
    sink = opened(f"lumberjack+tls://localhost:{mutual.port}", ca_file=str(certificates.authority()), **own)
    with pytest.raises(StoreUnavailable, match=r"does not accept our certificate \(unknown ca\)"):
        sink.deliver(batch(1, 1))
    assert not mutual.windows


def test_tls_to_a_server_without_it_and_none_to_one_with_it_name_the_other_scheme(beats, secure, opened, batch):
    with pytest.raises(StoreUnavailable, match="TLS"):
        opened(f"lumberjack+tls://localhost:{beats.port}", fingerprint="0" * 64).deliver(batch(1, 1))
    with pytest.raises(StoreUnavailable, match="TLS"):
        opened(f"lumberjack+tcp://localhost:{secure.port}").deliver(batch(1, 1))


@settings(max_examples=50)
@given(st.binary(max_size=40), st.booleans())
def test_whatever_bytes_come_back_nothing_is_believed_but_acknowledgements(answer, then_closes):
    """Random bytes are trouble in one line, or an acknowledgement of what was sent; never anything else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, answer, then_closes), daemon=True)
        thread.start()
        endpoint = Endpoint(Host("lumberjack+tcp", "127.0.0.1", listener.getsockname()[1]), Certificates())
        with closing(lumberjack.LumberjackSink([endpoint], compressed=False)) as sink:
            acknowledged = [int.from_bytes(answer[at + 2 : at + 6]) for at in range(0, len(answer) - 5, 6)]
            stored = 0
            with suppress(StoreUnavailable):
                outcomes = sink.deliver([Delivery(str(n), "i", n, b"{}") for n in range(3)])
                stored = sum(outcome.status == "stored" for outcome in outcomes)
            assert not stored or (answer.startswith(b"2A") and stored in acknowledged)
        thread.join(30)


def _answer(listener, answer, then_closes):
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(30)
        with suppress(OSError):
            connection.recv(4096)
            connection.sendall(answer)
            if then_closes:
                return
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_connections_each_event_arrives_and_doubles_have_the_same_id(opened, batch, id_of, seed):
    with BeatsInput(script=drawn(seed, 0.4)) as beats:
        sink = opened(f"lumberjack+tcp://127.0.0.1:{beats.port}")
        left = batch(1, 400)
        while left:
            now, left = left[:50], left[50:]
            try:
                outcomes = sink.deliver(now)
            except StoreUnavailable:
                left = now + left
                continue
            left = [each for each, outcome in zip(now, outcomes, strict=True) if outcome.status == "retry"] + left
        assert set(beats.queue.ids()) == {id_of(number) for number in range(1, 401)}
