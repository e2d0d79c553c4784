"""``clusterlog level``: which levels are in force on every node, and changes of them that every worker confirms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.control import wish as wishing
from clusterlog.cli.home.cluster import OPTIONS, reached, warn
from clusterlog.cli.options import as_json, duration, on_screen, with_settings
from clusterlog.control.operator.change import Wish
from clusterlog.control.operator.proof import Minimum
from clusterlog.control.rules.rule import Predicate, Selector
from clusterlog.settings import Settings


@click.group(invoke_without_command=True)
@with_settings(*OPTIONS)
@on_screen
@as_json
@click.pass_context
def level(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Show the rules in force and the levels of every worker, or change them while everything runs.

    What is set ends by itself, and what the application has configured holds again.
    """
    if ctx.invoked_subcommand is not None:
        _nothing_before(ctx)
        return
    from clusterlog.cli.control import documents, shown

    with reached(settings) as cluster:
        look = cluster.operator.look()
        nodes = cluster.nodes(look.leases)
        if as_json:
            paint.emit(json.dumps(documents.of_state(look, nodes), ensure_ascii=False).encode())
            return
        if look.doubt:
            warn(f"what the bus keeps is not to be believed: {look.doubt}; `clusterlog level reset --all` mends it")
        for text in shown.state(look, nodes):
            paint.show(text)
        for refused in look.refused():
            warn(f"rule {refused.id} is for another version of clusterlog: {refused.text}")
        if not nodes:
            warn(f"nobody is there: applications join {cluster.bus.name} a second after start()")


def _nothing_before(ctx: click.Context) -> None:
    """What stands before a subcommand would be passed over, and another cluster changed than was named."""
    for name in ctx.params:
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = {"colour": "color"}.get(name, name.replace("_", "-").removeprefix("as-"))
            raise click.UsageError(f"--{option} has to stand behind {ctx.invoked_subcommand}", ctx)


def _with_proof(command: Callable[..., Any]) -> Callable[..., Any]:
    told = "How long to wait for the workers' word; 0: not at all."
    wait = click.option("--wait", metavar="TIME", default="10s", callback=duration, show_default=True, help=told)
    told = "How many have to confirm: all, a number of workers, or a share such as 95%."
    enough = click.option(
        "--min", "minimum", metavar="N", default="all", callback=wishing.minimum, show_default=True, help=told
    )
    return wait(enough(command))


@level.command(name="set")
@click.argument("number", metavar="LEVEL", callback=wishing.level, shell_complete=candidates.levels)
@click.option(
    "--logger",
    metavar="NAME",
    callback=wishing.logger,
    shell_complete=candidates.loggers,
    help="This logger and all below it; all of them without it.",
)
@wishing.with_targets
@wishing.with_life
@_with_proof
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@with_settings(*OPTIONS)
@on_screen
@as_json
def set_level(
    settings: Settings,
    number: int,
    logger: str,
    selector: Selector,
    most: int | None,
    asked: Callable[[Settings], Predicate | None],
    wish: Callable[..., Wish],
    wait: float,
    minimum: Minimum,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Change a level while everything runs, with proof.

    Every worker that is meant says when it is in force, and this waits for that. Without --service, --node and the
    like the whole cluster is meant. The rule ends after 15 minutes (--for), also where a node is cut off by then. Exit
    6 if not everybody meant has confirmed it.
    """
    from clusterlog.cli.control import changing

    wanted = wish(logger, number, selector=selector, predicate=asked(settings))
    with reached(settings) as cluster:
        look = cluster.operator.look()
        nodes = cluster.nodes(look.leases)
        wishing.checked(selector, nodes)
        narrowed = wishing.narrowed(selector, most, nodes)
        if dry_run:
            changing.tell_plan(changing.plan_of(look, wanted, narrowed, nodes), as_json)
            return 0
        if not yes:
            changing.ask(wanted, narrowed, nodes)
        change = cluster.operator.put(wanted, lambda now: wishing.narrowed(selector, most, cluster.nodes(now.leases)))
        return changing.carried(cluster, change, put=True, wait=wait, minimum=minimum, as_json=as_json)


@level.command()
@click.argument("which", metavar="[RULE]", required=False, shell_complete=candidates.rules)
@click.option("--all", "every", is_flag=True, help="Take back every rule, and whatever nobody believes.")
@_with_proof
@with_settings(*OPTIONS)
@on_screen
@as_json
def reset(settings: Settings, which: str | None, every: bool, wait: float, minimum: Minimum, as_json: bool) -> int:
    """Take back a rule, or all of them.

    What the application has configured holds again, whatever was set in between. RULE is the id of a rule, as
    `clusterlog level` lists them, or the beginning of one.
    """
    from clusterlog.cli.control import changing

    if (which is None) != every:
        raise click.UsageError("name one rule, or --all")
    with reached(settings) as cluster:
        change = cluster.operator.reset(which)
        return changing.carried(cluster, change, put=False, wait=wait, minimum=minimum, as_json=as_json)


@level.command()
@click.argument("logger", metavar="LOGGER", callback=wishing.logger, shell_complete=candidates.loggers)
@click.option(
    "--node", metavar="NAME", default=None, shell_complete=candidates.cluster_nodes, help="Only this node, or orders-*."
)
@with_settings(*OPTIONS)
@on_screen
@as_json
def explain(settings: Settings, logger: str, node: str | None, as_json: bool) -> None:
    """Show how the level of a logger came about.

    Every worker is asked, and answers with its steps: what the application has configured, each rule, caps, and what
    the node itself allows. LOGGER may be root.
    """
    from clusterlog.cli.control import asked

    with reached(settings) as cluster:
        nodes = wishing.of_name(node, cluster.nodes())
        found = asked.answers(cluster, nodes, logger)
        if as_json:
            paint.emit(json.dumps(asked.document(logger, found), ensure_ascii=False).encode())
            return
        for text in asked.told(found):
            paint.show(text)
        if not found:
            warn(f"nobody is there: applications join {cluster.bus.name} a second after start()")
