"""Programs that have never heard of clusterlog, under `clusterlog run`: nothing changes for them, and all is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from clusterlog.ship.homelock import HomeLock

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
UNTOUCHED = Path(__file__).parent / "untouched"


@pytest.fixture
def found(run):
    """What `trace` finds of a request: its events."""

    def ask(id):
        result = run("trace", id, "--json")
        assert result.code == 0, result.err
        return json.loads(result.out)["events"]

    return ask


@pytest.fixture
def stored(run):
    """What `search` finds."""

    def ask(*query):
        return [json.loads(line) for line in run("search", "--ndjson", "--limit", "0", *query).lines]

    return ask


@pytest.fixture
def program(process, home, tmp_path):
    """Run a program to its end; its exit code and both streams."""

    def go(*command, options=(), **more):
        more.setdefault("cwd", UNTOUCHED)
        begun = process("run", "--home", home, *options, "--", *command, **more)
        out, err = begun.communicate(timeout=30)
        return begun.returncode, out.decode(), err.decode()

    return go


def check(served, found):
    """Every request is found by the id in its response header, told once, and on the server's own console."""
    told = {path: served.ask(path) for path in ("/ok", "/boom")}
    assert [status for status, _ in told.values()] == [200, 500]
    for path, messages in [("/ok", {"in the view"}), ("/boom", {"about to fail"})]:
        status, id = told[path]
        events = found(id)
        access = [event for event in events if event["event"]["dataset"] == "clusterlog.access"]
        assert [event["http"]["response"]["status_code"] for event in access] == [status]
        assert messages <= {event["message"] for event in events}
        assert {event["http"]["request"]["id"] for event in events} == {id}
        lines = [line for line in served.console.splitlines() if f"GET {path} " in line and id in line]
        assert len(lines) == 1, served.console
    return {event["process"]["pid"] for event in events}


def watches_only(pid, home):
    """A server's parent has no file of the home open."""
    files = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    return not [file for file in files if file.startswith(str(home.path))]


@pytest.mark.parametrize(("kind", "preload"), [("sync", ()), ("gthread", ("--preload",))])
def test_an_untouched_flask_application_on_gunicorn(serve, found, stored, home, kind, preload):
    options = ("-w", "2", "-k", kind, "--access-logfile", "-", "--no-control-socket", *preload)
    served = serve(str(BIN / "gunicorn"), "flask_shop:app", "-b", "127.0.0.1:{port}", *options)
    pids = check(served, found)
    arbiter = served.process.pid
    assert arbiter not in pids
    assert watches_only(arbiter, home)
    assert len(os.listdir(f"/proc/{arbiter}/task")) == 1
    assert served.stop() == 0
    own = [event for event in stored("not dataset: clusterlog.state") if event["process"]["pid"] == arbiter]
    assert [event["message"] for event in own] == (["module loaded"] if preload else [])
    assert not stored("logger: gunicorn.access")
    assert len(stored("logger: gunicorn.error", "and", "message: booting")) == 2


def test_a_worker_that_was_killed_is_told_by_the_arbiter_which_keeps_no_file(serve, stored, home, until):
    options = ("-w", "1", "--no-control-socket")
    served = serve(str(BIN / "gunicorn"), "flask_shop:app", "-b", "127.0.0.1:{port}", *options)
    arbiter = served.process.pid
    until(lambda: served.ask("/ok")[0] == 200, "a worker answers")
    (worker,) = stored("message: booting")
    os.kill(worker["process"]["pid"], signal.SIGKILL)
    until(lambda: "SIGKILL" in served.console, "the arbiter has noticed")
    (told,) = until(lambda: stored("level: error", "and", "logger: gunicorn.error"), "its line is found")
    assert "was sent SIGKILL" in told["message"]
    assert told["process"]["pid"] == arbiter
    assert watches_only(arbiter, home)


def test_an_untouched_asgi_application_on_uvicorn(serve, found, stored, home):
    served = serve(str(BIN / "uvicorn"), "asgi_shop:app", "--port", "{port}")
    assert check(served, found) == {served.process.pid}
    served.stop()
    (error,) = stored("logger: uvicorn.error", "and", "level: error")
    assert error["error"]["message"] == "bang"
    assert "labels" not in error
    assert not stored("logger: uvicorn.access")
    (close,) = stored("dataset: clusterlog.state", "and", "event.action: close", "and", "service: uvicorn")
    assert close["process"]["pid"] == served.process.pid


@pytest.mark.parametrize("options", [("--workers", "2"), ("--reload",)], ids=["workers", "reload"])
def test_workers_that_uvicorn_spawns_take_part_and_their_parent_only_watches(serve, found, stored, home, options):
    served = serve(str(BIN / "uvicorn"), "asgi_shop:app", "--port", "{port}", *options)
    pids = check(served, found)
    assert served.process.pid not in pids
    assert watches_only(served.process.pid, home)
    assert served.stop() == 0
    assert not [event for event in stored() if event["process"]["pid"] == served.process.pid]


def test_a_reloader_that_has_something_to_tell_keeps_no_file_all_the_same(serve, stored, home, tmp_path, until):
    application = tmp_path / "asgi_shop.py"
    application.write_text((UNTOUCHED / "asgi_shop.py").read_text())
    served = serve(str(BIN / "uvicorn"), "asgi_shop:app", "--port", "{port}", "--reload", cwd=tmp_path)
    until(lambda: served.ask("/ok")[0] == 200, "the first child answers")

    def changed():
        application.touch()  # a change before the reloader's first look would be none to it
        return "detected changes" in served.console

    until(changed, "the reloader has seen a change")
    until(lambda: served.console.count("Started server process") > 1, "the next child serves")
    told = stored("message: detected")
    assert {event["process"]["pid"] for event in told} == {served.process.pid}
    assert watches_only(served.process.pid, home)


def test_a_program_that_binds_a_socket_and_serves_on_it_is_no_parent(serve, stored, tmp_path):
    (tmp_path / "bound.py").write_text(
        "import sys, uvicorn\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "config = uvicorn.Config('asgi_shop:app', port=int(sys.argv[1]))\n"
        "uvicorn.Server(config).run(sockets=[config.bind_socket()])\n"
    )
    served = serve(sys.executable, str(tmp_path / "bound.py"), "{port}", str(UNTOUCHED))
    assert served.ask("/ok")[0] == 200
    assert stored("message: started", "and", "logger: uvicorn.error")


def test_a_program_that_starts_its_own_uvicorn(serve, found, stored):
    served = serve(sys.executable, "own_server.py", "{port}")
    check(served, found)
    assert "shop.api says in the view" in served.console
    served.stop()
    assert stored("message: finished")


def test_the_development_server_of_flask_and_its_reloader(serve, found, home, stored):
    served = serve(str(BIN / "flask"), "--app", "flask_shop", "run", "--port", "{port}", "--reload")
    served.ask("/ok")  # its console begins with its first line, which carries no id
    check(served, found)
    assert watches_only(served.process.pid, home)
    assert not stored("logger: werkzeug.access")


def test_a_script_says_on_its_console_what_it_always_said_and_all_else_is_stored_as_well(program, stored):
    plain = subprocess.run(
        [sys.executable, "script.py"], cwd=UNTOUCHED, capture_output=True, text=True, check=False, timeout=30
    )
    code, out, err = program(sys.executable, "script.py")
    assert (code, err) == (plain.returncode, plain.stderr)
    assert out.replace("level: 10", "") == plain.stdout.replace("level: 10", "")
    lines = stored("not dataset: clusterlog.state")
    assert [event["message"] for event in lines] == [
        "before any configuration",
        "for the handler of last resort",
        "not for a console at WARNING",
        "order 7 failed",
        "for a console at DEBUG",
        "apart from the root logger",
        "careful",
        "caught",
    ]
    assert lines[3]["labels"] == {"sku": "a9"}
    assert lines[3]["clusterlog"]["template"] == "order %s failed"
    assert lines[-1]["error"]["type"] == "KeyError"
    assert {event["service"]["name"] for event in lines} == {"script"}


@pytest.mark.parametrize(
    "configured",
    [
        "",
        (
            "structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(),"
            " mask, structlog.processors.JSONRenderer()])"
        ),
    ],
)
def test_structlog_that_prints_is_taken_before_it_renders(program, stored, configured, tmp_path):
    (tmp_path / "printing.py").write_text(
        "import structlog\n"
        "def mask(logger, name, event):\n"
        "    if event.get('card'): event['card'] = 'masked'\n"
        "    return event\n"
        f"{configured}\n"
        "log = structlog.get_logger().bind(shop=3)\n"
        "log.info('paid', card=4711, level='gold')\n"
        "try: 1/0\n"
        "except ZeroDivisionError: log.error('failed', exc_info=True)\n"
    )
    code, out, _ = program(sys.executable, "printing.py", cwd=tmp_path)
    assert code == 0
    assert len([line for line in out.splitlines() if "paid" in line and "log.info" not in line]) == 1
    first, second = stored("logger: structlog")
    assert first["message"] == "paid"
    assert first["labels"] == {"shop": 3, "card": "masked" if configured else 4711, "level": first["labels"]["level"]}
    assert (second["log"]["level"], second["error"]["type"]) == ("error", "ZeroDivisionError")
    assert "timestamp" not in second["labels"]


def test_structlog_on_the_standard_library_is_told_once(program, stored, tmp_path):
    (tmp_path / "standard.py").write_text(
        "import structlog\n"
        "structlog.configure(logger_factory=structlog.stdlib.LoggerFactory(),"
        " processors=[structlog.stdlib.render_to_log_kwargs])\n"
        "structlog.get_logger('shop').warning('paid', card=1)\n"
    )
    code, _, _ = program(sys.executable, "standard.py", cwd=tmp_path)
    assert code == 0
    (event,) = stored("not dataset: clusterlog.state")
    assert (event["message"], event["log"]["logger"], event["labels"]) == ("paid", "shop", {"card": 1})


def test_the_command_takes_the_place_of_this_process(process, home):
    begun = process(
        "run", "--home", home, "--", sys.executable, "-c", "import os, sys; print(os.getpid()); sys.exit(7)"
    )
    out, _ = begun.communicate(timeout=30)
    assert (int(out), begun.returncode) == (begun.pid, 7)


def test_what_ends_a_program_that_never_loads_logging_is_stored(program, stored):
    code, _, err = program(sys.executable, "-c", "1/0")
    assert (code, err.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")
    (event,) = stored("level: critical")
    assert event["error"]["type"] == "ZeroDivisionError"
    assert event["log"]["logger"] == "clusterlog.uncaught"


def test_a_warning_is_stored_though_nothing_was_logged_before(program, stored):
    code, _, err = program(sys.executable, "-c", "import logging, warnings; warnings.warn('careful')")
    assert code == 0
    assert "UserWarning: careful" in err
    (event,) = stored("logger: py.warnings")
    assert event["message"] == "careful"


def test_a_program_that_says_nothing_leaves_nothing_and_loads_next_to_nothing(program, home):
    code, out, _ = program(sys.executable, "-c", "import sys; print(sorted(sys.modules))")
    assert code == 0
    assert not [name for name in ("logging", "ssl", "socket", "asyncio", "structlog", "orjson") if f"'{name}'" in out]
    assert not (home.path / "spool").exists()


def test_a_program_s_own_start_wins_and_its_lines_are_told_once(program, stored):
    own = (
        "import logging\n"
        "logging.getLogger('shop').warning('before')\n"
        "import clusterlog\n"
        "clusterlog.start('chosen', node='n7')\n"
        "logging.getLogger('shop').info('standard')\n"
        "clusterlog.get_logger('shop').info('native', n=1)\n"
    )
    code, _, err = program(sys.executable, "-c", own)
    assert (code, err) == (0, "before\n")
    told = [(e["message"], e["service"]["name"]) for e in stored("not dataset: clusterlog.state")]
    assert told == [("before", "python"), ("standard", "chosen"), ("native", "chosen")]


def test_the_native_logger_works_without_a_start(program, stored):
    code, _, _ = program(sys.executable, "-c", "import clusterlog; clusterlog.get_logger('shop').info('native', n=1)")
    assert code == 0
    (event,) = stored("message: native")
    assert event["labels"] == {"n": 1}


def test_processes_that_are_spawned_forked_or_started_take_part(program, stored, tmp_path):
    (tmp_path / "many.py").write_text(
        "import logging, multiprocessing, subprocess, sys\n"
        "def work(how):\n"
        "    logging.getLogger('shop').warning('by %s', how)\n"
        "if __name__ == '__main__':\n"
        "    for how in ('spawn', 'fork', 'forkserver'):\n"
        "        process = multiprocessing.get_context(how).Process(target=work, args=(how,))\n"
        "        process.start(); process.join()\n"
        "    subprocess.run([sys.executable, '-c', \"import logging; logging.error('by subprocess')\"], check=True)\n"
    )
    code, _, _ = program(sys.executable, "many.py", cwd=tmp_path)
    assert code == 0
    events = stored("message: by")
    assert {event["message"] for event in events} == {"by spawn", "by fork", "by forkserver", "by subprocess"}
    assert len({event["process"]["pid"] for event in events}) == 4


def test_settings_of_the_call_reach_the_program(program, stored):
    options = ("--service", "shop", "--node", "shop-9", "--debug", "shop.db, shop.cache")
    code, _, err = program(
        sys.executable,
        "-c",
        "import logging\n"
        "logging.getLogger('shop.db').debug('select')\n"
        "logging.basicConfig(level='INFO')\n"
        "logging.getLogger('shop.db').debug('update')\n"
        "logging.getLogger('shop.db').info('commit')\n"
        "logging.getLogger('other').debug('no')\n",
        options=options,
    )
    assert (code, err) == (0, "INFO:shop.db:commit\n")
    events = stored("service: shop", "and", "node: shop-9", "and", "logger: shop.db")
    assert [event["message"] for event in events] == ["select", "update", "commit"]
    assert not stored("logger: other")


def test_debug_of_a_component_outlives_what_the_program_configures_and_takes_nothing_off_its_console(program, stored):
    code, out, _ = program(
        sys.executable,
        "-c",
        "import logging, logging.config, sys\n"
        "console = {'class': 'logging.StreamHandler', 'stream': sys.stdout}\n"
        "logging.config.dictConfig({'version': 1, 'handlers': {'c': console},\n"
        "  'root': {'level': 'INFO', 'handlers': ['c']}, 'loggers': {'payments.client': {'level': 'WARNING'}}})\n"
        "for name in ('orders', 'orders.stock', 'payments.client', 'shop'):\n"
        "    for level in (10, 20, 30):\n"
        "        logging.getLogger(name).log(level, '%s %s', name, level)\n",
        options=("--debug=orders,payments.client",),
    )
    assert code == 0
    own = ["orders 20", "orders 30", "orders.stock 20", "orders.stock 30", "payments.client 30", "shop 20", "shop 30"]
    assert out.splitlines() == own, "as without us: a logger that we had made would be disabled by dictConfig"
    said = {event["message"] for event in stored()}
    assert {*own, "orders 10", "orders.stock 10", "payments.client 10", "payments.client 20"} == {
        message for message in said if message.split()[0] in ("orders", "orders.stock", "payments.client", "shop")
    }


def test_the_sitecustomize_of_the_environment_is_loaded_as_ever(program, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.customised = __file__\n")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code, out, _ = program(
        sys.executable, "-c", "import sitecustomize; print(customised, sitecustomize.__file__)", env=environ
    )
    own = str(tmp_path / "sitecustomize.py")
    assert (code, out.split()) == (0, [own, own])


def test_a_sitecustomize_that_fails_is_reported_as_ever_and_the_program_is_followed(program, stored, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('broken')\n")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code, _, err = program(sys.executable, "-c", "import logging; logging.error('hello')", env=environ)
    assert code == 0
    assert "ValueError: broken" in err
    assert stored("message: hello")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The Python of another environment, which has no clusterlog."""
    directory = tmp_path_factory.mktemp("other")
    venv.create(directory, symlinks=True)
    return directory / "bin" / "python"


@pytest.mark.parametrize("way", ["python", "script", "env", "trampoline"])
def test_another_python_is_told_what_to_install(program, other, home, tmp_path, way):
    command = [str(other), "-c", "pass"]
    if way != "python":
        first = {
            "script": f"#!{other}\n",
            "env": f"#!/usr/bin/env -S {other}\n",
            "trampoline": f"#!/bin/sh\n'''exec' \"{other}\" \"$0\" \"$@\"\n' '''\n",
        }[way]
        script = tmp_path / "serve"
        script.write_text(first + "pass\n")
        script.chmod(0o755)
        command = [str(script)]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code, out, err = program(*command, cwd=ROOT, env=environ)
    assert (code, out) == (2, "")
    assert err == f"clusterlog: {other} has no clusterlog: {other} -m pip install clusterlog\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            (sys.executable, "-I", "x.py"),
            "python -I does not look at PYTHONPATH, so clusterlog cannot get in: leave out -I",
        ),
        ((sys.executable, "-uE", "x.py"), "python -E does not look"),
        ((sys.executable, "-X", "dev", "-Sm", "http.server"), "python -S does not look"),
        (("no-such-program",), "no program no-such-program: it is neither a file nor in PATH"),
        (("./script.py",), "./script.py is not executable: clusterlog run -- python ./script.py"),
        ((str(UNTOUCHED),), f"{UNTOUCHED} is a directory"),
        ((), "nothing to run: clusterlog run -- COMMAND"),
    ],
)
def test_a_command_that_cannot_be_followed_is_refused_before_it_runs(program, command, told):
    code, out, err = program(*command)
    assert (code, out) == (2, "")
    assert err.startswith(f"clusterlog: {told}")
    assert err.count("\n") == 1


def test_options_of_the_program_are_not_those_of_the_interpreter(program):
    assert program(sys.executable, "-c", "import sys; print(sys.argv)", "-I")[:2] == (0, "['-c', '-I']\n")


def test_a_shell_may_start_what_is_followed(program, stored):
    code, _, _ = program("sh", "-c", f"{sys.executable} -c 'import logging; logging.error(1)'; exit 3")
    assert code == 3
    assert stored("message: 1")


def test_a_home_that_cannot_be_one_is_told_before_anything_runs(process, tmp_path):
    (tmp_path / "file").write_text("")
    begun = process("run", "--home", tmp_path / "file", "--", sys.executable, "-c", "print('ran')")
    out, err = begun.communicate(timeout=30)
    assert (begun.returncode, out) == (2, b"")
    assert err.decode() == f"clusterlog: {tmp_path / 'file'} is not a directory: choose another --home\n"


def test_a_shipper_beside_it_has_delivered_when_the_command_has_ended(program, home, run):
    code, out, err = program(
        sys.executable, "-c", "import logging, sys; logging.error('x'); sys.exit(9)", options=("--ship",)
    )
    assert (code, out) == (9, "")
    assert err == "ERROR:root:x\n"
    assert not home.segments()
    assert HomeLock.holder(home.path) == 0
    assert run("search", "--count", "level: error").out == "1\n"


def test_with_a_shipper_beside_it_signals_and_how_it_ends_are_still_the_command_s(process, home, until, run, tmp_path):
    sleeper = (
        "import logging, signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: logging.error('asked'))\n"
        "logging.error('ready')\n"
        "while True: time.sleep(0.05)\n"
    )
    console = tmp_path / "console"
    with console.open("wb") as err:
        begun = process("run", "--home", home, "--ship", "--", sys.executable, "-c", sleeper, stderr=err)
    until(lambda: console.read_text() == "ERROR:root:ready\n", "the command runs")
    until(lambda: HomeLock.holder(home.path), "the shipper runs")
    begun.send_signal(signal.SIGUSR1)
    until(lambda: console.read_text().endswith("ERROR:root:asked\n"), "the command has got the signal")
    begun.send_signal(signal.SIGTERM)
    begun.communicate(timeout=30)
    assert begun.returncode == -signal.SIGTERM
    assert HomeLock.holder(home.path) == 0
    assert run("search", "--count", "level: error").out == "2\n"


def test_beside_a_shipper_that_runs_already_the_command_just_runs(process, program, home, until):
    home.path.mkdir(mode=0o700)
    other = process("ship", "--home", home)
    until(lambda: HomeLock.holder(home.path) == other.pid, "the shipper runs")
    code, out, err = program(sys.executable, "-c", "print('ran')", options=("--ship",))
    assert (code, out) == (0, "ran\n")
    assert err == f"clusterlog: {home} is being shipped already\n"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import logging; logging.getLogger('x').error('no handler at all')", ["no handler at all"]),
        (
            "import logging; logging.basicConfig(format='own %(message)s'); logging.getLogger('x').error('handled')",
            ["own handled"],
        ),
        ("import logging; logging.info('below what its console shows')", []),
    ],
)
def test_the_terminal_of_a_program_stays_as_it_is(on_pty, home, run, source, shown):
    terminal = on_pty("run", "--home", home, "--", sys.executable, "-c", source)
    assert terminal.ended() == 0
    assert [line for line in terminal.shown if line] == shown
    assert run("search", "--count", "not dataset: clusterlog.state").out == "1\n"


@pytest.mark.parametrize(
    ("call", "environ"),
    [("clusterlog.start()", {}), ("clusterlog.start('shop')", {}), ("", {"CLUSTERLOG_CONSOLE": "on"})],
)
def test_a_program_that_asks_for_lines_on_its_terminal_gets_them(on_pty, home, call, environ):
    source = f"import logging, clusterlog; {call or None}; logging.getLogger('x').error('shown')"
    terminal = on_pty("run", "--home", home, "--", sys.executable, "-c", source, **environ)
    assert terminal.ended() == 0
    assert sum(" E x  " in line and line.endswith("shown") for line in terminal.shown) == 1
