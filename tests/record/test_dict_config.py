"""Our handler in a logging configuration: alone, in the application's own, and once on the road."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from clusterlog import dict_config
from clusterlog.errors import SettingError
from clusterlog.start import Handler

CONSOLE = {"class": "logging.StreamHandler"}


@pytest.fixture
def theirs() -> dict[str, Any]:
    """A configuration as applications have them."""
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(message)s"}},
        "handlers": {"console": {**CONSOLE, "formatter": "plain"}},
        "loggers": {
            "shop": {"level": "DEBUG"},
            "jobs": {"handlers": ["console"], "propagate": False},
            "uvicorn.access": {"handlers": ["console"], "propagate": False},
        },
        "root": {"level": "WARNING", "handlers": ["console"]},
    }


def test_alone_it_is_one_handler_on_the_root_logger_at_the_settings_level() -> None:
    assert dict_config("shop", node="shop-1", level="debug") == {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"clusterlog": {"class": "clusterlog.Handler", "service": "shop", "node": "shop-1"}},
        "loggers": {},
        "root": {"level": "DEBUG", "handlers": ["clusterlog"]},
    }


def test_settings_from_outside_decide_the_level_and_what_is_debugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERLOG_LEVEL", "error")
    monkeypatch.setenv("CLUSTERLOG_DEBUG", "shop.db")
    config = dict_config()
    assert config["root"]["level"] == "ERROR"
    assert config["loggers"] == {"shop.db": {"level": "DEBUG"}}


def test_the_applications_own_configuration_gets_our_handler_and_is_not_changed(theirs: dict[str, Any]) -> None:
    before = copy.deepcopy(theirs)
    merged = dict_config("shop", merge=theirs)
    assert theirs == before
    assert merged["root"] == {"level": "WARNING", "handlers": ["console", "clusterlog"]}
    assert merged["handlers"]["console"] == before["handlers"]["console"]
    assert merged["formatters"] == before["formatters"]
    assert merged["disable_existing_loggers"] is False
    merged["loggers"]["shop"]["level"] = "ERROR"
    assert theirs == before


def test_a_logger_that_keeps_its_records_to_itself_gets_the_handler_but_no_servers_access_logger(
    theirs: dict[str, Any],
) -> None:
    merged = dict_config(merge=theirs)["loggers"]
    assert merged["jobs"]["handlers"] == ["console", "clusterlog"]
    assert merged["uvicorn.access"]["handlers"] == ["console"]
    assert "handlers" not in merged["shop"]


def test_their_root_level_stays_unless_another_one_is_asked_for(theirs: dict[str, Any]) -> None:
    assert dict_config(merge=theirs, level="INFO")["root"]["level"] == "INFO"
    del theirs["root"]["level"]
    assert dict_config(merge=theirs)["root"]["level"] == "INFO"
    theirs["disable_existing_loggers"] = True
    assert dict_config(merge=theirs)["disable_existing_loggers"] is True


def test_a_root_logger_among_the_others_is_the_root_logger(theirs: dict[str, Any]) -> None:
    """A second entry ``root`` would take the handlers away that were configured under the empty name."""
    theirs["loggers"][""] = {**theirs.pop("root"), "propagate": False}
    merged = dict_config(merge=theirs)
    assert merged["loggers"][""]["handlers"] == ["console", "clusterlog"]
    assert merged["loggers"][""]["level"] == "WARNING"
    assert "root" not in merged


@pytest.mark.parametrize("kind", [{"class": "clusterlog.Handler"}, {"()": "clusterlog.start.Handler"}, {"()": Handler}])
def test_a_configuration_that_has_our_handler_gets_no_second_one(theirs: dict[str, Any], kind: dict[str, Any]) -> None:
    theirs["handlers"]["road"] = kind
    theirs["root"]["handlers"] = ["road", "console"]
    merged = dict_config(merge=theirs)
    assert merged["root"]["handlers"] == ["console", "road"]
    assert list(merged["handlers"]) == ["console", "road"]


def test_a_handler_of_theirs_that_has_our_name_stays_theirs(theirs: dict[str, Any]) -> None:
    theirs["handlers"]["clusterlog"] = CONSOLE
    merged = dict_config(merge=theirs)
    assert merged["handlers"]["clusterlog"] == CONSOLE
    assert merged["handlers"]["clusterlog_"]["class"] == "clusterlog.Handler"
    assert merged["root"]["handlers"] == ["console", "clusterlog_"]


def test_an_incremental_configuration_is_left_alone() -> None:
    theirs = {"version": 1, "incremental": True, "root": {"level": "DEBUG"}}
    assert dict_config(merge=theirs) == {**theirs, "disable_existing_loggers": False}


def test_handlers_that_cannot_be_copied_are_no_obstacle(theirs: dict[str, Any]) -> None:
    theirs["handlers"]["console"]["stream"] = stream = open(__file__)  # noqa: SIM115
    try:
        assert dict_config(merge=theirs)["handlers"]["console"]["stream"] is stream
    finally:
        stream.close()


def test_a_setting_that_does_not_exist_is_told_at_once() -> None:
    with pytest.raises(SettingError, match="did you mean service"):
        dict_config(servcie="shop")


PROGRAM = """
import logging, logging.config, sys
import clusterlog

early = logging.getLogger("shop.early")
theirs = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": sys.stdout}},
    "loggers": {"jobs": {"handlers": ["console"], "propagate": False}},
    "root": {"level": "INFO", "handlers": ["console"]},
}
logging.config.dictConfig(clusterlog.dict_config("shop", merge=theirs))
if len(sys.argv) > 1:
    clusterlog.start("another")
early.info("before")
logging.getLogger("jobs").info("alone")
logging.getLogger("jobs.one").debug("not asked for")
clusterlog.get_logger("native").info("natively", order=7)
"""


@pytest.mark.parametrize("arguments", [(), ("start",)])
def test_a_configured_program_has_each_line_once_on_its_console_and_once_in_its_spool(
    program: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    """With ``start`` or without."""
    done = program(PROGRAM, *arguments)
    assert (done.code, done.err) == (0, "")
    assert [event["message"] for event in done.lines] == ["before", "alone", "natively"]
    assert {event["service"]["name"] for event in done.lines} == {"shop"}
    assert done.out.split() == ["before", "alone"]


CHILDREN = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
import clusterlog
from clusterlog.context.request import Request, enter

def work(name):
    clusterlog.start("shop")
    clusterlog.get_logger("work").info(name)

if __name__ == "__main__":
    clusterlog.start("shop")
    clusterlog.get_logger("main").info("parent")
    enter(Request("r1", "ab" * 16, "cd" * 8))
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        child = context.Process(target=work, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        pool.submit(work, "pool").result()
"""


def test_every_child_carries_the_request_and_ends_its_instance_however_it_was_made(
    program: Callable[..., Any],
) -> None:
    """A forked child, and one of a fork server, ends by ``os._exit``: without ``atexit``."""
    done = program(CHILDREN)
    assert (done.code, done.err) == (0, "")
    said = {event["message"]: event for event in done.lines}
    assert {name: event.get("http", {}).get("request", {}).get("id") for name, event in said.items()} == {
        "parent": None,
        "fork": "r1",
        "spawn": "r1",
        "forkserver": "r1",
        "pool": "r1",
    }
    ended = [event["process"]["entity_id"] for event in done.events if event["event"].get("action") == "close"]
    assert sorted(ended) == sorted(event["process"]["entity_id"] for event in said.values())
