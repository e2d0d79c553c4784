"""Says an event of every kind into the home of its argument, as an application does: what there is to be mapped."""

from __future__ import annotations

import asyncio
import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, SpanContext, StatusCode

import clusterlog

ACCEPT = {"type": "websocket.accept", "subprotocol": None}
HEADERS = [
    (b"x-request-id", b"from-outside"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (b"cookie", b"session=abc"),
]


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message):
    pass


async def application(scope, receive, send):
    log = clusterlog.get_logger("shop")
    clusterlog.bind(user="alice", cart=3)
    clusterlog.annotate(country="FI")
    log.info("charge %s", 12.9, cpu=0.5, rows=7, **{"rows.read": 8}, stack_info=True)
    with clusterlog.step("reserve"):
        pass
    if scope["type"] == "websocket":
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 4001})
        return
    try:
        try:
            raise ConnectionError("bank")
        except ConnectionError as error:
            raise LookupError("no answer") from error
    except LookupError:
        log.exception("charging failed")
    for _ in range(3):
        log.warning("again")
    await send({"type": "http.response.start", "status": 504, "headers": []})
    await send({"type": "http.response.body", "body": b"late"})


def spans(provider):
    other = SpanContext(0xABC, 0xDEF, is_remote=True)
    with provider.get_tracer("shop").start_as_current_span("batch", links=[Link(other)]) as span:
        span.add_event("cache miss")
        span.set_attributes({"one": 1, "two": 2, "three": 3})
        span.record_exception(LookupError("in the cache"))
        span.set_status(StatusCode.ERROR, "gave up")


def calls():
    import requests

    with requests.Session() as session:
        clusterlog.instrument(session)
        try:
            session.get("http://127.0.0.1:9/charge", timeout=1)
        except requests.ConnectionError:
            pass


def main(home):
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=2))
    trace.set_tracer_provider(provider)
    settings = {"session_cookie": "session", "metrics": ("cpu", "rows", "rows.read"), "throttle": "1/60s"}
    clusterlog.start("shop", home=home, **settings)
    logging.getLogger("plain").warning("a line of %s", "logging")
    app = clusterlog.instrument(application)
    for kind, client in (("http", ("8.8.8.8", 5)), ("http", ("127.0.0.1", 5)), ("websocket", ("127.0.0.1", 5))):
        scope = {"type": kind, "method": "GET", "path": "/charge", "headers": HEADERS, "client": client}
        asyncio.run(app(scope, receive, send))
    spans(provider)
    calls()
    clusterlog.stop()


if __name__ == "__main__":
    main(sys.argv[1])
