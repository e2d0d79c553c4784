"""CP-20, the flight recorder: what a request would say below its level is there if it fails or is slow, else not."""

import logging
import os
import threading
import time

import pytest

from clusterlog.context import request as context
from clusterlog.context.carrier import extract
from clusterlog.context.request import Request
from clusterlog.integrations.access import Access
from clusterlog.integrations.clients.call import Cap
from clusterlog.record.gate import armed
from clusterlog.record.gate.recorder import OVERHEAD, Recorder
from clusterlog.record.logger import get_logger
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import Logger, RecordHandler

LOW, INFO = logging.DEBUG, logging.INFO


class KeepingRoad:
    """Remembers what is said and what is written late, in the order of writing."""

    def __init__(self):
        self.said = []
        self.times = []

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0, bound=None):
        self.said.append(event % args if args else event)
        self.times.append(wall_ns)

    def document(self, dataset, level, logger, message, body, **options):
        self.said.append(dataset)
        self.times.append(0)

    def bound(self, fields):
        return dict(fields)

    def recorded(self, level, logger, event, args, fields, failure, stack, bound):
        return (event % args if args else event).encode()

    def late(self, ns, line):
        self.said.append(f"late {line.decode()}")
        self.times.append(ns)


@pytest.fixture
def road():
    return KeepingRoad()


@pytest.fixture
def recorder(road):
    """A recorder that is on, over loggers at INFO, and a console that would show DEBUG."""
    made = Recorder(road, road, RecordHandler().emit, LOW, 10**9)
    root, level, handlers = logging.root, logging.root.level, list(logging.root.handlers)
    root.setLevel(INFO)
    root.addHandler(RecordHandler())
    slot.road = made
    made.start()
    yield made
    made.stop()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=["native", "standard", "ours"])
def log(request, recorder):
    """A logger of each kind."""
    if request.param == "ours":
        logging.setLoggerClass(Logger)
    try:
        logger = logging.getLogger(f"recorded.{request.param}")
    finally:
        logging.setLoggerClass(logging.Logger)
    return get_logger(logger.name) if request.param == "native" else logger


def enter(id="one", **options):
    new = Request(id, "ab" * 16, "cd" * 8, **options)
    context.enter(new)
    return new


def test_what_led_to_an_error_is_written_before_it_with_its_own_times_cp_20(log, road):
    enter()
    before = time.time_ns()
    log.debug("first")
    log.info("what it says anyway")
    log.debug("second")
    after = time.time_ns()
    assert road.said == ["what it says anyway"]
    log.error("boom")
    assert road.said == ["what it says anyway", "late first", "late second", "boom"]
    first, second = road.times[1:3]
    assert before <= first <= second <= after


def test_after_it_failed_a_request_says_all_at_once_and_others_do_not_cp_20(log, road):
    enter()
    log.error("boom")
    log.debug("afterwards")
    enter("another")
    log.debug("of another request")
    context.leave()
    log.debug("of none")
    assert road.said == ["boom", "afterwards"]


def test_a_request_that_goes_well_leaves_nothing(log, road, recorder):
    access = Access(Request("one", "ab" * 16, "cd" * 8), "GET", "/")
    log.debug("kept")
    access.status = 200
    access.tell()
    assert road.said == ["clusterlog.access"]
    assert (recorder._size, recorder._tapes) == (0, {})


@pytest.mark.parametrize("how", ["status", "exception", "slow"])
def test_a_status_of_500_an_exception_and_a_slow_answer_bring_it_out_cp_20(log, road, how):
    access = Access(Request("one", "ab" * 16, "cd" * 8), "GET", "/")
    log.debug("kept")
    access.status = 503 if how == "status" else 200
    if how == "exception":
        access.failure = ValueError("refused")
    if how == "slow":
        access.ended_ns = access.began_ns + 10**9
    access.tell()
    assert road.said == ["late kept", "clusterlog.access"]


def test_a_message_whose_handling_raises_brings_it_out_and_one_that_works_does_not(log, road, recorder):
    with extract({}):
        log.debug("well")

    def badly():
        with extract({}):
            log.debug("badly")
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        badly()
    assert road.said == ["late badly"]
    assert recorder._tapes == {}


def test_handlers_of_the_application_see_nothing_of_it(recorder, road):
    seen = []
    console = logging.Handler()
    console.emit = lambda record: seen.append(record.getMessage())
    logging.root.addHandler(console)
    enter()
    logger = logging.getLogger("recorded.console")
    logger.debug("only kept")
    logger.error("boom")
    logger.debug("after it failed")
    assert seen == ["boom"]
    assert road.said == ["late only kept", "boom", "after it failed"]


def test_filters_of_a_logger_still_decide_and_still_add(recorder, road):
    enter()
    logger = logging.getLogger("recorded.filtered")
    logger.addFilter(lambda record: "secret" not in record.getMessage())
    logger.debug("a secret")
    logger.debug("no more than %d", 1)
    logger.error("boom")
    assert road.said == ["late no more than 1", "boom"]


def test_what_a_rule_lets_a_request_say_is_said_and_not_kept(log, road):
    wanted = lambda scope, level, logger: True  # noqa: E731
    armed.ask(wanted)
    try:
        enter()
        log.debug("escalated")
        assert road.said == ["escalated"]
    finally:
        armed.ask_no_more(wanted)


def test_the_oldest_go_first_and_are_counted_cp_20(road, recorder):
    recorder._request_bytes = 3 * (OVERHEAD + 10)
    enter()
    log = get_logger("recorded.full")
    for n in range(10):
        log.debug(f"line {n:05}")
    log.error("boom")
    told = "7 older lines were dropped: the recorder keeps 0 KiB of a request"
    assert road.said == [told, "late line 00007", "late line 00008", "late line 00009", "boom"]
    assert recorder.dropped == 7


def test_all_requests_together_take_no_more_than_allowed_and_the_oldest_pays(road, recorder):
    recorder._process_bytes = 5 * (OVERHEAD + 4)
    log = get_logger("recorded.many")
    scopes = []
    for n in range(4):
        enter(f"request-{n}")
        scopes.append(context.current.get())
        log.debug(f"{n} a.")
        log.debug(f"{n} b.")
    assert recorder._size <= recorder._process_bytes
    for scope in scopes:
        context.current.set(scope)
        log.error("boom")
    assert [word for word in road.said if word.startswith("late")] == [
        f"late {w}." for w in ("1 b", "2 a", "2 b", "3 a", "3 b")
    ]
    assert recorder._size == 0


def test_ten_thousand_requests_that_never_end_cost_constant_memory(road, recorder):
    recorder._process_bytes = 100_000
    log = get_logger("recorded.endless")
    for n in range(10_000):
        enter(f"request-{n}")
        log.debug("a line that nobody will ever want")
    assert recorder._size <= 100_000
    assert len(recorder._tapes) < 1000


def test_less_than_its_level_and_more_than_a_floor_allows_is_not_kept(road):
    recorder = Recorder(road, road, RecordHandler().emit, INFO, 10**9, lambda logger: 30 if logger == "wire" else 0)
    slot.road = recorder
    loggers = [logging.getLogger(name) for name in ("kept", "wire")]
    for each in loggers:
        each.setLevel(logging.ERROR)
    recorder.start()
    try:
        enter()
        for each in loggers:
            native = get_logger(each.name)
            native.debug(f"{each.name} debug")
            native.info(f"{each.name} info")
            native.warning(f"{each.name} warning")
        get_logger("kept").error("boom")
    finally:
        recorder.stop()
        for each in loggers:
            each.setLevel(logging.NOTSET)
    assert road.said == ["late kept info", "late kept warning", "late wire warning", "boom"]


def test_what_an_instrumented_clients_own_loggers_say_is_not_kept_for_its_call_event_says_more(recorder, road):
    cap = Cap("client")
    try:
        enter()
        logging.getLogger("client.pool").debug("a connection")
        logging.getLogger("clients").debug("of somebody else")
        logging.getLogger("clients").error("boom")
    finally:
        cap.remove()
    assert road.said == ["late of somebody else", "boom"]
    assert armed.capped.isdisjoint({"client"})


def test_what_the_application_has_disabled_is_not_kept(log, road):
    enter()
    logging.disable(INFO)
    try:
        log.debug("disabled for all")
    finally:
        logging.disable(logging.NOTSET)
    logging.getLogger(log.name).disabled = True
    try:
        log.debug("disabled")
    finally:
        logging.getLogger(log.name).disabled = False
    log.error("boom")
    assert road.said == ["boom"]


def test_stopped_it_leaves_the_loggers_as_they_were(road):
    def library():
        return logging.Logger.handle, logging.Logger.isEnabledFor, Logger.debug.__code__

    before = library()
    recorder = Recorder(road, road, RecordHandler().emit, LOW, 10**9)
    recorder.start()
    assert all(one is not other for one, other in zip(library(), before, strict=True))
    recorder.stop()
    assert library() == before


def test_threads_of_one_request_lose_nothing(recorder, road):
    enter()
    scope = context.current.get()
    log = get_logger("recorded.threads")
    gate = threading.Barrier(4)

    def work(number):
        context.current.set(scope)
        gate.wait()
        for n in range(50):
            log.debug(f"{number} {n}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.error("boom")
    assert sorted(road.said[:-1]) == sorted(f"late {number} {n}" for number in range(4) for n in range(50))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_with_nothing_kept(recorder, road):
    enter()
    get_logger("recorded.fork").debug("of the parent")
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            get_logger("recorded.fork").debug("of the child")
            os.write(theirs, b"%d" % len(recorder._tapes))
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    assert os.read(ours, 9) == b"1"
    os.close(ours)


def test_on_the_road_what_is_written_late_keeps_its_time_and_its_place_and_the_fields_it_had(program):
    done = program("""
import clusterlog, logging
clusterlog.start("shop", recorder="DEBUG/60s")
native, standard = clusterlog.get_logger("shop.db"), logging.getLogger("shop.api")
for request in ("well", "badly"):
    with clusterlog.extract({"X-Request-ID": request}):
        clusterlog.bind(cart=7)
        basket = ["tea"]
        native.debug("one", basket=basket)
        basket.append("milk")
        standard.info("two")
        standard.debug("three %s", "times")
        if request == "badly":
            native.error("boom")
        native.debug("four")
clusterlog.stop()
""")
    assert done.err == ""
    from clusterlog.search.story.journey import journey

    lines = [line for line in done.lines if line["http"]["request"]["id"] == "badly"]
    assert [entry.event.document["message"] for entry in journey(lines).entries] == [
        *("one", "two", "three times", "boom", "four")
    ]
    assert [line["message"] for line in done.lines if line["http"]["request"]["id"] == "well"] == ["two"]
    one = next(line for line in lines if line["message"] == "one")
    assert one["labels"] == {"cart": 7, "basket": ["tea"]}, "as it was when it was said"
    assert one["@timestamp"] == min(line["@timestamp"] for line in lines)
    assert one["event"]["sequence"] > next(line for line in lines if line["message"] == "two")["event"]["sequence"]
    assert "recorded" in one["clusterlog"]
    assert one["clusterlog"]["template"] == "one"
