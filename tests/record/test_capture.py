"""What nobody logs is on the road once, as the request it belongs to, and on the terminal as before."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterlog.context import crossing
from clusterlog.context.request import Request, bind, current, enter, leave
from clusterlog.record import capture
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler

New = Callable[[str], Request]


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """While ``capture`` is installed, above hooks that only remember what they were called with."""
    called: list[Any] = []
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, lambda *args, name=name: called.append((name, *args)))
    capture.install()
    yield called
    capture.remove()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Warnings as a terminal would have shown them; each is shown, and none is an error."""
    said: list[Any] = []

    def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        said.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        yield said


@pytest.fixture
def handled() -> Iterator[None]:
    """The root logger has our handler, as after ``start``."""
    handler = RecordHandler()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


def raised(error: BaseException) -> tuple[Any, Any, Any]:
    try:
        raise error
    except BaseException as caught:
        return type(caught), caught, caught.__traceback__


# Exceptions that end something


def test_what_ends_the_program_is_said_at_critical_and_then_shown(road: Any, captured: list[Any]) -> None:
    told = raised(KeyError("cart"))
    sys.excepthook(*told)
    (said,) = road.said
    assert (said.level, said.logger, said.event) == (logging.CRITICAL, "clusterlog.uncaught", "uncaught exception")
    assert said.failure is told[1]
    assert captured == [("excepthook", *told)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_whoever_leaves_has_not_failed(road: Any, captured: list[Any], error: BaseException) -> None:
    told = raised(error)
    sys.excepthook(*told)
    assert road.said == []
    assert captured == [("excepthook", *told)]


def test_what_ends_a_thread_is_said_with_its_name_as_its_request(road: Any, captured: list[Any], new: New) -> None:
    crossing.install()
    enter(new("r1"))
    thread = threading.Thread(target=lambda: {}["missing"], name="worker-3")
    thread.start()
    thread.join()
    crossing.remove()
    (said,) = road.said
    assert (said.level, said.event, said.fields) == (50, "uncaught exception in thread", {"thread": "worker-3"})
    assert isinstance(said.failure, KeyError)
    assert said.request_id == "r1"
    assert [name for name, _ in captured] == ["excepthook"]


def test_a_thread_that_exits_has_not_failed(road: Any, captured: list[Any]) -> None:
    thread = threading.Thread(target=lambda: sys.exit(3))
    thread.start()
    thread.join()
    assert road.said == []
    assert len(captured) == 1


class Failing:
    def __del__(self) -> None:
        raise OSError("in a finaliser")


def test_what_python_can_only_print_is_said_and_printed(road: Any, captured: list[Any], new: New) -> None:
    enter(new("r1"))
    failing = Failing()
    del failing
    (said,) = road.said
    assert (said.level, said.logger, said.event) == (logging.ERROR, "clusterlog.uncaught", "exception ignored")
    assert isinstance(said.failure, OSError)
    assert "in" in said.fields
    assert said.request_id == "r1"
    assert [name for name, _ in captured] == ["unraisablehook"]


def test_an_exception_of_which_only_the_class_is_told_is_one_still(road: Any, captured: list[Any]) -> None:
    sys.unraisablehook(
        type("Args", (), {"exc_type": OSError, "exc_value": None, "err_msg": "closing", "object": None})()  # type: ignore[arg-type]
    )
    (said,) = road.said
    assert (said.event, type(said.failure)) == ("closing", OSError)


# Warnings


def test_a_warning_is_said_with_where_it_is_from_and_then_shown(
    road: Any, captured: list[Any], shown: list[Any], new: New
) -> None:
    enter(new("r1"))
    warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    (said,) = road.said
    assert (said.level, said.logger, said.event) == (logging.WARNING, "py.warnings", "soon gone")
    assert said.fields == {"category": "DeprecationWarning", "filename": __file__, "lineno": said.fields["lineno"]}
    assert said.request_id == "r1"
    assert shown == ["soon gone"]


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("first", ["capture", "logging"])
def test_a_warning_that_goes_to_logging_as_well_is_on_the_road_once(road: Any, first: str) -> None:
    """``logging.captureWarnings``, before or after ours."""
    heard = Remembering()
    logging.getLogger("py.warnings").addHandler(heard)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        steps = [capture.install, lambda: logging.captureWarnings(True)]
        for each in steps if first == "capture" else reversed(steps):
            each()
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
        capture.remove()
    logging.getLogger("py.warnings").removeHandler(heard)
    assert [(each.event, each.fields["category"]) for each in road.said] == [("soon gone", "DeprecationWarning")]
    assert len(heard.records) == 1


def test_a_warning_that_is_only_recorded_is_not_said(road: Any, captured: list[Any]) -> None:
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        warnings.warn("checked by a test", DeprecationWarning, stacklevel=1)
    assert [str(each.message) for each in recorded] == ["checked by a test"]
    assert road.said == []


def test_the_level_of_its_logger_holds_for_a_warning(road: Any, captured: list[Any], shown: list[Any]) -> None:
    logger = logging.getLogger("py.warnings")
    logger.setLevel(logging.ERROR)
    warnings.warn("not worth it", UserWarning, stacklevel=1)
    logger.setLevel(logging.NOTSET)
    assert road.said == []
    assert shown == ["not worth it"]


# asyncio


class Remembering(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def console() -> Iterator[Remembering]:
    """The handler of an application's own for what asyncio says."""
    handler = Remembering()
    logging.getLogger("asyncio").addHandler(handler)
    yield handler
    logging.getLogger("asyncio").removeHandler(handler)


@pytest.mark.usefixtures("handled", "captured")
def test_a_task_that_nobody_waits_for_is_said_once_as_the_request_it_ran_for(
    road: Any, console: Remembering, new: New
) -> None:
    """It is noticed by the garbage collector, which knows nothing of requests, and may be serving another one."""

    async def fail() -> None:
        raise KeyError("cart")

    async def main() -> None:
        enter(new("r1"))
        bind(order=7)
        task = asyncio.create_task(fail(), name="charge")
        while not task.done():
            await asyncio.sleep(0)
        enter(new("r2"))
        del task
        gc.collect()
        assert current.get().request.id == "r2"

    asyncio.run(main())
    (said,) = road.said
    assert (said.level, said.logger, said.event) == (40, "asyncio", "Task exception was never retrieved")
    assert isinstance(said.failure, KeyError)
    assert (said.request_id, said.scope.labels) == ("r1", {"order": 7})
    assert "charge" in repr(said.fields["future"])
    (record,) = console.records
    assert "never retrieved" in record.getMessage()


@pytest.mark.usefixtures("handled", "captured")
def test_a_callback_that_fails_is_said_as_the_request_that_asked_for_it(
    road: Any, console: Remembering, new: New
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        enter(new("r1"))
        loop.call_soon(divmod, 1, 0)
        leave()
        await asyncio.sleep(0)

    asyncio.run(main())
    (said,) = road.said
    assert isinstance(said.failure, ZeroDivisionError)
    assert said.request_id == "r1"
    assert len(console.records) == 1


@pytest.mark.usefixtures("handled", "captured")
def test_a_task_of_nobody_does_not_become_another_ones(road: Any, new: New) -> None:
    async def fail() -> None:
        raise KeyError("cart")

    async def main() -> None:
        task = asyncio.create_task(fail())
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lost.set_exception(KeyError("lost"))
        while not task.done():
            await asyncio.sleep(0)
        enter(new("r2"))
        del task, lost
        gc.collect()

    asyncio.run(main())
    assert [each.request_id for each in road.said] == [None, None]


@pytest.mark.usefixtures("handled", "captured")
def test_what_else_a_loop_reports_keeps_the_present_request(road: Any, new: New) -> None:
    async def main() -> None:
        enter(new("r1"))
        asyncio.get_running_loop().call_exception_handler({"message": "lost connection", "transport": object()})
        asyncio.get_running_loop().call_exception_handler({})

    asyncio.run(main())
    assert [(each.event, each.request_id) for each in road.said] == [
        ("lost connection", "r1"),
        ("Unhandled exception in event loop", "r1"),
    ]
    assert "transport" in road.said[0].fields


@pytest.mark.usefixtures("handled", "captured")
def test_after_a_report_the_logger_of_asyncio_is_heard_as_before(road: Any) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "lost connection"})

    asyncio.run(main())
    logging.getLogger("asyncio").error("a line of its own")
    assert [each.event for each in road.said] == ["lost connection", "a line of its own"]


@pytest.mark.usefixtures("handled", "captured")
def test_another_thread_is_heard_while_this_one_reports(road: Any) -> None:
    class Speaks(logging.Handler):
        def createLock(self) -> None:  # noqa: N802
            self.lock = None

        def emit(self, record: logging.LogRecord) -> None:
            if threading.current_thread() is threading.main_thread():
                other = threading.Thread(target=logging.getLogger("asyncio").error, args=("from elsewhere",))
                other.start()
                other.join()

    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "lost connection"})

    speaks = Speaks()
    logging.getLogger("asyncio").addHandler(speaks)
    asyncio.run(main())
    logging.getLogger("asyncio").removeHandler(speaks)
    assert [each.event for each in road.said] == ["lost connection", "from elsewhere"]


# Coming and going


def test_without_a_road_everything_is_shown_and_nothing_said(captured: list[Any], shown: list[Any]) -> None:
    sys.excepthook(*raised(KeyError("cart")))
    warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    assert (len(captured), shown) == (1, ["soon gone"])


class BrokenRoad:
    def line(self, *arguments: Any) -> None:
        raise RuntimeError("no road")


def test_a_hook_never_raises(captured: list[Any], shown: list[Any]) -> None:
    slot.road = BrokenRoad()  # type: ignore[assignment]
    sys.excepthook(*raised(KeyError("cart")))
    failing = Failing()
    del failing
    warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    odd: Any = warnings.WarningMessage("odd", None, __file__, 1)  # type: ignore[arg-type]
    warnings._showwarnmsg(odd)  # type: ignore[attr-defined]
    assert [name for name, *_ in captured] == ["excepthook", "unraisablehook"]
    assert shown == ["soon gone", "odd"]


def test_all_hooks_are_named_put_in_once_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook, asyncio.BaseEventLoop.default_exception_handler)
    capture.install()
    capture.install()
    assert len(capture.installed()) == 5
    assert sys.excepthook is not before[0]
    capture.remove()
    capture.remove()
    assert capture.installed() == ()
    after = (sys.excepthook, threading.excepthook, sys.unraisablehook, asyncio.BaseEventLoop.default_exception_handler)
    assert after == before


def test_a_hook_put_around_ours_stays_and_ours_falls_silent(road: Any, captured: list[Any]) -> None:
    ours = sys.excepthook
    told = raised(KeyError("cart"))
    sys.excepthook = lambda kind, error, trace: ours(kind, error, trace)  # noqa: PLW0108
    capture.remove()
    sys.excepthook(*told)
    assert road.said == []
    assert captured == [("excepthook", *told)]
    sys.excepthook = ours  # on top again it can be taken away, and the next test finds nothing of it
    capture.remove()


# As a whole program

PROGRAM = """
import asyncio, gc, sys, threading, warnings
import clusterlog
from clusterlog.context.request import Request, enter

clusterlog.start("shop")
enter(Request("r1", "ab" * 16, "cd" * 8))
warnings.warn("soon gone", UserWarning)
warnings.simplefilter("always", ResourceWarning)
open(__file__)
thread = threading.Thread(target=lambda: {}["thread"], name="worker")
thread.start()
thread.join()

class Failing:
    def __del__(self):
        raise OSError("finaliser")

failing = Failing()
del failing

async def fail():
    raise LookupError("task")

async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    del task
    gc.collect()

asyncio.run(main())
raise ValueError("main")
"""


def test_a_program_that_never_logs_leaves_everything_in_its_spool_and_on_its_terminal(
    program: Callable[..., Any],
) -> None:
    done = program(PROGRAM)
    assert done.code == 1
    said = [(e["log"]["logger"], e["log"]["level"], e["message"], e.get("error", {}).get("type")) for e in done.lines]
    assert said == [
        ("py.warnings", "warning", "soon gone", None),
        ("py.warnings", "warning", said[1][2], None),
        ("clusterlog.uncaught", "critical", "uncaught exception in thread", "KeyError"),
        ("clusterlog.uncaught", "error", "exception ignored", "OSError"),
        ("asyncio", "error", "Task exception was never retrieved", "LookupError"),
        ("clusterlog.uncaught", "critical", "uncaught exception", "ValueError"),
    ]
    assert said[1][2].startswith("unclosed file")
    assert {event["http"]["request"]["id"] for event in done.lines} == {"r1"}
    assert done.lines[0]["labels"]["category"] == "UserWarning"
    assert [event["event"]["action"] for event in done.events if event["event"]["kind"] == "state"] == ["open", "close"]
    hint = "Enable tracemalloc"  # told only where the warning still knows the object that it is about
    for text in ("UserWarning: soon gone", hint, "KeyError: 'thread'", "OSError: finaliser", "ValueError: main"):
        assert done.err.count(text) == 1, done.err
