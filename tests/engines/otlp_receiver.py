"""A receiver of OTLP over HTTP that reads by the official schema, and answers as it is told to."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

JSON, PROTOBUF = "application/json", "application/x-protobuf"
MESSAGES = {
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
}
_IDS = ("traceId", "spanId", "parentSpanId")

Reply = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer."""


Answers = Callable[[int, str, Any], Reply | bytes | None]


class Receiver:
    """Listens at ``port``. ``requests`` are those that came: path, headers, message.

    ``answers(number, path, message)`` gives the reply to each, or ``None`` for the usual one; ``b""`` in place of a
    reply closes the connection without one. ``context`` is for TLS.
    """

    def __init__(self, answers: Answers | None = None, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, Any, Any]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._answer(self, answers)

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)

    def _answer(self, handler: Any, answers: Answers | None) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        form, (asked, said) = handler.headers["Content-Type"], MESSAGES[handler.path]
        message = asked.FromString(body) if form == PROTOBUF else ParseDict(_with_bytes(json.loads(body)), asked())
        with self._lock:
            self.requests.append((handler.path, handler.headers, message))
            number = len(self.requests)
        reply = answers(number, handler.path, message) if answers is not None else None
        if isinstance(reply, bytes):
            handler.connection.sendall(reply)
            handler.close_connection = True
            return
        if reply is None:
            reply = 200, {"Content-Type": form}, written(said(), form)
        status, headers, content = reply
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    @property
    def records(self) -> list[Any]:
        """All log records and spans, in the order they came."""
        return [each for _, _, message in self.requests for each in records(message)]

    def uids(self) -> list[str]:
        """The ``event.id`` of each."""
        return [uid(each) for each in self.records]


def records(message: Any) -> list[Any]:
    """The log records and spans of one request."""
    if isinstance(message, ExportLogsServiceRequest):
        return [each for one in message.resource_logs for scope in one.scope_logs for each in scope.log_records]
    return [each for one in message.resource_spans for scope in one.scope_spans for each in scope.spans]


def uid(record: Any) -> str:
    """The ``event.id`` of one record."""
    return next(each.value.string_value for each in record.attributes if each.key == "event.id")


def partly(path: str, rejected: int, why: str, form: str = PROTOBUF) -> Reply:
    """The reply to a request of which so many records are rejected."""
    answer = MESSAGES[path][1]()
    answer.partial_success.error_message = why
    if path == "/v1/logs":
        answer.partial_success.rejected_log_records = rejected
    else:
        answer.partial_success.rejected_spans = rejected
    return 200, {"Content-Type": form}, written(answer, form)


def written(message: Any, form: str) -> bytes:
    """A message in a form."""
    return message.SerializeToString() if form == PROTOBUF else json.dumps(MessageToDict(message)).encode()


def _with_bytes(told: Any) -> Any:
    """OTLP's JSON as that of Protocol Buffers: its ids are hexadecimal, where others write base64."""
    if isinstance(told, list):
        return [_with_bytes(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {
        name: base64.b64encode(bytes.fromhex(each)).decode() if name in _IDS else each
        for name, each in ((name, _with_bytes(each)) for name, each in told.items())
    }
