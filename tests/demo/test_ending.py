"""However a demo ends, no process of it is left."""

from __future__ import annotations

import os
import subprocess
import sys

from clusterlog.cli.demo import command
from clusterlog.cli.demo.cluster import BANK, NODES
from clusterlog.spool.reader import instances

PROCESSES = len(NODES) + len([BANK]) + 4 + 1
"""A server for each node and the bank, two workers each for the two nodes of orders, and the shipper."""


def test_a_demo_that_is_asked_to_end_has_ended_every_process_it_started_and_delivered_everything(
    tmp_path, kept_demo, left
):
    home = tmp_path / "home"
    with kept_demo(home) as (demo, children):
        assert len(children) == PROCESSES, children
        demo.terminate()
        said, talked = demo.communicate(timeout=60)
        assert not left(children, 0.0)
    assert demo.returncode == 0, talked
    assert b"payments-1" in said, "a failing request is shown before traffic goes on"
    assert not [instance for instance in instances(home / "spool") if instance.segments]


def test_a_demo_that_is_killed_leaves_no_process_either(tmp_path, kept_demo, left):
    with kept_demo(tmp_path / "home") as (demo, children):
        demo.kill()
        demo.communicate(timeout=60)
        assert not left(children)


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
