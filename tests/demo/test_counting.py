"""What the services count by themselves, and when the driver takes a count for whole."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from clusterlog.cli.demo.processes import Child, environment
from clusterlog.cli.demo.reports import Reports
from clusterlog.cli.demo.services.hop import Hop, Surroundings


@pytest.fixture
def reports():
    found = Reports()
    yield found
    found.let_go()


@pytest.fixture
def here(reports):
    return Surroundings({"node": "shop-1", "report": reports.fd})


def _told(reports, ticket, nodes):
    while sum((visit := reports.visit(ticket)).reported.values()) < nodes:
        reports.wait(1.0)
    return visit


def test_a_hop_counts_its_access_event_its_calls_and_the_lines_that_its_level_lets_pass(reports, here, monkeypatch):
    log = logging.getLogger("tests.demo.counting")
    monkeypatch.setattr(log, "level", logging.INFO)
    log._cache.clear()
    with Hop(here, "1") as hop:
        counted = hop.logger(log)
        counted.debug("not said")
        counted.info("said")
        counted.warning("said")
        hop.calling()
    assert _told(reports, "1", 1).events_by_node == {"shop-1": 4}


def test_a_hop_is_reported_once_the_work_it_leaves_behind_is_done(reports, here):
    with Hop(here, "2") as hop:
        work = hop.later(hop.count)
    reports.wait(0.05)
    assert reports.visit("2").missing("shop-1") == ["shop-1"]
    threading.Thread(target=work).start()
    visit = _told(reports, "2", 1)
    assert visit.events_by_node == {"shop-1": 2}
    assert not visit.missing("shop-1")


def test_a_request_has_ended_when_every_node_that_was_called_has_reported(reports, here):
    with Hop(here, "3") as hop:
        assert hop.calling("orders-2") == {"Demo-Ticket": "3"}
        hop.calling("orders-2")
    assert _told(reports, "3", 1).missing("shop-1") == ["orders-2", "orders-2"]
    for _ in range(2):
        with Hop(Surroundings({"node": "orders-2", "report": reports.fd}), "3"):
            pass
    visit = _told(reports, "3", 3)
    assert not visit.missing("shop-1")
    assert visit.events_by_node == {"shop-1": 3, "orders-2": 2}


def test_a_request_without_a_ticket_is_nobodys_and_not_reported(reports, here):
    with Hop(here, None):
        pass
    with Hop(here, "4"):
        pass
    _told(reports, "4", 1)
    assert list(reports._visits) == ["4"]


@pytest.fixture
def child_of(tmp_path):
    """Start a child that runs such code; it is ended with the test, also with one that fails."""
    started = []

    def begin(code: str) -> Child:
        started.append(Child("child", [sys.executable, "-c", code], tmp_path / "child.log", environment()))
        return started[-1]

    yield begin
    for child in started:
        child.end(0.0)


def test_a_child_that_does_not_end_when_asked_is_ended_with_all_it_has_started(child_of, left):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{deaf}; import os; os.write(1, b'%d\\n' % os.fork()); time.sleep(600)"
    child = child_of(code)
    while (said := child.console.read_text()).count("\n") < 2:
        time.sleep(0.01)
    forked = psutil.Process(max(map(int, said.split())))
    child.ask_to_end()
    assert child.end(0.1) == -signal.SIGKILL
    assert not left([forked])


def test_a_child_that_has_ended_by_itself_is_told_of_with_its_last_line(tmp_path, child_of):
    child = child_of("print('first'); print('clusterlog: the last words'); raise SystemExit(5)")
    while child.exit_code() is None:
        time.sleep(0.01)
    assert child.obituary() == f"child has ended (exit code 5): the last words; see {tmp_path / 'child.log'}"
    assert child.end() == 5


def test_a_leash_ends_a_child_whose_parent_is_killed(tmp_path, left):
    driver = (
        "import sys, time; from pathlib import Path\n"
        "from clusterlog.cli.demo.processes import Child, environment\n"
        "code = 'import time; time.sleep(600)'\n"
        f"child = Child('child', [sys.executable, '-c', code], Path({str(tmp_path)!r}) / 'log', environment())\n"
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            child = psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()
    assert not left([child])


def test_servers_are_not_told_what_was_meant_for_others(monkeypatch):
    foreign = {"UVICORN_PORT", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "HTTP_PROXY", "https_proxy", "FLASK_DEBUG"}
    for name in foreign:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MINE", "kept")
    found = environment(CLUSTERLOG_NODE="n")
    assert found["MINE"] == "kept"
    assert found["CLUSTERLOG_NODE"] == "n"
    assert foreign.isdisjoint(found)
