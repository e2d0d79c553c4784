"""A shell completes commands, request ids, nodes and fields, from what is stored."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete

from clusterlog.cli import commands

ONE, TWO = "a" * 24 + "00000001", "b" * 24 + "00000002"


def shell(name: str) -> str:
    """The path of a shell; where tests must be complete it has to be there."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"{name} is not installed: apt-get install {name}"
        pytest.skip(f"{name} is not installed")
    return found


def called(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """The command's end, and what it said."""
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def shop(home, run):
    """Two requests on two nodes, delivered."""
    shop, orders = home.speaker(), home.speaker("orders", "orders-1")
    shop.say("order placed", request=ONE, order=7)
    orders.say("reserve stock", request=ONE, level="debug")
    shop.answer(ONE, 502)
    shop.answer(TWO, 200)
    shop.end()
    orders.end()
    assert run("ship", "--once").code == 0
    return home


@pytest.fixture
def environ(shop, tmp_path):
    """An environment in which ``clusterlog`` is this one, and its home that of the shop."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "clusterlog").write_text(f'#!/bin/sh\nexec {sys.executable} -m clusterlog "$@"\n')
    (bin / "clusterlog").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{bin}:{os.environ['PATH']}",
        "CLUSTERLOG_HOME": str(shop.path),
        "HOME": str(tmp_path),
    }


@pytest.fixture
def completed(environ):
    """What bash is offered for the last word of a line: values, by their order."""

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        protocol = {"_CLUSTERLOG_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        done = called({**environ, **protocol}, "clusterlog")
        assert done.stderr == ""
        return [offered.partition(",")[2] for offered in done.stdout.splitlines() if offered]

    return complete


def test_commands_are_offered_by_their_beginning(completed):
    assert completed("clusterlog tra") == ["trace"]
    assert {"trace", "search", "ship", "completion"} <= set(completed("clusterlog "))


def test_the_newest_requests_are_offered_first(completed):
    assert completed("clusterlog trace ") == [TWO, ONE]


def test_an_id_is_completed_from_its_beginning(completed):
    assert completed("clusterlog trace aaaa") == [ONE]
    assert completed("clusterlog trace zz") == []


def test_fields_are_offered_by_their_beginning_and_short_names_without_one(completed):
    assert "level" in completed("clusterlog search ")
    assert "http.request.id" not in completed("clusterlog search ")
    assert completed("clusterlog search http.request.i") == ["http.request.id"]


def test_values_are_offered_behind_a_field(completed):
    assert completed("clusterlog search level: e") == ["error"]
    assert completed("clusterlog search node: ") == ["orders-1", "shop-1"]
    assert completed("clusterlog search level:wa") == ["level:warning"]


@pytest.fixture
def offered(shop, monkeypatch):
    """What is offered for the last of these words, without a shell around it: values, and kinds of files."""
    monkeypatch.setenv("CLUSTERLOG_HOME", str(shop.path))
    asked = BashComplete(commands.clusterlog, {}, "clusterlog", "_CLUSTERLOG_COMPLETE")

    def offer(*words: str) -> list[str]:
        found = asked.get_completions(list(words[:-1]), words[-1])
        return [each.value if each.type == "plain" else each.type for each in found]

    return offer


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["search", "node", ":"], ["orders-1", "shop-1"]),
        (["search", "level", ":", "e"], ["error"]),
        (["search", "level:", "error", "and", "service", ":", "s"], ["shop"]),
        (["errors", "lev"], ["level"]),
        (["tail", "node", ":", "o"], ["orders-1"]),
    ],
)
def test_where_a_colon_is_a_word_of_its_own_values_are_offered_as_well(offered, words, values):
    assert offered(*words) == values


def test_bash_completes_a_value_although_a_colon_is_a_word_to_it(environ):
    program = (
        'eval "$(clusterlog completion bash)"; COMP_WORDS=(clusterlog search level : e); COMP_CWORD=4; '
        '_clusterlog_completion clusterlog; echo "${COMPREPLY[@]}"'
    )
    done = called(environ, shell("bash"), "-c", program)
    assert (done.stdout, done.stderr) == ("error\n", "")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["trace", "--node", ""], ["orders-1", "shop-1"]),
        (["verify", "--node", "o"], ["orders-1"]),
        (["verify", "--service", ""], ["orders", "shop"]),
        (["ingest", "--service", "s"], ["shop"]),
        (["run", "--node", ""], ["orders-1", "shop-1"]),
        (["tail", "--request", "aaaa"], [ONE]),
        (["diff", ""], [TWO, ONE]),
        (["diff", TWO, "a"], [ONE]),
        (["export", "b"], [TWO]),
        (["ingest", "--timezone", "Europe/Helsi"], ["Europe/Helsinki"]),
        (["trace", "--home", "/tm"], ["dir"]),
        (["key", "ls", "--user-key", ""], ["file"]),
        (["ingest", ""], ["file"]),
        (["run", "--", "python", "ap"], ["file"]),
    ],
)
def test_what_an_option_or_argument_names_is_offered_and_files_are_left_to_the_shell(offered, words, values):
    assert offered(*words) == values


def test_programs_are_offered_to_run(offered, environ, monkeypatch):
    monkeypatch.setenv("PATH", environ["PATH"])
    assert "clusterlog" in offered("run", "--", "cluster")


def test_options_are_offered(completed):
    assert "--json" in completed("clusterlog trace --")


def test_where_nothing_is_stored_nothing_is_said(completed, shop):
    shutil.rmtree(shop.path / "store")
    assert completed("clusterlog trace ") == []
    assert completed("clusterlog search node: ") == []


def test_bash_completes_with_the_script_it_is_given(environ):
    program = (
        'eval "$(clusterlog completion bash)"; COMP_WORDS=(clusterlog trace aaaa); COMP_CWORD=2; '
        '_clusterlog_completion clusterlog; echo "${COMPREPLY[@]}"'
    )
    done = called(environ, shell("bash"), "-c", program)
    assert (done.stdout, done.stderr) == (f"{ONE}\n", "")


def test_fish_completes_with_the_script_it_is_given(environ):
    program = 'clusterlog completion fish | source; complete -C "clusterlog trace aaaa"'
    done = called(environ, shell("fish"), "-c", program)
    assert done.stdout.startswith(f"{ONE}\t12:00:")
    assert done.stdout.rstrip().endswith("GET /orders 502")


def test_zsh_completes_with_the_script_it_is_given(environ):
    """Its completion system only runs at a prompt; what it would be handed is caught instead."""
    program = (
        "compdef() { : }; _describe() { print -rl -- ${(P)3} }; compadd() { print -rl -- $@ }\n"
        'eval "$(clusterlog completion zsh)"; words=(clusterlog trace aaaa); CURRENT=3; _clusterlog_completion'
    )
    done = called(environ, shell("zsh"), "-f", "-c", program)
    assert ONE in done.stdout, done.stderr
    assert "GET /orders 502" in done.stdout


def test_the_shell_of_the_user_is_the_default(environ):
    default = called({**environ, "SHELL": "/usr/bin/fish"}, "clusterlog", "completion")
    assert default.stdout == called(environ, "clusterlog", "completion", "fish").stdout != ""
    unknown = called({**environ, "SHELL": "/bin/tcsh"}, "clusterlog", "completion")
    assert (unknown.returncode, unknown.stdout, unknown.stderr.count("\n")) == (2, "", 1)
    assert "bash, zsh, fish" in unknown.stderr


def test_a_shell_that_is_not_known_is_refused_in_one_line(environ):
    refused = called(environ, "clusterlog", "completion", "tcsh")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


def test_nothing_heavy_is_imported_to_complete_the_name_of_a_command(environ):
    program = (
        "import sys; from clusterlog.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'tantivy', 'lark'} & set(sys.modules)))"
    )
    protocol = {"_CLUSTERLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clusterlog tr", "COMP_CWORD": "1"}
    assert called({**environ, **protocol}, sys.executable, "-c", program).stdout.splitlines()[-1] == "[]"
