"""The native logger: one level with standard logging, any keyword a field, structlog's interface, nothing raised."""

import asyncio
import copy
import logging
import logging.config
import pickle
import threading

import pytest
import structlog

from clusterlog.record.logger import BoundLogger, get_logger
from clusterlog.record.slot import slot


class Line:
    def __init__(self, level, logger, event, args, fields, failure, stack):
        self.level, self.logger, self.event, self.args = level, logger, event, args
        self.fields, self.failure, self.stack = fields, failure, stack


class Road:
    def __init__(self):
        self.lines = []

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0, bound=None):
        self.lines.append(Line(level, logger, event, args, {**(bound or {}), **fields}, failure, stack))

    def bound(self, fields):
        return dict(fields)

    @property
    def only(self):
        (line,) = self.lines
        return line


@pytest.fixture
def road(monkeypatch):
    made = Road()
    monkeypatch.setattr(slot, "road", made)
    return made


@pytest.fixture
def log(request):
    standard = logging.getLogger(f"test.{request.node.name}")
    standard.setLevel(logging.INFO)
    yield get_logger(standard.name)
    standard.setLevel(logging.NOTSET)
    standard.disabled = False


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", 10), ("info", 20), ("warning", 30), ("warn", 30), ("error", 40), ("critical", 50), ("fatal", 50)],
)
def test_each_method_says_its_level_under_the_name_of_the_logger(road, log, method, level):
    logging.getLogger(log.name).setLevel(1)
    getattr(log, method)("order placed", order=42)
    line = road.only
    assert (line.level, line.logger, line.event, line.fields) == (level, log.name, "order placed", {"order": 42})


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "critical"])
def test_the_level_is_that_of_the_standard_logger_and_changes_with_it(road, log, method):
    number = getattr(logging, method.upper())
    standard = logging.getLogger(log.name)
    for level, said in ((number + 1, 0), (number, 1), (number + 1, 1), (number, 2)):
        standard.setLevel(level)
        getattr(log, method)("x")
        getattr(log, method)("x") if said == 0 else None
        assert len(road.lines) == said


def test_a_level_set_on_a_parent_or_by_disable_counts_too(road):
    log = get_logger("test.parent.child")
    try:
        logging.getLogger("test.parent").setLevel(logging.ERROR)
        log.warning("no")
        logging.getLogger("test.parent").setLevel(logging.DEBUG)
        log.debug("yes")
        logging.disable(logging.WARNING)
        log.warning("no")
        logging.disable(logging.NOTSET)
        log.warning("yes")
    finally:
        logging.disable(logging.NOTSET)
        logging.getLogger("test.parent").setLevel(logging.NOTSET)
    assert [line.event for line in road.lines] == ["yes", "yes"]


def test_a_logger_disabled_by_a_configuration_is_silent_until_it_is_enabled(road, log):
    log.info("one")
    logging.getLogger(log.name).disabled = True
    log.info("two")
    logging.getLogger(log.name).disabled = False
    log.info("three")
    assert [line.event for line in road.lines] == ["one", "three"]


@pytest.mark.parametrize(
    "name", ["event", "self", "level", "msg", "args", "name", "message", "extra", "logger", "fields"]
)
def test_any_keyword_is_a_field(road, log, name):
    log.info("said", **{name: 1})
    log.log(logging.INFO, "said", **{name: 1})
    assert [line.fields for line in road.lines] == [{name: 1}, {name: 1}]


def test_arguments_are_handed_over_unformatted(road, log):
    log.info("%s of %d", "one", 2)
    assert (road.only.event, road.only.args) == ("%s of %d", ("one", 2))


def test_an_exception_is_found_in_every_form_it_is_given(road, log):
    error = ValueError("x")
    log.error("given", exc_info=error)
    log.error("tuple", exc_info=(ValueError, error, None))
    log.error("none", exc_info=None)
    log.error("false", exc_info=False)
    try:
        raise error
    except ValueError:
        log.error("true", exc_info=True)
        log.exception("method")
    assert [line.failure for line in road.lines] == [error, error, None, None, error, error]
    assert all("exc_info" not in line.fields for line in road.lines)
    assert road.lines[-1].level == logging.ERROR


def test_stack_info_is_the_callers_stack(road, log):
    log.info("x", stack_info=True)
    log.info("x", stack_info=False)
    assert "test_stack_info_is_the_callers_stack" in road.lines[0].stack
    assert "clusterlog/record/logger.py" not in road.lines[0].stack
    assert road.lines[1].stack is None


def test_bound_fields_are_said_on_every_line_and_a_call_has_the_last_word(road, log):
    bound = log.bind(order=1, user_name="a").bind(order=2)
    bound.info("x")
    bound.info("x", order=3)
    bound.unbind("order").info("x")
    bound.try_unbind("order", "nothing").info("x")
    bound.new(other=5).info("x")
    log.info("x")
    assert [line.fields for line in road.lines] == [
        {"order": 2, "user_name": "a"},
        {"order": 3, "user_name": "a"},
        {"user_name": "a"},
        {"user_name": "a"},
        {"other": 5},
        {},
    ]


class Serialising(Road):
    """Makes a copy of what is bound, and counts how often."""

    def __init__(self, able=True):
        super().__init__()
        self.able, self.made = able, []

    def bound(self, fields):
        self.made.append(copy.deepcopy(fields))
        return self.made[-1] if self.able else None


def test_what_is_bound_is_serialised_when_it_is_bound_and_once_for_each_road(log, monkeypatch):
    roads = [Serialising(), Serialising()]
    items = [1]
    monkeypatch.setattr(slot, "road", roads[0])
    bound = log.bind(items=items)
    assert roads[0].made == [{"items": [1]}]
    items.append(2)
    bound.info("x")
    bound.error("x", exc_info=ValueError())
    monkeypatch.setattr(slot, "road", roads[1])
    bound.info("x")
    bound.info("x", order=1)
    assert [line.fields for line in roads[0].lines] == [{"items": [1]}] * 2
    assert [line.fields for line in roads[1].lines] == [{"items": [1, 2]}, {"items": [1, 2], "order": 1}]
    assert [len(road.made) for road in roads] == [1, 1]


def test_a_road_that_cannot_serialise_yet_gets_what_is_bound_with_each_line(log, monkeypatch):
    road = Serialising(able=False)
    monkeypatch.setattr(slot, "road", road)
    log.bind(order=1).info("x", city="Espoo")
    assert road.only.fields == {"order": 1, "city": "Espoo"}


def test_an_exception_may_be_bound(road, log):
    error = ValueError("x")
    log.bind(exc_info=error, order=1).info("x")
    assert (road.only.failure, road.only.fields) == (error, {"order": 1})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda log: pickle.loads(pickle.dumps(log))])
def test_a_logger_can_be_copied_and_pickled_whatever_stands_behind_it(log, monkeypatch, copied):
    road = Serialising()
    road.lock = threading.Lock()
    monkeypatch.setattr(slot, "road", road)
    twin = copied(log.bind(order=1))
    twin.info("x")
    assert (twin.name, road.only.fields) == (log.name, {"order": 1})


def test_unbinding_what_is_not_bound_is_a_key_error(log):
    with pytest.raises(KeyError):
        log.unbind("nothing")


def test_it_is_a_structlog_bound_logger_with_the_standard_librarys_questions(log):
    assert isinstance(log, structlog.BoundLoggerBase)
    assert log.isEnabledFor(logging.INFO)
    assert not log.isEnabledFor(logging.DEBUG)
    assert log.getEffectiveLevel() == log.get_effective_level() == logging.INFO
    assert log.is_enabled_for(logging.INFO)
    assert log.getChild("child") is logging.getLogger(log.name + ".child")
    log.setLevel(logging.ERROR)
    assert not log.isEnabledFor(logging.INFO)
    assert not hasattr(log, "_nothing") and not hasattr(log, "nothing")
    assert not hasattr(BoundLogger.__new__(BoundLogger), "handlers")


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "critical", "msg", "warn", "fatal"])
def test_code_that_awaits_its_lines_gets_the_same(road, log, method):
    log.setLevel(logging.DEBUG)
    getattr(log, method)("order %d", 7, city="Espoo")
    asyncio.run(getattr(log, f"a{method}")("order %d", 7, city="Espoo"))
    assert vars(road.lines[0]) == vars(road.lines[1])


def test_an_awaited_exception_is_the_one_being_handled(road, log):
    async def work():
        try:
            raise ValueError("x")
        except ValueError:
            await log.aexception("failed")
            await log.alog(logging.INFO, "x", exc_info=True)

    asyncio.run(work())
    assert [type(line.failure) for line in road.lines] == [ValueError, ValueError]


def test_without_a_name_the_logger_is_called_like_the_module():
    assert get_logger().name == __name__


@pytest.mark.parametrize("name", ["clusterlogger", "clusterlog_shop.api", "structlogs", "shop.clusterlog.api"])
def test_a_module_called_nearly_like_us_is_somebody_elses(name):
    scope = {"__name__": name, "get_logger": get_logger}
    exec("log = get_logger()", scope)
    assert scope["log"].name == name


@pytest.fixture
def chain():
    made = []

    def configured(*processors):
        made.extend(processors)
        return BoundLogger(logging.getLogger("test.chain"), processors, {"bound": 1})

    logging.getLogger("test.chain").setLevel(logging.INFO)
    return configured


def test_the_applications_own_processors_see_and_change_the_event(road, chain):
    def rename(logger, method, event):
        event["seen"] = method
        event["event"] = event["event"].upper()
        return event

    chain(rename).info("said", order=1)
    assert (road.only.event, road.only.fields) == ("SAID", {"bound": 1, "order": 1, "seen": "info"})


def test_what_a_processor_drops_is_not_said(road, chain):
    def drop(logger, method, event):
        raise structlog.DropEvent

    chain(drop).info("said")
    assert road.lines == []


def test_a_processor_that_fails_costs_its_work_and_not_the_event(road, chain):
    def fail(logger, method, event):
        raise RuntimeError("broken")

    chain(fail).info("said", order=1)
    assert road.only.event == "said"
    assert road.only.fields == {"bound": 1, "order": 1, "clusterlog_processor_failed": "RuntimeError"}


@pytest.mark.parametrize(
    "renderer",
    [
        structlog.processors.JSONRenderer(),
        structlog.dev.ConsoleRenderer(),
        structlog.stdlib.render_to_log_kwargs,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
)
def test_a_renderer_at_the_end_of_the_chain_renders_for_others_and_the_fields_stay_fields(road, chain, renderer):
    chain(structlog.processors.add_log_level, renderer).info("said", order=1)
    line = road.only
    assert line.event == "said"
    assert {name: line.fields[name] for name in ("bound", "order")} == {"bound": 1, "order": 1}


def test_before_start_a_call_goes_to_standard_logging_under_the_same_name(caplog, log, monkeypatch):
    monkeypatch.setattr(slot, "road", None)
    error = ValueError("x")
    with caplog.at_level(logging.INFO):
        log.bind(bound=1).info("said %s", "so", order=42, exc_info=error)
        log.debug("not said")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (log.name, logging.INFO, "said so")
    assert (record.order, record.bound, record.exc_info[1]) == (42, 1, error)
    assert record.funcName == "test_before_start_a_call_goes_to_standard_logging_under_the_same_name"
    assert record.pathname == __file__


def test_before_start_fields_called_like_a_records_own_attributes_harm_nobody(caplog, log, monkeypatch):
    monkeypatch.setattr(slot, "road", None)
    with caplog.at_level(logging.INFO):
        log.info("said", message="x", name="y", args=5, levelno="z")
    (record,) = caplog.records
    assert (record.name, record.getMessage(), record.levelno) == (log.name, "said", logging.INFO)
