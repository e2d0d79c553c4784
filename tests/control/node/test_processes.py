"""Real processes in one home: started, forked, killed and started again, while rules are in force."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from clusterlog.control.bus.opening import bus_at
from clusterlog.control.operator.change import Operator, Wish
from clusterlog.control.operator.present import acknowledged, present
from clusterlog.control.signing.keys import cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.settings import load
from clusterlog.spool.liveness import holder
from clusterlog.spool.reader import instances, records

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
DEBUG = 10

SAY = """
import logging, os, signal, sys, time
import clusterlog
import clusterlog.errors

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def level():
    return logging.getLevelName(logging.getLogger("orders.stock").getEffectiveLevel())

"""


class Program(subprocess.Popen):
    """A process whose lines are waited for, and not for ever."""

    def line(self):
        ready, _, _ = select.select([self.stdout], [], [], PATIENCE_S)
        assert ready, "waited in vain for a line"
        return self.stdout.readline().decode()


class Home:
    """A home, its processes, and somebody who changes levels in it."""

    def __init__(self, path):
        self.path = path
        self.processes = []
        self.settings = load({"home": str(path)}, environ={})

    def start(self, program, *arguments, stderr=None, **environ):
        process = Program(
            [sys.executable, "-c", SAY + textwrap.dedent(program), *arguments],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "CLUSTERLOG_HOME": str(self.path), **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            cwd=self.path.parent,
            start_new_session=True,  # its children end with it
        )
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            if process.stderr is not None:
                process.stderr.close()

    def until(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        return found

    def operated(self, do):
        bus = bus_at(self.settings.bus, self.settings)
        sealer = Sealer(cluster_keys(self.path, self.settings.control_key, bus.local), self.settings.environment)
        link = bus.open()
        try:
            return do(link, sealer)
        finally:
            link.close()

    def put(self, level=DEBUG, life_s=120.0, logger="orders.stock"):
        def change(link, sealer):
            operator = Operator(link, sealer, "alice", lambda leases: acknowledged(leases, sealer))
            return operator.put(Wish(logger, level, life_s))

        return self.operated(change)

    def nodes(self):
        def lives(_, worker):
            return holder(self.path / "control" / f"{worker.instance}.lock") != 0

        return self.operated(lambda link, sealer: present(link.leases(), sealer, lives))

    def pids(self, *, having=None):
        """Of workers that live; of those whose lease says that they have a change in force."""
        return {
            worker.status.pid
            for node in self.nodes()
            for worker in node.workers
            if worker.state != "silent" and (having is None or worker.status.applied == str(having.document.version))
        }

    def remembered(self):
        return json.loads((self.path / "control" / "state.json").read_text())

    def audits(self):
        return [each["clusterlog"]["control"] for each in self.events() if each["event"].get("action") == "audit"]

    def events(self):
        spool = self.path / "spool"
        return [json.loads(item.payload) for each in instances(spool) for _, item in records(spool, each)]


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path / "home")
    yield found
    found.close()


FOLLOWER = """
clusterlog.start("shop", node=sys.argv[1])
say("first", level())
clusterlog.cluster.is_clustered()
before = level()
while True:
    if level() != before:
        before = level()
        say(before)
    time.sleep(0.002)
"""


def test_a_change_reaches_every_process_is_proven_and_one_that_is_killed_and_started_again_has_it_at_once(home):
    """I1, I6, F19: the whole way, without anything but processes and a home."""
    first, second = home.start(FOLLOWER, "n1"), home.start(FOLLOWER, "n2")
    assert [each.line() for each in (first, second)] == ["first INFO\n"] * 2
    home.until(lambda: len(home.pids()) == 2)
    change = home.put()
    home.until(lambda: home.pids(having=change) == {first.pid, second.pid})
    assert [each.line() for each in (first, second)] == ["DEBUG\n"] * 2
    home.until((home.path / "control" / "state.json").exists)
    second.kill()
    second.wait()
    home.until(lambda: home.pids() == {first.pid})
    again = home.start(FOLLOWER, "n2")
    assert again.line() == "first DEBUG\n"
    home.until(lambda: home.pids(having=change) == {first.pid, again.pid})
    home.operated(lambda link, sealer: Operator(link, sealer, "alice", lambda leases: ()).reset())
    assert [each.line() for each in (first, again)] == ["INFO\n"] * 2
    audits = home.until(lambda: audited if len(audited := home.audits()) == 5 else None)
    assert {each["rule"] for each in audits} == {change.rules[0].id}
    assert sorted(each["change"] for each in audits) == ["reset", "reset", "set", "set", "set"]


@pytest.mark.engines
def test_a_rule_ends_in_every_process_on_time_and_all_report_the_base_again(home):
    """I2."""
    first, second = home.start(FOLLOWER, "n1"), home.start(FOLLOWER, "n2")
    home.until(lambda: len(home.pids()) == 2)
    home.put(life_s=2)
    assert [each.line() for each in (first, second)] == ["first INFO\n"] * 2
    assert [each.line() for each in (first, second)] == ["DEBUG\n"] * 2
    assert [each.line() for each in (first, second)] == ["INFO\n"] * 2

    def base():
        told = [worker.status for node in home.nodes() for worker in node.workers]
        return all(each.level == "INFO" and "orders.stock" not in each.loggers for each in told)

    home.until(base)


@pytest.mark.engines
def test_a_process_that_was_stopped_for_longer_than_a_rule_lives_says_no_line_by_it_when_it_goes_on(home):
    """F06: also none before any thread of ours has had its turn, which here none ever has."""
    process = home.start(
        """
        import clusterlog.control.node.hand as hand
        hand.Alarm.set = lambda self, seconds: None
        clusterlog.start("shop", node="n1")
        clusterlog.cluster.is_clustered()
        log = logging.getLogger("orders.stock")
        while True:
            at = time.clock_gettime(time.CLOCK_BOOTTIME)
            log.debug("at %.4f", at)
            log.info("at %.4f", at)
            time.sleep(0.001)
        """
    )
    home.until(lambda: (home.path / "control").exists() and home.pids())
    change = home.put(life_s=4)

    def at(level):
        said = {"level": level, "logger": "orders.stock"}
        return [float(each["message"].split()[1]) for each in home.events() if each["log"] == said]

    home.until(lambda: home.pids(having=change))
    deadlines = home.until((home.path / "control" / "state.json").exists) and home.remembered()["deadlines"]
    deadline = deadlines[change.rules[0].id] / 1e9
    home.until(lambda: at("debug"))
    process.send_signal(signal.SIGSTOP)
    home.until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > deadline)
    process.send_signal(signal.SIGCONT)
    home.until(lambda: max(at("info")) > deadline)
    # The rule ended between two lines: what was asked a moment before, and said a moment after, is none of it.
    assert max(at("debug")) < deadline + 0.001


def test_a_process_that_only_starts_takes_part_a_second_later_and_says_good_bye(home):
    process = home.start(
        """
        clusterlog.start("shop", node="n1")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        signal.pause()
        """
    )
    home.until(lambda: (home.path / "control").exists() and home.pids())
    process.terminate()
    process.wait()
    assert home.nodes() == ()
    assert [each["event"]["action"] for each in home.events()] == ["open", "join", "leave", "close"]


@pytest.mark.parametrize(
    ("fork", "before"), [("os.fork", "clusterlog.cluster.client('x')"), ("ctypes.PyDLL(None).fork", "pass")]
)
def test_a_forked_child_is_a_worker_of_its_own_whether_or_not_pythons_hooks_were_run(home, fork, before):
    """F18: forks are known by the process id."""
    process = home.start(
        f"""
        import ctypes
        clusterlog.start("shop", node="n1")
        {before}
        if {fork}() == 0:
            logging.getLogger("x").warning("child")
            say("child", os.getpid())
            before = level()
            while level() == before:
                time.sleep(0.002)
            say("child", level())
            signal.pause()
        else:
            os.wait()
        """
    )
    child = int(process.line().split()[1])
    home.until(lambda: home.pids() == {process.pid, child})
    change = home.put()
    home.until(lambda: home.pids(having=change) == {process.pid, child})
    assert process.line() == "child DEBUG\n"
    os.kill(child, signal.SIGKILL)


@pytest.mark.engines
def test_workers_of_multiprocessing_follow_too(home):
    process = home.start(
        """
        import multiprocessing
        def work(_):
            say("worker", os.getpid())
            signal.pause()
        clusterlog.start("shop", node="n1")
        multiprocessing.get_context("fork").Pool(2).map_async(work, range(2), 1)
        signal.pause()
        """
    )
    workers = {int(process.line().split()[1]) for _ in range(2)}
    home.until(lambda: home.pids() == {process.pid, *workers})
    change = home.put()
    home.until(lambda: home.pids(having=change) == {process.pid, *workers})


def test_a_killed_keeper_has_a_follower_and_its_node_is_told_to_be_silent(home):
    """F20: the next one takes the chair without anybody's help."""
    first, second = home.start(FOLLOWER, "n1"), home.start(FOLLOWER, "n2")
    home.until(lambda: len(home.pids()) == 2)
    chair = home.path / "control" / "agent.lock"
    keeper = home.until(lambda: holder(chair))
    other = ({first.pid, second.pid} - {keeper}).pop()
    os.kill(keeper, signal.SIGKILL)
    home.until(lambda: holder(chair) == other)
    change = home.put()
    home.until(lambda: home.pids(having=change) == {other})
    state = {node.node: node.state for node in home.nodes()}
    assert sorted(state.values()) == ["silent", "up"]


@pytest.mark.engines
def test_when_the_process_that_speaks_to_the_network_is_killed_another_one_of_its_host_goes_on(home, redis_server):
    """F20: within two seconds, with one proof for each node and none twice."""
    (home.path.parent / "key").write_text("k" * 40)
    bus = f"redis://127.0.0.1:{redis_server.port}/0"
    way = {"CLUSTERLOG_BUS": bus, "CLUSTERLOG_CONTROL_KEY": str(home.path.parent / "key")}
    way["CLUSTERLOG_ENVIRONMENT"] = home.path.parent.name[-20:]
    home.settings = load(
        {name: way[f"CLUSTERLOG_{name.upper()}"] for name in ("bus", "control_key", "environment")}
        | {"home": str(home.path)},
        environ={},
    )
    workers = [home.start(FOLLOWER, "n1", **way) for _ in range(3)]
    home.until(lambda: len(home.pids()) == 3)
    change = home.put()
    home.until(lambda: len(home.pids(having=change)) == 3)
    keeper = holder(home.path / "control" / "agent.lock")
    os.kill(keeper, signal.SIGKILL)
    change = home.put(level=30)
    others = {worker.pid for worker in workers} - {keeper}
    home.until(lambda: home.pids(having=change) == others)
    assert [node.node for node in home.nodes()] == ["n1"]
    assert home.operated(lambda link, _: link.leased(str(change.document.version))) == 1


def test_nothing_touches_a_network_in_an_import_a_start_a_fork_or_a_line(home):
    """I5: a bus that would be asked anywhere there is a trap, and so is every socket."""
    done = home.start(
        """
        import socket
        class Trap(socket.socket):
            def connect(self, address):
                say("connected", address)
                raise OSError
        socket.socket = Trap
        socket.create_connection = lambda *a, **k: say("connected", a)
        socket.getaddrinfo = lambda *a, **k: say("looked up", a)
        open("key", "w").write("k" * 40)
        clusterlog.start("shop", bus="redis://127.0.0.1:1/0", control_key="key")
        logging.getLogger("x").warning("a line")
        pid = os.fork()
        logging.getLogger("x").warning("a line")
        if pid:
            os.waitpid(pid, 0)
            say("done", "sqlite3" in sys.modules, "redis" in sys.modules)
            os._exit(0)
        os._exit(0)
        """
    )
    assert done.communicate(timeout=PATIENCE_S)[0].decode() == "done False False\n"


def test_an_application_starts_and_serves_though_its_bus_is_down_and_ends_without_waiting_for_it(home):
    """F01: what is wrong is counted; nobody is told by an exception, a print or a wait."""
    (home.path.parent / "key").write_text("k" * 40)
    process = home.start(
        """
        clusterlog.start("shop", bus="redis://127.0.0.1:1/0", control_key="key")
        clusterlog.cluster.client("cache").send("flush", 1)
        logging.getLogger("x").warning("served")
        time.sleep(1)
        """
    )
    assert process.communicate(timeout=PATIENCE_S)[0].decode() == "" and process.returncode == 0
    assert "served" in [each["message"] for each in home.events()]


@pytest.mark.engines
def test_with_the_bus_off_a_process_has_no_part_in_any_cluster(home):
    process = home.start(
        """
        clusterlog.start("shop", bus="off")
        say(clusterlog.cluster.is_clustered(), clusterlog.cluster.client("x").send("y").reason)
        time.sleep(1.5)
        """
    )
    assert process.communicate(timeout=PATIENCE_S)[0].decode() == "False early\n"
    assert not (home.path / "control").exists()


def test_a_home_that_cannot_be_written_costs_nothing_but_the_cluster(home):
    """F21."""
    home.path.write_text("a file stands where the home should be")
    process = home.start(
        """
        clusterlog.start("shop")
        say(bool(clusterlog.cluster.client("x").send("y")))
        try:
            clusterlog.cluster.nodes()
        except clusterlog.errors.NotAllowed as error:
            say("cannot be made" in str(error))
        clusterlog.stop()
        """,
        stderr=subprocess.PIPE,
    )
    said, complaints = process.communicate(timeout=PATIENCE_S)
    assert (said.decode(), process.returncode) == ("False\nTrue\n", 0)
    assert complaints.count(b'"message":"no part in the cluster: the control key') == 1


def test_levels_are_changed_from_inside_only_where_the_role_is_send(home):
    process = home.start(
        """
        clusterlog.start("shop", node="n1", role=sys.argv[1])
        try:
            rule = clusterlog.cluster.set_level("orders.stock", "DEBUG", "1m")
            while level() != "DEBUG":
                time.sleep(0.002)
            clusterlog.cluster.reset_level(rule)
            while level() != "INFO":
                time.sleep(0.002)
            say("changed")
        except clusterlog.errors.NotAllowed as error:
            say(error)
        """,
        "send",
    )
    assert process.communicate(timeout=PATIENCE_S)[0].decode() == "changed\n"


@pytest.mark.engines
def test_roster_of_this_home_is_what_an_application_sees_of_its_cluster(home):
    home.start(FOLLOWER, "n1")
    process = home.start(
        """
        clusterlog.start("shop", node="n2", tags="edge")
        while len(found := clusterlog.cluster.nodes()) < 2:
            time.sleep(0.01)
        for node in found:
            say(node.node, node.state, len(node.workers), *node.tags)
        """
    )
    assert process.communicate(timeout=PATIENCE_S)[0].decode() == "n1 up 1\nn2 up 1 edge\n"


def test_a_bus_over_the_network_without_a_key_is_refused_at_the_start_with_what_to_do(home):
    process = home.start(
        """
        try:
            clusterlog.start("shop", bus="redis://user:secret@127.0.0.1:1/0")
        except clusterlog.errors.SettingError as error:
            say(error)
        """
    )
    said = process.communicate(timeout=PATIENCE_S)[0].decode()
    assert "needs a key" in said and "openssl rand" in said and "secret" not in said


APPLICATION = """
import logging, os
import clusterlog
clusterlog.start("shop", node="n1")
clusterlog.cluster.client("cache").subscribe("flush", print)  # as applications do when they are imported

def wsgi(environ, respond):
    level = logging.getLevelName(logging.getLogger("orders.stock").getEffectiveLevel())
    body = f"{os.getpid()} {level}".encode()
    respond("200 OK", [("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        level = logging.getLevelName(logging.getLogger("orders.stock").getEffectiveLevel())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{os.getpid()} {level}".encode()})
"""
PREFORK = [
    (kind, preload) for kind in ("sync", "gthread", "uvicorn.workers.UvicornWorker") for preload in (False, True)
]


@pytest.fixture
def gunicorn(home):
    """``gunicorn(kind, preload, *more)``: a server with two workers, and a way to ask it."""

    def start(kind, preload, *more):
        (home.path.parent / "served_application.py").write_text(APPLICATION)
        end = ["--preload"] if preload else []
        application = "served_application:" + ("asgi" if "vicorn" in kind else "wsgi")
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.set_inheritable(True)
        server = Program(
            [sys.executable, "-W", "ignore", "-m", "gunicorn", "-k", kind, "-w", "2", "--bind", f"fd://{listener.fileno()}",
             "--log-level", "error", "--graceful-timeout", "5", *more, *end, application],
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": f"{ROOT}:{home.path.parent}",
                "CLUSTERLOG_HOME": str(home.path),
            },
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=home.path.parent,
            pass_fds=[listener.fileno()],
        )  # fmt: skip
        home.processes.append(server)
        port = listener.getsockname()[1]
        listener.close()

        def ask():
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
                connection.request("GET", "/")
                pid, level = connection.getresponse().read().decode().split()
            return int(pid), level

        return server, ask

    return start


@pytest.mark.engines
@pytest.mark.parametrize(("kind", "preload"), PREFORK)
def test_all_workers_of_gunicorn_follow_new_ones_before_their_first_request_and_its_parent_has_no_part(
    home, gunicorn, kind, preload
):
    """F18, F19: 2/2 workers; a worker that is recycled, and all of them after a HUP, have the level at once."""
    server, ask = gunicorn(kind, preload)
    home.until(lambda: (home.path / "control").exists() and len(home.pids()) == 2)
    change = home.put()
    first = home.until(lambda: found if len(found := home.pids(having=change)) == 2 else None)
    assert server.pid not in first
    assert {ask()[1] for _ in range(6)} == {"DEBUG"}
    os.kill(min(first), signal.SIGKILL)
    levels = set()

    def recycled():
        pid, level = ask()
        levels.add(level)
        return pid not in first

    home.until(recycled)
    assert levels == {"DEBUG"}
    home.until(lambda: len(home.pids(having=change)) == 2)
    server.send_signal(signal.SIGHUP)
    home.until(lambda: len(found := home.pids(having=change)) == 2 and not found & first)
    assert ask()[1] == "DEBUG"
    assert server.pid not in home.pids()
    server.terminate()
    server.wait()
    assert home.nodes() == () or home.pids() == set()
