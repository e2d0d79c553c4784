"""Logs and spans of OpenTelemetry sent to ``serve``, and what it answers."""

import gzip
import json
import socket
import zlib

import pytest
from google.protobuf.json_format import MessageToDict, Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from clusterlog.errors import StoreUnavailable
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web.intake import body as limits

JSON, PROTOBUF = "application/json", "application/x-protobuf"
TRACE = bytes(range(1, 17))


def logs(*messages):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "payments"
    group.resource.attributes.add(key="host.name").value.string_value = "pay-1"
    scoped = group.scope_logs.add()
    scoped.scope.name = "com.shop.Payments"
    for number, message in enumerate(messages):
        record = scoped.log_records.add(time_unix_nano=1793707200_000000000 + number, severity_number=13)
        record.body.string_value = message
        record.trace_id, record.span_id = TRACE, b"\5" * 8
        record.attributes.add(key="http.request.id").value.string_value = "r1"
    return request


def spans(*ids):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "payments"
    scoped = group.scope_spans.add()
    for id in ids:
        span = scoped.spans.add(trace_id=TRACE, span_id=bytes([id]) * 8, name=f"charge {id}", kind=2)
        span.start_time_unix_nano, span.end_time_unix_nano = 1793707200_000000000, 1793707200_005000000
    return request


def as_json(request):
    told = json.dumps(MessageToDict(request, use_integers_for_enums=True))
    return told.encode()  # ids in base64, as generic writers have them


@pytest.fixture
def post(ask):
    def send(path, body, form=PROTOBUF, **headers):
        return ask("POST", path, body, Content_Type=form, **headers)

    return send


@pytest.mark.parametrize(("form", "write"), [(PROTOBUF, lambda each: each.SerializeToString()), (JSON, as_json)])
def test_logs_join_their_request_however_they_are_written(ask, post, form, write):
    said = post("/v1/logs", write(logs("charged", "paid")), form)
    assert said.status == 200 and said.headers["content-type"] == form
    assert said.content == (b"{}" if form == JSON else b"")
    found = ask.found()
    assert sorted(each["message"] for each in found) == ["charged", "paid"]
    for each in found:
        assert each["http"]["request"]["id"] == "r1" and each["trace"]["id"] == TRACE.hex()
        assert each["service"]["name"] == "payments" and each["log"]["level"] == "warning"
        assert each["clusterlog"]["ingest"]["format"] == "otlp"


def test_spans_are_stored_once_however_often_they_are_sent(ask, post):
    for body in (spans(1, 2), spans(2, 3)):
        said = post("/v1/traces", body.SerializeToString())
        assert said.status == 200 and not ExportTraceServiceResponse.FromString(said.content).HasField(
            "partial_success"
        )
    found = ask.found()
    assert sorted(each["message"] for each in found) == ["charge 1", "charge 2", "charge 3"]
    assert {each["event"]["duration"] for each in found} == {5_000_000}
    assert {each["event"]["dataset"] for each in found} == {"clusterlog.span"}


def test_a_packed_request_and_one_with_nothing_in_it_are_taken(ask, post):
    packed = gzip.compress(logs("packed").SerializeToString())
    assert post("/v1/logs", packed, Content_Encoding="gzip").status == 200
    assert (
        post("/v1/logs", b"").status == 200 and post("/v1/logs", b"{}", "application/json; charset=utf-8").status == 200
    )
    assert [each["message"] for each in ask.found()] == ["packed"]


def test_fields_of_later_versions_do_no_harm(ask, post):
    told = json.loads(as_json(logs("later")))
    told["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["brandNew"] = {"a": [1]}
    assert post("/v1/logs", json.dumps(told), JSON).content == b"{}"
    assert post("/v1/logs", b"\xfa\x3f\x03abc" + logs("later still").SerializeToString()).status == 200
    assert len(ask.found()) == 2


@pytest.mark.parametrize("number", ["1e400", "NaN", "9" * 400, "-" + "9" * 30])
def test_numbers_that_nobody_can_hold_lose_no_record(ask, post, number):
    told = as_json(logs("odd")).replace(b'"severityNumber": 13', b'"severityNumber": ' + number.encode())
    assert number.encode() in told and post("/v1/logs", told, JSON).status == 200
    assert [each["message"] for each in ask.found()] == ["odd"]


@pytest.mark.parametrize(
    ("body", "form", "headers", "status", "code"),
    [
        (b"\x0a\x05ab", PROTOBUF, {}, 400, 3),
        (b"{", JSON, {}, 400, 3),
        (b"[]", JSON, {}, 400, 3),
        (b"x", "text/plain", {}, 415, 3),
        (b"no gzip", PROTOBUF, {"Content_Encoding": "gzip"}, 400, 3),
        (gzip.compress(bytes(500))[:-9], PROTOBUF, {"Content_Encoding": "gzip"}, 400, 3),
        (gzip.compress(b"{}") + b"more", JSON, {"Content_Encoding": "gzip"}, 400, 3),
        (gzip.compress(b"{}"), JSON, {}, 400, 3),
        (gzip.compress(b"\x0a\x00"), PROTOBUF, {}, 400, 3),
        (zlib.compress(b"{}"), JSON, {"Content_Encoding": "deflate"}, 415, 3),
        (b"x", PROTOBUF, {"Content_Encoding": "br"}, 415, 3),
        (gzip.compress(bytes(64 << 20)), PROTOBUF, {"Content_Encoding": "gzip"}, 413, 8),
    ],
    ids=[
        *("half a message", "half JSON", "a list", "another form", "no gzip", "half a gzip", "gzip and more"),
        *("gzip that is not said, JSON", "gzip that is not said", "deflate", "brotli", "64 MiB unpacked"),
    ],
)
def test_what_cannot_be_taken_is_answered_in_the_form_it_came_in(post, body, form, headers, status, code):
    said = post("/v1/logs", body, form, **headers)
    assert said.status == status
    if form == PROTOBUF:
        assert said.headers["content-type"] == PROTOBUF and said.content.startswith(bytes([8, code, 0x12]))
    else:
        assert said.json["code"] == code and said.json["message"]


def test_a_body_that_is_said_to_have_64_mib_is_not_waited_for(ask):
    said = ask("POST", "/v1/traces", b"", Content_Type=JSON, Content_Length=str(64 << 20))
    assert said.status == 413 and said.json["code"] == 8 and f"{limits.LONGEST:,}" in said.json["message"]


def test_who_may_not_write_is_kept_out(ask):
    assert ask("POST", "/v1/logs", b"", right="read", Content_Type=PROTOBUF).status == 403
    assert ask("POST", "/v1/logs", b"", right="", Content_Type=PROTOBUF).status == 401


def test_a_disk_that_fails_is_told_as_something_to_come_again_for(post, store, monkeypatch):
    def fail(self, batch):
        raise StoreUnavailable("disk")

    monkeypatch.setattr(EmbeddedStore, "deliver", fail)
    said = post("/v1/logs", logs("x").SerializeToString())
    assert said.status == 503 and said.headers["retry-after"] and b"disk" in said.content


@pytest.mark.parametrize("form", [PROTOBUF, JSON])
def test_records_that_will_never_be_taken_are_counted_and_the_others_stored(ask, post, form, monkeypatch):
    from clusterlog.web.intake.events import Numbering

    whole = Numbering.event

    def refuse(self, item):
        if b"bad" in item.document:
            raise ValueError("it is bad")
        return whole(self, item)

    monkeypatch.setattr(Numbering, "event", refuse)
    request = logs("good", "bad", "bad as well")
    said = post("/v1/logs", request.SerializeToString() if form == PROTOBUF else as_json(request), form)
    answer = ExportLogsServiceResponse()
    answer.ParseFromString(said.content) if form == PROTOBUF else Parse(said.content, answer)
    assert said.status == 200 and answer.partial_success.rejected_log_records == 2
    assert answer.partial_success.error_message == "it is bad" and len(ask.found()) == 1


def test_a_body_of_64_mib_that_does_not_say_so_is_not_taken_in_as_a_whole(ask):
    head = "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: {PROTOBUF}\r\nAuthorization: Bearer {ask.tokens.write}\r\n\r\n"
    piece = b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20))
    with socket.create_connection((ask.host, ask.port), 60) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(64):
                connection.sendall(piece)
            connection.sendall(b"0\r\n\r\n")
        except OSError:  # it has hung up on what it did not read
            pass
        try:
            said = connection.recv(4096)
        except ConnectionResetError:
            said = b"HTTP/1.1 413"
    assert said.startswith(b"HTTP/1.1 413")
    assert ask.found() == [] and ask("POST", "/v1/logs", b"", Content_Type=PROTOBUF).status == 200


@pytest.mark.parametrize("whole", [False, True], ids=["in the middle of the request", "before the answer"])
def test_who_hangs_up_and_comes_again_has_a_span_once(ask, post, whole):
    body = spans(1, 2).SerializeToString()
    head = f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {PROTOBUF}\r\nAuthorization: Bearer {ask.tokens.write}\r\n\r\n"
    with socket.create_connection((ask.host, ask.port), 60) as connection:
        connection.sendall(head.encode() + (body if whole else body[:-1]))
    assert post("/v1/traces", body).status == 200
    assert sorted(each["message"] for each in ask.found()) == ["charge 1", "charge 2"]
