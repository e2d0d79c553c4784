"""Lines of JSON with the road's own fields, for whoever wants them on a stream."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pythonjsonlogger.core import BaseJsonFormatter

import clusterlog
from clusterlog.context.request import Request, annotate, bind, enter, leave
from clusterlog.encode.formatter import JsonFormatter
from clusterlog.errors import SettingError
from clusterlog.record.slot import slot

Say = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    """Each test begins and ends outside of any request and without a road."""
    leave()
    yield
    leave()
    clusterlog.stop()


@pytest.fixture
def formatter(tmp_path: Path) -> JsonFormatter:
    return JsonFormatter(service="shop", node="shop-1", home=tmp_path)


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger that nothing else hears."""
    made = logging.getLogger("shop.api")
    made.propagate = False
    made.setLevel(logging.DEBUG)
    yield made
    made.handlers.clear()
    made.propagate = True
    made.setLevel(logging.NOTSET)


@pytest.fixture
def said(log: logging.Logger, formatter: JsonFormatter) -> Callable[[], list[Any]]:
    """What the logger has said on its stream, read back."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def record(event: Any = "ready", args: Any = (), **attributes: Any) -> logging.LogRecord:
    made = logging.LogRecord("shop.api", logging.INFO, __file__, 1, event, args, None)
    vars(made).update(attributes)
    return made


def test_a_line_has_the_fields_of_ecs_and_no_number(log: logging.Logger, said: Callable[[], list[Any]]) -> None:
    enter(Request("r1", "ab" * 16, "cd" * 8))
    bind(user="alice")
    annotate(tenant=3)
    log.info("order %d accepted", 7, extra={"amount": 12.5})
    (line,) = said()
    assert (line["message"], line["clusterlog"]["template"]) == ("order 7 accepted", "order %d accepted")
    assert line["log"] == {"level": "info", "logger": "shop.api"}
    assert line["service"] == {"name": "shop", "node": {"name": "shop-1"}, "environment": "development"}
    assert (line["http"]["request"]["id"], line["trace"]["id"], line["span"]["id"]) == ("r1", "ab" * 16, "cd" * 8)
    assert line["labels"] == {"amount": 12.5, "tenant": 3}
    assert len(line["user"]["hash"]) == 64
    assert line["event"] == {"kind": "event", "dataset": "clusterlog.app"}
    assert set(line["process"]) == {"pid"}


def test_a_line_says_what_the_road_says_of_the_same_record(
    log: logging.Logger, said: Callable[[], list[Any]], tmp_path: Path
) -> None:
    """Word for word but for its number; with ``start`` its settings are those of the line, too."""
    clusterlog.start("orders", home=tmp_path)
    log.addHandler(clusterlog.Handler())
    enter(Request("r1", "ab" * 16, "cd" * 8))
    try:
        raise KeyError("cart")
    except KeyError:
        log.exception("failed: %s", "x", extra={"password": "hunter2", "deep": {"a": [1, object]}}, stack_info=True)
    clusterlog.stop()
    (line,) = said()
    from clusterlog.spool import reader

    (instance,) = reader.instances(tmp_path / "spool")
    documents = [json.loads(each.payload) for _, each in reader.records(tmp_path / "spool", instance)]
    (document,) = [each for each in documents if each["event"]["kind"] == "event"]
    for name in ("id", "sequence"):
        del document["event"][name]
    del document["process"]["entity_id"]
    assert line == document
    assert line["service"]["name"] == "orders"
    assert line["labels"]["password"] == "[redacted]"
    assert line["error"]["type"] == "KeyError"


def test_the_time_is_the_records_with_nine_digits(formatter: JsonFormatter) -> None:
    line = json.loads(formatter.format(record(created=1_763_731_878.5)))
    assert line["@timestamp"] == "2025-11-21T13:31:18.500000000Z"


@pytest.mark.parametrize("created", [math.nan, math.inf, "yesterday", None, 1e300])
def test_a_time_that_is_none_is_now(formatter: JsonFormatter, created: Any) -> None:
    line = json.loads(formatter.format(record(created=created)))
    assert line["@timestamp"].startswith("20")
    assert line["message"] == "ready"


def test_arguments_that_do_not_fit_and_objects_that_fail_are_no_obstacle(formatter: JsonFormatter) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

        __str__ = __repr__

    for made in (
        record("%d of %d", ("one",)),
        record(Hostile()),
        record("ready", broken=Hostile(), bad=math.nan, lone="\ud800", line="a\nb\x00"),
        record({"a": Hostile()}),
        record({"event": "from structlog", "order": 7}),
        record("ready", exc_info=True),
    ):
        text = formatter.format(made)
        assert "\n" not in text
        json.loads(text, parse_constant=pytest.fail)
    assert json.loads(formatter.format(record({"event": "from structlog", "order": 7})))["labels"] == {"order": 7}


def test_where_logging_was_told_to_collect_no_process_ids_the_line_has_its_own(formatter: JsonFormatter) -> None:
    assert json.loads(formatter.format(record(process=None)))["process"] == {"pid": os.getpid()}


def test_what_python_json_logger_offers_for_members_of_the_document_is_there(tmp_path: Path) -> None:
    formatter = JsonFormatter(
        home=tmp_path,
        prefix="@cee:",
        static_fields={"zone": "eu"},
        rename_fields={"@timestamp": "time"},
        defaults={"message": "nothing", "tier": "web"},
    )
    assert isinstance(formatter, BaseJsonFormatter)
    text = formatter.format(record())
    line = json.loads(text.removeprefix("@cee:"))
    assert text.startswith("@cee:{")
    assert (line["zone"], line["tier"], line["message"]) == ("eu", "web", "ready")
    assert "time" in line
    assert "@timestamp" not in line


def test_a_derived_class_can_change_the_document(tmp_path: Path) -> None:
    class Short(JsonFormatter):
        def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
            return {"message": log_data["message"]}

    assert Short(home=tmp_path).format(record()) == '{"message":"ready"}'


def test_a_derived_class_or_a_static_field_that_fails_costs_only_what_it_adds(tmp_path: Path) -> None:
    class Failing(JsonFormatter):
        def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
            raise RuntimeError("theirs")

    assert json.loads(Failing(home=tmp_path).format(record()))["message"] == "ready"
    unserialisable = JsonFormatter(home=tmp_path, static_fields={"lock": object()})
    assert json.loads(unserialisable.format(record()))["message"] == "ready"


def test_a_setting_that_does_not_exist_is_told_when_the_formatter_is_made() -> None:
    with pytest.raises(SettingError, match="did you mean service"):
        JsonFormatter(servcie="shop")


@pytest.mark.parametrize(
    "how",
    [
        {"()": "clusterlog.JsonFormatter", "service": "shop", "redact": ["iban"]},
        {"class": "clusterlog.JsonFormatter", "format": "%(message)s", "datefmt": "%H", "style": "%"},
        {"class": "clusterlog.JsonFormatter", "validate": True},
    ],
)
def test_a_configuration_can_name_it_without_start(how: dict[str, Any], capsys: Any) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": how},
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": sys.stdout, "formatter": "json"}},
            "loggers": {"shop.configured": {"handlers": ["out"], "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("shop.configured")
    logger.info("ready", extra={"iban": "DE00", "token": "secret"})
    logger.handlers.clear()
    line = json.loads(capsys.readouterr().out)
    assert slot.road is None
    assert line["message"] == "ready"
    assert line["labels"]["token"] == "[redacted]"
    assert (line["labels"]["iban"] == "[redacted]") is ("redact" in how)
