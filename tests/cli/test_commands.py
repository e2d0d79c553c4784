"""What the command itself answers, and that every way to fail is one line and a documented exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest

import clusterlog
from clusterlog import errors
from clusterlog.cli import commands
from clusterlog.cli.find import trace as trace_room

NAMES = [name for family in commands.FAMILIES.values() for name in family]


def test_help_names_every_command_with_what_it_does(run):
    result = run("--help")
    assert result.code == 0
    for family in commands.FAMILIES.values():
        for name, (_, told) in family.items():
            assert re.search(rf"^  {name} +{re.escape(told.split()[0])}", result.out, re.MULTILINE)


def test_no_arguments_is_a_question_for_help(run):
    assert run().out == run("--help").out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(run, name):
    result = run(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: clusterlog {name} ")
    assert not re.search(r"\\b|RANGE", result.out)  # no marks of click's


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_family_lists_each_of_its_commands_with_a_sentence_that_is_not_cut_off(run, name):
    _, is_family, listed = run(name, "--help").out.partition("\nCommands:\n")
    assert "..." not in listed
    family = commands.clusterlog.get_command(None, name)
    assert bool(is_family) == isinstance(family, click.Group)
    for each in getattr(family, "commands", ()):
        assert re.search(rf"^  {each}  +[A-Z]", listed, re.MULTILINE)


def test_version_is_the_installed_one(run):
    assert run("--version").out == f"clusterlog {clusterlog.__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serch", "x"], "no command 'serch': did you mean search? (see clusterlog --help)"),
        (["frobnicate", "x"], f"no command 'frobnicate': there are {', '.join(NAMES)} (see clusterlog --help)"),
        (["spool", "lss"], "no such command 'lss'"),
        (["search", "--limt", "3"], "no such option '--limt'"),
        (["search", "--limit", "many"], "invalid value for '--limit': 'many' is not a valid integer"),
        (["ship", "--timeout", "soon"], "invalid value for '--timeout': 'soon': expected a duration such as 60, 15m"),
        (["trace", "--json"], "missing argument 'ID'"),
    ],
)
def test_a_slip_of_the_fingers_is_told_in_one_line(run, words, told):
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"clusterlog: {told}")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingError("unknown setting"), 2),
        (errors.MissingExtra("the store", "server"), 2),
        (errors.NotFound("nothing"), 1),
        (errors.HomeBusy("/h", 12), 3),
        (errors.StoreUnavailable("away"), 3),
        (errors.NotAllowed("no"), 4),
        (errors.Incomplete("some"), 5),
        (errors.TimedOut("late"), 7),
        (errors.ClusterlogError("odd"), 70),
    ],
)
def test_each_error_of_ours_ends_with_its_exit_code(run, home, monkeypatch, error, code):
    monkeypatch.setattr(trace_room, "opened", _raising(error))
    result = run("trace", "x")
    assert (result.code, result.out, result.err) == (code, "", f"clusterlog: {error}\n")


def test_what_nobody_expected_is_one_line_that_says_how_to_see_more(run, monkeypatch):
    monkeypatch.delenv("CLUSTERLOG_TRACEBACK", raising=False)
    monkeypatch.setattr(trace_room, "opened", _raising(ZeroDivisionError("by\nzero")))
    result = run("trace", "x")
    assert result.code == 70
    assert result.err == (
        "clusterlog: internal error: ZeroDivisionError: by\\nzero (CLUSTERLOG_TRACEBACK=1 shows where)\n"
    )


def test_a_traceback_is_shown_to_whoever_asks_for_it(run, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_TRACEBACK", "1")
    monkeypatch.setattr(trace_room, "opened", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        run("trace", "x")


def test_an_error_of_the_operating_system_is_told_in_its_words(run, monkeypatch):
    monkeypatch.setattr(trace_room, "opened", _raising(OSError(28, "No space left on device", "/disk")))
    result = run("trace", "x")
    assert result.code == 70
    assert result.err.startswith("clusterlog: /disk: No space left on device (")


def test_an_interrupt_is_130_and_silent(run, monkeypatch):
    monkeypatch.setattr(trace_room, "opened", _raising(KeyboardInterrupt()))
    assert run("trace", "x") == type(run("--version"))(130, "", "")


def test_an_unknown_setting_in_the_environment_is_named_with_the_nearest_one(run, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_SERVCE", "x")
    result = run("status")
    assert result.code == 2
    assert result.err == "clusterlog: unknown setting 'servce' (environment), did you mean service?\n"


def test_hostile_words_of_a_command_line_come_back_escaped(run):
    result = run("\x1b[31mx", "y")
    assert result.code == 2
    assert "\x1b" not in result.err
    assert "\x1b" not in run("trace", "\x1b[2J\u202e").err


def test_a_closed_pipe_ends_silently_with_141(process, home):
    speaker = home.speaker()
    for number in range(2000):
        speaker.say(f"line {number} " + "x" * 100)
    speaker.end()
    reader, writer = os.pipe()
    started = process("spool", "cat", "--home", home, stdout=writer)
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (141, b"")


def test_a_pipe_that_nobody_ever_read_ends_silently_with_141_as_well(process):
    reader, writer = os.pipe()
    os.close(reader)
    started = process("--version", stdout=writer)
    os.close(writer)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (141, b"")


def test_the_module_is_the_command(process):
    out, _ = process("--version").communicate(timeout=30)
    assert out.startswith(b"clusterlog ")


def test_the_shell_is_told_how_to_complete(tmp_path):
    environ = {**os.environ, "_CLUSTERLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clusterlog sea", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "clusterlog"], capture_output=True, text=True, env=environ, check=False, cwd=tmp_path
    )
    assert done.stdout == "plain,search\n"


def _raising(error):
    def opened(settings):
        raise error

    return opened


@pytest.mark.parametrize("command", [["status"], ["search"], ["trace", "x"], ["spool", "ls"], ["ship", "--once"]])
def test_a_home_that_is_a_file_is_told_alike_by_every_command(run, tmp_path, command):
    (tmp_path / "file").touch()
    result = run(*command, "--home", str(tmp_path / "file"))
    assert (result.code, result.out) == (2, "")
    assert result.err == f"clusterlog: {tmp_path / 'file'} is not a directory: choose another --home\n"


def test_a_family_alone_is_a_question_for_help(run, capsysbinary):
    assert commands.call(["spool"]) == 0
    assert capsysbinary.readouterr().out.decode() == run("spool", "--help").out


def test_an_option_before_the_command_that_run_does_not_know_is_taken_for_no_program(run):
    result = run("run", "--bogus", "--", "true")
    assert result.code == 2
    assert "no such option" in result.err
    assert "--bogus" in result.err
