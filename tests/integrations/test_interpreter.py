"""Which Python a command runs, found out from its first line and its options alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from clusterlog.errors import SettingError
from clusterlog.integrations.launch.interpreter import BOOTSTRAP, bootstrapped, program, refusal

OWN = Path(sys.executable).parent


@pytest.fixture
def script(tmp_path):
    """An executable file with a first line."""

    def make(head, name="serve", mode=0o755):
        path = tmp_path / name
        path.write_bytes(head.encode() + b"\npass\n")
        path.chmod(mode)
        return str(path)

    return make


@pytest.fixture
def environ(tmp_path):
    """An environment whose PATH holds a Python of nobody's."""
    (tmp_path / "bin").mkdir()
    for name in ("python3", "pypy3.11", "node"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("first", "python", "options"),
    [
        ("#!/opt/venv/bin/python3.11", "/opt/venv/bin/python3.11", ()),
        ("#! /opt/venv/bin/python -sE", "/opt/venv/bin/python", ("-sE",)),
        ("#!/usr/bin/env python3", "{bin}/python3", ()),
        ("#!/usr/bin/env -S python3 -I -u", "{bin}/python3", ("-I", "-u")),
        ("#!/usr/bin/env -S LANG=C pypy3.11", "{bin}/pypy3.11", ()),
        ("#!/usr/bin/env python3.99", "python3.99", ()),
        ("#!/usr/bin/env node", None, ()),
        ("#!/bin/bash", None, ()),
        ("#!/usr/bin/env", None, ()),
        ("#!", None, ()),
        ("\x7fELF", None, ()),
        ("#!/usr/bin/python-config", None, ()),
        ("#!/bin/sh\n'''exec' \"/opt/a b/bin/python3\" \"$0\" \"$@\"\n' '''", "/opt/a b/bin/python3", ()),
        ("#!/bin/sh\n'''exec' /opt/long/bin/python3 \"$0\" \"$@\"\n' '''", "/opt/long/bin/python3", ()),
        (
            "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''",
            "{here}/python3",
            (),
        ),
        ("#!/bin/sh\nexec gunicorn", None, ()),
    ],
)
def test_a_script_names_its_python_in_its_first_line(script, environ, tmp_path, first, python, options):
    path = script(first)
    found = program([path, "argument"], environ)
    expected = python and python.format(bin=tmp_path / "bin", here=tmp_path)
    assert (found.path, found.python, found.options) == (path, expected, options)


def test_an_interpreter_is_its_own_python_with_its_options(environ, tmp_path):
    found = program(["python3", "-u", "x.py"], environ)
    assert found.python == found.path == str(tmp_path / "bin" / "python3")
    assert found.options == ("-u", "x.py")


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (["-I"], "-I"),
        (["-u", "-E", "x.py"], "-E"),
        (["-bS"], "-S"),
        (["-Im", "http.server"], "-I"),
        (["-W", "error", "-I"], "-I"),
        (["-Werror", "-I"], "-I"),
        (["-X", "dev", "-S"], "-S"),
        (["--check-hash-based-pycs=always", "-I"], "-I"),
        ([], None),
        (["x.py", "-I"], None),
        (["-m", "x", "-I"], None),
        (["-c", "pass", "-I"], None),
        (["-cimport IES"], None),
        (["-WI"], None),
        (["-XI", "x.py"], None),
        (["-", "-I"], None),
        (["-usB", "x.py"], None),
    ],
)
def test_options_that_keep_the_environment_out_are_seen_and_those_of_the_program_are_not(options, refused):
    told = refusal(program([sys.executable, *options], os.environ), os.environ)
    expected = f"python {refused} does not look at PYTHONPATH, so clusterlog cannot get in: leave out {refused}"
    assert told == (expected if refused else "")


def test_a_python_beside_our_own_is_not_even_started(environ, monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *a, **k: pytest.fail("it was started"))
    assert refusal(program([str(OWN / "python"), "x.py"], environ), environ) == ""


def test_another_python_is_asked_and_named_in_what_mends_it(environ, tmp_path):
    python = tmp_path / "bin" / "python3"
    assert refusal(program(["python3", "x.py"], environ), environ) == (
        f"{python} has no clusterlog: {python} -m pip install clusterlog"
    )
    python.write_text("#!/bin/sh\nexit 0\n")
    assert refusal(program(["python3", "x.py"], environ), environ) == ""


def test_what_is_no_python_is_not_refused(environ):
    assert refusal(program(["sh", "-c", "gunicorn"], environ), environ) == ""


def test_a_program_that_is_not_there_is_told_with_what_might_have_been_meant(script, environ, tmp_path):
    plain = script("import os", "app.py", mode=0o644)
    other = script("#!/bin/sh", "serve", mode=0o644)
    for name, told in [
        ("gunicorm", "no program gunicorm: it is neither a file nor in PATH"),
        (plain, f"{plain} is not executable: clusterlog run -- python {plain}"),
        (other, f"{other} is not executable: chmod +x {other}"),
        (str(tmp_path), f"{tmp_path} is a directory"),
    ]:
        with pytest.raises(SettingError) as refused:
            program([name], environ)
        assert str(refused.value) == told


@pytest.mark.parametrize(
    "before", [{}, {"PYTHONPATH": ""}, {"PYTHONPATH": "/a:/b"}, {"PYTHONPATH": f"/a:{BOOTSTRAP}:/b"}]
)
def test_the_way_in_stands_in_front_once_however_deep_the_calls(before):
    once = bootstrapped(before)
    rest = [entry for entry in before.get("PYTHONPATH", "").split(":") if entry not in ("", str(BOOTSTRAP))]
    assert once["PYTHONPATH"].split(":") == [str(BOOTSTRAP), *rest]
    assert bootstrapped(once) == once


def test_nothing_but_sitecustomize_can_be_imported_from_the_way_in():
    assert {path.name for path in BOOTSTRAP.iterdir()} - {"__pycache__"} == {"__init__.py", "sitecustomize.py"}
