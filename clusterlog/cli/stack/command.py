"""``clusterlog stack``: the search stack and a shop in containers, from nothing to a request in Kibana."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, duration
from clusterlog.cli.setup.servers import DECLINED, watched
from clusterlog.errors import SettingError

if TYPE_CHECKING:
    from clusterlog.cli.stack.environment import Environment
    from clusterlog.cli.stack.files import File

SCHEMA = "clusterlog.stack/1"
NOTHING_RUNS, INCOMPLETE = 1, 5
COMMANDS = {
    "init": "Write the files of the stack, with fresh secrets in .env.",
    "up": "Check this machine, start the stack, and wait until all of it answers.",
    "status": "Show what of the stack runs, and where.",
    "down": "End the stack; its events stay, unless --volumes.",
}
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)

folder = click.argument(
    "directory", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default=Path(), required=False
)
as_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")


class InOrder(click.Group):
    """Its commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)


@click.group(cls=InOrder, invoke_without_command=True)
@click.pass_context
def stack(ctx: click.Context) -> None:
    """Run the Elastic stack, and a shop on several nodes that logs into it, in containers.

    \b
      clusterlog stack init         # once: files, and secrets in .env
      clusterlog stack up           # until everything answers
      clusterlog search 'level: error' --group request --home .stack
      clusterlog open ID --home .stack
    """  # noqa: D301 - click wants the character itself
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@stack.command(short_help=COMMANDS["init"])
@folder
@click.option(
    "--profile",
    "profiles",
    metavar="NAME",
    multiple=True,
    help="direct, logstash or opensearch; cluster. May be repeated.",
)
@click.option(
    "--name", metavar="NAME", default="clusterlog", show_default=True, help="The stack's name for the engine."
)
@as_dry_run
@as_json
def init(directory: Path, profiles: tuple[str, ...], name: str, dry_run: bool, as_json: bool) -> int:
    """Write the files of the stack into DIR, here without one, and secrets into its .env (mode 0600).

    Nothing that is there is overwritten: files that are as they should be stay, with any other nothing is done at all.
    Profile direct ships to Elasticsearch, logstash through Logstash, opensearch to OpenSearch; cluster makes three
    nodes of Elasticsearch of it.
    """
    import clusterlog
    from clusterlog.cli.stack import environment, files

    if not _PROJECT.fullmatch(name):
        raise click.BadParameter(f"{name!a}: expected lower case letters, digits, - and _", param_hint="--name")
    asked = environment.chosen(each for given in profiles for each in given.split(","))
    made = files.planned(directory)
    _check(directory, made)
    values = environment.made(name, asked, clusterlog.__version__)
    names = [each.name for each in made if each.state == "new"] + [environment.FILE]
    if not dry_run:
        for file in made:
            if file.state == "new":
                files.write(directory, file.name, file.content)
        files.write(directory, environment.FILE, environment.content(values), 0o600)
    if as_json:
        document = {"directory": str(directory.absolute()), "profiles": asked, "files": names, "written": not dry_run}
        _emit(document)
        return 0
    verb = "would write" if dry_run else "wrote"
    paint.say(f"{verb} {paint.counted(len(names), 'file')} in {escaped(str(directory.absolute()))}")
    if dry_run:
        for each in names:
            paint.show(escaped(each))
    else:
        paint.say(f"secrets are in {environment.FILE}, for you alone; now: clusterlog stack up{_where(directory)}")
    return 0


def _check(directory: Path, made: tuple[File, ...]) -> None:
    """Raise SettingError for what is in the way."""
    from clusterlog.cli.stack.environment import FILE

    if os.path.lexists(directory / FILE):
        raise SettingError(f"{directory / FILE} is there already: it is written once, as volumes keep its passwords")
    if other := [each.name for each in made if each.state == "other"]:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        raise SettingError(f"{directory / other[0]}{more} is there, and another one: choose an empty DIR")


@stack.command(short_help=COMMANDS["up"])
@folder
@click.option(
    "--timeout",
    metavar="TIME",
    default="20m",
    show_default=True,
    callback=duration,
    help="How long to wait for it all.",
)
@as_dry_run
@as_json
def up(directory: Path, timeout: float, dry_run: bool, as_json: bool) -> int:
    """Check this machine, start the stack of DIR, and wait until all of it answers.

    Looked at are the engine, memory, vm.max_map_count, ports, and volumes that keep the passwords of another .env. What
    runs already stays. At the end the home .stack knows the way in: `clusterlog trace ID --home .stack`.
    """
    from clusterlog.cli.stack import access, environment, running

    known = environment.read(directory)
    stack = running.Stack(known)
    if dry_run:
        found = stack.checks()
        if as_json:
            _emit(_document(known, checks=running.described(found), commands=stack.starting()))
        else:
            running.show(found)
            for command in stack.starting():
                paint.show(escaped(command))
        running.refuse(found)
        return 0
    with access.StackLock(directory):
        found = stack.checks()
        running.refuse(found)
        stack.start(timeout, quiet=as_json)
        home = access.fetch(stack.engine, known)
        containers = stack.engine.containers()
    if as_json:
        told = [running.told(each) for each in containers]
        _emit(_document(known, checks=running.described(found), services=told, home=str(home) if home else None))
    else:
        _tell(known, directory, home)
    return 0


@stack.command(short_help=COMMANDS["status"])
@folder
@as_json
def status(directory: Path, as_json: bool) -> int:
    """Show what of the stack of DIR runs, and where it is found.

    Ends with 0 if all of it does, 5 if some is missing, starting or failed, 1 if nothing runs.
    """
    from clusterlog.cli.stack import environment, running

    known = environment.read(directory)
    engine = running.Stack(known).engine
    engine.facts()
    wanted, containers = engine.services(), engine.containers()
    there = {each.service for each in containers}
    missing = [name for name in wanted if name not in there]
    runs = any(each.condition in ("up", "starting") for each in containers)
    complete = not missing and all(each.condition in ("up", "done") for each in containers)
    if as_json:
        services = [running.told(each) for each in containers]
        services += [{"service": name, "condition": "missing"} for name in missing]
        _emit(_document(known, services=services, complete=complete))
    else:
        _show_status(containers, missing)
        if runs:
            _show_addresses(known)
    return 0 if complete else INCOMPLETE if runs else NOTHING_RUNS


@stack.command(short_help=COMMANDS["down"])
@folder
@click.option("--volumes", is_flag=True, help="Throw away every event, session, certificate and key, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_dry_run
@as_json
def down(directory: Path, volumes: bool, yes: bool, dry_run: bool, as_json: bool) -> int:
    """End the stack of DIR. Its volumes stay, so that `stack up` goes on where it ended; --volumes removes them."""
    from clusterlog.cli.stack import access, environment, running

    known = environment.read(directory)
    stack = running.Stack(known)
    if dry_run:
        command = stack.ending(volumes)
        _emit(_document(known, commands=[command])) if as_json else paint.show(escaped(command))
        return 0
    if volumes and not yes:
        if as_json or not watched():
            raise click.UsageError("--volumes throws events away: it needs --yes where nobody can be asked")
        if not click.confirm(f"throw away all that {known.project} has stored?", err=True):
            paint.say("nothing was changed")
            return DECLINED
    with access.StackLock(directory):
        stack.engine.facts()
        stack.end(volumes)
    if as_json:
        _emit(_document(known, volumes_removed=volumes))
    else:
        paint.say(f"{known.project} has ended; " + ("nothing of it is left" if volumes else "its volumes are kept"))
    return 0


def _tell(known: Environment, directory: Path, home: Path | None) -> None:
    _show_addresses(known)
    if "kibana" in _urls(known):
        paint.say("user elastic; its password is ELASTIC_PASSWORD in .env")
    if home is None:
        paint.say("the keys could not be copied out of the stack; stack up tries again")
        return
    where = escaped(os.path.relpath(home))
    paint.say(f"\nto look further:\n  clusterlog search 'level: error' --group request --home {where}")
    paint.say(f"  clusterlog trace ID --home {where}\n  clusterlog open ID --home {where}")
    paint.say(f"  clusterlog stack down{_where(directory)}")


def _show_addresses(known: Environment) -> None:
    for name, url in _urls(known).items():
        paint.show(f"{name:<14} {escaped(url)}")


def _show_status(containers: Any, missing: list[str]) -> None:
    rows = [
        (each.service, each.condition, _detail(each), ", ".join(map(str, each.ports)) or "-") for each in containers
    ]
    rows += [(name, "missing", "-", "-") for name in missing]
    for line in paint.table(
        ("service", "condition", "engine says", "ports"), [tuple(map(escaped, row)) for row in rows]
    ):
        paint.show(line)


def _detail(container: Any) -> str:
    if container.state == "exited":
        return f"exited ({container.exit_code})"
    return f"{container.state} ({container.health})" if container.health else container.state


def _urls(known: Environment) -> dict[str, str]:
    from clusterlog.cli.stack.access import addresses

    return addresses(known)


def _where(directory: Path) -> str:
    return "" if directory.absolute() == Path.cwd() else f" {escaped(str(directory))}"


def _document(known: Environment, **more: Any) -> dict[str, Any]:
    return {
        "directory": str(known.directory.absolute()),
        "project": known.project,
        "profiles": known.profiles,
        "urls": _urls(known),
        **more,
    }


def _emit(document: dict[str, Any]) -> None:
    import json

    paint.emit(json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False).encode())
