"""The examples of examples/cluster, run as somebody would who reads them: CP-01, CP-06, CP-18."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bus_sites import SITES, Site

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"
PATIENCE_S = 20


class Process:
    """An example that is running, typed into line by line."""

    def __init__(self, script: str, *arguments: str, cwd: Path, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / script), *arguments],
            cwd=cwd,
            env={**os.environ, **{f"CLUSTERLOG_{name.upper()}": value for name, value in settings.items()}},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def type(self, text: str) -> str:
        """What it answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., list[Process]]]:
    """Starts an example once for each of these arguments, in one directory."""
    started: list[Process] = []

    def start(script: str, *each: tuple[str, ...], **settings: str) -> list[Process]:
        begun = [Process(script, *arguments, cwd=tmp_path, **settings) for arguments in each]
        started.extend(begun)
        assert [process.line() for process in begun] == ["ready"] * len(begun)
        return begun

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
            process.end()


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def test_cp18_a_cache_is_flushed_in_all_processes_by_one_message(run, tmp_path):
    one, two, _ = processes = run("shared_cache.py", ("shop-1",), ("shop-2",), ("shop-3",))
    others = {f"shop-{number}" for number in (2, 3)}
    until(lambda: {each.split("=")[0] for each in one.type("sizes").split()} == others, "the others to be there")
    assert one.type("set tea 3") == "told"

    def kept_everywhere() -> bool:
        return [process.type("get tea") for process in processes] == ["3"] * 3 and one.type("sizes") == (
            "shop-2=1 shop-3=1"
        )

    until(kept_everywhere, "every process to keep the price")
    (tmp_path / "prices" / "tea").write_text("nobody is told of this")
    assert [process.type("get tea") for process in processes] == ["3"] * 3
    assert two.type("set tea 4") == "told"
    until(lambda: [process.type("get tea") for process in processes] == ["4"] * 3, "the new price everywhere")
    assert [process.end() for process in processes] == [0, 0, 0]


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A network bus, and a path to it that can be cut."""
    with SITES[request.param]() as made:
        yield made


@pytest.fixture
def network(site: Site, tmp_path: Path) -> dict[str, str]:
    """The settings that lead to it, from homes that each are a host of their own."""
    (tmp_path / "key").write_text(secrets.token_hex(32))
    port = site.path.port
    url = {
        "RedisSite": lambda: f"redis://:{site.secret}@127.0.0.1:{port}",
        "PostgresSite": lambda: site.server.url(port=port),
        "HubSite": lambda: f"hub+http://127.0.0.1:{port}",
    }[type(site).__name__]()
    more = {"token_file": str(site.server.token_file)} if type(site).__name__ == "HubSite" else {}
    return {"bus": url, "control_key": str(tmp_path / "key"), **more}


@pytest.mark.engines
def test_cp18_over_a_network_too_and_after_it_was_cut_nobody_goes_on_with_what_may_be_old(run, tmp_path, site, network):
    hosts = [(f"shop-{number}", "--home", f"home-{number}") for number in (1, 2)]
    one, two = processes = run("shared_cache.py", *hosts, **network)
    until(lambda: one.type("sizes") == "shop-2=0" and two.type("sizes") == "shop-1=0", "both to know each other")
    assert one.type("set tea 3") == "told"
    until(lambda: [p.type("get tea") for p in processes] == ["3", "3"] and one.type("sizes") == "shop-2=1", "3")
    assert two.type("set tea 4") == "told"
    until(lambda: [process.type("get tea") for process in processes] == ["4", "4"], "the new price everywhere")
    until(lambda: one.type("sizes") == "shop-2=1" and two.type("sizes") == "shop-1=1", "it to be kept")
    (tmp_path / "prices" / "tea").write_text("5")
    assert [process.type("get tea") for process in processes] == ["4", "4"]
    site.path.refuse()
    site.path.cut()
    site.path.accept()
    until(lambda: [process.type("get tea") for process in processes] == ["5", "5"], "the caches to empty themselves")
    assert [process.end() for process in processes] == [0, 0]


@pytest.mark.engines
def test_cp01_over_a_network_too_one_node_changes_the_level_of_all(run, network):
    hosts = [(f"payments-{number}", "--home", f"home-{number}", "--for", "3s") for number in (1, 2)]
    nodes = run("self_help.py", *hosts, **network)

    def changed(wanted: str) -> bool:
        if wanted == "DEBUG" and nodes[0].type("level") == "INFO":
            nodes[0].type("pay lots")
        return [node.type("level") for node in nodes] == [wanted] * 2

    until(lambda: changed("DEBUG"), "DEBUG on both")
    until(lambda: changed("INFO"), "the level the application configured")
    assert [node.end() for node in nodes] == [0, 0]


def test_cp01_cp06_a_level_changed_inside_the_application_holds_on_all_nodes_and_ends_by_itself(run):
    nodes = run(
        "self_help.py",
        ("payments-1", "--role", "send", "--for", "2s"),
        ("payments-2", "--role", "apply"),
        ("payments-3", "--role", "apply"),
    )
    assert [node.type("level") for node in nodes] == ["INFO"] * 3
    assert nodes[0].type("pay 5") == "paid 5.00"
    assert nodes[1].type("pay lots") == "failed, and nobody is told"
    assert [node.type("level") for node in nodes] == ["INFO"] * 3
    assert nodes[0].type("pay lots").startswith("failed, all nodes tell more by rule ")
    seen = [False, False, False]

    def all_at_debug() -> bool:
        if nodes[0].type("level") == "INFO":  # on a busy machine two seconds are over before everybody has answered
            nodes[0].type("pay lots")
        for number, node in enumerate(nodes):
            seen[number] = seen[number] or node.type("level") == "DEBUG"
        return all(seen)

    until(all_at_debug, "DEBUG on every node")
    until(lambda: [node.type("level") for node in nodes] == ["INFO"] * 3, "the level the application configured")
    assert [node.end() for node in nodes] == [0, 0, 0]
