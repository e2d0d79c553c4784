"""The examples of examples/cluster, run as somebody would who reads them: CP-01, CP-06, CP-18."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"
PATIENCE_S = 20


class Process:
    """An example that is running, typed into line by line."""

    def __init__(self, script: str, *arguments: str, cwd: Path) -> None:
        command = [sys.executable, str(EXAMPLES / script), *arguments]
        self.process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
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

    def start(script: str, *each: tuple[str, ...]) -> list[Process]:
        begun = [Process(script, *arguments, cwd=tmp_path) for arguments in each]
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
