"""Events sent as OTLP, what may be answered to that, and what becomes of them."""

import json
import ssl
from contextlib import ExitStack

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_receiver import JSON, MESSAGES, PROTOBUF, Receiver, partly, uid

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.ship.sinks.otlp import http
from clusterlog.store.base import Delivery

INSTANCE = "0190aaaa0000700080000000000000c7"
HTML = 200, {"Content-Type": "text/html"}, b"<html>log in</html>"


def delivery(number, dataset="app", **more):
    id = f"{INSTANCE}-{number:011x}"
    told = {
        "@timestamp": "2026-11-03T12:00:00.123456789Z",
        "process": {"pid": 7, "entity_id": INSTANCE},
        "event": {"id": id, "sequence": number, "kind": "event", "dataset": f"clusterlog.{dataset}"},
        "log": {"level": "warning", "logger": "shop.api"},
        "service": {"name": "shop"},
        "message": f"line {number}",
        "trace": {"id": "7" * 32},
        "span": {"id": f"{number:016x}"},
        **more,
    }
    if dataset != "app":
        told["event"] |= {"duration": 1_000_000, "outcome": "failure"}
    return Delivery(id, INSTANCE, number, json.dumps(told).encode())


LINES = [delivery(number) for number in range(1, 9)]
BOTH = [delivery(number, ("app", "call")[number % 2]) for number in range(1, 9)]


@pytest.fixture
def start(opened):
    """A receiver and the sink to it."""
    with ExitStack() as started:

        def begin(answers=None, scheme="otlp+http", path="", user="", **given):
            made = started.enter_context(Receiver(answers))
            return made, opened(f"{scheme}://{user}127.0.0.1:{made.port}{path}", **given)

        yield begin


@pytest.mark.parametrize("scheme", ["otlp+http", "otlp-json+http"])
def test_lines_are_log_records_and_calls_are_spans_in_the_form_that_was_asked_for(start, statuses, scheme):
    receiver, sink = start(scheme=scheme)
    assert statuses(sink.deliver(BOTH)) == ["stored"] * 8
    (logs, headers, lines), (traces, _, calls) = receiver.requests
    assert (logs, traces) == ("/v1/logs", "/v1/traces")
    assert headers["Content-Type"] == (JSON if "json" in scheme else PROTOBUF)
    assert headers["User-Agent"].startswith("clusterlog/") and headers["Content-Encoding"] is None
    line = lines.resource_logs[0].scope_logs[0].log_records[0]
    assert (line.body.string_value, line.severity_number) == ("line 2", SeverityNumber.SEVERITY_NUMBER_WARN)
    assert (line.trace_id.hex(), line.span_id.hex(), uid(line)) == ("7" * 32, f"{2:016x}", BOTH[1].id)
    span = calls.resource_spans[0].scope_spans[0].spans[0]
    assert (span.kind, span.status.code) == (Span.SPAN_KIND_CLIENT, Status.STATUS_CODE_ERROR)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_000_000
    assert sorted(receiver.uids()) == sorted(each.id for each in BOTH)


def test_what_is_packed_says_so_and_is_read_by_others(start, statuses):
    receiver, sink = start(compression="on")
    assert statuses(sink.deliver(LINES)) == ["stored"] * 8
    assert receiver.requests[0][1]["Content-Encoding"] == "gzip"
    assert receiver.uids() == [each.id for each in LINES]


def test_what_is_no_event_is_refused_alone(start, statuses):
    receiver, sink = start()
    assert statuses(sink.deliver([LINES[0], Delivery("x", "", 0, b"{"), LINES[1]])) == ["stored", "refused", "stored"]
    assert receiver.uids() == [LINES[0].id, LINES[1].id]


def test_a_path_stands_before_those_of_the_specification(start, statuses, monkeypatch):
    monkeypatch.setitem(MESSAGES, "/api/default/v1/logs", MESSAGES["/v1/logs"])
    receiver, sink = start(path="/api/default/")
    assert statuses(sink.deliver(LINES)) == ["stored"] * 8
    assert receiver.requests[0][0] == "/api/default/v1/logs"


def test_a_path_that_is_written_out_is_told_as_too_much(opened):
    for path, told in (("/v1/logs", "/v1/logs"), ("/otlp/v1/traces", "/v1/traces")):
        with pytest.raises(SettingError, match=f"leave out {told}"):
            opened(f"otlp+http://h{path}")


# Partial success.


def test_a_request_that_is_rejected_as_a_whole_is_told_event_by_event(start):
    receiver, sink = start(lambda number, path, message: partly(path, 8, "no [labels.x] here"))
    outcomes = sink.deliver(LINES)
    assert {(each.status, each.reason) for each in outcomes} == {("refused", "no (labels.x) here")}
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("scheme", ["otlp+http", "otlp-json+http"])
def test_of_what_is_rejected_in_part_all_is_kept_aside_and_less_sent_at_once(start, statuses, scheme):
    bad = LINES[5].id

    def answers(number, path, message):
        found = [each for one in message.resource_logs[0].scope_logs for each in one.log_records]
        form = JSON if "json" in scheme else PROTOBUF
        return partly(path, 1, "too bad", form) if bad in map(uid, found) else None

    receiver, sink = start(answers, scheme=scheme)
    outcomes = sink.deliver(LINES)
    assert statuses(outcomes) == ["refused"] * 8
    assert outcomes[0].reason == "1 of 8 were rejected, and OTLP does not say which: too bad"
    assert statuses(sink.deliver(LINES[:2])) == ["stored"] * 2
    sink.deliver(LINES)
    assert [len(message.resource_logs[0].scope_logs[0].log_records) for _, _, message in receiver.requests] == [
        *(8, 2, 4, 4),
    ]
    outcomes = [sink.deliver([each])[0] for each in LINES]
    assert [each.status for each in outcomes] == ["stored"] * 5 + ["refused"] + ["stored"] * 2
    assert outcomes[5].reason == "too bad"


def test_a_warning_of_which_nothing_was_rejected_is_no_failure(start, statuses):
    _, sink = start(lambda number, path, message: partly(path, 0, "attributes were cut"))
    assert statuses(sink.deliver(BOTH)) == ["stored"] * 8


# Answers that are none.


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HTML, "not as OTLP asks"),
        ((200, {"Content-Type": PROTOBUF}, b"\x0a\x05ab"), "not as OTLP asks"),
        ((200, {"Content-Type": JSON}, b'{"partial'), "not as OTLP asks"),
        ((200, {"Content-Type": JSON}, b"[]"), "not as OTLP asks"),
        ((200, {}, b""), "no type, 0 bytes"),
        ((302, {"Location": "https://log.in/"}, b""), "leads elsewhere .302.: use https://log.in/"),
        (b"", "closed|nothing"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 40\r\n\r\n\x0a\x02", "."),
        (b"HTTP/1.1 200 OK\r\nContent-Ty", "."),
    ],
    ids=["HTML", "half a message", "half JSON", "a list", "nothing", "elsewhere", "cut at once", "cut", "cut head"],
)
def test_what_is_no_answer_acknowledges_nothing(start, reply, said):
    receiver, sink = start(lambda number, path, message: reply)
    with pytest.raises(StoreUnavailable, match=said):
        sink.deliver(LINES)
    assert len(receiver.requests) == 1


def test_no_content_is_an_acknowledgement(start, statuses):
    _, sink = start(lambda number, path, message: (204, {}, b""))
    assert statuses(sink.deliver(LINES)) == ["stored"] * 8


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        *((status, "slower") for status in (408, 429, 502, 503, 504)),
        *((status, "again") for status in (500, 501)),
        *((status, "bisect") for status in (400, 422)),
        *((status, "wait") for status in (401, 403, 404, 405, 407, 409, 415)),
        (413, "halve"),
    ],
)
def test_each_status_says_how_to_go_on(start, status, advice):
    told = b"\x08\x08\x12\x04full"
    receiver, sink = start(lambda number, path, message: (status, {"Content-Type": PROTOBUF}, told))
    with pytest.raises(StoreUnavailable, match=str(status)) as failed:
        sink.deliver(LINES)
    assert failed.value.advice == advice
    assert ("full" in str(failed.value)) is (status not in (401, 404, 405, 407, 413))
    assert len(receiver.requests) == 1, "it is the shipper who sends it again"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_asks_for_time_is_given_it(start, status):
    _, sink = start(lambda number, path, message: (status, {"Retry-After": "7"}, b""))
    with pytest.raises(StoreUnavailable) as failed:
        sink.deliver(LINES)
    assert failed.value.retry_after == 7.0


def test_the_other_kind_counts_where_one_is_not_taken(start, statuses):
    """A receiver with a pipeline for log records only."""
    _, sink = start(lambda number, path, message: (404, {}, b"") if path == "/v1/traces" else None)
    outcomes = sink.deliver(BOTH)
    assert statuses(outcomes) == ["blocked", "stored"] * 4
    assert "takes no spans (404)" in outcomes[0].reason
    with pytest.raises(StoreUnavailable) as failed:
        sink.deliver(BOTH[::2])
    assert failed.value.advice == "wait"
    _, busy = start(lambda number, path, message: (503, {}, b"") if path == "/v1/logs" else None)
    assert statuses(busy.deliver(BOTH)) == ["stored", "retry"] * 4


def test_what_was_taken_before_a_connection_broke_is_not_sent_again(start, statuses, monkeypatch):
    monkeypatch.setattr(http, "MOST", 2)
    _, sink = start(lambda number, path, message: b"" if number == 3 else None)
    sink._most = 2
    assert statuses(sink.deliver(LINES)) == ["stored"] * 4 + ["retry"] * 4


def test_what_may_have_arrived_at_one_host_is_not_sent_to_another_by_itself(opened):
    with Receiver(lambda *told: b"") as one, Receiver(lambda *told: b"") as other:
        sink = opened(f"otlp+http://127.0.0.1:{one.port},127.0.0.1:{other.port}")
        with pytest.raises(StoreUnavailable):
            sink.deliver(LINES)
        assert len(one.requests) + len(other.requests) == 1


# Who we are, and to whom.


def test_user_and_password_of_the_url_are_sent_and_shown_to_nobody(start, statuses):
    receiver, sink = start(user="shipper:secret@")
    assert statuses(sink.deliver(LINES)) == ["stored"] * 8
    assert receiver.requests[0][1]["Authorization"] == "Basic c2hpcHBlcjpzZWNyZXQ="
    _, denied = start(lambda number, path, message: (401, {}, b""), user="shipper:secret@")
    with pytest.raises(NotAllowed) as failed:
        denied.deliver(LINES)
    assert "secret" not in str(failed.value) and "user and password in the URL" in str(failed.value)


def test_the_token_goes_where_events_are_shipped_unless_it_is_that_of_a_store(start):
    receiver, sink = start(token="Bearer abc")
    sink.deliver(LINES)
    assert receiver.requests[0][1]["Authorization"] == "Bearer abc"
    receiver, sink = start(token="Bearer abc", store="https://es:9200")
    sink.deliver(LINES)
    assert receiver.requests[0][1]["Authorization"] is None


def test_tls_says_whose_certificate_is_believed_and_which_one_is_shown(opened, statuses, certificates):
    context = certificates.context(certificates.server(), certificates.authority())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority())
    mine = certificates.server("client", names="DNS:shop-1")
    own = {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))}
    believed = {"ca_file": str(certificates.authority())}
    with Receiver(context=context) as receiver:
        url = f"otlp+https://localhost:{receiver.port}"
        assert statuses(opened(url, **believed, **own).deliver(LINES)) == ["stored"] * 8
        for given in (believed, own):
            with pytest.raises(StoreUnavailable):
                opened(url, **given).deliver(LINES)
        assert len(receiver.requests) == 1
