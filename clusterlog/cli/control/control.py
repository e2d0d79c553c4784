"""``clusterlog control``: the desired state as a file, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.control import wish as wishing
from clusterlog.cli.home.cluster import OPTIONS, reached, warn
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, duration, with_settings
from clusterlog.control.operator.proof import Minimum
from clusterlog.control.rules.export import exported, imported
from clusterlog.control.rules.rule import Rule
from clusterlog.errors import NotAllowed, Rejected, SettingError
from clusterlog.settings import Settings


@click.group(invoke_without_command=True)
@click.pass_context
def control(ctx: click.Context) -> None:
    """Write the rules of a cluster to a file, or put those of a file in force.

    The same rules are the same bytes, so that two states can be compared, and kept where the rest is kept.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@control.command(name="export")
@click.argument("file", metavar="[FILE]", default="-", shell_complete=candidates.files)
@with_settings(*OPTIONS)
def export_rules(settings: Settings, file: str) -> None:
    """Write the rules in force to a file.

    Without FILE they go to standard output. What is over is left out. It is JSON (clusterlog.rules/1) that people can
    read and edit.
    """
    with reached(settings) as cluster:
        look = cluster.operator.look()
    if look.doubt:
        raise look.doubt
    content = exported(look.rules(), look.refused())
    if file == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        Path(file).write_bytes(content)
    except PermissionError:
        raise NotAllowed(f"{file} may not be written") from None
    except OSError as error:
        raise SettingError(f"{file} cannot be written: {error.strerror or error}") from None
    paint.say(f"{paint.counted(len(look.rules()), 'rule')} written to {escaped(file)}")


@control.command(name="import")
@click.argument("file", metavar="FILE", shell_complete=candidates.files)
@click.option("--wait", metavar="TIME", default="10s", callback=duration, show_default=True, help="As of level set.")
@click.option(
    "--min", "minimum", metavar="N", default="all", callback=wishing.minimum, show_default=True, help="As of level set."
)
@with_settings(*OPTIONS)
@as_json
def import_rules(settings: Settings, file: str, wait: float, minimum: Minimum, as_json: bool) -> int:
    """Put the rules of a file in force.

    No others are in force then; FILE - is standard input. Each rule keeps its id, its author and its end: one that is
    over by now stays over. Nothing is changed where a rule of the file cannot be followed. Exit 6 if not every worker
    has confirmed it.
    """
    from clusterlog.cli.control import changing

    rules = _read(file)
    with reached(settings) as cluster:
        change = cluster.operator.replace(rules)
        over = sum(0 < rule.expires_ns <= change.document.issued_ns for rule in rules)
        if over:
            warn(f"{paint.counted(over, 'rule')} of {len(rules)} had ended already, and changes nothing")
        return changing.imported(cluster, change, wait=wait, minimum=minimum, as_json=as_json)


def _read(file: str) -> tuple[Rule, ...]:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except PermissionError:
        raise NotAllowed(f"{file} may not be read") from None
    except OSError as error:
        raise SettingError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        return imported(content)
    except Rejected as error:
        raise SettingError(f"{file}: {error}") from None
