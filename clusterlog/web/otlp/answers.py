"""What is answered to an export: in the form of the request, JSON or Protocol Buffers (OTLP/HTTP 1.x). Pure."""

from __future__ import annotations

from starlette.responses import Response

from clusterlog.encode.compact import dumps
from clusterlog.web.faults import JSON, Fault

PROTOBUF = "application/x-protobuf"

# google.rpc.Code by the status it is sent with.
_CODES = {400: 3, 401: 16, 403: 7, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
_UNKNOWN = 2


def taken(form: str, rejected: int, reason: str, counted: str) -> Response:
    """All is taken but ``rejected`` records, and why they are not; ``counted`` is what JSON calls their number.

    They will never be: a sender does not send them again.
    """
    if form == JSON:
        told = {"partialSuccess": {counted: str(rejected), "errorMessage": reason}} if rejected else {}
        return Response(dumps(told), 200, media_type=JSON)
    partial = _number(1, rejected) + _text(2, reason)
    return Response(_bytes(1, partial) if rejected else b"", 200, media_type=PROTOBUF)


def failed(form: str, fault: Fault) -> Response:
    """A ``google.rpc.Status`` for a request of which nothing was taken."""
    code = _CODES.get(fault.status, _UNKNOWN)
    if form == PROTOBUF:
        return Response(_number(1, code) + _text(2, fault.reason), fault.status, fault.headers, PROTOBUF)
    return Response(dumps({"code": code, "message": fault.reason}), fault.status, fault.headers, JSON)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number) if number else b""


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode("utf-8", "replace"))


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data
