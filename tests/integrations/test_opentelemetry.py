"""OpenTelemetry joined: one event for each finished span, and its ids on every line, with the real SDK."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

import clusterlog
from clusterlog.context import request as context
from clusterlog.context import tracing
from clusterlog.context.request import Request
from clusterlog.integrations.opentelemetry import joining
from clusterlog.integrations.opentelemetry.processor import SpanProcessor

log = clusterlog.get_logger("shop")


def span_id(span):
    return f"{span.get_span_context().span_id:016x}"


def trace_id(span):
    return f"{span.get_span_context().trace_id:032x}"


def parent_of(event):
    return event["clusterlog"].get("parent", {}).get("span_id", "")


@pytest.fixture
def entered():
    """This test works for a request in a trace of our own making."""
    made = Request("r1", "ab" * 16, "cd" * 8)
    context.enter(made)
    return made


# One event for each finished span


def test_a_finished_span_is_one_event_with_all_it_knows(started, tracer, entered):
    with tracer.start_as_current_span("outer") as outer:
        span = tracer.start_span("count stock", kind=SpanKind.PRODUCER, attributes={"sku": "tent"}, start_time=10**18)
        span.set_attribute("left", 7)
        span.end(10**18 + 2_500)
    (event, _) = started()["span"]
    assert event["message"] == "count stock"
    assert event["log"] == {"level": "info", "logger": "clusterlog.span"}
    assert event["@timestamp"] == "2001-09-09T01:46:40.000002500Z"
    assert event["event"]["duration"] == 2_500
    assert (event["event"]["kind"], event["event"]["outcome"]) == ("event", "success")
    assert (event["trace"]["id"], event["span"]["id"]) == (trace_id(span), span_id(span))
    assert event["http"] == {"request": {"id": "r1"}}
    assert event["labels"] == {"sku": "tent", "left": 7}
    assert event["clusterlog"] == {
        "parent": {"span_id": span_id(outer)},
        "span": {"kind": "producer", "scope": "shop"},
    }


def test_the_request_is_the_one_a_span_began_in_wherever_it_ends(started, tracer, entered):
    clusterlog.bind(cart=3)
    span = tracer.start_span("long")
    context.enter(Request("another", "12" * 16, "34" * 8))
    thread = threading.Thread(target=span.end)
    thread.start()
    thread.join()
    (event,) = started()["span"]
    assert event["http"]["request"]["id"] == "r1"
    assert event["labels"] == {"cart": 3}
    assert parent_of(event) == entered.span_id
    assert (event["trace"]["id"], event["span"]["id"]) == (trace_id(span), span_id(span))


def test_a_span_that_belongs_to_no_request_ends_in_none(started, tracer, entered):
    context.leave()
    span = tracer.start_span("housekeeping")
    context.enter(entered)
    span.end()
    (event,) = started()["span"]
    assert "http" not in event
    assert "parent" not in event["clusterlog"]
    assert event["trace"]["id"] == trace_id(span)


def test_secrets_are_taken_out_of_names_attributes_and_exceptions_and_sizes_are_bounded(started, tracer):
    secret = f"s3{len('cr3t')}cr3t"  # not as a whole in the text of the program, which a stack trace shows
    with tracer.start_as_current_span(f"Bearer {secret}-abcdef01") as span:
        span.set_attributes({"db.password": secret, "note": "x" * 100_000, "http.request.header.authorization": "me"})
        span.add_event("retry", {"api_key": secret, "attempt": 1})
        span.record_exception(ValueError(f"password={secret}"))
    (event,) = started()["span"]
    assert secret not in str(event)
    assert event["labels"]["db.password"] == event["labels"]["retry.api_key"] == "[redacted]"
    assert event["labels"]["http.request.header.authorization"] == "[redacted]"
    assert event["labels"]["retry.attempt"] == 1
    assert len(event["labels"]["note"]) < 33_000


def test_values_of_every_kind_that_opentelemetry_takes_are_values_again(started, tracer):
    given = {"t": True, "i": 1 << 70, "f": float("nan"), "l": ["a", "b"], "b": b"raw", "m": {"deep": {"er": [1, 2]}}}
    with tracer.start_as_current_span("all") as span:
        span.set_attributes(given)
    (event,) = started()["span"]
    expected = {"t": True, "i": str(1 << 70), "f": "NaN", "l": ["a", "b"], "b": "raw", "m": {"deep": {"er": [1, 2]}}}
    assert {name: value for name, value in expected.items() if event["labels"].get(name) != value} == {}


def test_an_exception_fails_the_span_and_has_the_fingerprint_of_a_line_about_it(started, tracer):
    with pytest.raises(KeyError) as caught, tracer.start_as_current_span("look up"):
        raise KeyError("tent")
    log.error("not found", exc_info=caught.value)
    events = started()
    (event,), (line,) = events["span"], events["app"]
    assert (event["event"]["outcome"], event["log"]["level"]) == ("failure", "error")
    assert (event["error"]["type"], event["error"]["message"]) == ("KeyError", "'tent'")
    assert "raise KeyError" in event["error"]["stack_trace"]
    assert event["clusterlog"]["error"]["fingerprint"] == line["clusterlog"]["error"]["fingerprint"]
    assert "status" not in event["clusterlog"]["span"]


def test_an_exception_that_is_long_gone_is_told_from_what_was_recorded(started, tracer):
    with tracer.start_as_current_span("look up") as span:
        try:
            raise LookupError("first")
        except LookupError as error:
            span.record_exception(error)
        try:
            raise ConnectionError("the last one counts")
        except ConnectionError as error:
            span.record_exception(error, {"attempt": 2})
        span.set_status(StatusCode.ERROR, "gave up")
    (event,) = started()["span"]
    assert event["error"]["type"] == "ConnectionError"
    assert event["error"]["message"] == "the last one counts"
    assert "in test_an_exception_that_is_long_gone" in event["error"]["stack_trace"]
    assert len(event["clusterlog"]["error"]["fingerprint"]) == 16
    assert event["clusterlog"]["span"]["status"] == "gave up"
    assert event["labels"] == {"exception.attempt": 2}


def test_an_exception_that_was_handled_is_told_and_the_span_has_not_failed(started, tracer):
    with tracer.start_as_current_span("look up") as span:
        span.record_exception(LookupError("in the cache"))
    (event,) = started()["span"]
    assert (event["event"]["outcome"], event["log"]["level"]) == ("success", "info")
    assert event["error"]["type"] == "LookupError"


def test_a_failure_without_an_exception_is_told_by_its_status(started, tracer):
    with tracer.start_as_current_span("pay") as span:
        span.set_attribute("error.type", "504")
        span.set_status(StatusCode.ERROR, "the bank did not answer")
    (event,) = started()["span"]
    assert event["event"]["outcome"] == "failure"
    assert event["error"] == {"type": "504", "message": "the bank did not answer"}


def test_links_events_and_what_the_sdk_has_dropped_are_told(started, provider):
    provider._span_limits = SpanLimits(max_span_attributes=2)
    other = SpanContext(0xABC, 0xDEF, is_remote=True)
    with provider.get_tracer("shop").start_as_current_span("batch", links=[Link(other, {"why": "retry"})]) as span:
        span.add_event("cache miss", {"key": "a"})
        span.add_event("cache miss", {"key": "b"})
        span.set_attributes({"one": 1, "two": 2, "three": 3})
    (event,) = started()["span"]
    told = event["clusterlog"]["span"]
    assert told["links"] == [{"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}]
    assert [each["name"] for each in told["events"]] == ["cache miss", "cache miss"]
    assert all(0 <= each["offset_ns"] < 10**10 for each in told["events"])
    assert told["dropped"] == {"attributes": 1}
    assert event["labels"] == {"cache miss.key": ["a", "b"], "link.why": "retry", "two": 2, "three": 3}


def test_nothing_raises_into_the_application_and_what_is_lost_is_counted(started, tracer, monkeypatch):
    monkeypatch.setattr("clusterlog.integrations.opentelemetry.facts.known", lambda *_: 1 / 0)
    with tracer.start_as_current_span("one"):
        pass
    monkeypatch.setattr("clusterlog.integrations.opentelemetry.adoption.started", lambda *_: 1 / 0)
    with tracer.start_as_current_span("two"):
        pass
    assert started()["span"] == []
    assert clusterlog.dropped()["internal_error"] == 2


def test_a_span_that_is_thrown_away_without_an_end_is_counted(started, tracer):
    tracer.start_span("forgotten")
    gc.collect()
    assert clusterlog.dropped()["span_never_ended"] == 1
    kept = tracer.start_span("kept")
    kept.end()
    del kept
    gc.collect()
    assert clusterlog.dropped()["span_never_ended"] == 1


# Where the processor goes


def messages(started):
    return Counter(started()["span"].messages)


def test_a_provider_that_was_there_before_and_one_that_is_set_later_are_joined(tmp_path, started, no_provider):
    clusterlog.stop()
    trace.set_tracer_provider(TracerProvider())
    clusterlog.start("tested", home=started.home)
    with trace.get_tracer("shop").start_as_current_span("there before"):
        pass
    clusterlog.stop()
    no_provider()
    clusterlog.start("tested", home=started.home)
    early = trace.get_tracer("shop")
    trace.set_tracer_provider(TracerProvider())
    with early.start_as_current_span("set later"):
        pass
    assert messages(started) == {"there before": 1, "set later": 1}


def test_joining_again_tells_nothing_twice(started, tracer):
    clusterlog.instrument("opentelemetry")
    clusterlog.instrument("opentelemetry")
    trace.get_tracer_provider().add_span_processor(SpanProcessor())
    clusterlog.start("again")
    with tracer.start_as_current_span("once"):
        pass
    assert messages(started) == {"once": 1}
    clusterlog.instrument("opentelemetry").remove()


def test_instrument_joins_where_nobody_has_started_and_remove_leaves_nothing_behind(started, tracer):
    clusterlog.stop()
    assert tracing.joined is None
    handle = clusterlog.instrument("opentelemetry")
    assert tracing.joined is not None
    with tracer.start_as_current_span("no road"):
        pass
    started.again()
    with tracer.start_as_current_span("told"):
        pass
    handle.remove()
    with tracer.start_as_current_span("still told, for start has joined as well"):
        pass
    clusterlog.stop()
    assert tracing.joined is None
    assert "start_span" in repr(trace.get_tracer_provider().get_tracer("shop").start_span)
    assert trace.get_tracer_provider().get_tracer("shop").start_span.__func__.__module__ == "opentelemetry.sdk.trace"
    with tracer.start_as_current_span("not told"):
        pass
    assert messages(started) == {"told": 1, "still told, for start has joined as well": 1}


def test_a_provider_of_ones_own_is_joined_by_hand(started):
    own = TracerProvider()
    with own.get_tracer("shop").start_as_current_span("before"):
        pass
    own.add_span_processor(SpanProcessor())
    with own.get_tracer("shop").start_as_current_span("told"):
        pass
    assert messages(started) == {"told": 1}


def test_a_span_that_was_under_way_when_we_came_is_told_without_a_request(started, entered):
    own = TracerProvider()
    span = own.get_tracer("shop").start_span("early")
    own.add_span_processor(SpanProcessor())
    span.end()
    (event,) = started()["span"]
    assert event["message"] == "early"
    assert "http" not in event


def test_a_program_that_never_loads_the_sdk_never_gets_it_and_one_that_does_is_joined(tmp_path, run_program):
    code = """
import sys, clusterlog
clusterlog.start("shop", home=sys.argv[1])
with clusterlog.step("plain"):
    pass
assert not [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
assert "clusterlog.integrations.opentelemetry.joining" not in sys.modules
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
with trace.get_tracer("shop").start_as_current_span("spanned"):
    clusterlog.get_logger("shop").info("inside")
"""
    events = run_program(code)
    assert events["span"].messages == ["plain", "spanned"]
    (line,) = events["app"]
    assert line["span"]["id"] == events["span"][1]["span"]["id"]


def test_what_is_not_installed_cannot_be_joined(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, joining.SDK)
    with pytest.raises(clusterlog.errors.SettingError, match="is not installed here"):
        clusterlog.instrument("opentelemetry")


# The ids of lines


def test_a_line_carries_the_ids_of_the_active_span_and_of_nothing_when_there_is_none(started, tracer):
    log.info("before")
    with tracer.start_as_current_span("outer") as outer:
        log.info("outer")
        with tracer.start_as_current_span("inner") as inner:
            log.info("inner")
            logging.getLogger("shop").warning("by the standard library")
            log.bind(order=7).info("bound")
        log.info("outer again")
    log.info("after")
    lines = {event["message"]: event for event in started()["app"]}
    assert "trace" not in lines["before"] and "span" not in lines["before"]
    assert "trace" not in lines["after"] and "span" not in lines["after"]
    for message in ("outer", "outer again"):
        assert (lines[message]["trace"]["id"], lines[message]["span"]["id"]) == (trace_id(outer), span_id(outer))
        assert parent_of(lines[message]) == ""
    for message in ("inner", "by the standard library", "bound"):
        assert (lines[message]["trace"]["id"], lines[message]["span"]["id"]) == (trace_id(inner), span_id(inner))
        assert parent_of(lines[message]) == span_id(outer)
    assert lines["bound"]["labels"] == {"order": 7}


def test_within_a_request_a_line_has_its_id_and_the_spans_and_what_is_bound_inside_stays_bound(
    started, tracer, entered
):
    with tracer.start_as_current_span("work") as span:
        clusterlog.bind(cart=3, user="alice")
        log.info("inside")
    log.info("after")
    inside, after = started()["app"]
    assert inside["http"]["request"]["id"] == after["http"]["request"]["id"] == "r1"
    assert (inside["span"]["id"], after["span"]["id"]) == (span_id(span), entered.span_id)
    assert parent_of(inside) == entered.span_id
    assert inside["labels"] == after["labels"] == {"cart": 3}
    assert inside["user"] == after["user"]


def test_what_the_request_learns_inside_a_span_is_on_the_lines_after_it(started, tracer, entered):
    with tracer.start_as_current_span("work"):
        log.info("before")
        clusterlog.annotate(order=7)
        log.info("after")
    assert [event.get("labels") for event in started()["app"]] == [None, {"order": 7}]


def test_a_line_of_a_request_that_is_over_still_has_its_spans_ids(started, tracer, entered, monkeypatch):
    monkeypatch.setattr(context, "linger", 0.0)
    with tracer.start_as_current_span("long") as span:
        entered.end()
        log.info("late")
    (line,) = started()["app"]
    assert "http" not in line
    assert (line["trace"]["id"], line["span"]["id"]) == (trace_id(span), span_id(span))


def test_a_span_that_records_nothing_gives_its_ids_all_the_same(started, provider, entered):
    provider.sampler = ALWAYS_OFF
    with provider.get_tracer("unsampled").start_as_current_span("work") as span:
        log.info("inside")
    (line,) = started()["app"]
    assert (line["trace"]["id"], line["span"]["id"]) == (trace_id(span), span_id(span))
    assert parent_of(line) == entered.span_id, "no event will tell of this span"
    assert started()["span"] == []
    assert (entered.trace_id, entered.sampled) == (trace_id(span), False)


def test_callers_that_are_only_named_in_the_headers_are_a_cause_and_not_the_span_of_a_line(started, tracer):
    carrier = {"traceparent": f"00-{'12' * 16}-{'34' * 8}-01"}
    token = otel_context.attach(extracted(carrier))
    log.info("caused by somebody else")
    otel_context.detach(token)
    (line,) = started()["app"]
    assert line["trace"]["id"] == "12" * 16
    assert "span" not in line
    assert parent_of(line) == "34" * 8


def extracted(carrier):
    from opentelemetry.propagate import extract

    return extract(carrier)


# Other threads and processes


def test_work_in_a_pool_belongs_to_the_span_it_was_submitted_in_and_so_do_its_spans(started, tracer, entered):
    def work():
        log.info("in the pool")
        with tracer.start_as_current_span("in the pool"):
            log.info("in its span")

    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("submitting") as outer:
        pool.submit(work).result()
    events = started()
    line, inner = events["app"]
    span = events["span"][0]
    assert (line["trace"]["id"], line["span"]["id"]) == (trace_id(outer), span_id(outer))
    assert parent_of(line) == entered.span_id
    assert span["trace"]["id"] == trace_id(outer)
    assert parent_of(span) == parent_of(inner) == span_id(outer)
    assert inner["span"]["id"] == span["span"]["id"]
    assert span["http"]["request"]["id"] == "r1"


def test_outside_of_any_request_only_what_is_handed_over_belongs_to_the_span(started, tracer):
    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("submitting") as outer:
        pool.submit(log.info, "handed over").result()
        thread = threading.Thread(target=log.info, args=("merely started",))
        thread.start()
        thread.join()
    handed, started_line = started()["app"]
    assert handed["span"]["id"] == span_id(outer)
    assert "span" not in started_line


def test_a_process_of_its_own_carries_the_span_it_was_started_in(run_program):
    code = """
import multiprocessing, sys
import clusterlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
clusterlog.start("shop", home=sys.argv[1])
trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("shop")

def work():
    clusterlog.get_logger("shop").info("in the child")
    with tracer.start_as_current_span("in the child"):
        pass

if __name__ == "__main__":
    clusterlog.start("shop", home=sys.argv[1])
    for method in ("fork", "spawn"):
        with clusterlog.extract(None), tracer.start_as_current_span("in the parent"):
            process = multiprocessing.get_context(method).Process(target=work)
            process.start()
            process.join()
    assert not clusterlog.dropped()
"""
    events = run_program(code)
    requests = {event["http"]["request"]["id"] for event in events}
    assert len(requests) == 2
    for request in requests:
        mine = events.of(request)
        outer = next(event for event in mine["span"] if event["message"] == "in the parent")
        inner = next(event for event in mine["span"] if event["message"] == "in the child")
        assert mine["app"][0]["span"]["id"] == parent_of(inner) == outer["span"]["id"]
        assert {event["trace"]["id"] for event in mine} == {outer["trace"]["id"]}
        assert len(mine["span"]) == 2


def test_a_process_that_is_forked_or_started_inside_of_a_span_tells_nothing_of_it_and_is_told_of_it(run_program):
    code = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
import clusterlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
clusterlog.start("shop", home=sys.argv[1])

def work():
    clusterlog.get_logger("shop").info("without a tracer of its own")

if __name__ == "__main__":
    trace.set_tracer_provider(TracerProvider())
    tracer = trace.get_tracer("shop")
    with clusterlog.extract(None), tracer.start_as_current_span("in the parent"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(work).result()
    with tracer.start_as_current_span("outside of requests"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(work).result()
    span = tracer.start_span("forked")
    child = os.fork()
    span.end()
    if child:
        os.waitpid(child, 0)
    assert not clusterlog.dropped()
"""
    events = run_program(code)
    assert Counter(events["span"].messages) == {"in the parent": 1, "outside of requests": 1, "forked": 1}
    for line, name in zip(events["app"], ("in the parent", "outside of requests"), strict=True):
        outer = next(event for event in events["span"] if event["message"] == name)
        assert (line["trace"]["id"], line["span"]["id"]) == (outer["trace"]["id"], outer["span"]["id"])
        assert parent_of(line) == parent_of(outer)


def test_an_untouched_program_under_run_has_its_spans_on_the_road(run_program):
    code = """
import logging
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
with trace.get_tracer("untouched").start_as_current_span("work"):
    logging.getLogger("untouched").warning("inside")
"""
    events = run_program(code, "-m", "clusterlog", "run", "--home", "{home}", "--", sys.executable)
    (line,), (span,) = events["app"], events["span"]
    assert (line["trace"]["id"], line["span"]["id"]) == (span["trace"]["id"], span["span"]["id"])
