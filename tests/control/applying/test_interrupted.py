"""F24: logging from signal handlers, finalisers and at exit, whatever the hand is just doing: nobody waits for ever."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.control.applying.levels import InForce, Ruled
from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.rule import Limits, Predicate, Rule
from clusterlog.record.logger import get_logger
from clusterlog.record.stdlib import RecordHandler

ROOT = Path(__file__).parents[3]
LOW, INFO = logging.DEBUG, logging.INFO


def test_a_signal_handler_that_logs_and_configures_in_the_midst_of_a_change_f24(road):
    logging.root.setLevel(INFO)
    logging.root.addHandler(RecordHandler())
    loggers = [logging.getLogger(f"interrupted.l{n}") for n in range(100)]
    native = get_logger("interrupted.native")
    calls, inside = 0, False

    def handler(number, frame):
        nonlocal calls, inside
        if inside:  # the library's own setLevel does not bear a new logger inside of itself
            return
        inside = True
        calls += 1
        native.debug("from a signal handler")
        loggers[calls % 100].debug("and by standard logging")
        loggers[calls % 100].setLevel(logging.WARNING)
        logging.getLogger(f"interrupted.made.{calls}").debug("by a new logger")
        inside = False

    in_force = InForce()
    some = (
        Levels((Rule("a", "interrupted", LOW), Rule("b", "interrupted.l7", LOW, limits=Limits(lines=1)))),
        Levels((Rule("c", "", LOW, predicate=Predicate(request="one")),)),
        Levels(),
    )
    context.enter(Request("one", "ab" * 16, "cd" * 8))
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    try:
        while calls < 150:
            for levels in some:
                in_force.apply(levels)
                native.debug("a line")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        in_force.restore()
    in_force.drifted()
    kinds = {type(each.level) for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)}
    assert Ruled not in kinds
    assert {each.level for each in loggers} <= {logging.NOTSET, logging.WARNING}


_PROGRAM = """
import atexit, logging, weakref
from clusterlog.control.applying.levels import InForce
from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.rule import Limits, Predicate, Rule
import clusterlog

clusterlog.start("leaving", home={home!r}, bus="off")
force = InForce()
force.apply(Levels((
    Rule("r", "leaving", logging.DEBUG, limits=Limits(lines=2)),
    Rule("p", "", logging.DEBUG, predicate=Predicate(request="one")),
)))
log, native = logging.getLogger("leaving"), clusterlog.get_logger("leaving")

class Thing:
    def __del__(self):
        log.debug("from a finaliser")
        native.debug("from a finaliser")

kept = Thing()
kept.itself = kept
clusterlog.bind(x=1)
atexit.register(lambda: [native.debug("at exit"), log.debug("at exit"), log.info("at exit")])
"""


def test_a_program_that_ends_while_rules_are_in_force_ends_f24(tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = _PROGRAM.format(home=str(tmp_path / "home"))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environ, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
