"""The http input: each row of what it was seen to answer, and what the sink makes of it."""

import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import replace

import pytest
from logstash_http import HttpInput
from logstash_inputs import PARSE_FAILURE, drawn, in_turn

from clusterlog.errors import NotAllowed, StoreUnavailable
from clusterlog.ship.sinks.logstash import http


@pytest.fixture
def start(opened):
    """An http input with options, and the sink to it."""
    from contextlib import ExitStack

    with ExitStack() as started:

        def begin(user="", **options):
            given = {name: options.pop(name) for name in ("compression",) if name in options}
            made = started.enter_context(HttpInput(**options))
            return made, opened(f"logstash+http://{user}127.0.0.1:{made.port}", **given)

        yield begin


def ask(server, body=b"", *, method="POST", headers=(), kind="application/json"):
    """Status, body and whether the connection stays, of one request by hand."""
    lines = [f"{method} /x HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(next((line.split(b":")[1] for line in head.split(b"\r\n") if b"content-length" in line), 0))
        while len(rest) < length:
            rest += connection.recv(65536)
        return int(head.split()[1]), rest, b"connection: close" not in head


# What the stand-in does is what the real server was seen to do.


def test_the_stand_in_takes_any_method_and_path_and_says_ok():
    with HttpInput() as server:
        for method in ("POST", "PUT", "GET"):
            assert ask(server, b'{"n":1}', method=method) == (200, b"ok", True)
    assert server.queue.events == [{"n": 1}] * 3


def test_the_stand_in_makes_one_event_of_what_it_cannot_parse_and_says_ok_to_that_as_well():
    with HttpInput() as server:
        assert ask(server, b'[{"n":1},{"n":NaN}]')[0] == 200
        assert ask(server, b'{"n":1}\n{"n":2}\n')[0] == 200
    assert [event["tags"] for event in server.queue.events] == [[PARSE_FAILURE]] * 2


def test_the_stand_in_reads_lines_only_with_a_codec_for_them():
    body = b'{"n":1}\n{"n":NaN}\n{"n":3}\n'
    with HttpInput() as server:
        ask(server, body, kind="application/x-ndjson")
    assert server.queue.events == [{"message": body.decode()}]
    with HttpInput(additional_codecs={"application/x-ndjson": "json_lines"}) as server:
        ask(server, body, kind="application/x-ndjson")
    assert [event.get("n") for event in server.queue.events] == [1, None, 3]


def test_the_stand_in_decodes_gzip_and_deflate_and_passes_through_what_it_does_not_know():
    body = b'{"n":1}'
    with HttpInput() as server:
        ask(server, gzip.compress(body), headers=("Content-Encoding: gzip",))
        ask(server, zlib.compress(body), headers=("Content-Encoding: deflate",))
        assert ask(server, b"\x28\xb5\x2f\xfd" + body, headers=("Content-Encoding: zstd",))[0] == 200
    assert server.queue.events[:2] == [{"n": 1}] * 2 and server.queue.events[2]["tags"] == [PARSE_FAILURE]


def test_the_stand_in_refuses_too_large_a_body_by_its_size_when_decompressed():
    with HttpInput(max_content_length=1000) as server:
        assert ask(server, b'{"n":"%s"}' % (b"x" * 1000))[::2] == (413, True)
        bomb = gzip.compress(b'{"n":"%s"}' % (b"x" * 5000))
        assert len(bomb) < 1000
        assert ask(server, bomb, headers=("Content-Encoding: gzip",))[::2] == (413, False)
        assert ask(server, b"x" * 1001, headers=("Expect: 100-continue",))[0] == 413
    assert not server.queue.events


def test_the_stand_in_wants_user_and_password():
    with HttpInput(login=("clusterlog", "secret")) as server:
        assert ask(server, b"{}")[0] == 401
        assert ask(server, b"{}", headers=("Authorization: Basic Y2x1c3RlcmxvZzpzZWNyZXQ=",))[0] == 200


def test_the_stand_in_fails_with_a_part_of_the_batch_queued():
    with HttpInput() as server:
        server.fails = 1
        assert ask(server, b'[{"n":1},{"n":2}]') == (500, b"", True)
    assert server.queue.events == [{"n": 1}]


def test_the_stand_in_has_room_for_so_many_requests_and_refuses_the_others_at_once():
    with HttpInput(threads=1, max_pending_requests=1) as server:
        server.queue.block()
        waiting = [threading.Thread(target=lambda: suppress_ask(server), daemon=True) for _ in range(2)]
        for thread in waiting:
            thread.start()
        while len(server._under_way) < 2:
            time.sleep(0.01)
        assert ask(server, b"{}")[0] == 429
        server.queue.go_on()
        for thread in waiting:
            thread.join(10)
        assert ask(server, b"{}")[0] == 200


def suppress_ask(server):
    with suppress(OSError):
        ask(server, b"{}")


def test_the_stand_in_refuses_all_while_one_has_waited_for_long_and_closes_unless_it_was_asked_to_continue():
    with HttpInput(busy_s=0.1) as server:
        server.queue.block()
        threading.Thread(target=lambda: suppress_ask(server), daemon=True).start()
        while not server._under_way:
            time.sleep(0.01)
        time.sleep(0.11)
        assert ask(server, b"{}")[::2] == (429, False)
        assert ask(server, b"{}", headers=("Expect: 100-continue",))[0] in (100, 429)


def test_the_stand_in_overwrites_fields_and_doubles_single_events_as_ecs_does():
    told = b'{"event":{"id":"1"},"url":{"path":"/checkout"},"http":{"request":{"method":"GET"}}}'
    with HttpInput(ecs=True, codec_ecs=True) as server:
        ask(server, told)
    (event,) = server.queue.events
    assert event["url"]["path"] == "/" and event["http"]["version"] == "HTTP/1.1"
    assert event["event"]["original"] == told.decode()


# What the sink makes of it.


def test_what_is_taken_is_stored_unchanged_and_in_order(start, batch, statuses):
    server, sink = start()
    sent = batch(1, 300)
    assert statuses(sink.deliver(sent)) == ["stored"] * 300
    assert server.queue.events == [json.loads(each.body) for each in sent]


@pytest.mark.parametrize("codecs", [None, {"application/x-ndjson": "json_lines"}], ids=["as it comes", "as ours"])
def test_a_batch_is_read_whatever_codecs_are_set(start, batch, codecs):
    server, sink = start(additional_codecs=codecs)
    sink.deliver(batch(1, 3))
    sink.deliver(batch(4, 4))
    assert len(server.queue.ids()) == 4 and not server.queue.tagged(PARSE_FAILURE)


@pytest.mark.parametrize("code", [200, 201, 202, 204])
def test_each_status_that_the_input_can_be_set_to_is_an_acknowledgement(start, batch, statuses, code):
    _, sink = start(response_code=code)
    assert statuses(sink.deliver(batch(1, 2))) == ["stored"] * 2


@pytest.mark.parametrize("page", [b"<html>Please sign in</html>", b'{"status":"accepted"}'])
def test_a_page_of_somebody_in_between_is_no_acknowledgement(start, batch, page):
    server, sink = start()
    server.page = page
    with pytest.raises(StoreUnavailable, match="not as Logstash does: is a proxy or a log-in page in between"):
        sink.deliver(batch(1, 2))


def test_nothing_is_compressed_without_being_told_to_as_a_misread_body_is_answered_with_200(start, batch):
    for compression, encoding in (("auto", None), ("off", None), ("on", "gzip")):
        server, sink = start(compression=compression)
        sink.deliver(batch(1, 50))
        assert server.requests[0].get("content-encoding") == encoding
        assert len(server.queue.ids()) == 50


def test_user_and_password_of_the_url_are_sent_and_the_token_of_the_store_is_not(opened, batch, statuses):
    with HttpInput(login=("clusterlog", "se:cret")) as server:
        url = f"logstash+http://clusterlog:se%3Acret@127.0.0.1:{server.port}"
        sink = opened(url, token="of-the-store", store="https://es:9200")
        assert statuses(sink.deliver(batch(1, 1))) == ["stored"]
        assert server.requests[0]["authorization"].startswith("Basic ")
    with HttpInput() as server:
        opened(f"logstash+http://127.0.0.1:{server.port}", token="of-the-store").deliver(batch(1, 1))
        assert "authorization" not in server.requests[0]


def test_wrong_or_missing_credentials_wait_for_a_person_and_are_never_shown(start, batch):
    for user, told in (
        ("", "wants to know who we are"),
        ("clusterlog:wrong@", "does not accept our user and password"),
    ):
        _, sink = start(user, login=("clusterlog", "secret"))
        with pytest.raises(NotAllowed, match=told) as failure:
            sink.deliver(batch(1, 1))
        assert failure.value.advice == "wait" and "wrong" not in str(failure.value)


def test_too_large_a_batch_is_to_be_halved(start, batch, statuses):
    _, sink = start(max_content_length=2000)
    with pytest.raises(StoreUnavailable) as told:
        sink.deliver(batch(1, 20))
    assert told.value.advice == "halve"
    assert statuses(sink.deliver(batch(1, 5))) == ["stored"] * 5


def test_an_input_that_has_too_much_to_do_is_spared(start, batch):
    server, sink = start(threads=1, max_pending_requests=0)
    server.queue.block()
    threading.Thread(target=lambda: suppress_ask(server), daemon=True).start()
    while not server._under_way:
        time.sleep(0.01)
    with pytest.raises(StoreUnavailable, match=r"has too much to do \(429\)") as told:
        sink.deliver(batch(1, 1))
    assert told.value.advice == "slower"


def test_what_a_blocked_queue_takes_after_we_gave_up_is_sent_again_under_the_same_ids(
    start, batch, statuses, id_of, monkeypatch
):
    monkeypatch.setattr(http, "TIMEOUT_S", 0.3)
    server, sink = start()
    server.queue.block()
    with pytest.raises(StoreUnavailable, match="no answer within") as told:
        sink.deliver(batch(1, 3))
    assert told.value.advice == "slower"
    server.queue.go_on()
    assert statuses(sink.deliver(batch(1, 3))) == ["stored"] * 3
    while len(server.queue.ids()) < 6:
        time.sleep(0.01)
    assert sorted(server.queue.ids()) == sorted([id_of(number) for number in (1, 2, 3)] * 2)


def test_a_failure_with_a_part_of_the_batch_queued_says_nothing_of_any_event(start, batch, statuses, id_of):
    server, sink = start()
    server.fails = 1
    with pytest.raises(StoreUnavailable, match=r"fails \(500\)") as told:
        sink.deliver(batch(1, 4))
    assert told.value.advice == "again"
    assert statuses(sink.deliver(batch(1, 4))) == ["stored"] * 4
    assert server.queue.ids() == [id_of(number) for number in (1, 2, 1, 2, 3, 4)]


@pytest.mark.parametrize("fault", ["cut", "lost", "within"])
def test_a_connection_that_ends_without_an_answer_says_nothing_of_any_event(start, batch, statuses, fault):
    server, sink = start()
    server.script = in_turn(fault)
    with pytest.raises(StoreUnavailable, match="closed the connection without an answer"):
        sink.deliver(batch(1, 10))
    assert statuses(sink.deliver(batch(1, 10))) == ["stored"] * 10


@pytest.mark.parametrize(
    ("status", "advice", "told"),
    [
        (400, "bisect", r"cannot read the request \(400\)"),
        (403, "wait", r"may not do this \(403\)"),
        (404, "wait", "is no http input of Logstash"),
        (415, "wait", "set compression = off"),
        (302, "wait", "leads elsewhere"),
        (407, "wait", "proxy before it wants a user"),
        (502, "again", r"fails \(502\)"),
        (503, "slower", r"has too much to do \(503\)"),
    ],
)
def test_what_others_answer_in_its_place_is_told_with_what_to_do(start, batch, status, advice, told):
    _, sink = start(response_code=status)
    with pytest.raises(StoreUnavailable, match=told) as failure:
        sink.deliver(batch(1, 1))
    assert failure.value.advice == advice


def test_what_cannot_be_read_is_never_sent_and_costs_its_neighbours_nothing(start, make, statuses):
    server, sink = start()
    poison = [make(1), replace(make(2), body=b'{"n":NaN}'), make(3)]
    assert statuses(sink.deliver(poison)) == ["stored", "refused", "stored"]
    assert statuses(sink.deliver([replace(make(4), body=b"[]")])) == ["refused"]
    assert len(server.answers) == 1 and not server.queue.tagged(PARSE_FAILURE)


def test_of_several_hosts_one_that_answers_is_found(opened, batch, statuses):
    with HttpInput() as server, socket.create_server(("127.0.0.1", 0)) as other:
        gone = other.getsockname()[1]
        other.close()
        sink = opened(f"logstash+http://127.0.0.1:{gone},127.0.0.1:{server.port}")
        for number in range(1, 5):
            assert statuses(sink.deliver(batch(number, number))) == ["stored"]


# TLS


@pytest.mark.parametrize("known", ["ca_file", "fingerprint"])
def test_over_tls_with_a_certificate_of_ours_where_one_is_wanted(opened, certificates, batch, statuses, known):
    context = certificates.context(certificates.server(), certificates.authority())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority())
    mine = certificates.server("client", names="DNS:shop-1")
    ca = certificates.authority()
    believed = {"ca_file": str(ca)} if known == "ca_file" else {"fingerprint": certificates.fingerprint(ca)}
    with HttpInput(tls=context) as server:
        url = f"logstash+https://localhost:{server.port}"
        own = {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))}
        assert statuses(opened(url, **believed, **own).deliver(batch(1, 5))) == ["stored"] * 5
        with pytest.raises(StoreUnavailable, match="certificate of ours"):
            opened(url, **believed).deliver(batch(1, 1))


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        ("DNS:localhost", {}, "signed by nobody this machine trusts"),
        ("DNS:elsewhere", {"ca_file": "ca"}, "its certificate is for another name"),
        ("DNS:localhost", {"fingerprint": "0" * 64}, "another certificate than the one with the fingerprint"),
    ],
    ids=["unknown authority", "another name", "another fingerprint"],
)
def test_a_server_that_is_not_believed_is_sent_nothing(opened, certificates, batch, names, given, told):
    given = {name: str(certificates.authority()) if value == "ca" else value for name, value in given.items()}
    certificate = certificates.server(names.partition(":")[2], names=names)
    with HttpInput(tls=certificates.context(certificate)) as server:
        with pytest.raises(StoreUnavailable, match=told):
            opened(f"logstash+https://localhost:{server.port}", **given).deliver(batch(1, 1))
        assert not server.requests


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_connections_each_event_arrives_and_doubles_have_the_same_id(start, batch, id_of, seed):
    server, sink = start()
    server.script = drawn(seed, 0.4)
    left = batch(1, 400)
    while left:
        try:
            sink.deliver(left[:50])
        except StoreUnavailable:
            continue
        left = left[50:]
    assert set(server.queue.ids()) == {id_of(number) for number in range(1, 401)}
