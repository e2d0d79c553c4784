"""Real search servers for the tests: started on free ports, in directories of their own, ended with the run.

A test asks for ``elasticsearch`` or ``opensearch`` and gets the one server that all tests share; data set names of
its own keep it apart, as these servers cannot delete everything. ``start_engine`` starts another one with settings of
its own. Where a server was not fetched (``make engines``), its tests are skipped; with ``CI`` set they fail.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fetch import CACHE, READY, Missing, java

from clusterlog.cli.demo.leash import leash

PATIENCE_S = 240.0
"""For a server that starts beside others: a minute or two where they all share two cores."""
NOBODY = 65534
_MANDATORY = ("elasticsearch-8.19", "opensearch-3.8", "java-agent-2.33")
_ALL_NEEDED = bool(os.environ.get("CI")) and not os.environ.get("WITHOUT_ENGINES")
"""Read now: no test sees settings from outside."""
_lacks: set[str] = set()
_left_out: Counter[str] = Counter()
"""Tests that were skipped for want of a server, by what is said of it."""
_JAVA = {"elasticsearch-8.19": 17, "elasticsearch-9.5": 21, "java-agent-2.33": 17}
_HEAP = "512m"
_MODULES = ",".join(
    f"org.opensearch.{name}"
    for name in (
        "dashboards.OpenSearchDashboardsModulePlugin",
        "geo.GeoModulePlugin",
        "index.mapper.MapperExtrasModulePlugin",
        "index.rankeval.RankEvalModulePlugin",
        "index.reindex.ReindexModulePlugin",
        "ingest.common.IngestCommonModulePlugin",
        "ingest.useragent.IngestUserAgentModulePlugin",
        "join.ParentJoinModulePlugin",
        "painless.PainlessModulePlugin",
        "percolator.PercolatorModulePlugin",
        "plugin.repository.url.URLRepositoryModulePlugin",
        "script.expression.ExpressionModulePlugin",
        "script.mustache.MustacheModulePlugin",
        "search.aggregations.matrix.MatrixAggregationModulePlugin",
        "search.pipeline.common.SearchPipelineCommonModulePlugin",
        "systemd.SystemdModulePlugin",
        "transport.Netty4ModulePlugin",
    )
)
"""Without the common analysis module: the runtime from the package index has too few locales for one of its filters."""


@dataclass
class Engine:
    """A running server. ``url`` has no credentials in it; ``user`` and ``password`` are those of its superuser."""

    name: str
    url: str
    directory: Path
    process: subprocess.Popen[bytes]
    user: str = ""
    password: str = ""
    ca: Path | None = None
    command: tuple[tuple[str, ...], dict[str, str]] = field(default=((), {}), repr=False)

    @property
    def flavour(self) -> str:
        """``elasticsearch`` or ``opensearch``."""
        return self.name.partition("-")[0]

    def call(
        self, method: str, path: str, body: Any = None, *, timeout: float = 30.0, **headers: str
    ) -> tuple[int, Any]:
        """Status and parsed body of a request; ``body`` is JSON, or text as it is (``_bulk``)."""
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if text is None else text.encode(),
            headers={"Content-Type": kind, **self._authorization(), **headers},
        )
        context = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, content = error.code, error.read()
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content.decode("utf-8", "replace")

    def _authorization(self) -> dict[str, str]:
        if not self.user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}

    def data_set(self) -> str:
        """A data set name that no other test has."""
        return f"clusterlog.t{secrets.token_hex(6)}"

    def wait(self) -> None:
        """Until a document can be written and found: green alone does not mean it."""
        end = time.monotonic() + PATIENCE_S
        index = f"ready-{secrets.token_hex(4)}"
        while True:
            assert self.process.poll() is None, f"{self.name} ended: {self._last_words()}"
            try:
                if self.call("PUT", f"/{index}/_doc/1?refresh=true", {"ready": True}, timeout=20)[0] in (200, 201):
                    return
            except OSError:
                pass
            assert time.monotonic() < end, f"{self.name} is not ready: {self._last_words()}"
            time.sleep(0.2)

    def _last_words(self) -> str:
        log = self.directory / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "without a word"

    def kill(self) -> None:
        """SIGKILL, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def again(self) -> None:
        """Start it again on the same data and ports, after ``kill``."""
        arguments, environ = self.command
        self.process = _spawn(arguments, environ, self.directory)
        self.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _port_for_opensearch() -> int:
    """A free port: its runner looks for one itself, and not above 9299."""
    for _ in range(200):
        port = 8000 + secrets.randbelow(1299)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port for OpenSearch below 9300")


def _spawn(arguments: tuple[str, ...], environ: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "log").open("ab") as log:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:  # Elasticsearch refuses to run as root
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return subprocess.Popen(
            arguments,
            env=environ,
            cwd=directory,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # A run that is killed has no time to end its servers, each of which holds a gigabyte.
            preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509 - a system call whose address is known
            **identity,
        )


def directory_of_its_own() -> Path:
    """An empty directory for a server; those of runs that were killed are removed."""
    # Not below pytest's own directory: every other run of pytest closes that to everybody but the one who runs it.
    prefix = "clusterlog-engine-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        run = left.name.removeprefix(prefix).partition("-")[0]
        if run.isdecimal() and not Path("/proc", run).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def start(
    name: str,
    directory: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    files: Mapping[str, str | bytes] | None = None,
    standin: bool = True,
    login: tuple[str, str] = ("", ""),
    ca: Path | None = None,
) -> Engine:
    """Start an engine in an empty directory that nobody else uses, with ``settings`` over ours.

    ``files`` are put into its configuration (``roles.yml``, certificates); ``standin=False`` leaves out the plug-in,
    as a bare server. ``login`` is the superuser's, where the files name one; ``ca`` signed its certificate. It is
    ready when this returns.
    """
    http, transport = free_ports(2)
    settings = {"cluster.name": f"clusterlog-{secrets.token_hex(4)}", **(settings or {})}
    engine = (_elasticsearch if name.startswith("elasticsearch") else _opensearch)(
        name, directory, settings, files or {}, http, transport, standin
    )
    engine.user, engine.password = login
    engine.ca = ca
    try:
        engine.wait()
    except BaseException:
        engine.stop()
        raise
    return engine


def _elasticsearch(
    name: str,
    directory: Path,
    settings: Mapping[str, Any],
    files: Mapping[str, str | bytes],
    http: int,
    transport: int,
    standin: bool,
) -> Engine:
    server = directory / "server"
    shutil.copytree(CACHE / name / "server", server, symlinks=True)
    if not standin:
        shutil.rmtree(server / "plugins" / "standin")
    own = {
        "node.name": "n1",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": http,
        "transport.port": transport,
        "xpack.security.enabled": False,
        "xpack.security.http.ssl.enabled": False,
        "xpack.security.transport.ssl.enabled": False,
        "cluster.routing.allocation.disk.threshold_enabled": False,
        **settings,
    }
    _configure(server / "config", "elasticsearch.yml", own, files)
    (server / "config" / "jvm.options.d").mkdir(exist_ok=True)
    (server / "config" / "jvm.options.d" / "heap.options").write_text(f"-Xms{_HEAP}\n-Xmx{_HEAP}\n")
    _give_to_nobody(directory)
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "ES_JAVA_HOME": str(java(_JAVA[name]).parent.parent)}
    command = ((str(server / "bin" / "elasticsearch"),), environ)
    scheme = "https" if own["xpack.security.http.ssl.enabled"] else "http"
    return Engine(name, f"{scheme}://127.0.0.1:{http}", directory, _spawn(*command, directory), command=command)


def _opensearch(
    name: str,
    directory: Path,
    settings: Mapping[str, Any],
    files: Mapping[str, str | bytes],
    http: int,
    transport: int,
    standin: bool,
) -> Engine:
    cluster = settings["cluster.name"]
    http = _port_for_opensearch()
    for part in ("java", "lib"):  # the cache may lie in a home that only its owner enters
        shutil.copytree(CACHE / name / part, directory / part, symlinks=True)
    own = {
        "transport.port": transport,
        "network.host": "127.0.0.1",
        "cluster.routing.allocation.disk.threshold_enabled": False,
        **settings,
    }
    _configure(directory / "conf", "opensearch.yml", own, files)
    _give_to_nobody(directory)
    arguments = (
        str(directory / "java" / "bin" / "java"),
        f"-Xms{_HEAP}",
        f"-Xmx{_HEAP}",
        "-cp",
        str(directory / "lib" / "*"),
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        *("-basePath", str(directory / "data"), "-confPath", str(directory / "conf")),
        *(
            "-numOfNode",
            "1",
            "-baseHttpPort",
            str(http - 1),
            "-clusterName",
            cluster,
            "-moduleTypes",
            _MODULES,
        ),
    )
    command = (arguments, {"PATH": os.environ["PATH"], "HOME": str(directory)})
    return Engine(name, f"http://127.0.0.1:{http}", directory, _spawn(*command, directory), command=command)


def _configure(directory: Path, name: str, settings: Mapping[str, Any], files: Mapping[str, str | bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    for file, content in files.items():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _give_to_nobody(directory: Path) -> None:
    """The directory and the way to it: the server runs as somebody else where the tests are run by root."""
    if os.geteuid() != 0:
        return
    for each in (directory, *directory.rglob("*")):
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    for above in directory.parents:
        mode = above.stat().st_mode
        if not mode & 0o001:
            above.chmod(mode | 0o011)


def available(name: str) -> str:
    """Why an engine cannot be started here; empty if it can."""
    if not (CACHE / name / READY).exists():
        return f"{name} was not fetched: `make engines` does"
    try:
        java(_JAVA.get(name, 0)) if name in _JAVA else None
    except Missing as missing:
        return str(missing)
    return ""


def needed(name: str) -> None:
    """Skip the test where an engine is not here; fail where all must be."""
    lack = available(name)
    if lack and name in _MANDATORY and _ALL_NEEDED:
        pytest.fail(lack)
    if lack:
        _lacks.add(lack)
        pytest.skip(lack)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count it where a test was skipped for want of a server."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        _left_out[reason] += reason in _lacks


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and how often, what was not tested."""
    for lack, count in (+_left_out).items():
        tests = "1 test was" if count == 1 else f"{count} tests were"
        terminalreporter.write_line(f"LEFT OUT: {tests} not run, as {lack}", red=True, bold=True)


@pytest.fixture(scope="session")
def _engines() -> Iterator[Callable[..., Engine]]:
    started: list[Engine] = []

    def begin(name: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Engine:
        needed(name)
        started.append(start(name, directory_of_its_own(), settings, **options))
        return started[-1]

    yield begin
    for each in started:
        each.stop()
        shutil.rmtree(each.directory, ignore_errors=True)


@pytest.fixture
def start_engine(_engines: Callable[..., Engine]) -> Iterator[Callable[..., Engine]]:
    """Start a server of one's own, by name and settings; it ends with the test."""
    mine: list[Engine] = []

    def begin(name: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Engine:
        mine.append(_engines(name, settings, **options))
        return mine[-1]

    yield begin
    for each in mine:
        each.stop()


@pytest.fixture(scope="session")
def elasticsearch(_engines: Callable[..., Engine]) -> Engine:
    """The Elasticsearch 8.19 that all tests share, without security."""
    return _engines("elasticsearch-8.19")


@pytest.fixture(scope="session")
def elasticsearch_9(_engines: Callable[..., Engine]) -> Engine:
    """The Elasticsearch 9.5 that all tests share, where there is a Java for it."""
    return _engines("elasticsearch-9.5")


@pytest.fixture(scope="session")
def opensearch(_engines: Callable[..., Engine]) -> Engine:
    """The OpenSearch 3.8 that all tests share."""
    return _engines("opensearch-3.8")
