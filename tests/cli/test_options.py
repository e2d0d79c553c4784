"""Options that mean the same on every command."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from clusterlog.cli import paint
from clusterlog.cli.options import on_screen, with_format


@click.command()
@with_format("human", "plain", "json", "ndjson")
def told(output):
    click.echo(output)


@click.command()
@with_format("human", "json")
def without_lines(output):
    click.echo(output)


@click.command()
@on_screen
def seen():
    click.echo(f"{paint.inked('x', 'bad')!r} {paint._looks.pager}")


def outcome(command, *arguments):
    result = CliRunner().invoke(command, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ((), "plain"),
        (("--format", "human"), "human"),
        (("--format", "md"), None),
        (("--json",), "json"),
        (("--ndjson",), "ndjson"),
        (("--json", "--format", "json"), "json"),
        (("--json", "--format", "plain"), None),
        (("--json", "--ndjson"), None),
    ],
)
def test_a_format_is_chosen_once(arguments, chosen):
    code, said = outcome(told, *arguments)
    assert (code, said) == (0, f"{chosen}\n") if chosen else code == 2


def test_people_get_what_is_made_for_people(monkeypatch):
    monkeypatch.setattr(paint, "terminal", lambda stream: True)
    assert outcome(told) == (0, "human\n")


def test_formats_that_contradict_each_other_are_named():
    assert "--json and --format plain contradict each other" in outcome(told, "--json", "--format", "plain")[1]
    assert "--ndjson and --format json contradict each other" in outcome(told, "--json", "--ndjson")[1]


def test_a_command_has_short_forms_of_its_own_formats_alone():
    assert outcome(without_lines, "--ndjson")[0] == 2


def test_colours_and_pager_are_chosen_for_one_command():
    assert outcome(seen, "--color", "always", "--no-pager") == (0, repr("\x1b[31mx\x1b[0m") + " False\n")
    assert outcome(seen, "--color", "never") == (0, "'x' True\n")
    assert outcome(seen, "--color", "sometimes")[0] == 2
    assert paint._looks == paint.Looks()
