"""However a demo ends, no process of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from clusterlog.cli.demo import command
from clusterlog.cli.demo.cluster import BANK, NODES

PROCESSES = len(NODES) + len([BANK]) + 4 + 1
"""A server for each node and the bank, two workers each for the two nodes of orders, and the shipper."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked to end", "killed"])
def test_a_demo_that_is(number, tmp_path, kept_demo, left):
    """Asked, it delivers everything and ends with 0; killed, its processes notice by themselves."""
    with kept_demo(tmp_path / "home") as (demo, children):
        assert len(children) == PROCESSES, children
        os.kill(demo.pid, number)
        said, talked = demo.communicate(timeout=60)
    assert not left(children)
    assert demo.returncode == (0 if number == signal.SIGTERM else -signal.SIGKILL), talked
    assert b"payments-1" in said, "a failing request is shown before traffic goes on"


def test_a_node_that_cannot_start_is_one_clear_line_with_its_own_words(tmp_path):
    home = tmp_path / "home"
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "__init__.py").write_text("raise ImportError('this flask is broken')\n")
    done = subprocess.run(
        [sys.executable, "-m", "clusterlog", "demo", "--requests", "1", "--home", str(home)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert not done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("clusterlog: orders-")
    assert "has ended" in done.stderr
    assert str(home / "demo" / "orders-") in done.stderr


def test_a_missing_library_is_one_line_that_says_what_to_install(tmp_path, monkeypatch, capsys):
    from clusterlog.cli.commands import call

    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "gunicorn" else object())
    assert call(["demo", "--home", str(tmp_path / "home")]) == 2
    assert capsys.readouterr().err == 'clusterlog: demo needs an extra: pip install "clusterlog[demo]"\n'
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_one_is_refused_before_anything_starts(tmp_path, capsys):
    from clusterlog.cli.commands import call

    (tmp_path / "file").write_text("")
    assert call(["demo", "--home", str(tmp_path / "file")]) == 2
    assert "is not a directory" in capsys.readouterr().err
