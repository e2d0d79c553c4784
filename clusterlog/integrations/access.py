"""The one access event of a request: what was asked, what was answered, how long it took, and what went wrong."""

from __future__ import annotations

import logging
from time import perf_counter_ns
from typing import Any

from clusterlog.context import request as context
from clusterlog.context import tracing
from clusterlog.context.request import Request
from clusterlog.context.tracing import Known
from clusterlog.record.slot import slot

LOGGER = "clusterlog.access"
CLIENT_LEFT = "client disconnected"


class Access:
    """What is learned about a request while it is answered; ``tell`` makes the event of it, once.

    ``status`` is 0 as long as nothing was answered. ``reason`` is why the answer is none or not whole. ``failure`` is
    the exception that the application did not handle. ``ended_ns`` stops the clock before the event is told. ``before``
    is the scope that the task or thread was in.
    """

    __slots__ = (
        "before",
        "began_ns",
        "close_code",
        "ended_ns",
        "failure",
        "method",
        "path",
        "reason",
        "request",
        "route",
        "scope",
        "size",
        "status",
    )

    def __init__(self, request: Request, method: str, path: str) -> None:
        self.began_ns = perf_counter_ns()
        self.ended_ns = 0
        self.request = request
        self.method = method
        self.path = path
        self.route = ""
        self.status = 0
        self.size: int | None = 0
        self.close_code: int | None = None
        self.reason = ""
        self.failure: BaseException | None = None
        self.before = context.current.get()
        context.enter(request)
        # What ``bind`` adds is the task's own; the event is the request's, and keeps the scope of the beginning.
        self.scope = context.current.get()

    def client_left(self) -> None:
        """The client went before it had its answer, so there is no status to speak of."""
        self.reason = CLIENT_LEFT
        self.status = 0

    def tell(self) -> None:
        """Put the event on the road. Only the first call does; facts that come later are counted as late."""
        request = self.request
        if request.told:
            return
        request.told = True
        request.route = self.route
        road = slot.road
        if road is None:
            return
        known = tracing.known(request.span)
        request.span = None
        failed = self.status >= 500 or bool(self.reason) or self.failure is not None
        ended_by = self.status or ("aborted" if self.reason else "failed")
        road.document(
            LOGGER,
            logging.ERROR if failed else logging.INFO,
            LOGGER,
            f"{self.method} {self.path} {ended_by}",
            known.added_to(self._body(failed, known), error=failed and self.failure is None),
            labels=known.labels,
            failure=self.failure or (known.failure if failed else None),
            scope=self.scope,
        )
        self.failure = None  # with its traceback it holds the frames of the whole request

    def _body(self, failed: bool, known: Known) -> dict[str, Any]:
        request = self.request
        http: dict[str, Any] = {"request": {"method": self.method}}
        event: dict[str, Any] = {
            "duration": (self.ended_ns or perf_counter_ns()) - self.began_ns,
            "outcome": "failure" if failed else "success",
        }
        own: dict[str, Any] = {}
        if self.status:
            http["response"] = {"status_code": self.status}
        if self.size is not None:
            http.setdefault("response", {})["body"] = {"bytes": self.size}
        if self.reason:
            event["reason"] = self.reason
        if self.route:
            own["route"] = self.route
        if request.parent_span_id:
            own["parent"] = {"span_id": request.parent_span_id}
        if self.close_code is not None:
            own["websocket"] = {"close_code": self.close_code}
        client = {"request_id": request.client_request_id, "trace_id": request.client_trace_id}
        client = {name: value for name, value in client.items() if value}
        if client:
            own["client"] = client
        if request.began_as:
            own["span"] = {**known.own.get("span", {}), "began_as": request.began_as}
        # The encoder takes the span from the scope, but tasks may have put steps around; this one is the request's.
        return {"http": http, "url": {"path": self.path}, "event": event, "clusterlog": own}
