"""What is answered to an export: in the form of the request, JSON or Protocol Buffers (OTLP/HTTP 1.x). Pure."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from clusterlog.encode.compact import dumps
from clusterlog.encode.otlp.protobuf import encoded
from clusterlog.encode.otlp.schema import LOGS_ANSWER, STATUS, TRACES_ANSWER, Message
from clusterlog.web.faults import JSON, Fault

PROTOBUF = "application/x-protobuf"
ANSWERS = {"rejectedLogRecords": LOGS_ANSWER, "rejectedSpans": TRACES_ANSWER}
"""By what they call the number of records that are not taken."""

# google.rpc.Code by the status it is sent with.
_CODES = {400: 3, 401: 16, 403: 7, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
_UNKNOWN = 2


def taken(form: str, rejected: int, reason: str, counted: str) -> Response:
    """All is taken but ``rejected`` records, and why they are not; ``counted`` is what their number is called.

    They will never be: a sender does not send them again.
    """
    told = {"partialSuccess": {counted: str(rejected), "errorMessage": reason}} if rejected else {}
    return _response(told, ANSWERS[counted], form, 200)


def failed(form: str, fault: Fault) -> Response:
    """A ``google.rpc.Status`` for a request of which nothing was taken."""
    told = {"code": _CODES.get(fault.status, _UNKNOWN), "message": fault.reason}
    return _response(told, STATUS, form, fault.status, fault.headers)


def _response(
    told: dict[str, Any], message: Message, form: str, status: int, headers: dict[str, str] | None = None
) -> Response:
    if form == PROTOBUF:
        return Response(encoded(told, message), status, headers, PROTOBUF)
    return Response(dumps(told), status, headers, JSON)
