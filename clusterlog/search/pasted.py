"""What somebody means by a pasted text: a request id or part of one, a trace, a header, or a whole log line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterlog.context.ids import judge_request_id
from clusterlog.errors import SettingError
from clusterlog.search.story.event import text
from clusterlog.store.document import parse

LONGEST = 1 << 20
"""Characters of a pasted text that are looked at; a line of the spool is no longer."""
SHORTEST_PART = 4
"""Characters of an id's beginning; by fewer, everything would fit."""

_ID = r"[A-Za-z0-9._-]{1,64}"
_HEX32 = re.compile(r"[0-9A-Fa-f]{32}")
_HEX_PART = re.compile(r"[0-9a-f]{6,31}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.IGNORECASE)
_EVENT = re.compile(r"[0-9a-f]{32}-[0-9a-f]{11}")
_END = re.compile(r"(?:\.\.+|…)([A-Za-z0-9._-]{4,64})")
_BEGINNING = re.compile(r"([A-Za-z0-9._-]{4,64}?)(?:\.\.+|…|\*)")
_NAMED = re.compile(r"[<>*\s]*[\"']?([A-Za-z][A-Za-z0-9._-]*)[\"']?\s*[:=]\s*[\"']?([^\"']*)[\"']?,?")
_REQUEST_NAMES = frozenset(
    "x-request-id request-id request_id requestid request http.request.id x-correlation-id correlation-id id".split()
)
_TRACE_NAMES = frozenset("trace.id trace_id traceid trace x-b3-traceid".split())
_WITHIN = re.compile(
    rf"\b(?:x-request-id|request[._-]?id|http\.request\.id)[\"']?\s*[:=]\s*[\"']?({_ID})"
    rf"|({_TRACEPARENT.pattern})|\b({_UUID.pattern}|{_HEX32.pattern})\b|(\.\.[0-9A-Za-z]{{6,}})",
    re.IGNORECASE,
)
_MOST = 8  # ids within one line


@dataclass(frozen=True, slots=True)
class Pasted:
    """What to look for: any of these requests or traces as a whole; else a request whose id begins or ends so.

    ``event`` is the id of one event: the one request is meant that it belongs to, also where several carry one id.
    """

    requests: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    event: str = ""
    beginning: str = ""
    end: str = ""

    @property
    def said(self) -> str:
        """The one text to name it by."""
        return next(filter(None, (*self.requests, *self.traces, self.event, self.beginning, self.end)), "")


def read(pasted: str) -> Pasted:
    """What a text means.

    It is an id (also a UUID with hyphens), its beginning or its end as ``search`` shows it (``..d31ad1d3``), a trace
    id, a ``traceparent``, an event's id, a header or field with its name, a JSON document, or a line that has an id
    somewhere. Raises SettingError with what it looks like instead.
    """
    given = pasted[:LONGEST].strip().strip("\"'`,;()[]<>").strip()
    if not given:
        raise SettingError("nothing to look for: give a request id, as it stands in the response header X-Request-ID")
    if given.startswith("{") or pasted.lstrip().startswith("{"):
        return _document(pasted.strip())
    if traceparent := _TRACEPARENT.fullmatch(given):
        return Pasted(traces=(traceparent[1].lower(),))
    if _EVENT.fullmatch(given):
        return Pasted(event=given)
    if end := _END.fullmatch(given):
        return Pasted(end=end[1])
    if beginning := _BEGINNING.fullmatch(given):
        return Pasted(beginning=beginning[1])
    if judge_request_id(given):
        return _id(given)
    if (named := _NAMED.fullmatch(given)) and not named[2].startswith("//"):
        return _header(named[1], named[2].strip())
    return _line(given)


def _id(given: str) -> Pasted:
    digits = given.replace("-", "").lower()
    if _HEX32.fullmatch(digits):
        return Pasted(requests=tuple(dict.fromkeys((given, digits))), traces=(digits,))
    # Every id of the store has to be looked at for an end: words that are no hex digits are not worth that.
    end = given if _HEX_PART.fullmatch(given) else ""
    return Pasted(requests=(given,), beginning=given if len(given) >= SHORTEST_PART else "", end=end)


def _header(name: str, value: str) -> Pasted:
    known = name.lower()
    if known == "traceparent":
        if traceparent := _TRACEPARENT.fullmatch(value):
            return Pasted(traces=(traceparent[1].lower(),))
        raise SettingError(f"{value!a} is no traceparent: it is 00-TRACE ID-SPAN ID-FLAGS, 32, 16 and 2 hex digits")
    if known in _TRACE_NAMES and _HEX32.fullmatch(value):
        return Pasted(traces=(value.lower(),))
    if known in _REQUEST_NAMES and judge_request_id(value):
        return _id(value)
    if known in _REQUEST_NAMES | _TRACE_NAMES:
        raise SettingError(f"{name}: {_short(value)} is no id: {_why_not(value)}")
    if found := _ids_within(value):
        return found
    raise SettingError(f"{_short(name)} carries no request id: X-Request-ID and traceparent do")


def _document(given: str) -> Pasted:
    try:
        document = parse(given.encode("utf-8", "surrogatepass"))
    except ValueError:
        if found := _ids_within(given):  # a line that was cut off where it was copied
            return found
        raise SettingError("the pasted text begins like JSON, but is none, and holds no request id") from None
    request = text(document, "http.request.id") or text(document, "request_id") or text(document, "request")
    flat = document.get("http.request.id")
    request = request or (flat if isinstance(flat, str) else "")
    trace = text(document, "trace.id") or text(document, "trace_id")
    if judge_request_id(request):
        return Pasted(requests=(request,))
    if _HEX32.fullmatch(trace):
        return Pasted(traces=(trace.lower(),))
    if traceparent := _TRACEPARENT.fullmatch(text(document, "traceparent")):
        return Pasted(traces=(traceparent[1].lower(),))
    raise SettingError("the pasted JSON document belongs to no request: it has neither http.request.id nor trace.id")


def _line(given: str) -> Pasted:
    if found := _ids_within(given):
        return found
    raise SettingError(f"{_short(given)} is no request id: {_why_not(given)}")


def _ids_within(line: str) -> Pasted | None:
    """The ids in a line of text; of abbreviations the first."""
    requests: dict[str, None] = {}
    traces: dict[str, None] = {}
    end = ""
    for found in _WITHIN.finditer(line):
        named, traceparent, trace, digits, short = found.groups()
        if traceparent:
            traces[trace.lower()] = None
        elif digits:
            requests[digits] = requests[digits.replace("-", "").lower()] = None
            traces[digits.replace("-", "").lower()] = None
        elif named:
            requests[named] = None
        else:
            end = end or short.lstrip(".")
        if len(requests) + len(traces) > _MOST:
            break
    return Pasted(tuple(requests), tuple(traces), end=end) if requests or traces or end else None


def _why_not(given: str) -> str:
    """What speaks against it, or what it looks like."""
    if re.match(r"[a-z][a-z0-9+.-]*://", given, re.IGNORECASE):
        return "it looks like an address; the id is in the header X-Request-ID of its response"
    if "@" in given:
        return "it looks like a user; `clusterlog search --user NAME --group request` lists a user's requests"
    if re.search(r"\s", given) or ":" in given:
        return "it looks like a query or a message; `clusterlog search` finds those"
    if len(given) > 64:
        return f"it has {len(given)} characters, an id has 64 at most"
    return "ids are made of A-Z a-z 0-9 . _ -"


def _short(given: str) -> str:
    shown = ascii(" ".join(given[:200].split()))
    return shown if len(shown) <= 60 else f"{shown[:57]}...'"
