"""Standard logging's records enter the road as they were meant: template, arguments, fields, exception, time."""

import logging
import logging.handlers
import queue
import time

import pytest

from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler


class Road:
    def __init__(self):
        self.lines = []

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0):
        self.lines.append((level, logger, event, args, dict(fields), failure, stack, wall_ns))


@pytest.fixture
def road(monkeypatch):
    made = Road()
    monkeypatch.setattr(slot, "road", made)
    return made


@pytest.fixture
def log(request):
    logger = logging.getLogger(f"test.{request.node.name}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = RecordHandler()
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    logger.propagate = True


def only(road):
    (line,) = road.lines
    return line


def test_template_and_arguments_stay_apart(road, log):
    log.warning("%s of %d", "one", 2)
    assert only(road)[:5] == (logging.WARNING, log.name, "%s of %d", ("one", 2), {})


def test_a_mapping_as_the_only_argument_is_handed_over_whole(road, log):
    log.info("%(a)s", {"a": 1})
    assert only(road)[3] == ({"a": 1},)


def test_extra_fields_are_the_callers_and_nothing_else_is(road, log):
    log.info("x", extra={"order": 1, "event": "y", "level": 5})
    assert only(road)[4] == {"order": 1, "event": "y", "level": 5}


def test_attributes_that_filters_and_factories_add_are_fields(road, log):
    class Enrich(logging.Filter):
        def filter(self, record):
            record.tenant = "acme"
            return True

    log.addFilter(Enrich())
    factory = logging.getLogRecordFactory()

    def made(*args, **kwargs):
        record = factory(*args, **kwargs)
        record.build = 7
        return record

    logging.setLogRecordFactory(made)
    try:
        log.info("x", extra={"order": 1})
    finally:
        logging.setLogRecordFactory(factory)
    assert only(road)[4] == {"build": 7, "order": 1, "tenant": "acme"}


def test_what_formatters_leave_on_a_record_is_no_field(road, log):
    first = logging.StreamHandler(open("/dev/null", "w"))  # noqa: SIM115 - closed below
    first.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.handlers.insert(0, first)
    try:
        log.info("x", extra={"order": 1})
    finally:
        log.removeHandler(first)
        first.stream.close()
    assert only(road)[4] == {"order": 1}


def test_a_record_that_lost_an_attribute_of_its_own_keeps_the_others_out_of_the_fields(road, log):
    class Forget(logging.Filter):
        def filter(self, record):
            del record.processName
            record.added = 1
            return True

    log.addFilter(Forget())
    log.info("x")
    assert only(road)[4] == {"added": 1}


def test_the_exception_is_handed_over_itself(road, log):
    error = ValueError("x")
    try:
        raise error
    except ValueError:
        log.exception("failed")
    log.error("failed", exc_info=error)
    log.error("failed", exc_info=(None, None, None))
    assert [line[5] for line in road.lines] == [error, error, None]


def test_stack_info_is_handed_over(road, log):
    log.info("x", stack_info=True)
    assert "test_stack_info_is_handed_over" in only(road)[6]


def test_the_time_is_the_records_and_a_time_nobody_can_mean_is_not_believed(road, log):
    before = time.time_ns()
    log.info("now")
    record = log.makeRecord(log.name, logging.INFO, "", 0, "then", (), None)
    for created in (1_700_000_000.5, -1.0, 1e300, float("nan"), float("inf"), "yesterday", None):
        record.created = created
        log.handle(record)
    assert abs(road.lines[0][7] - before) < 60_000_000_000
    assert [line[7] for line in road.lines[1:]] == [1_700_000_000_500_000_000, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("msg", [ValueError("x"), {"a": 1}, ["a"], None, 5, b"bytes"])
def test_a_message_that_is_no_text_is_handed_over_as_it_is(road, log, msg):
    log.info(msg)
    assert only(road)[2] is msg


def test_structlogs_event_dict_comes_apart_into_event_and_fields(road, log):
    error = ValueError("x")
    record = log.makeRecord(log.name, logging.INFO, "", 0, {"event": "said", "order": 1, "exc_info": error}, (), None)
    record._logger, record._name = log, "info"
    log.handle(record)
    line = only(road)
    assert (line[2], line[4], line[5]) == ("said", {"order": 1}, error)


def test_a_record_that_came_through_a_queue_is_the_same(road, log):
    waiting = queue.SimpleQueue()
    sender = logging.getLogger("test.queue")
    sender.propagate, sender.handlers = False, [logging.handlers.QueueHandler(waiting)]
    sender.error("%s failed", "it", extra={"order": 1})
    log.handle(waiting.get())
    assert only(road)[:3] == (logging.ERROR, "test.queue", "it failed")
    assert only(road)[4] == {"order": 1}


def test_the_handlers_own_level_and_filters_hold(road, log):
    handler = next(each for each in log.handlers if isinstance(each, RecordHandler))
    handler.setLevel(logging.ERROR)
    handler.addFilter(lambda record: record.msg != "no")
    for level, event in ((logging.WARNING, "low"), (logging.ERROR, "no"), (logging.ERROR, "yes")):
        log.log(level, event)
    assert [line[2] for line in road.lines] == ["yes"]


def test_while_there_is_no_road_records_pass_by(log, monkeypatch):
    monkeypatch.setattr(slot, "road", None)
    log.error("x", extra={"order": 1})


def test_two_threads_do_not_wait_for_each_other_in_the_handler(log):
    assert next(each for each in log.handlers if isinstance(each, RecordHandler)).lock is None
