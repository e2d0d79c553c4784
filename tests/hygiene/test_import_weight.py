"""What importing costs an application, and asking for help costs a command, seen from a fresh interpreter."""

from __future__ import annotations

import pytest

HEAVY = {
    "click", "elastic_transport", "elasticsearch", "fastapi", "flask", "gunicorn", "httpx", "lark", "opentelemetry",
    "orjson", "requests", "rich", "starlette", "structlog", "tantivy", "urllib3", "uvicorn", "werkzeug", "zstandard",
}  # fmt: skip
NOT_OF_THE_APPLICATION = HEAVY - {"orjson", "structlog"}
MODULES_AT_MOST = 110

LOADED = "result = sorted({name.partition('.')[0] for name in sys.modules})"


def test_importing_clusterlog_loads_none_of_its_third_parties(fresh):
    loaded = set(fresh(f"import clusterlog\n{LOADED}"))
    assert "clusterlog" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & HEAVY


def test_importing_clusterlog_leaves_at_most_110_modules_in_the_interpreter(fresh):
    names = fresh("import clusterlog\nresult = sorted(sys.modules)")
    assert len(names) <= MODULES_AT_MOST, names


def test_importing_clusterlog_starts_no_thread_and_touches_no_logger(fresh):
    found = fresh(
        "import clusterlog, threading, logging\n"
        "result = [threading.active_count(), len(logging.getLogger().handlers), sys.excepthook is sys.__excepthook__]"
    )
    assert found == [1, 0, True]


@pytest.mark.parametrize("room", ["context", "record", "encode", "spool", "start", "settings", "errors"])
def test_a_room_of_the_application_side_loads_no_store_screen_or_server(fresh, room):
    """The linter sees what a module says; this sees what is loaded, by all modules of the room.

    structlog loads rich by itself where that is installed.
    """
    brought = set(fresh(f"import structlog\n{LOADED}"))
    loaded = set(
        fresh(
            "import importlib, pkgutil\n"
            f"room = importlib.import_module('clusterlog.{room}')\n"
            "for found in pkgutil.walk_packages(getattr(room, '__path__', []), room.__name__ + '.'):\n"
            "    importlib.import_module(found.name)\n"
            f"{LOADED}\n"
            "result += [name for name in sys.modules if name.startswith('clusterlog.')]"
        )
    )
    rooms = {f"clusterlog.{name}" for name in ("ship", "store", "search", "web", "cli", "integrations")}
    unwanted = NOT_OF_THE_APPLICATION - brought | rooms
    assert f"clusterlog.{room}" in loaded
    assert loaded.isdisjoint(unwanted), loaded & unwanted


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_question_to_the_command_itself_loads_nothing_that_answers_others(fresh, option):
    loaded = set(
        fresh(
            "from clusterlog.cli import main\n"
            f"sys.argv = ['clusterlog', {option!r}]\n"
            "code = 'returned'\n"
            "try:\n"
            "    main()\n"
            "except SystemExit as end:\n"
            "    code = end.code\n"
            f"{LOADED}\n"
            "result.append(f'exit {code}')"
        )
    )
    assert "exit 0" in loaded
    assert loaded.isdisjoint(HEAVY - {"click"}), loaded & (HEAVY - {"click"})
