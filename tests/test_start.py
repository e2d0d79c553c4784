"""The wiring: start is idempotent and stop undoes it; forks, exits and unusable homes cost nothing silently."""

import json
import logging
import logging.config
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import structlog

import clusterlog
from clusterlog.context import request
from clusterlog.errors import ClusterlogWarning, SettingError
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler
from clusterlog.spool.reader import instances, records


class Home:
    def __init__(self, path):
        self.path = path

    def documents(self):
        """Every document in the spool, instance by instance, by number."""
        found = []
        for each in instances(self.path / "spool"):
            items = sorted((item for _, item in records(self.path / "spool", each)), key=lambda item: item.sequence)
            found.append([json.loads(item.payload) for item in items])
        return found

    def said(self):
        return [told["message"] for each in self.documents() for told in each if told["event"]["kind"] == "event"]

    def run(self, program, **options):
        environment = {"PATH": "/usr/bin:/bin", "CLUSTERLOG_HOME": str(self.path), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=environment,
            capture_output=True,
            text=True,
            cwd=self.path.parent,
            check=False,
            **options,
        )


@pytest.fixture
def home(tmp_path, monkeypatch):
    clusterlog.stop()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [each for each in root.handlers if not isinstance(each, RecordHandler)])
    monkeypatch.setattr(request, "late_annotations", 0)
    yield Home(tmp_path / "home")
    clusterlog.stop()


def ours():
    return [each for each in logging.getLogger().handlers if isinstance(each, RecordHandler)]


def test_starting_twice_is_starting_once(home):
    clusterlog.start("shop", home=str(home.path))
    clusterlog.start("other", home=str(home.path))
    logging.getLogger("x").warning("said")
    assert len(ours()) == 1
    assert home.said() == ["said"]
    assert home.documents()[0][1]["service"]["name"] == "shop"


def test_stop_undoes_all_of_it(home):
    root = logging.getLogger()
    level, hook = root.level, sys.excepthook
    clusterlog.start("shop", home=str(home.path), level="DEBUG", debug="x.y")
    assert root.level == logging.DEBUG
    assert structlog.is_configured()
    clusterlog.stop()
    clusterlog.stop()
    assert (root.level, sys.excepthook, ours(), slot.road) == (level, hook, [], None)
    assert logging.getLogger("x.y").level == logging.NOTSET
    assert not structlog.is_configured()


def test_after_a_stop_it_can_be_started_again_as_a_new_instance(home):
    for name in ("one", "two"):
        clusterlog.start("shop", home=str(home.path))
        logging.getLogger().warning(name)
        clusterlog.stop()
    assert [[told["event"].get("action", told["message"]) for told in each] for each in home.documents()] == [
        ["open", "one", "close"],
        ["open", "two", "close"],
    ]


def test_structlog_is_left_alone_where_the_application_has_configured_it(home):
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    try:
        clusterlog.start("shop", home=str(home.path))
        assert len(structlog.get_config()["processors"]) == 1
        clusterlog.stop()
        assert structlog.is_configured()
    finally:
        structlog.reset_defaults()


def test_structlogs_own_get_logger_is_on_the_road_after_start(home):
    clusterlog.start("shop", home=str(home.path))
    structlog.get_logger("shop.api").info("said", order=1)
    (_, told) = home.documents()[0]
    assert (told["log"]["logger"], told["message"], told["labels"]) == ("shop.api", "said", {"order": 1})


def test_a_setting_that_cannot_be_used_is_told_at_the_start_and_nothing_is_changed(home):
    with pytest.raises(SettingError, match="did you mean service"):
        clusterlog.start(servce="x", home=str(home.path))
    assert slot.road is None
    assert ours() == []


def test_a_handler_in_a_hand_written_configuration_opens_the_road_by_itself(home):
    done = home.run(
        """
        import logging, logging.config
        logging.config.dictConfig({
            "version": 1,
            "handlers": {"road": {"class": "clusterlog.Handler", "service": "shop"}},
            "root": {"handlers": ["road"], "level": "INFO"},
        })
        logging.getLogger("x").info("said", extra={"order": 1})
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ((_, told, last),) = home.documents()
    assert (told["service"]["name"], told["labels"], last["event"]["action"]) == ("shop", {"order": 1}, "close")


def test_importing_and_starting_makes_no_file_and_no_thread(home):
    done = home.run(
        """
        import os, threading, clusterlog
        clusterlog.start("shop")
        clusterlog.get_logger()
        assert threading.active_count() == 1
        assert not os.path.exists(os.environ["CLUSTERLOG_HOME"])
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_ends_says_good_bye_and_what_is_said_after_that_is_kept(home):
    done = home.run(
        """
        import atexit, logging
        atexit.register(lambda: logging.getLogger("late").warning("after"))
        import clusterlog
        clusterlog.start("shop")
        logging.getLogger("early").warning("before")
        """
    )
    assert done.returncode == 0, done.stderr
    first, second = home.documents()
    assert [told["event"].get("action", told["message"]) for told in first] == ["open", "before", "close"]
    assert [told["event"].get("action", told["message"]) for told in second[:2]] == ["open", "after"]


@pytest.mark.parametrize("fork", ["os.fork", "ctypes.PyDLL(None).fork"])
def test_a_forked_child_has_its_own_instance_and_no_request(home, fork):
    done = home.run(
        f"""
        import ctypes, logging, os, clusterlog
        clusterlog.start("shop")
        log = logging.getLogger("x")
        with clusterlog.extract({{"x-request-id": "abc"}}):
            log.warning("parent")
            pid = {fork}()
            if pid == 0:
                log.warning("child")
                os._exit(0)
            os.waitpid(pid, 0)
            log.warning("parent again")
        """
    )
    assert done.returncode == 0, done.stderr
    parent, child = home.documents()
    assert [told["message"] for told in parent if told["event"]["kind"] == "event"] == ["parent", "parent again"]
    assert child[0]["clusterlog"]["state"]["parent"] == parent[0]["process"]["entity_id"]
    assert child[1]["message"] == "child"
    assert child[1]["process"]["pid"] != parent[1]["process"]["pid"]
    if fork == "os.fork":
        assert "http" not in child[1]


def test_a_home_on_a_network_file_system_is_refused_once_and_events_go_to_stderr(home, monkeypatch, capfd):
    monkeypatch.setattr("clusterlog.spool.filesystem.kind_of", lambda path: "nfs4")
    with pytest.warns(ClusterlogWarning, match="nfs4.*set home to a local directory"):
        clusterlog.start("shop", home=str(home.path))
    clusterlog.get_logger("x").warning("said", order=1)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["labels"] == {"order": 1}
    assert clusterlog.flush()
    assert not home.path.exists()


def test_a_home_that_cannot_be_written_costs_counted_events_that_are_printed(home, capfd):
    home.path.write_text("in the way")
    clusterlog.start("shop", home=str(home.path))
    clusterlog.get_logger("x").warning("said", order=1)
    assert sum(clusterlog.dropped().values()) == 1
    (line,) = [each for each in capfd.readouterr().err.splitlines() if each.startswith("{")]
    assert json.loads(line)["labels"] == {"order": 1}


def test_flush_answers_and_dropped_counts_late_annotations(home):
    assert clusterlog.flush()
    clusterlog.start("shop", home=str(home.path))
    before = clusterlog.dropped().get("late_annotation", 0)
    with clusterlog.extract({}) as late:
        late.told = True
        clusterlog.annotate(order=1)
    assert clusterlog.dropped()["late_annotation"] == before + 1
    assert clusterlog.flush(timeout=0.5)


def test_debug_names_the_loggers_that_start_at_debug(home):
    clusterlog.start("shop", home=str(home.path), debug="shop.db, shop.cache")
    logging.getLogger("shop.db").debug("yes")
    logging.getLogger("shop.api").debug("no")
    assert home.said() == ["yes"]


def test_a_fault_of_ours_is_counted_and_never_the_hosts(home, monkeypatch):
    clusterlog.start("shop", home=str(home.path))

    def fail(*args, **kwargs):
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr("clusterlog.spool.writer.Writer.append", fail)
        clusterlog.get_logger("x").warning("said")
        logging.getLogger("x").warning("said")
    assert clusterlog.dropped()["internal_error"] == 2


def test_the_package_keeps_start_a_function_whatever_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", "import clusterlog.start, clusterlog; assert callable(clusterlog.start)"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_what_a_signal_handler_raises_reaches_the_host_whoever_was_interrupted(home, monkeypatch):
    clusterlog.start("shop", home=str(home.path))
    monkeypatch.setattr(logging.getLogger(), "handlers", ours())  # the library's own handlers swallow such exceptions
    log, standard = clusterlog.get_logger("x"), logging.getLogger("y")
    raised, armed = [], []

    class TimeLimitError(Exception):
        pass

    def handler(number, frame):
        if armed:
            armed.clear()
            raised.append(1)
            raise TimeLimitError

    caught = 0
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for turn in range(60):
            try:
                armed.append(True)
                while armed:
                    log.info("said", order=1, odd=float("nan"))
                    log.info("said", order=turn)
                    standard.warning("said %d", turn)
            except TimeLimitError:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(raised) == 60
    assert caught >= 55  # Python itself swallows what is raised in a callback of the collector
    for each in home.documents():
        numbers = [told["event"]["sequence"] for told in each]
        assert numbers == list(range(1, len(numbers) + 1))


def test_where_there_can_be_no_spool_events_go_to_stderr_with_one_warning(home):
    done = home.run(
        """
        import asyncio, logging, subprocess, sys
        sys.platform, sys.modules["fcntl"] = "win32", None
        import clusterlog
        clusterlog.start("shop")
        clusterlog.get_logger("x").warning("said", order=1)
        logging.getLogger("y").warning("said %s", "so")
        clusterlog.stop()
        """
    )
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if "no spool on this platform" in line]
    told = [json.loads(line)["message"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert len(warned) == 1
    assert told == ["said", "said so"]
    assert not home.path.exists()


def test_a_user_key_that_cannot_be_read_is_an_event_at_warning_and_counted(home):
    home.path.mkdir()
    (home.path / "user.key").mkdir()
    done = home.run(
        """
        import clusterlog
        clusterlog.start("shop")
        clusterlog.bind(user="alice")
        clusterlog.get_logger("x").info("said")
        print(clusterlog.dropped())
        """
    )
    assert (done.returncode, done.stdout) == (0, "{'user_key_unreadable': 1}\n"), done.stderr
    warned, said = [told for each in home.documents() for told in each if told["event"]["kind"] == "event"]
    assert (warned["log"], said["message"]) == ({"level": "warning", "logger": "py.warnings"}, "said")
    assert warned["message"].startswith(f"cannot read the user key {home.path}/user.key: is a directory: ")
    assert said["user"]["hash"]


@pytest.mark.parametrize("ending", ["clusterlog.stop()", "clusterlog.flush(); os.kill(os.getpid(), 9)", "pass"])
def test_what_a_throttle_holds_back_is_told_at_the_end_whichever_logger_said_it(home, ending):
    done = home.run(
        f"""
        import logging, os, clusterlog, structlog
        clusterlog.start("shop", throttle="2/1h")
        for number in range(5):
            clusterlog.get_logger("native").info("said %d", number, amount=number, cart=[number])
            logging.getLogger("standard").warning("said %d", number, extra={{"amount": number}})
            structlog.get_logger("struct").error("said", amount=number)
        {ending}
        """
    )
    assert done.returncode == (-9 if "kill" in ending else 0), done.stderr
    said = [told for each in home.documents() for told in each if told["event"]["kind"] == "event"]
    assert [told["message"] for told in said[:6]] == ["said 0", "said 0", "said", "said 1", "said 1", "said"]
    ends = [(told["log"]["logger"], told["log"]["level"], *told["message"].split("s: ")) for told in said[6:]]
    assert sorted((*each[:2], each[2].rsplit(" ", 2)[0], each[3]) for each in ends) == [
        ("native", "info", "repeated 3 times in", "said 4"),
        ("standard", "warning", "repeated 3 times in", "said 4"),
        ("struct", "error", "repeated 3 times in", "said"),
    ]
    native = next(told for told in said[6:] if told["log"]["logger"] == "native")
    assert native["labels"] == {"amount": 4, "cart": [4]}
    assert native["clusterlog"]["template"] == "said %d"
    facts = native["clusterlog"]["repeated"]
    assert (facts["count"], facts["first"]["message"], facts["last"]["message"]) == (3, "said 2", "said 4")
    assert facts["last"]["time"] == native["@timestamp"]


def test_what_is_held_back_takes_no_number_and_counts_as_no_loss(home):
    clusterlog.start("shop", home=str(home.path), throttle="1/1h")
    for _ in range(10):
        clusterlog.get_logger("x").info("said")
    assert clusterlog.dropped() == {}
    clusterlog.stop()
    numbers = [told["event"]["sequence"] for told in home.documents()[0]]
    assert numbers == [1, 2, 3, 4]  # open, the line, what is told of the other nine, close


def test_secrets_are_taken_out_of_what_is_told_of_lines_held_back(home):
    clusterlog.start("shop", home=str(home.path), throttle="1/1h")
    for _ in range(3):
        clusterlog.get_logger("x").info("said %s", "Bearer abcdefghijklmnopqrstuvwxyz0123456789", password="hunter2")
    clusterlog.stop()
    told = json.dumps(home.documents())
    assert "repeated 2 times" in told
    assert "hunter2" not in told
    assert "abcdefghijklmnop" not in told


def test_without_a_throttle_nothing_stands_before_the_road(home):
    clusterlog.start("shop", home=str(home.path))
    assert type(slot.road).__name__ == "SpoolRoad"
