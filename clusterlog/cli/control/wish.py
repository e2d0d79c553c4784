"""What somebody who types ``level set`` wishes: the options of it, and whom of those who are there they mean."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import click

from clusterlog.cli import candidates
from clusterlog.cli.options import Command, duration
from clusterlog.control.members import Node, near
from clusterlog.control.operator.change import Wish
from clusterlog.control.operator.proof import Minimum
from clusterlog.control.rules.rule import Limits, Predicate, Selector, level_number, logger_named
from clusterlog.control.rules.selecting import meant, some_of
from clusterlog.errors import NotFound
from clusterlog.settings import Settings

LIFE_S = 900.0
WAIT_S = 10.0


def level(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Callback of an argument: the number of a level. Raises BadParameter with the nearest name."""
    try:
        return level_number(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!a}: expected {error}") from None


def logger(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """Callback of an option: the name of a logger, empty for the root. Raises BadParameter."""
    try:
        return logger_named(value or "")
    except ValueError as error:
        raise click.BadParameter(f"{value!a}: expected {error}") from None


def minimum(ctx: click.Context, param: click.Parameter, value: str) -> Minimum:
    """Callback of an option: how many have to confirm. Raises BadParameter."""
    try:
        return Minimum.read(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!a}: expected {error}") from None


_TERMS: tuple[tuple[str, str, Any], ...] = (
    ("service", "Only nodes of this service.", candidates.cluster_services),
    ("node", "Only this node; orders-* means several.", candidates.cluster_nodes),
    ("host", "Only nodes on this host.", None),
    ("role", "Only nodes of this role, or with this tag.", None),
    ("version", "Only where the application is of this version.", None),
)
_PREDICATES = (
    ("request", "ID", "Only lines of this request, which may not have come yet."),
    ("user", "NAME", "Only requests of this user; the name is hashed here, and not sent."),
    ("tenant", "NAME", "Only requests whose label tenant is this."),
    ("route", "GLOB", "Only requests of these routes, such as /orders/*."),
)


def with_targets(command: Command) -> Command:
    """Options of whom a rule means; the command gets ``selector`` and ``most`` (nodes), and ``asked`` for requests.

    ``asked`` is a function of the settings, under whose key a user is hashed.
    """

    @functools.wraps(command)
    def called(**parameters: Any) -> Any:
        terms = {name: tuple(parameters.pop(name)) for name in (*(name for name, _, _ in _TERMS), "worker")}
        selector = Selector(**terms, percent=parameters.pop("percent"))
        request = {name: parameters.pop(name) for name, _, _ in _PREDICATES}
        return command(selector=selector, asked=functools.partial(_predicate, request), **parameters)

    option: Command = called
    many = "So many nodes at most, always the same ones."
    option = click.option("--max", "most", metavar="N", type=click.IntRange(1), help=many)(option)
    share = click.FloatRange(0, 100, min_open=True)
    told = "This share of the nodes, always the same ones."
    option = click.option("--percent", metavar="P", type=share, help=told)(option)
    for name, metavar, told in reversed(_PREDICATES):
        option = click.option(f"--{name}", metavar=metavar, default="", help=told)(option)
    told = "Only the workers of this number on their nodes."
    option = click.option("--worker", metavar="N", type=click.IntRange(0), multiple=True, help=told)(option)
    for name, told, complete in reversed(_TERMS):
        option = click.option(f"--{name}", metavar="NAME", multiple=True, shell_complete=complete, help=told)(option)
    return option


def _predicate(terms: dict[str, str], settings: Settings) -> Predicate | None:
    if not any(terms.values()):
        return None
    user = terms["user"]
    if user:
        from clusterlog.encode.identity import hashes

        user = hashes(settings, user)[0]  # requests to come are hashed under the current key alone
    return Predicate(terms["request"], user, terms["tenant"], terms["route"])


def with_life(command: Command) -> Command:
    """``--for`` and ``--persistent``, ``--reason``, and what a rule may cost.

    The command gets ``wish``: logger, level, kind and selector → Wish.
    """

    @functools.wraps(command)
    def called(
        *,
        life: float | None,
        persistent: bool,
        reason: str,
        lines_per_s: int,
        lines: int,
        cap: bool,
        **parameters: Any,
    ) -> Any:
        if persistent and life is not None:
            raise click.UsageError("--for and --persistent contradict each other")
        if persistent and not reason.strip():
            raise click.UsageError("--persistent needs a --reason: whoever finds the rule in a year wants to know it")
        if life is not None and life <= 0:
            raise click.UsageError("--for is longer than nothing; --persistent with a --reason makes a rule that stays")
        wish: Callable[..., Wish] = functools.partial(
            Wish,
            life_s=0.0 if persistent else LIFE_S if life is None else life,
            kind="cap" if cap else "set",
            limits=Limits(lines_per_s, lines),
            reason=reason.strip(),
        )
        return command(wish=wish, **parameters)

    at_least = click.IntRange(0)
    for option in (
        click.option("--lines", metavar="N", type=at_least, default=0, help="End it where a worker wrote so many."),
        click.option(
            "--lines-per-s", metavar="N", type=at_least, default=0, help="End it where a worker writes more a second."
        ),
        click.option("--cap", is_flag=True, help="LEVEL is the most verbose one they may have, instead of theirs."),
        click.option("--reason", metavar="TEXT", default="", help="Why; it stands in lists and audit events."),
        click.option("--persistent", is_flag=True, help="It stays until it is reset; needs a --reason."),
        click.option("--for", "life", metavar="TIME", callback=duration, help="How long, 15m without it."),
    ):
        called = option(called)
    return called


def checked(selector: Selector, nodes: Iterable[Node]) -> None:
    """Raises NotFound, with near names, for a term that nobody answers to, or where nobody answers to all of them."""
    nodes = tuple(nodes)
    known = {
        "service": {node.service for node in nodes},
        "host": {node.host for node in nodes},
        "role": {word for node in nodes for word in (node.role, *node.tags)},
        "version": {node.version for node in nodes if node.version},
    }
    for name, there in known.items():
        for value in getattr(selector, name):
            if value not in there:
                raise NotFound(_unknown(name, value, there))
    names = {node.node for node in nodes}
    for glob in selector.node:
        if not any(fnmatchcase(name, glob) for name in names):
            raise NotFound(_unknown("node", glob, names))
    # A share of few nodes may be nobody, which is no mistake in a name.
    if selector != Selector(percent=selector.percent) and not any(
        meant(selector, node.member(worker)) for node in nodes for worker in node.workers
    ):
        raise NotFound("no worker is all of that at once: `clusterlog nodes` shows who is there")


def of_name(name: str | None, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes of that name or glob, or all. Raises NotFound, with near names, where others are there."""
    nodes = tuple(nodes)
    found = tuple(node for node in nodes if name is None or fnmatchcase(node.node, name))
    if nodes and not found:
        raise NotFound(_unknown("node", name or "", {node.node for node in nodes}))
    return found


def _unknown(kind: str, value: str, known: set[str]) -> str:
    close = near(value, sorted(known))
    if close:
        return f"no {kind} {value!a} in this cluster: did you mean {', '.join(close)}?"
    some = sorted(known)[:8]
    there = f"there are {', '.join(some)}{', …' if len(known) > len(some) else ''}" if some else "nobody is there"
    return f"no {kind} {value!a} in this cluster: {there}"


def narrowed(selector: Selector, most: int | None, nodes: Iterable[Node]) -> Selector:
    """``selector``, narrowed to at most ``most`` of the nodes that answer now."""
    if most is None:
        return selector
    members = [
        node.member(worker) for node in nodes for worker in node.workers if worker.state not in ("silent", "left")
    ]
    return some_of(selector, members, most)
