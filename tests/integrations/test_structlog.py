"""structlog as applications set it up: every event on the road once, and out of its own door as before."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.processors import (
    CallsiteParameter,
    CallsiteParameterAdder,
    EventRenamer,
    JSONRenderer,
    StackInfoRenderer,
    TimeStamper,
    add_log_level,
    format_exc_info,
)
from structlog.stdlib import ProcessorFormatter, add_logger_name, filter_by_level

import clusterlog
from clusterlog.integrations.loggers import structlog as ours
from clusterlog.record.logger import get_logger
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler


class Road:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: Any,
        fields: Any,
        failure: Any = None,
        stack: Any = None,
        *more: Any,
        **others: Any,
    ) -> None:
        self.said.append(
            {
                "level": level,
                "logger": logger,
                "event": event,
                "args": args,
                "fields": fields,
                "failure": failure,
                "stack": stack,
            }
        )

    @property
    def events(self) -> list[Any]:
        return [each["event"] for each in self.said]


@pytest.fixture
def road() -> Iterator[Road]:
    """The road, and structlog instrumented on the way to it; both are gone afterwards."""
    made = Road()
    slot.road = made  # type: ignore[assignment]
    instrumented = clusterlog.instrument("structlog")
    yield made
    instrumented.remove()
    slot.road = None
    structlog.reset_defaults()


@pytest.fixture
def console() -> Iterator[io.StringIO]:
    """The root logger as ``start`` leaves it, and the application's own console beside our handler."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers = [RecordHandler(), logging.StreamHandler(stream)]
    level = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    yield stream
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(level)


def printing(*processors: Any, **options: Any) -> io.StringIO:
    """A set-up that prints by itself; gives what it prints on."""
    stream = io.StringIO()
    structlog.configure(processors=list(processors), logger_factory=structlog.PrintLoggerFactory(stream), **options)
    return stream


def standard(*processors: Any, **options: Any) -> None:
    """A set-up that ends in the standard library."""
    structlog.configure(
        processors=list(processors),
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        **options,
    )


def mask(logger: Any, name: str, event: Any) -> Any:
    """A processor of an application's own."""
    return {**event, "card": "masked"} if "card" in event else event


def test_an_event_that_is_printed_is_taken_as_its_renderer_gets_it(road: Road) -> None:
    stream = printing(add_log_level, TimeStamper(fmt="iso"), mask, JSONRenderer())
    structlog.get_logger().bind(shop=3).warning("paid", card=4711)
    (said,) = road.said
    assert (said["event"], said["level"], said["logger"]) == ("paid", logging.WARNING, "structlog")
    assert said["fields"] == {"shop": 3, "card": "masked"}
    (printed,) = stream.getvalue().splitlines()
    assert json.loads(printed) == {
        "event": "paid",
        "shop": 3,
        "card": "masked",
        "level": "warning",
        "timestamp": json.loads(printed)["timestamp"],
    }


def test_a_field_of_the_callers_own_stays_though_a_processor_uses_its_name(road: Road) -> None:
    printing(TimeStamper(), JSONRenderer())
    structlog.get_logger(timestamp=1).info("paid", level="gold", logger="mine")
    assert road.said[0]["fields"]["level"] == "gold"
    assert road.said[0]["fields"]["logger"] == "mine"
    assert "timestamp" in road.said[0]["fields"]
    assert road.said[0]["logger"] == "structlog"


RENDERERS: dict[str, list[Any]] = {
    "text": [JSONRenderer()],
    "keywords": [structlog.stdlib.render_to_log_kwargs],
    "arguments": [structlog.stdlib.render_to_log_args_and_kwargs],
    "formatter": [ProcessorFormatter.wrap_for_formatter],
}


@pytest.mark.parametrize("renderer", RENDERERS.values(), ids=RENDERERS)
def test_a_chain_that_ends_in_the_standard_library_is_on_the_road_once_and_on_the_console_too(
    road: Road, console: io.StringIO, renderer: list[Any]
) -> None:
    standard(filter_by_level, add_logger_name, add_log_level, mask, *renderer)
    structlog.get_logger("shop.api").info("paid", card=4711)
    structlog.get_logger("shop.api").debug("not asked for")
    (said,) = road.said
    assert (said["event"], said["logger"], said["level"]) == ("paid", "shop.api", logging.INFO)
    assert said["fields"] == {"card": "masked"}
    assert console.getvalue().count("paid") == 1


def test_a_processor_formatter_of_theirs_still_gets_its_event(road: Road, console: io.StringIO) -> None:
    (handler,) = [each for each in logging.getLogger().handlers if getattr(each, "stream", None) is console]
    handler.setFormatter(ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()]))
    standard(add_log_level, ProcessorFormatter.wrap_for_formatter)
    structlog.get_logger("shop").info("paid", order=7)
    logging.getLogger("shop").info("by the library")
    assert [json.loads(line)["event"] for line in console.getvalue().splitlines()] == ["paid", "by the library"]
    assert road.events == ["paid", "by the library"]


def test_a_standard_logger_that_is_not_heard_by_us_is_taken_all_the_same(road: Road, console: io.StringIO) -> None:
    standard(JSONRenderer())
    logger = logging.getLogger("shop.alone")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    structlog.get_logger("shop.alone").info("paid")
    logger.propagate = True
    assert road.events == ["paid"]


def test_the_standard_loggers_level_decides_where_the_chain_ends_in_one(road: Road, console: io.StringIO) -> None:
    standard(JSONRenderer())
    structlog.get_logger("shop").debug("quiet")
    assert (road.events, console.getvalue()) == ([], "")


def test_a_message_that_cannot_be_marked_is_left_to_our_handler(road: Road, console: io.StringIO) -> None:
    standard(structlog.stdlib.render_to_log_kwargs)
    structlog.get_logger("shop").info(7, order=7)
    (said,) = road.said
    assert (said["event"], said["fields"]) == (7, {"order": 7})


@pytest.mark.parametrize("formatted", [[], [format_exc_info]], ids=["as it is", "as text"])
def test_an_exception_is_one_whether_a_processor_has_made_text_of_it_or_not(road: Road, formatted: list[Any]) -> None:
    stream = printing(*formatted, JSONRenderer(default=str))
    error = KeyError("cart")
    log = structlog.get_logger()
    try:
        raise error
    except KeyError:
        log.exception("failed")
    log.error("failed", exc_info=error)
    assert [each["failure"] for each in road.said] == [error, error]
    assert [each["fields"] for each in road.said] == [{}, {}]
    assert [each["level"] for each in road.said] == [logging.ERROR, logging.ERROR]
    assert stream.getvalue().count("failed") == 2


def test_a_stack_and_positional_arguments_arrive_where_the_road_has_them(road: Road, console: io.StringIO) -> None:
    standard(StackInfoRenderer(), structlog.stdlib.render_to_log_args_and_kwargs)
    structlog.get_logger("shop").info("paid %d", 7, stack_info=True)
    (said,) = road.said
    assert (said["event"], said["args"], said["fields"]) == ("paid %d", (7,), {})
    assert "test_structlog.py" in said["stack"]
    assert "paid 7" in console.getvalue()


@pytest.mark.parametrize("to", ["msg", "message", "body"])
def test_an_event_that_a_processor_has_renamed_is_the_message_still(road: Road, to: str) -> None:
    printing(EventRenamer(to), JSONRenderer())
    structlog.get_logger().info("paid", order=7)
    (said,) = road.said
    assert (said["event"], said["fields"]) == ("paid", {"order": 7})


def test_loggers_that_were_cached_or_wrapped_or_configured_before_and_after_are_all_taken(road: Road) -> None:
    stream = printing(JSONRenderer(), cache_logger_on_first_use=True)
    cached = structlog.get_logger()
    cached.info("first")
    wrapped = structlog.wrap_logger(structlog.PrintLogger(stream), processors=[JSONRenderer()])
    wrapped.info("wrapped")
    printing(JSONRenderer())
    cached.info("cached")
    structlog.get_logger().info("again")
    assert road.events == ["first", "wrapped", "cached", "again"]


def test_what_a_processor_drops_is_dropped_and_what_cannot_be_rendered_is_not_lost(road: Road) -> None:
    def drop(logger: Any, name: str, event: Any) -> Any:
        raise structlog.DropEvent

    stream = printing(mask, drop)
    structlog.get_logger().info("dropped")
    printing(JSONRenderer())
    with pytest.raises(TypeError):
        structlog.get_logger().info("unrenderable", a={object: 1})
    assert road.events == ["unrenderable"]
    assert stream.getvalue() == ""


def test_captured_logs_of_a_test_stay_in_the_test(road: Road) -> None:
    printing(JSONRenderer())
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().info("paid")
    assert [each["event"] for each in captured] == ["paid"]
    assert road.said == []


def test_the_place_of_a_call_is_still_the_callers(road: Road) -> None:
    """Processors look for the first frame that is not structlog's, and must not find ours."""
    stream = printing(
        CallsiteParameterAdder({CallsiteParameter.FUNC_NAME, CallsiteParameter.MODULE}),
        StackInfoRenderer(),
        JSONRenderer(),
    )
    structlog.get_logger().info("paid", stack_info=True)
    printed = json.loads(stream.getvalue())
    assert printed["func_name"] == "test_the_place_of_a_call_is_still_the_callers"
    assert "loggers/structlog.py" not in printed["stack"]


def test_asynchronous_methods_are_taken_as_the_others(road: Road) -> None:
    printing(JSONRenderer())
    asyncio.run(structlog.get_logger().ainfo("paid"))
    assert road.events == ["paid"]


def test_other_kinds_of_context_are_understood(road: Road) -> None:
    from collections import OrderedDict

    printing(structlog.processors.KeyValueRenderer(), context_class=OrderedDict)
    structlog.get_logger().bind(shop=3).info("paid")
    assert road.said[0]["fields"] == {"shop": 3}


def test_our_own_native_logger_is_not_taken_twice(road: Road) -> None:
    get_logger("shop").warning("paid")
    assert road.events == ["paid"]
    standard(JSONRenderer())
    structlog.configure(wrapper_class=type(get_logger("shop")))
    structlog.get_logger("shop").warning("by a chain")
    assert len(road.events) == 2


def test_a_road_that_fails_costs_the_application_nothing(road: Road, console: io.StringIO) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no road")

    road.line = broken  # type: ignore[method-assign]
    stream = printing(JSONRenderer())
    structlog.get_logger().info("paid")
    assert "paid" in stream.getvalue()


def test_without_a_road_nothing_changes(road: Road) -> None:
    slot.road = None
    stream = printing(JSONRenderer())
    structlog.get_logger().info("paid")
    assert json.loads(stream.getvalue()) == {"event": "paid"}


def test_it_goes_as_it_came() -> None:
    before = structlog.BoundLoggerBase._process_event
    ours.install()
    ours.install()
    assert structlog.BoundLoggerBase._process_event is not before
    ours.remove()
    ours.remove()
    assert structlog.BoundLoggerBase._process_event is before


def test_removed_below_somebody_elses_it_takes_nothing_more(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    replacement = structlog.BoundLoggerBase._process_event
    monkeypatch.setattr(structlog.BoundLoggerBase, "_process_event", lambda *args: replacement(*args))  # noqa: PLW0108
    ours.remove()
    stream = printing(JSONRenderer())
    structlog.get_logger().info("paid")
    assert (road.events, "paid" in stream.getvalue()) == ([], True)
    monkeypatch.undo()
    ours.remove()


def test_instrumenting_it_by_name_is_idempotent_and_says_what_it_is(road: Road) -> None:
    assert clusterlog.instrument("structlog") is clusterlog.instrument("structlog")
    assert repr(clusterlog.instrument("structlog")) == "<clusterlog is in structlog>"
