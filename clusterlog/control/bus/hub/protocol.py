"""What a hub and its clients say to each other: paths, and members of JSON with bytes in base64.

============ ======================== ===========================================================================
``GET``      ``/document``            ``{"document": bytes or null, "now_ns"}``
``PUT``      ``/document``            ``{"document", "instead_of": bytes or null}``; 409 where another one is kept
``PUT``      ``/leases``              ``{"key", "body", "ttl_s", "version"}``
``DELETE``   ``/leases?key=``
``GET``      ``/leases``              ``{"leases": [{"key", "body", "age_s", "ttl_s"}]}``
``GET``      ``/leased?version=``     ``{"leased"}``
``POST``     ``/messages``            the message itself
``GET``      ``/notices?after=&hold`` ``{"after", "notices": ["gap", "changed", {"message"}]}``, after ``hold`` seconds
============ ======================== ===========================================================================

All of it below ``ROOT``, for the name space ``?cluster=``, and with the token to control. ``after`` is where the answer
before ended; an ``after`` that the server does not know (any more) begins with a gap.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from typing import Any

from clusterlog.control.bus.base import Changed, Gap, Lease, Message, Notice

PORT = 8520
ROOT = "/api/v1/control"
HOLD_S = 5.0
"""How long a server waits for something new at most before it says that there is nothing."""
MOST_REQUEST = 1 << 20
"""Bytes of one request."""
MOST_NOTICES = 4 << 20
"""Bytes behind which an answer with notices ends; what is left is in the next one."""
MOST_ANSWER = 64 << 20
"""Bytes of one answer."""


def encoded(value: bytes | None) -> str | None:
    """Bytes as they stand in JSON."""
    return None if value is None else b64encode(value).decode("ascii")


def decoded(value: Any) -> bytes | None:
    """Bytes as they stood in JSON. Raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("bytes are a text in base64")
    try:
        return b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("bytes are a text in base64") from None


def present(value: Any) -> bytes:
    """The same, where there must be some. Raises ValueError."""
    found = decoded(value)
    if found is None:
        raise ValueError("bytes are missing")
    return found


def members(content: bytes) -> dict[str, Any]:
    """The members of an object in JSON. Raises ValueError for anything else."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("expected an object in JSON") from None
    if not isinstance(told, dict):
        raise ValueError("expected an object in JSON")
    return told


def lease_told(lease: Lease) -> dict[str, Any]:
    """A lease as it stands in JSON."""
    return {"key": lease.key, "body": encoded(lease.body), "age_s": lease.age_s, "ttl_s": lease.ttl_s}


def lease_heard(told: Any) -> Lease:
    """A lease as it stood in JSON. Raises ValueError."""
    try:
        return Lease(str(told["key"]), present(told["body"]), float(told["age_s"]), float(told["ttl_s"]))
    except (TypeError, KeyError):
        raise ValueError("expected a lease") from None


def notice_told(notice: Notice) -> Any:
    """A notice as it stands in JSON. The document does not come along: who wants it needs the clock, too."""
    if isinstance(notice, Message):
        return {"message": encoded(notice.body)}
    return "gap" if isinstance(notice, Gap) else "changed"


def notice_heard(told: Any) -> Notice:
    """A notice as it stood in JSON. Raises ValueError."""
    if told == "gap":
        return Gap()
    if told == "changed":
        return Changed()
    if isinstance(told, dict):
        return Message(present(told.get("message")))
    raise ValueError("expected a notice")
