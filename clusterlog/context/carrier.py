"""The ids of a request on whatever carries it on: HTTP headers, message headers, any mapping.

Three headers travel: ``X-Request-ID``, and ``traceparent`` with ``tracestate`` as W3C Trace Context says. What comes in
is judged before it is believed; what goes out never overwrites what somebody else has put there. Where another tracer
is joined (``tracing``) its span calls, and its flags and its ``tracestate`` go with it. A request that a rule of the
cluster escalates has a token beside them, as a header and, for what lies between and forwards only that, as baggage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Literal, overload

from clusterlog.context import ids, tracing
from clusterlog.context import request as requests
from clusterlog.context.innermost import here
from clusterlog.context.peers import PropagateTo, Trust
from clusterlog.context.request import Request, Scope, current, restore
from clusterlog.context.traceparent import (
    TraceContext,
    continue_trace,
    format_traceparent,
    format_tracestate,
    parse_traceparent,
)

REQUEST_ID: Final = "X-Request-ID"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
DEBUG: Final = "clusterlog-debug"
BAGGAGE: Final = "baggage"
_OURS: Final = "clusterlog.debug"
"""The key of our token in ``baggage`` (W3C Baggage)."""
NAMES: Final = frozenset({"x-request-id", TRACEPARENT, TRACESTATE, DEBUG, BAGGAGE})
"""The headers that are read, in lower case."""

Pairs = list[tuple[str, bytes]]
Values = Callable[[str], Sequence[str]]
"""Gives the values of all headers of a name (lower case), in the order received; none: an empty sequence."""

_SHOWN = 4096
_LONGEST_BAGGAGE = 8192  # bytes of all members together (W3C Baggage, 3.3.2); what is longer may be cut


def admit(get: Values, peer: str | None, trust: Trust, *, session: str = "") -> Request:
    """The request that a server takes on: the caller's ids where ``trust`` believes ``peer``, else new ones.

    ``peer`` is the address of the connection's other end, ``session`` the value of the session cookie. From a peer
    that is not believed the trace is restarted (W3C Trace Context, "Processing Model") and the foreign ids are kept
    beside ours; of an id that is not legal only its length and a hash. Never raises.
    """
    try:
        believed = trust.believes(peer)
        new = _admitted(get, believed, session)
        if believed and requests.watching is not None:
            _escalated(requests.watching, new, get)
    except Exception:  # headers that cannot be read
        new = _fresh(session)
    new.served = True
    if tracing.joined is not None:
        tracing.joined.admitted(new, current.get())
    return new


def _admitted(get: Values, believed: bool, session: str) -> Request:
    found = _sole(get("x-request-id"))
    legal = ids.judge_request_id(found)
    foreign = "" if found is None else legal or ids.describe_rejected(found)
    parents = get(TRACEPARENT)
    trace = continue_trace(parents, get(TRACESTATE)) if parents else None
    if not believed:
        return _fresh(session, foreign, "" if trace is None else trace.parent.trace_id)
    if legal is None:
        return _continued(ids.new_request_id(), trace, session, foreign)
    return _continued(legal, trace, session, "")


def _escalated(watching: requests.Watching, new: Request, get: Values) -> None:
    """Hand the token of a caller over to who judges it; our header counts before the baggage."""
    found = list(get(DEBUG))
    for header in () if found else get(BAGGAGE):
        members = (member.partition(";")[0].partition("=") for member in header[:_LONGEST_BAGGAGE].split(","))
        found += [value.strip() for key, _, value in members if key.strip() == _OURS]
    if found:
        watching.arrived(new, found)


def _sole(values: Sequence[str]) -> str | None:
    """The one value there is; several different ones are no id, and shown as one text."""
    if not values:
        return None
    return values[0] if len(set(values)) == 1 else ", ".join(values)[:_SHOWN]


def _fresh(session: str, client_request_id: str = "", client_trace_id: str = "") -> Request:
    return Request(
        ids.new_request_id(),
        ids.new_trace_id(),
        ids.new_span_id(),
        client_request_id=client_request_id,
        client_trace_id=client_trace_id,
        session=session,
        started_ns=time.time_ns(),
    )


def _continued(id: str, trace: TraceContext | None, session: str, client_request_id: str) -> Request:
    parent = None if trace is None else trace.parent
    return Request(
        id,
        ids.new_trace_id() if parent is None else parent.trace_id,
        ids.new_span_id(),
        parent_span_id="" if parent is None else parent.parent_id,
        sampled=True if parent is None else parent.sampled,
        tracestate="" if trace is None else format_tracestate(trace.state),
        client_request_id=client_request_id,
        session=session,
        started_ns=time.time_ns(),
    )


def outgoing(
    host: str, propagate_to: PropagateTo, present: Container[str], *, span_id: str = ""
) -> list[tuple[str, str]]:
    """The headers to add to a call: names and values; none outside of requests and to hosts that may not know them.

    ``host`` is the host alone, ``present`` the names the call has already, whatever their case if it is a mapping of
    headers, else in lower case. ``span_id`` is the call's own (see ``call_span``); without one the current span calls.
    """
    found = here()
    if found is None or not propagate_to.allows(host):
        return []
    return list(_headers(found, span_id, present))


def call_span(traceparent: str | None = None) -> str:
    """The span id of an outgoing call: that of the ``traceparent`` it carries already, else a new one.

    The callee takes the id it is sent for its parent; only if the call event names the same one is there an edge.
    """
    there = parse_traceparent([traceparent]) if traceparent else None
    return ids.new_span_id() if there is None else there.parent_id


def _headers(scope: Scope, span_id: str, present: Container[str]) -> Iterable[tuple[str, str]]:
    request = scope.request
    if request is not None and "x-request-id" not in present:
        yield REQUEST_ID, request.id
    if requests.watching is not None and (token := requests.watching.token(scope)):
        if DEBUG not in present:
            yield DEBUG, token
        if BAGGAGE not in present:
            yield BAGGAGE, f"{_OURS}={token}"
    # Where somebody else has written a trace parent, its state is theirs as well.
    trace = scope.traced or request
    if trace is None or TRACEPARENT in present:
        return
    yield TRACEPARENT, format_traceparent(trace.trace_id, span_id or scope.span_id or trace.span_id, trace.sampled)
    if trace.tracestate and TRACESTATE not in present:
        yield TRACESTATE, trace.tracestate


@overload
def inject(
    carrier: MutableMapping[str, str] | None = None, *, kind: Literal["http"] = "http"
) -> MutableMapping[str, str]: ...
@overload
def inject(carrier: Sequence[tuple[str, bytes]] | None = None, *, kind: Literal["kafka"]) -> Pairs: ...
def inject(carrier: Any = None, *, kind: str = "http") -> Any:
    """Write the ids of the current request into ``carrier``, and give it back.

    ``kind="http"``: any mutable mapping of texts, a new dict if there is none. ``kind="kafka"``: a list of
    ``(str, bytes)``, appended to; a new list if there is none or it cannot be. Outside of a request nothing is written
    but the trace of another tracer that is joined; what the carrier has already is never changed. Raises ValueError for
    another ``kind``, and nothing else.

        producer.send("orders", value, headers=clusterlog.inject(kind="kafka"))
    """
    if kind not in ("http", "kafka"):
        raise ValueError(f"inject: kind is 'http' or 'kafka', not {kind!r}")
    if carrier is None:
        carrier = {} if kind == "http" else []
    elif kind == "kafka" and not isinstance(carrier, MutableSequence):
        carrier = list(carrier.items() if isinstance(carrier, Mapping) else carrier)
    found = here()
    if found is None:
        return carrier
    try:
        for name, value in list(_headers(found, "", _read(carrier))):
            if kind == "kafka":
                carrier.append((name, value.encode("ascii")))
            else:
                carrier[name] = value
    except Exception:  # somebody else's object; a message goes out without ids rather than not at all
        return carrier
    return carrier


class Extracted:
    """A request continued from a carrier, for the length of a ``with`` block. See ``extract``."""

    __slots__ = ("_carrier", "_entered", "_trusted")

    def __init__(self, carrier: Any, trusted: bool) -> None:
        self._carrier = carrier
        self._trusted = trusted
        self._entered: list[tuple[Token[Scope | None], Request, Scope]] = []

    def __enter__(self) -> Request:
        try:
            found = _read(self._carrier)
            new = _admitted(lambda name: found.get(name, ()), self._trusted, "")
            if self._trusted and requests.watching is not None:
                _escalated(requests.watching, new, lambda name: found.get(name, ()))
        except Exception:  # a carrier that cannot be read carries nothing
            new = _fresh("")
        if tracing.joined is not None:
            tracing.joined.admitted(new, current.get())
        entered = Scope(new, outer=tracing.active_span())
        self._entered.append((current.set(entered), new, entered))
        return new

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token, new, entered = self._entered.pop()
        if new.recorded is not None:
            new.recorded.over(new, error is not None)
        new.end()
        restore(token, entered)


def extract(carrier: Any, *, trusted: bool = True) -> Extracted:
    """A context manager that works for the request whose ids ``carrier`` brings; it ends with the block.

    ``carrier`` is a mapping, a sequence of pairs, or None; names in any case, names and values as ``str`` or
    ``bytes``. Without ids, or with malformed ones, the request is a new one. ``trusted=False`` restarts it and keeps
    the foreign ids beside. Gives the ``Request``; what was bound before is back after the block. Never raises.

        with clusterlog.extract(message.headers()):
            handle(message)
    """
    return Extracted(carrier, trusted)


def _read(carrier: Any) -> dict[str, list[str]]:
    """Our headers in a carrier, by lower-case name, with all their values in order."""
    found: dict[str, list[str]] = {}
    if carrier is None:
        return found
    multiple = getattr(carrier, "multi_items", None)  # mappings that hide a second value of a name
    if multiple is not None:
        pairs = multiple()
    else:
        pairs = carrier.items() if isinstance(carrier, Mapping) or hasattr(carrier, "items") else carrier
    for name, value in pairs:
        key = (_text(name) or "").lower()
        if key in NAMES:
            values = map(_text, value if isinstance(value, list | tuple) else (value,))
            found.setdefault(key, []).extend(text for text in values if text is not None)
    return {name: values for name, values in found.items() if values}


def _text(value: Any) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else None
