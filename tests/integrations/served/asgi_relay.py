"""A service that hands a request on to the next one: followed by us, by OpenTelemetry, or by both."""

import os

import httpx
from opentelemetry.propagate import extract, inject
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import clusterlog

NEXT = os.environ.get("RELAY_NEXT", "")
BY = os.environ["RELAY_BY"].split("+")
"""``us``: our middleware and our client; ``otel``: what OpenTelemetry's instrumentations do, with its SDK."""

if "otel" in BY:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    TRACER = trace.get_tracer("opentelemetry.instrumentation")
clusterlog.start(os.environ["CLUSTERLOG_SERVICE"])
log = clusterlog.get_logger("relay")


class Tracing(httpx.AsyncHTTPTransport):
    """A client's span around each request, which the callee is told."""

    async def handle_async_request(self, request):
        told = {"http.request.method": request.method, "server.address": request.url.host, "server.port": 80}
        with TRACER.start_as_current_span(request.method, kind=trace.SpanKind.CLIENT, attributes=told) as span:
            headers = httpx.Headers(request.headers)
            inject(headers)
            request.headers = headers
            response = await super().handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            return response


async def relay(request):
    log.info("relaying")
    if NEXT:
        async with httpx.AsyncClient(transport=Tracing() if "otel" in BY else None, trust_env=False) as client:
            await client.get(NEXT)
    log.info("relayed")
    return PlainTextResponse("done")


def traced(app):
    """A server's span around each request, its parent read from the headers."""

    async def outer(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = {"http.request.method": scope["method"], "url.path": scope["path"], "http.route": "/relay"}
        server = trace.SpanKind.SERVER
        with TRACER.start_as_current_span("GET /relay", context=extract(headers), kind=server, attributes=told) as span:

            async def sending(message):
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await app(scope, receive, sending)

    return outer


app = Starlette(routes=[Route("/relay", relay)])
if "us" in BY:
    clusterlog.instrument("httpx")
    clusterlog.instrument(app)
if "otel" in BY:
    app = traced(app)
