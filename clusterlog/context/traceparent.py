"""W3C Trace Context in HTTP headers: ``traceparent`` and ``tracestate`` read and written as the Recommendation says.

The rules are those of Level 1, with the ``tracestate`` key grammar of Level 2. The section names below are those of
its chapter "Trace Context HTTP Headers Format". Nothing here raises, whatever a peer has sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SAMPLED: Final = 0x01

MAX_MEMBERS: Final = 32
"""Members a ``tracestate`` may have."""

MAX_TRACESTATE: Final = 512
"""Characters of ``tracestate`` that are passed on (section "tracestate Limits" asks for at least as many)."""

_LONG_MEMBER: Final = 128

# The longest header a legal list needs is 32 * 513 + 31 characters; the rest is room for white space, empty members
# and what later versions may add. Longer ones are "prohibitively large".
_MAX_HEADER: Final = 65_536

_OWS: Final = " \t"
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_TRACEPARENT_SIZE: Final = 55
_NO_TRACE: Final = "0" * 32
_NO_PARENT: Final = "0" * 16
_KEY: Final = r"[a-z0-9][a-z0-9_*/@-]{0,255}"
_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(f"({_KEY})=({_VALUE})")

TraceState = tuple[tuple[str, str], ...]
"""The list members of a ``tracestate``, key and value, left to right."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A ``traceparent`` that was received: who called, in which trace.

    ``trace_id`` is 32 and ``parent_id`` (the caller's span) 16 lower-case hex digits. ``flags`` are the eight bits as
    received; all but ``sampled`` are unknown to Level 1 and are not passed on.
    """

    version: int
    trace_id: str
    parent_id: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the caller may have recorded the trace."""
        return bool(self.flags & SAMPLED)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """What a request brings along: its caller in the trace, and the ``tracestate`` to pass on (perhaps empty)."""

    parent: TraceParent
    state: TraceState


def continue_trace(traceparent_values: Sequence[str], tracestate_values: Sequence[str]) -> TraceContext | None:
    """The trace to continue, or None where a new one is to be started and both headers are to be forgotten.

    The arguments are the values of all headers of that name in the order received, none of them an empty sequence. A
    ``tracestate`` without a valid ``traceparent`` is not looked at; a malformed one does not harm the ``traceparent``
    ("Relationship Between the Headers", "Processing Model").
    """
    parent = parse_traceparent(traceparent_values)
    if parent is None:
        return None
    return TraceContext(parent, parse_tracestate(tracestate_values) or ())


def parse_traceparent(values: Sequence[str]) -> TraceParent | None:
    """Read the values of all ``traceparent`` headers of a request; None if there is not exactly one, valid one.

    White space around the value is no part of it. Version 00 ends after its flags. Of a higher version the first 55
    characters are read as if it were 00, if nothing or a ``-`` follows them ("Versioning of traceparent"); ``ff`` is
    no version. Ids in capitals or of zeros alone are invalid.
    """
    if len(values) != 1:
        return None
    value = values[0]
    if len(value) > _MAX_HEADER:
        return None
    value = value.strip(_OWS)
    found = _TRACEPARENT.match(value)
    if found is None:
        return None
    version, trace_id, parent_id, flags = found.groups()
    if version == "ff" or trace_id == _NO_TRACE or parent_id == _NO_PARENT:
        return None
    if len(value) > _TRACEPARENT_SIZE and (version == "00" or value[_TRACEPARENT_SIZE] != "-"):
        return None
    return TraceParent(int(version, 16), trace_id, parent_id, int(flags, 16))


def format_traceparent(trace_id: str, span_id: str, sampled: bool) -> str:
    """The ``traceparent`` of an outgoing call, version 00.

    ``trace_id`` (32) and ``span_id`` (16 lower-case hex digits, of the call itself) are written as they are: they
    must be ours or have been read by ``parse_traceparent``. All flags but ``sampled`` are zero ("Other Flags").
    """
    return f"00-{trace_id}-{span_id}-01" if sampled else f"00-{trace_id}-{span_id}-00"


def parse_tracestate(values: Sequence[str]) -> TraceState | None:
    """Read the values of all ``tracestate`` headers, in order, as one list; None if it is to be discarded.

    One malformed member, or more than 32, discard the whole list. Empty members are skipped and not counted (as
    RFC 7230, section 7 says of every list). Of several members with one key the first is kept: the left-most is the
    latest, and the Recommendation lets duplicates be dropped but gives no leave to drop the list for them.
    """
    if sum(map(len, values)) + len(values) > _MAX_HEADER:
        return None
    texts = [text for part in ",".join(values).split(",") if (text := part.strip(_OWS))]
    if len(texts) > MAX_MEMBERS:
        return None
    state: dict[str, str] = {}
    for text in texts:
        member = _MEMBER.fullmatch(text)
        if member is None:
            return None
        state.setdefault(member[1], member[2])
    return tuple(state.items())


def format_tracestate(members: Iterable[tuple[str, str]]) -> str:
    """The ``tracestate`` of an outgoing call; empty if there is nothing to send, and then no header is sent.

    Up to 512 characters pass unchanged. Of a longer list whole members are left out until it fits: those of more than
    128 characters first, then others, both from the right ("tracestate Limits"). Members that could not be read back
    (a bad key or value, a second of one key, a 33rd) are left out too, so what is written is always a valid list.
    """
    valid: dict[str, str] = {}
    for key, value in members:
        text = f"{key}={value}"
        if key not in valid and len(valid) < MAX_MEMBERS and _MEMBER.fullmatch(text):
            valid[key] = text
    kept = list(valid.values())
    size = sum(map(len, kept)) + len(kept) - 1
    for least in (_LONG_MEMBER + 1, 0):
        for index in range(len(kept) - 1, -1, -1):
            if size <= MAX_TRACESTATE:
                break
            if len(kept[index]) >= least:
                size -= len(kept.pop(index)) + 1
    return ",".join(kept)
