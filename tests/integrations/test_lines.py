"""The lines of servers: where they go, that they have the id, and that they are there once, whoever configures what."""

from __future__ import annotations

import io
import logging
import logging.config
import sys

import pytest
from uvicorn.config import LOGGING_CONFIG

import clusterlog
from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.integrations import lines
from clusterlog.record.stdlib import RecordHandler

NAMES = ("uvicorn", "uvicorn.access", "uvicorn.error", "gunicorn.access", "gunicorn.error")
ACCESS = ('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/a", "1.1", 200)


@pytest.fixture(autouse=True)
def _as_before():
    """The loggers of the servers are left as they were."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each.handlers[:], each.propagate, each.level, each.disabled) for each in loggers]
    yield
    lines.leave()
    for each, (each.handlers, each.propagate, level, each.disabled) in zip(loggers, before, strict=True):
        each.setLevel(level)


class Console:
    """Configures uvicorn's logging as uvicorn does, onto streams that can be read."""

    def __init__(self):
        self.configure()

    def configure(self):
        logging.config.dictConfig(LOGGING_CONFIG)
        self.out, self.err = io.StringIO(), io.StringIO()
        logging.getLogger("uvicorn.access").handlers[0].setStream(self.out)
        logging.getLogger("uvicorn").handlers[0].setStream(self.err)


@pytest.fixture
def console():
    return Console()


@pytest.fixture
def working():
    context.enter(Request("working", "ab" * 16, "cd" * 8))


def say():
    logging.getLogger("uvicorn.access").info(*ACCESS)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=LookupError("nobody"))


def test_the_access_line_has_the_id_and_stays_off_the_road_the_others_have_it_and_are_on_it(started, console, working):
    lines.settle()
    say()
    assert console.out.getvalue() == 'INFO:     127.0.0.1:5 - "GET /a HTTP/1.1" 200 OK [working]\n'
    first, *rest = console.err.getvalue().splitlines()
    assert first == "ERROR:    Exception in ASGI application [working]"
    assert rest[-1] == "LookupError: nobody"
    (event,) = started()["app"]
    assert event["log"]["logger"] == "uvicorn.error"
    assert event["http"]["request"]["id"] == "working"
    assert event["error"]["message"] == "nobody"


def test_outside_of_a_request_a_line_is_as_ever(started, console):
    lines.settle()
    say()
    assert console.out.getvalue() == 'INFO:     127.0.0.1:5 - "GET /a HTTP/1.1" 200 OK\n'


def test_settling_again_changes_nothing(started, console, working):
    for _ in range(3):
        lines.settle()
    say()
    assert console.out.getvalue().count("[working]") == 1
    assert len(started()["app"]) == 1


def test_a_configuration_that_comes_later_is_settled_again(started, console, working):
    lines.settle()
    console.configure()
    lines.settle()
    say()
    assert console.out.getvalue().count("[working]") == 1
    assert len(started()["app"]) == 1


def test_a_configuration_without_handlers_of_its_own_reaches_the_road_by_the_root_once(started, working):
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    for name in NAMES:
        logging.getLogger(name).propagate = True
    lines.settle()
    say()
    assert started()["app"].messages == ["Exception in ASGI application\n"]
    assert not logging.getLogger("uvicorn").handlers


def test_a_handler_of_clusterlog_that_the_user_has_put_there_is_the_only_one(started, console, working):
    lines.settle()
    logging.getLogger("uvicorn").addHandler(RecordHandler())
    lines.settle()
    say()
    assert len(started()["app"]) == 1


def test_start_after_the_servers_lines_were_settled_makes_no_second_event(console, working, tmp_path):
    logging.getLogger("uvicorn").propagate = True
    lines.settle()
    clusterlog.start("tested", home=tmp_path / "home")
    try:
        lines.settle()
        handlers = [*logging.getLogger("uvicorn").handlers, *logging.root.handlers]
        assert len([each for each in handlers if isinstance(each, RecordHandler)]) == 1
    finally:
        clusterlog.stop()


def test_a_line_of_json_stays_json(started, console, working):
    logging.getLogger("uvicorn.access").handlers[0].setFormatter(logging.Formatter('{"level": "%(levelname)s"}'))
    lines.settle()
    say()
    assert console.out.getvalue() == '{"level": "INFO"}\n'


def test_a_format_that_has_the_id_already_has_it_once(started, console, working):
    logging.getLogger("uvicorn.access").handlers[0].setFormatter(logging.Formatter("working: %(levelname)s"))
    lines.settle()
    say()
    assert console.out.getvalue() == "working: INFO\n"


def test_a_handler_that_others_use_as_well_leaves_their_lines_alone(started, console, working):
    lines.settle()
    shared = logging.getLogger("uvicorn").handlers[0]
    other = logging.getLogger("shop.shared")
    other.addHandler(shared)
    other.warning("a line of somebody else")
    other.removeHandler(shared)
    assert console.err.getvalue() == "WARNING:  a line of somebody else\n"


def test_what_is_meant_for_a_coloured_console_is_no_field_and_stays_for_it(started, console):
    lines.settle()
    later = logging.getLogger("uvicorn").handlers[0]
    later.formatter.use_colors = later.formatter.inner.use_colors = True
    logging.getLogger("uvicorn").handlers.reverse()
    logging.getLogger("uvicorn.error").info("Started %d", 7, extra={"color_message": "Started \x1b[1m%d", "own": 1})
    assert started()["app"][0]["labels"] == {"own": 1}
    assert "Started \x1b[1m7" in console.err.getvalue()


def test_a_formatter_that_was_wrapped_can_be_asked_as_before(started, console):
    inner = logging.getLogger("uvicorn").handlers[0].formatter
    lines.settle()
    assert logging.getLogger("uvicorn").handlers[0].formatter.use_colors is inner.use_colors


def test_leaving_puts_everything_back(started, console, working):
    formatters = [logging.getLogger(name).handlers[0].formatter for name in ("uvicorn", "uvicorn.access")]
    lines.settle()
    lines.leave()
    assert formatters == [logging.getLogger(name).handlers[0].formatter for name in ("uvicorn", "uvicorn.access")]
    say()
    assert "working" not in console.out.getvalue()
    assert not started()["app"]


def test_a_server_that_is_not_there_is_not_looked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "uvicorn")
    monkeypatch.delitem(sys.modules, "gunicorn", raising=False)
    before = list(logging.root.manager.loggerDict)
    lines.leave()
    lines.settle()
    assert list(logging.root.manager.loggerDict) == before
