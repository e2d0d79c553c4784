"""Requests and calls that OpenTelemetry instruments as well: one trace, one story, and one event for one work."""

from __future__ import annotations

import asyncio
import http.server
import threading
from contextlib import contextmanager

import httpx
import pytest
import requests
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import INVALID_SPAN, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import clusterlog
from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.integrations.opentelemetry.processor import SpanProcessor
from clusterlog.search.story.caused import caused
from clusterlog.search.story.journey import journey

log = clusterlog.get_logger("shop")
TRACE, CALLER = "12" * 16, "34" * 8
THEIRS = (b"traceparent", f"00-{TRACE}-{CALLER}-01".encode())


def span_id(span):
    return f"{span.get_span_context().span_id:016x}"


def trace_id(span):
    return f"{span.get_span_context().trace_id:032x}"


def parent_of(event):
    return event["clusterlog"].get("parent", {}).get("span_id", "")


@pytest.fixture
def exported(provider):
    """What OpenTelemetry's own exporters get, by name."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@contextmanager
def answering(headers, attributes=()):
    """What a server instrumentation of OpenTelemetry does around each request."""
    tracer, token, kind = trace.get_tracer("opentelemetry.instrumentation"), None, SpanKind.INTERNAL
    if trace.get_current_span() is INVALID_SPAN:
        token, kind = otel_context.attach(extract(headers)), SpanKind.SERVER
    told = {"http.request.method": "GET", "url.path": "/a", "url.query": "q=1", **dict(attributes)}
    with tracer.start_as_current_span("GET /a", kind=kind, attributes=told) as span:
        yield span
    if token is not None:
        otel_context.detach(token)


def instrumented(app):
    """An ASGI application under such an instrumentation."""

    async def outer(scope, receive, send):
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        with answering(headers) as span:

            async def sending(message):
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await app(scope, receive, sending)
            span.set_attribute("set.late", True)

    return outer


async def handler(scope, receive, send):
    log.info("handling")
    trace.get_current_span().set_attribute("order", 7)
    with trace.get_tracer("shop").start_as_current_span("work"):
        log.info("working")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(app, *headers, client="127.0.0.1", path="/a"):
    """One request, in a context of its own; gives its id."""
    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers), "client": (client, 5)}
    scope |= {"scheme": "http", "http_version": "1.1", "query_string": b"", "server": ("127.0.0.1", 80)}
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async def run():
        await app(scope, receive, send)

    asyncio.run(run())
    return dict(sent[0]["headers"])[b"x-request-id"].decode()


def middle(app):
    """A middleware between the two that says something of its own."""

    async def saying(scope, receive, send):
        log.info("on the way in")
        await app(scope, receive, send)

    return saying


ORDERS = {
    "theirs outermost": lambda: instrumented(middle(clusterlog.instrument(handler))),
    "ours outermost": lambda: clusterlog.instrument(middle(instrumented(handler))),
}


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("headers", [(), (THEIRS,)], ids=["alone", "called"])
def test_a_request_under_both_instrumentations_is_one_span_with_one_event_in_one_trace(
    started, exported, order, headers
):
    request_id = ask(ORDERS[order](), *headers)
    server, work = exported()["GET /a"], exported()["work"]
    events = started()
    (access,) = events["access"]
    (told,) = events["span"]
    assert access["span"]["id"] == span_id(server)
    assert access["trace"]["id"] == told["trace"]["id"] == trace_id(server)
    assert parent_of(access) == (CALLER if headers else "")
    assert access["labels"]["order"] == 7
    assert not {"url.query", "http.response.status_code", "http.request.method"} & set(access["labels"])
    assert access["clusterlog"]["span"]["kind"] == "server"
    assert (told["span"]["id"], parent_of(told)) == (span_id(work), span_id(server))
    lines = {event["message"]: event for event in events["app"]}
    assert lines["handling"]["span"]["id"] == span_id(server)
    assert lines["working"]["span"]["id"] == span_id(work)
    assert {events.of(request_id)[n]["trace"]["id"] for n in range(2, 4)} == {trace_id(server)}
    if headers:
        assert trace_id(server) == TRACE
        assert f"{server.parent.span_id:016x}" == CALLER
    assert server.kind is SpanKind.SERVER, "our middleware must not look like a parent to the instrumentation"


@pytest.mark.parametrize("order", list(ORDERS))
def test_such_a_request_is_one_visit_of_the_story(started, exported, order):
    events = started
    request_id = ask(ORDERS[order](), THEIRS)
    told = journey(events().of(request_id))
    (visit,) = told.visits
    assert visit.parent == CALLER
    assert visit.access is not None
    assert told.trace_ids[-1] == TRACE


def test_what_the_server_span_learns_after_the_access_event_is_counted(started, exported):
    before = clusterlog.dropped().get("late_annotation", 0)
    ask(ORDERS["theirs outermost"]())
    assert clusterlog.dropped()["late_annotation"] == before + 1
    ask(ORDERS["ours outermost"]())
    assert clusterlog.dropped()["late_annotation"] == before + 2


def test_a_request_in_a_trace_of_ours_adopts_that_of_the_first_root_span_inside_of_it(started, exported, tracer):
    async def app(scope, receive, send):
        log.info("before")
        with tracer.start_as_current_span("first"):
            log.info("inside")
        log.info("between")
        with tracer.start_as_current_span("second"):
            pass
        await handler(scope, receive, send)

    ask(clusterlog.instrument(app))
    first, second = exported()["first"], exported()["second"]
    events = started()
    (access,) = events["access"]
    assert first.parent is None, "OpenTelemetry's own sampling decides about its own trace"
    assert trace_id(second) == trace_id(first), "one request is one trace"
    assert access["trace"]["id"] == trace_id(first)
    lines = {event["message"]: event for event in events["app"]}
    assert lines["before"]["trace"]["id"] != trace_id(first)
    assert lines["between"]["trace"]["id"] == trace_id(first)
    assert lines["between"]["span"]["id"] == lines["before"]["span"]["id"] == access["span"]["id"]
    assert {parent_of(event) for event in events["span"]} == {access["span"]["id"]}


def test_what_a_carrier_has_brought_along_is_left_alone_and_spans_inside_continue_it(started, exported, tracer):
    async def app(scope, receive, send):
        with tracer.start_as_current_span("first"):
            pass
        with tracer.start_as_current_span("elsewhere", context=otel_context.Context()):
            log.info("elsewhere")
        await handler(scope, receive, send)

    request_id = ask(clusterlog.instrument(app), THEIRS)
    first, elsewhere = exported()["first"], exported()["elsewhere"]
    assert trace_id(first) == TRACE
    assert f"{first.parent.span_id:016x}" == CALLER, "who looks at it elsewhere finds its caller"
    assert first.parent.is_remote
    events = started().of(request_id)
    (access,) = events["access"]
    assert (access["trace"]["id"], parent_of(access)) == (TRACE, CALLER)
    told = {event["message"]: event for event in events["span"]}
    assert parent_of(told["first"]) == access["span"]["id"], "between the caller and this span is the request"
    assert told["elsewhere"]["trace"]["id"] == trace_id(elsewhere) != TRACE
    assert parent_of(told["elsewhere"]) == access["span"]["id"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_server_span_in_another_trace_than_the_carriers_is_not_the_requests_own(started, tracer, inside):
    async def app(scope, receive, send):
        if inside:
            with tracer.start_as_current_span("elsewhere", context=otel_context.Context(), kind=SpanKind.SERVER):
                log.info("handling")
        await handler(scope, receive, send)

    ours = clusterlog.instrument(app)
    if inside:
        request_id = ask(ours, THEIRS)
    else:
        with tracer.start_as_current_span("elsewhere", kind=SpanKind.SERVER):
            request_id = ask(ours, THEIRS)
    (access,) = started().of(request_id)["access"]
    assert (access["trace"]["id"], parent_of(access)) == (TRACE, CALLER)
    elsewhere = next(event for event in started()["span"] if event["message"] == "elsewhere")
    assert elsewhere["trace"]["id"] != TRACE
    assert elsewhere["span"]["id"] != access["span"]["id"]


def test_a_server_span_that_two_processors_see_is_told_by_the_access_event_alone(started, provider):
    provider.add_span_processor(SpanProcessor())
    ask(ORDERS["ours outermost"]())
    events = started()
    assert len(events["access"]) == 1
    assert events["span"].messages == ["work"]


def test_an_application_called_within_a_request_without_a_socket_is_a_child_of_its_server_span(started, exported):
    async def front(scope, receive, send):
        async def nothing(message):
            """The answer of the inner one is not looked at."""

        inner = {**scope, "path": "/inner", "headers": []}
        inner.pop("clusterlog.request", None)
        await asyncio.create_task(back(inner, receive, nothing))
        await handler(scope, receive, send)

    back = clusterlog.instrument(handler)
    request_id = ask(instrumented(clusterlog.instrument(front)))
    events = started()
    (outer,) = events.of(request_id)["access"]
    (inner,) = [event for event in events["access"] if event["url"]["path"] == "/inner"]
    assert outer["span"]["id"] == span_id(exported()["GET /a"]) != inner["span"]["id"]
    assert parent_of(inner) == outer["span"]["id"]
    assert inner["trace"]["id"] == outer["trace"]["id"]


def test_a_span_inside_of_one_that_is_not_recorded_is_told_as_part_of_what_is(started, provider, entered):
    class NotTheOuter(Sampler):
        def should_sample(self, parent_context, trace_id, name, *args, **named):
            return SamplingResult(Decision.DROP if name == "outer" else Decision.RECORD_AND_SAMPLE)

        def get_description(self):
            return "NotTheOuter"

    provider.sampler = NotTheOuter()
    tracer = provider.get_tracer("picky")
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        log.info("inside")
    (event,), (line,) = started()["span"], started()["app"]
    assert event["message"] == "inner"
    assert parent_of(event) == parent_of(line) == entered.span_id


def test_of_a_peer_that_is_not_believed_opentelemetry_decides_about_the_trace_and_we_about_the_request(
    started, exported
):
    ask(ORDERS["theirs outermost"](), THEIRS, (b"x-request-id", b"theirs"), client="203.0.113.9")
    (access,) = started()["access"]
    assert access["http"]["request"]["id"] != "theirs"
    assert access["clusterlog"]["client"] == {"request_id": "theirs", "trace_id": TRACE}
    assert (access["trace"]["id"], parent_of(access)) == (TRACE, CALLER)


@pytest.mark.parametrize("order", list(ORDERS))
def test_a_request_whose_server_span_records_nothing_is_still_one_visit_with_its_ids(started, provider, order):
    provider.sampler = ALWAYS_OFF
    request_id = ask(ORDERS[order]())
    events = started().of(request_id)
    assert events["span"] == []
    told = journey(events)
    (visit,) = told.visits
    assert visit.access is not None
    handling = next(event for event in events["app"] if event["message"] == "handling")
    (access,) = events["access"]
    assert handling["span"]["id"] == access["span"]["id"]
    assert handling["trace"]["id"] == access["trace"]["id"]


def test_fastapi_with_its_own_instrumentation_is_one_event_a_request(started, exported):
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int):
        log.info("handling")
        return {"number": number}

    clusterlog.instrument(app)
    ask(app, THEIRS, path="/orders/7")
    server = next(span for span in exported().values() if span.kind is SpanKind.SERVER)
    events = started()
    (access,) = events["access"]
    assert access["span"]["id"] == span_id(server)
    assert access["clusterlog"]["route"] == "/orders/{number}"
    assert span_id(server) not in {event["span"]["id"] for event in events["span"]}
    told = journey(events.of(access["http"]["request"]["id"]))
    assert [(visit.parent, visit.access is not None) for visit in told.visits] == [(CALLER, True)]


def test_a_wsgi_request_under_both_is_one_event_as_well(started, exported):
    def app(environ, start_response):
        log.info("handling")
        start_response("200 OK", [])
        return [b"hello"]

    def server(environ, start_response):
        with answering({"traceparent": environ["HTTP_TRACEPARENT"]}):
            return ours(environ, start_response)

    ours = clusterlog.instrument(app)
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/a",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_TRACEPARENT": f"00-{TRACE}-{CALLER}-01",
    }
    body = server(environ, lambda *_: None)
    assert b"".join(body) == b"hello"
    body.close()
    events = started()
    (access,), (line,) = events["access"], events["app"]
    assert access["span"]["id"] == line["span"]["id"] == span_id(exported()["GET /a"])
    assert events["span"] == []


def test_a_span_left_behind_on_a_connection_is_not_the_next_requests(started, tracer):
    async def app(scope, receive, send):
        log.info("handling")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    left = tracer.start_span("of the request before", kind=SpanKind.SERVER)
    token = otel_context.attach(trace.set_span_in_context(left))
    left.end()
    request_id = ask(clusterlog.instrument(app))
    otel_context.detach(token)
    events = started().of(request_id)
    assert {event["trace"]["id"] for event in events} != {trace_id(left)}
    assert {event["span"]["id"] for event in events} == {events["access"][0]["span"]["id"]}


def test_messages_taken_in_a_consumers_span_belong_to_the_request_that_sent_them(started, exported, tracer):
    with clusterlog.extract(None) as sender, tracer.start_as_current_span("send", kind=SpanKind.PRODUCER):
        message = clusterlog.inject()
        inject(message)
    receiving = tracer.start_as_current_span("receive", context=extract(message), kind=SpanKind.CONSUMER)
    with receiving as receive, clusterlog.extract(message) as request:
        log.info("consuming")
    assert request.id == sender.id
    events = started().of(sender.id)
    (line,) = events["app"]
    assert (line["span"]["id"], line["trace"]["id"]) == (span_id(receive), trace_id(exported()["send"]))
    assert request.parent_span_id == span_id(exported()["send"])
    told = started()["span"]
    assert sorted(told.messages) == ["receive", "send"]


def test_a_request_without_ids_inside_of_a_larger_span_is_in_its_trace(started, tracer):
    with tracer.start_as_current_span("a batch") as batch, clusterlog.extract(None) as request:
        log.info("one of many")
    (line,) = started()["app"]
    assert line["trace"]["id"] == trace_id(batch)
    assert line["span"]["id"] == request.span_id != span_id(batch)
    assert request.parent_span_id == span_id(batch)


# Outgoing calls


class Callee(http.server.BaseHTTPRequestHandler):
    """Notes the headers it gets."""

    def do_GET(self):
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *given):
        """Nothing on the console of the tests."""


@pytest.fixture
def callee():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callee)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}/stock"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def entered():
    made = Request("r1", TRACE, "cd" * 8, parent_span_id=CALLER)
    context.enter(made)
    return made


@pytest.fixture
def clients():
    handles = [clusterlog.instrument("httpx"), clusterlog.instrument("requests")]
    yield
    for handle in handles:
        handle.remove()


def calling(tracer):
    return tracer.start_as_current_span(
        "GET", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET", "url.full": "http://127.0.0.1/stock"}
    )


class Transport(httpx.HTTPTransport):
    """What a client instrumentation does where a request is handed to the network: inside of ours."""

    def handle_request(self, request):
        with calling(trace.get_tracer("opentelemetry.instrumentation.httpx")) as span:
            headers = httpx.Headers(request.headers)
            inject(headers)
            request.headers = headers
            span.set_attribute("tenant", "t1")
            response = super().handle_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            return response


def by_httpx(url):
    with httpx.Client(transport=Transport()) as client:
        client.get(url)


def by_requests(url):
    """What it does around a session's sending: outside of ours."""
    with requests.Session() as session, calling(trace.get_tracer("opentelemetry.instrumentation.requests")) as span:
        session.trust_env = False
        span.set_attribute("tenant", "t1")
        headers = {}
        inject(headers)
        session.get(url, headers=headers)


@pytest.mark.parametrize("get", [by_httpx, by_requests])
def test_a_call_that_both_instrument_is_one_span_with_one_event_that_the_callee_is_told(
    started, exported, tracer, callee, clients, entered, get
):
    with tracer.start_as_current_span("work") as work:
        get(callee.url)
    span = exported()["GET"]
    events = started()
    (call,) = events["call"]
    assert events["span"].messages == ["work"]
    assert (call["span"]["id"], call["trace"]["id"]) == (span_id(span), TRACE)
    assert parent_of(call) == span_id(work)
    assert call["labels"] == {"tenant": "t1"}
    assert call["clusterlog"]["call"] == {"status_code": 200}
    assert call["clusterlog"]["span"]["kind"] == "client"
    (seen,) = callee.seen
    assert seen["traceparent"] == f"00-{TRACE}-{span_id(span)}-01"
    assert seen["x-request-id"] == "r1"


def test_a_call_that_we_alone_instrument_is_a_child_of_the_active_span_in_its_trace(
    started, tracer, callee, clients, entered
):
    entered.tracestate = "vendor=1"
    with tracer.start_as_current_span("work") as work:
        httpx.get(callee.url, trust_env=False)
    (call,) = started()["call"]
    (seen,) = callee.seen
    assert parent_of(call) == span_id(work)
    assert seen["traceparent"] == f"00-{TRACE}-{call['span']['id']}-01"
    assert seen["tracestate"] == "vendor=1"


def test_outside_of_any_request_a_call_is_in_the_trace_of_the_active_span(started, tracer, callee, clients):
    with tracer.start_as_current_span("work") as work:
        httpx.get(callee.url, trust_env=False)
    (call,) = started()["call"]
    (seen,) = callee.seen
    assert (call["trace"]["id"], parent_of(call)) == (trace_id(work), span_id(work))
    assert seen["traceparent"] == f"00-{trace_id(work)}-{call['span']['id']}-01"
    assert "x-request-id" not in seen


def test_a_clients_span_that_is_no_http_call_is_told_beside_the_call_it_is_in(
    started, tracer, callee, clients, entered
):
    class Caching(httpx.HTTPTransport):
        def handle_request(self, request):
            with tracer.start_as_current_span("GET key", kind=SpanKind.CLIENT, attributes={"db.system.name": "redis"}):
                return super().handle_request(request)

    with httpx.Client(transport=Caching()) as client:
        client.get(callee.url)
    events = started()
    (call,) = events["call"]
    assert events["span"].messages == ["GET key"]
    assert callee.seen[0]["traceparent"].split("-")[2] == call["span"]["id"]


def test_where_opentelemetry_writes_other_headers_the_callee_is_told_of_our_call(
    started, tracer, callee, clients, entered, monkeypatch
):
    class Other(TraceContextTextMapPropagator):
        fields = frozenset({"b3"})

        def inject(self, carrier, context=None, setter=None):
            carrier["b3"] = "1"

    monkeypatch.setattr("opentelemetry.propagate._HTTP_TEXT_FORMAT", Other())
    by_httpx(callee.url)
    events = started()
    (call,) = events["call"]
    assert events["span"].messages == ["GET"]
    assert callee.seen[0]["traceparent"] == f"00-{TRACE}-{call['span']['id']}-01"
    assert parent_of(events["span"][0]) == entered.span_id


def test_flags_follow_opentelemetrys_sampling(started, provider, callee, clients):
    provider.sampler = ALWAYS_OFF
    context.enter(Request("r1", "ab" * 16, "cd" * 8))
    with provider.get_tracer("unsampled").start_as_current_span("work") as work:
        httpx.get(callee.url, trust_env=False)
        assert clusterlog.inject()["traceparent"] == f"00-{trace_id(work)}-{span_id(work)}-00"
    (call,) = started()["call"]
    assert callee.seen[0]["traceparent"] == f"00-{trace_id(work)}-{call['span']['id']}-00"


# What is written by hand


def test_inject_writes_the_active_span_and_its_state_and_never_over_what_is_there(started, tracer, entered):
    state = extract({"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=1,b=2"})
    with tracer.start_as_current_span("work", context=state) as work:
        mine = f"00-{TRACE}-{span_id(work)}-01"
        assert clusterlog.inject() == {"X-Request-ID": "r1", "traceparent": mine, "tracestate": "a=1,b=2"}
        theirs = {}
        inject(theirs)
        assert theirs["traceparent"] == mine
        assert clusterlog.inject(dict(theirs)) == {**theirs, "X-Request-ID": "r1"}
    assert clusterlog.inject()["traceparent"] == f"00-{TRACE}-{entered.span_id}-01"


def test_outside_of_any_request_inject_writes_the_trace_of_the_active_span_alone(started, tracer):
    with tracer.start_as_current_span("work") as work:
        assert clusterlog.inject() == {"traceparent": f"00-{trace_id(work)}-{span_id(work)}-01"}
    assert clusterlog.inject() == {}


# Steps


def test_a_step_is_a_real_span_that_others_nest_in_and_one_event(started, exported, tracer, entered):
    with tracer.start_as_current_span("outer") as outer:
        with clusterlog.step("charge card", order=7, token="s3cr3t"):
            span = trace.get_current_span()
            span.set_attribute("attempt", 2)
            span.add_event("retry", {"after": "1 s"})
            log.info("inside")
            headers = clusterlog.inject()
            with tracer.start_as_current_span("inner"):
                pass
        assert trace.get_current_span() is outer
    step, inner = exported()["charge card"], exported()["inner"]
    assert step.parent.span_id == outer.get_span_context().span_id
    assert inner.parent.span_id == step.get_span_context().span_id
    assert dict(step.attributes) == {"order": 7, "token": "[redacted]", "attempt": 2}
    events = started()
    assert events["span"].messages == ["inner", "charge card", "outer"]
    told = events["span"][1]
    assert (told["span"]["id"], told["trace"]["id"]) == (span_id(step), TRACE)
    assert parent_of(told) == span_id(outer)
    assert told["labels"] == {"order": 7, "token": "[redacted]", "attempt": 2, "retry.after": "1 s"}
    assert events["app"][0]["span"]["id"] == span_id(step)
    assert headers["traceparent"] == f"00-{TRACE}-{span_id(step)}-01"


def test_a_step_that_fails_fails_its_span_with_the_exception(started, exported, tracer, entered):
    with pytest.raises(KeyError), clusterlog.step("charge card"):
        raise KeyError("card")
    span = exported()["charge card"]
    assert span.status.status_code.name == "ERROR"
    assert [event.name for event in span.events] == ["exception"]
    (event,) = started()["span"]
    assert event["error"]["type"] == "KeyError"
    assert event["event"]["outcome"] == "failure"


def test_a_step_is_a_root_span_whose_trace_a_request_of_ours_adopts(started, exported, tracer):
    context.enter(Request("r1", "ab" * 16, "cd" * 8))
    with clusterlog.step("charge card"):
        log.info("inside")
    log.info("after")
    step = exported()["charge card"]
    events = started()
    assert {event["trace"]["id"] for event in events if event["event"]["kind"] == "event"} == {trace_id(step)}
    assert parent_of(events["span"][0]) == events["app"][1]["span"]["id"] == "cd" * 8


def test_the_steps_of_generators_and_coroutines_are_current_only_while_they_run(started, exported, tracer, caplog):
    @clusterlog.step("rows")
    def rows():
        yield span_id(trace.get_current_span())
        yield span_id(trace.get_current_span())

    @clusterlog.step("stream")
    async def stream():
        for _ in range(2):
            await asyncio.sleep(0)
            yield span_id(trace.get_current_span())

    async def main():
        seen = []
        async for each in stream():
            assert trace.get_current_span() is INVALID_SPAN
            seen.append(each)
        abandoned = stream()
        await anext(abandoned)
        return seen, abandoned

    made = rows()
    first = next(made)
    assert trace.get_current_span() is INVALID_SPAN
    with tracer.start_as_current_span("consumer") as consumer:
        assert next(made) == first
        assert trace.get_current_span() is consumer
    assert list(made) == []
    seen, _ = asyncio.run(main())
    assert len(set(seen)) == 1
    assert "0" * 16 not in seen
    assert first == span_id(exported()["rows"])
    assert "detach" not in caplog.text


def test_a_step_in_an_unsampled_trace_is_told_with_the_ids_opentelemetry_gave_it(started, provider, entered):
    provider.sampler = ALWAYS_OFF
    with provider.get_tracer("x").start_as_current_span("unsampled"), clusterlog.step("charge card"):
        log.info("inside")
        active = trace.get_current_span()
    (event,) = started()["span"]
    assert event["span"]["id"] == span_id(active) == started()["app"][0]["span"]["id"]
    assert not active.is_recording()


def test_a_step_that_somebody_else_has_caused_names_its_cause(started, tracer):
    token = otel_context.attach(extract({"traceparent": THEIRS[1].decode()}))
    with clusterlog.step("consume"):
        pass
    otel_context.detach(token)
    (event,) = started()["span"]
    assert (event["trace"]["id"], parent_of(event)) == (TRACE, CALLER)


def test_without_a_provider_a_step_has_an_id_of_its_own(started, no_provider, entered):
    with clusterlog.step("charge card"):
        log.info("inside")
        assert trace.get_current_span() is INVALID_SPAN
    (event,) = started()["span"]
    assert event["trace"]["id"] == TRACE
    assert event["span"]["id"] == started()["app"][0]["span"]["id"] != entered.span_id


def test_within_the_span_of_a_provider_that_is_not_joined_a_step_is_the_innermost(started, no_provider, entered):
    around = TracerProvider().get_tracer("own").start_as_current_span("not joined")
    with around as outer, clusterlog.step("charge card"):
        log.info("inside")
    (event,), (line,) = started()["span"], started()["app"]
    assert line["span"]["id"] == event["span"]["id"]
    assert line["trace"]["id"] == event["trace"]["id"] == trace_id(outer) == TRACE


# From process to process


@pytest.fixture
def relayed(serve, servers, tmp_path):
    """Three services in a row, each followed as it is told; gives the events of one request through all of them."""

    def run(*by):
        home, following = tmp_path / "home", ""
        for number, how in reversed(list(enumerate(by))):
            environ = {"RELAY_BY": how, "RELAY_NEXT": following, "CLUSTERLOG_HOME": str(home)}
            names = {"CLUSTERLOG_SERVICE": f"service-{number}", "CLUSTERLOG_NODE": f"node-{number}"}
            served = serve(servers["uvicorn"]("asgi_relay:app"), **environ, **names)
            following = f"http://127.0.0.1:{served.port}/relay"
        answer = served.ask("/relay")
        assert answer.status == 200
        served.home = home
        return answer.id, served.events

    return run


def ends_a_visit(event):
    of_a_server = event.get("clusterlog", {}).get("span", {}).get("kind") == "server"
    return event["event"]["dataset"] == "clusterlog.access" or of_a_server


@pytest.mark.parametrize("middle", ["otel+us", "otel"])
def test_a_request_through_plain_services_and_one_that_opentelemetry_instruments_is_one_story(relayed, until, middle):
    request_id, events = relayed("us", middle, "us")
    until(lambda: sum(map(ends_a_visit, events())) == 3, "the last event of each")
    known = events().of(request_id)
    following = caused(known, events())
    told = journey([*known, *following])
    assert len(told.trace_ids) == 1
    assert [lane.node for lane in told.lanes] == ["node-0", "node-1", "node-2"]
    hops = sorted((hop.caller.node, hop.visit.events[0].node) for hop in told.hops)
    assert hops == [("node-0", "node-1"), ("node-1", "node-2")]
    assert len(told.visits) == 3
    assert all(visit.access is not None for visit in told.visits)
    assert told.root is not None
    assert told.root.node == "node-0"
    between = [entry.event.kind for entry in told.entries if entry.event.node == "node-1"]
    assert len([kind for kind in between if kind != "line"]) == 2, "one event for each work"
    assert bool(following) == (middle == "otel"), "OpenTelemetry alone hands on no request id"
