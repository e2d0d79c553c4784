"""Fetching the search servers of the tests: over networks that break off, and said aloud where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fetch
import pytest

ROOT = Path(__file__).parents[2]
FAILING = """\
#!/bin/sh
echo "$@" >> tries
[ "$(wc -l < tries)" -ge {good} ] || exit 1
"""


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """A Maven that succeeds at a try of that number; the arguments of every try."""

    def made(good):
        program = tmp_path / "bin" / "mvn"
        program.parent.mkdir()
        program.write_text(FAILING.format(good=good))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(fetch, "PAUSES_S", (0.0, 0.0, 0.0))

        def call():
            fetch._maven("dependency:copy")

        return call, lambda: (tmp_path / "tries").read_text().splitlines()

    return made


def test_what_breaks_off_is_tried_again(maven, capfd):
    call, tries = maven(good=3)
    call()
    assert ["-U" in each.split() for each in tries()] == [False, True, True]
    assert all("dependency:copy" in each.split() for each in tries())
    assert "Maven ended with status 1 (try 2 of 4)" in capfd.readouterr().err


def test_what_never_succeeds_is_told_in_one_line(maven, capfd):
    call, tries = maven(good=9)
    with pytest.raises(fetch.Missing, match="a network: Maven ended with status 1"):
        call()
    assert len(tries()) == 4


def test_an_engine_that_cannot_be_fetched_does_not_keep_others_from_it(maven, monkeypatch, tmp_path, capsys):
    maven(good=9)
    asked = []

    def no_network(folder):
        asked.append(folder.name)
        fetch._maven("dependency:copy")

    def there(folder):
        asked.append(folder.name)

    monkeypatch.setattr(fetch, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(fetch, "ENGINES", {"one": no_network, "other": there})
    monkeypatch.setattr(sys, "argv", ["fetch.py"])
    assert (fetch.main(), asked) == (1, ["one", "other"])
    assert "one: needs a network" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["fetch.py", "--list"])
    assert (fetch.main(), capsys.readouterr().out) == (0, "other\n")


def test_the_proxy_of_the_environment_is_told_to_java(maven, monkeypatch):
    for name, value in {
        "https_proxy": "http://proxy.example:3128",
        "http_proxy": "proxy.example:3129",
        "no_proxy": "localhost,.internal",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.upper(), raising=False)
    call, tries = maven(good=1)
    call()
    (words,) = (each.split() for each in tries())
    assert {
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.proxyPort=3129",
        "-Dhttp.nonProxyHosts=localhost|*.internal",
    } <= set(words)


@pytest.mark.parametrize(
    ("environ", "code", "told"),
    [
        ({"CI": "true"}, 1, "elasticsearch-8.19 was not fetched"),
        ({"CI": "true", "WITHOUT_ENGINES": "1"}, 0, "LEFT OUT: 2 tests were not run, as elasticsearch-8.19"),
        ({}, 0, "LEFT OUT: 2 tests were not run, as elasticsearch-8.19"),
    ],
    ids=["CI", "CI that can fetch nothing", "at home"],
)
def test_servers_that_are_not_there_fail_in_ci_and_are_counted_where_they_may_be_left_out(
    tmp_path, environ, code, told
):
    (tmp_path / "test_it.py").write_text(
        "def test_one(elasticsearch): pass\ndef test_two(elasticsearch): pass\ndef test_three(): pass\n"
    )
    known = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "CLUSTERLOG_", "PYTEST"))}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "engine_servers", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={
            **known,
            "PYTHONPATH": str(ROOT / "tests" / "engines"),
            "ENGINES_HOME": str(tmp_path / "empty"),
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stdout
    assert told in ended.stdout
