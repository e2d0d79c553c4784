"""A stack in a folder of its own, and a stand-in for the engine it runs on."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass

import pytest
from docker_double import Double

from clusterlog.cli import commands
from clusterlog.cli.stack import preflight


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path):
    """Where the stack is."""
    return tmp_path / "stack"


@pytest.fixture
def stack(capfdbinary, folder):
    """Call ``clusterlog stack`` with the stack's folder."""

    def called(verb, *options):
        if verb == "up" and not {"--timeout", "--help"} & set(options):
            options = (*options, "--timeout", "60s")  # what waits in vain is not to wait for long
        capfdbinary.readouterr()
        code = commands.call(["stack", verb, str(folder), *map(str, options)])
        told = capfdbinary.readouterr()
        return Result(code, told.out.decode(), told.err.decode())

    return called


@pytest.fixture
def docker(tmp_path_factory, monkeypatch):
    """The only ``docker`` there is, on a kernel that lets search servers start."""
    directory = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    limit = directory / "max_map_count"
    limit.write_text("1048576\n")
    monkeypatch.setattr(preflight, "_MAPS", limit)
    return Double(directory)


@pytest.fixture
def maps(docker):
    """Set the kernel's limit."""
    return lambda number: (docker.directory / "max_map_count").write_text(f"{number}\n")


@pytest.fixture
def made(stack, folder, ports, docker):
    """A stack whose ports nobody listens on."""
    assert stack("init").code == 0
    change(folder, **ports)
    return folder


@pytest.fixture
def ports():
    """Ports on which nobody listens, by their variables."""
    names = (
        "SHOP_PORT",
        "KIBANA_PORT",
        "ELASTICSEARCH_PORT",
        "LUMBERJACK_PORT",
        "LOGSTASH_HTTP_PORT",
        "OPENSEARCH_PORT",
    )
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    found = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return found


@pytest.fixture(name="change")
def _change():
    return change


def change(folder, **values):
    """Set variables in the stack's ``.env``; ``None`` takes one away."""
    path = folder / ".env"
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in values]
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in values.items() if value is not None), ""]))
