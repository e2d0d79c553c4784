"""What is answered to a request that cannot be done: status and reason, in the words of Elasticsearch's protocol."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Container, Mapping

from starlette.requests import Request
from starlette.responses import Response

from clusterlog import __version__
from clusterlog.encode.compact import dumps

JSON = "application/json"
_UNSHOWN = re.compile(r"[^\n\x20-\x7e]")

_complained: set[tuple[object, ...]] = set()
_MOST_COMPLAINTS = 100
"""Places in the program; who sends what makes one of them fail, sends it again and again."""

SECURITY = "security_exception"
ILLEGAL = "illegal_argument_exception"
PARSING = "document_parsing_exception"
BUSY = "es_rejected_execution_exception"
BLOCKED = "cluster_block_exception"
NO_NAME = "invalid_index_name_exception"
CONFLICT = "version_conflict_engine_exception"
UNAVAILABLE = "unavailable_shards_exception"
TOO_LARGE = "content_too_long_exception"
"""The words senders know, for what they mean here."""


class Fault(Exception):
    """A request that is answered with ``status``; ``kind`` is one of the words above, ``reason`` a line for people."""

    def __init__(self, status: int, kind: str, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind
        self.reason = reason
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        why = {"type": self.kind, "reason": self.reason}
        told = {"error": {"root_cause": [why], **why}, "status": self.status}
        return Response(dumps(told), self.status, self.headers, JSON)


def known(request: Request, names: Container[str]) -> None:
    """Raise Fault for a parameter that is none of these: one that is misspelt is not to be passed over."""
    for name in request.query_params:
        if name not in names:
            raise Fault(
                400, ILLEGAL, f"request [{request.url.path[:100]}] contains unrecognized parameter: [{name[:100]}]"
            )


def internal() -> str:
    """What is answered where something happens that nobody has foreseen; ``complain`` says what it was."""
    return f"an internal error of clusterlog {__version__}: its standard error says more, please report it"


def complain(error: Exception) -> None:
    """Say on standard error what nobody has foreseen, for whoever runs the server; the same once, however often."""
    frames = traceback.extract_tb(error.__traceback__)
    place = type(error).__name__, *((frames[-1].filename, frames[-1].lineno) if frames else ())
    if place in _complained or len(_complained) >= _MOST_COMPLAINTS:
        return
    _complained.add(place)
    told = _UNSHOWN.sub(lambda found: ascii(found[0])[1:-1], "".join(traceback.format_exception(error)))
    sys.stderr.write(f"clusterlog: internal error, please report it:\n{told}")
