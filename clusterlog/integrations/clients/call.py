"""An outgoing call: its own span, the headers that carry the ids on, and the one event at its end.

A call is one request that was really sent: each redirect and each retry is one of its own, as the callee sees it. It
ends when the response's headers are there; reading a body that is streamed belongs to the caller.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from contextlib import suppress
from contextvars import ContextVar, Token
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self

from clusterlog.context import innermost, tracing
from clusterlog.context import request as context
from clusterlog.context.carrier import TRACEPARENT, call_span, outgoing
from clusterlog.context.ids import new_trace_id
from clusterlog.context.traceparent import format_traceparent
from clusterlog.context.tracing import SpanIds
from clusterlog.integrations.rules import in_force
from clusterlog.record.gate import armed
from clusterlog.record.slot import slot

DATASET = "clusterlog.call"
_DEFAULT_PORTS = {"http": 80, "https": 443}

_sending: ContextVar[tuple[object, Call] | None] = ContextVar("clusterlog_call", default=None)


def under_way() -> Call | None:
    """The call that the request of now is sending already.

    That is a client that stands on this one, or this one, instrumented alone and with its library: the call is told
    there. An application that is called in the same task, by a transport for tests, works for a request of its own.
    """
    sending = _sending.get()
    return sending[1] if sending is not None and sending[0] is context.request() else None


class Call:
    """A call from the moment before it is sent; a context manager for the time until it is answered.

    ``host`` is the host alone, ``port`` what the URL names; its user, query and fragment are not asked for. Who sends
    sets ``status``. ``span`` is another tracer's span of this very call: one work, one id, one event.
    """

    __slots__ = (
        "_before",
        "_began_ns",
        "_host",
        "_method",
        "_parent",
        "_path",
        "_port",
        "_scheme",
        "_scope",
        "_span",
        "_token",
        "_trace",
        "span",
        "status",
    )

    def __init__(self, method: str, scheme: str, host: str, port: int | None, path: str) -> None:
        self._method = method
        self._scheme = scheme
        self._host = host
        self._port = None if port == _DEFAULT_PORTS.get(scheme) else port
        self._path = path or "/"
        self.status = 0
        self.span: Any = None
        scope = self._scope = innermost.here()
        known = scope is not None and (scope.request is not None or scope.traced is not None)
        self._parent = "" if scope is None or not known else scope.own_span or scope.parent
        self._trace = "" if known else new_trace_id()
        self._span = ""
        self._began_ns = 0
        self._token: Token[Any] | None = None
        self._before = context.current.get()

    def headers(self, present: Container[str], traceparent: str | None) -> list[tuple[str, str]]:
        """The headers to add: names and values.

        ``present`` has the names of those that are there, ``traceparent`` is the value of that one; what is there is
        left alone, and its span is then the call's.
        """
        span = self._span = call_span(traceparent)
        if traceparent and tracing.joined is not None:
            self.span = tracing.joined.called(span)
            if self._scope is not None and span == self._parent:  # which is current, and around the call only in name
                self._parent = self._scope.parent
        propagate_to = in_force().propagate_to
        found = outgoing(self._host, propagate_to, present, span_id=span)
        if self._trace and TRACEPARENT not in present and propagate_to.allows(self._host):
            found.append((TRACEPARENT, format_traceparent(self._trace, span, True)))
        return found

    def become(self, ids: SpanIds, span: Any) -> None:
        """Another tracer has begun a span for this call, and tells the callee of that one."""
        self._span = ids.span_id
        self._trace = ids.trace_id
        self.span = span

    def __enter__(self) -> Self:
        self._token = _sending.set((context.request(), self))
        self._began_ns = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # An application that was called in the same task has entered a request of its own.
        if context.current.get() is not self._before:
            context.current.set(self._before)
        if self._token is not None:
            with suppress(ValueError, RuntimeError):  # a coroutine that is thrown away may end in another context
                _sending.reset(self._token)
        self._tell(self.status, error)

    def _tell(self, status: int, error: BaseException | None) -> None:
        road = slot.road
        if road is None:
            return
        failed = error is not None or status >= 500
        url: dict[str, Any] = {"scheme": self._scheme, "domain": self._host, "path": self._path}
        if self._port is not None:
            url["port"] = self._port
        known = tracing.known(self.span)
        own: dict[str, Any] = {"call": {"status_code": status}} if status else {}
        if self._parent:
            own["parent"] = {"span_id": self._parent}
        body: dict[str, Any] = {
            "span": {"id": self._span},
            "http": {"request": {"method": self._method}},
            "url": url,
            "event": {"duration": perf_counter_ns() - self._began_ns, "outcome": "failure" if failed else "success"},
            "clusterlog": own,
        }
        if self._trace:
            body["trace"] = {"id": self._trace}
        road.document(
            DATASET,
            logging.ERROR if failed else logging.INFO,
            DATASET,
            f"{self._method} {self._url()} {status or type(error).__name__}",
            known.added_to(body, error=failed and error is None),
            labels=known.labels,
            failure=error,
            scope=self._scope or context.Scope(None),
        )

    def _url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        port = "" if self._port is None else f":{self._port}"
        return f"{self._scheme}://{host}{port}{self._path}"


class Cap:
    """Loggers of a client's own kept at WARNING and above: its call event says more than their lines."""

    __slots__ = ("_levels", "_names")

    def __init__(self, *names: str) -> None:
        self._levels: dict[str, int] = {}
        self._names = names
        armed.capped.update(names)
        for name in names:
            logger = logging.getLogger(name)
            if logger.level < logging.WARNING:
                self._levels[name] = logger.level
                logger.setLevel(logging.WARNING)

    def remove(self) -> None:
        """Give back the levels they had, unless somebody has set others since."""
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            if logger.level == logging.WARNING:
                logger.setLevel(level)
        self._levels = {}
        armed.capped.difference_update(self._names)
