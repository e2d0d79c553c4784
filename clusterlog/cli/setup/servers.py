"""``clusterlog setup``: what is set up on other servers, and what its commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import click

from clusterlog.cli import paint
from clusterlog.errors import ClusterlogError

if TYPE_CHECKING:
    from clusterlog.store.elasticsearch.provision.plan import Plan

DECLINED = 1
SERVERS = {
    "elasticsearch": "Make templates and roles on a search server; --dry-run shows them.",
    "kibana": "Make data view, sessions and dashboards in Kibana; --dry-run shows them.",
}
"""Command → what it does; the module of this folder has the same name. So that help imports none of them."""


class Servers(click.Group):
    """The commands of ``SERVERS``, imported one by one as they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(SERVERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now, or ``None``."""
        if cmd_name not in SERVERS:
            return None
        found: click.Command = getattr(import_module(f"clusterlog.cli.setup.{cmd_name}"), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and what it does."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SERVERS.items()))


@click.group(cls=Servers, invoke_without_command=True)
@click.pass_context
def setup(ctx: click.Context) -> None:
    """Set up what clusterlog needs on other servers.

    What would be changed is shown before anything is; --dry-run ends there.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


class Telling(Protocol):
    """What a command has to tell at its end: how many steps were done, and what stopped it."""

    done: int
    error: str | None


def carry_out(
    told: Telling, total: int, work: Callable[[Callable[[], None]], None], emit: Callable[[], None], *, quiet: bool
) -> None:
    """Do a plan of ``total`` steps, with a progress bar. ``work`` calls what it is given after each of them.

    ``emit`` writes what there is to tell, also of a plan that was not finished; what stopped it is raised.
    """

    def done() -> None:
        told.done += 1
        advance(told.done, total)

    try:
        with paint.progress("setting up", "steps") as advance:
            work(done)
    except ClusterlogError as error:
        told.error = str(error)
        emit()
        paint.say(
            f"clusterlog: {paint.counted(told.done, 'change')} of {total} made: the same command again makes the rest"
        )
        raise
    emit()
    if not quiet:
        paint.say(f"{paint.counted(total, 'change')} made")


def watched() -> bool:
    """Whether somebody is there to answer a question."""
    return paint.terminal(sys.stdin) and paint.terminal(sys.stderr)


def steps(plan: Plan, done: int) -> Iterator[dict[str, Any]]:
    """The steps of a plan for ``--json``, of which the first ``done`` were made."""
    for number, step in enumerate(plan.steps):
        yield {
            "action": step.action,
            "kind": step.kind,
            "name": step.name,
            "why": step.why or None,
            "request": {"method": step.method, "path": step.path, "body": step.body},
            "before": step.before,
            "after": step.after,
            "done": number < done,
        }
