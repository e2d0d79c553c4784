"""Which commands there are, and what a command's end means: one line on standard error and an exit code."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from clusterlog.errors import ClusterlogError, QueryError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FAMILIES: dict[str, dict[str, tuple[str, str]]] = {
    "Follow requests": {
        "trace": ("find.trace", "Show one request: every node, in causal order, what failed first."),
        "tail": ("find.tail", "Show events as they are logged."),
        "search": ("find.search", "List the events, or requests, that match a query."),
        "diff": ("find.diff", "Compare a request with another, or with a healthy one like it."),
        "export": ("find.export", "Write one request out for another tool or a ticket."),
        "open": ("open", "Open one request in Kibana, or print its address."),
        "errors": ("find.errors", "Group errors by what they are: how often, since when, where."),
    },
    "Deliver events": {
        "ship": ("deliver.ship", "Deliver what lies in the spools to the store."),
        "serve": ("deliver.serve", "Ship a home, and take events and questions from other machines."),
        "status": ("deliver.status", "Show what is delivered, what waits and what was lost."),
        "verify": ("deliver.verify", "Account for every event: stored, lost with a reason, or waiting."),
        "dead": ("deliver.dead", "List, show, send again or throw away what the store refused."),
        "ingest": ("deliver.ingest", "Take in the JSON lines that other loggers have written."),
        "spool": ("deliver.spool", "Look into spool files: ls, verify, cat, export."),
    },
    "Steer the cluster": {
        "level": ("control.level", "Show or change log levels on every node, while everything runs."),
        "nodes": ("control.nodes", "Show who is in the cluster, in what state, and at which levels."),
        "message": ("control.message", "Send messages to applications, ask them, or listen to what they say."),
        "why": ("control.why", "Show what stops a line of a logger, from the call to the store."),
        "control": ("control.control", "Write the rules of a cluster to a file, or put those of a file in force."),
    },
    "Run programs": {
        "run": ("run", "Run a program so that it logs here, without touching its code."),
        "demo": ("demo.command", "Run a small cluster here and follow one failing request across it."),
        "stack": ("stack.command", "Run the Elastic stack and a shop in containers: init, up, status, down."),
    },
    "Set up": {
        "doctor": ("setup.doctor.command", "Look for what is wrong with a home or an application, and how to mend it."),
        "setup": ("setup.servers", "Set up other servers: Elasticsearch or OpenSearch, and Kibana."),
        "init": ("setup.init", "Write a file of settings with every default explained."),
        "completion": ("setup.completion", "Teach bash, zsh or fish to complete commands, request ids and fields."),
        "key": ("key", "List or change the keys under which users and sessions are hashed."),
    },
}
"""Family → command → (module of this room, what the command does). Help is told from here, so it imports no command."""

TRACEBACK = "CLUSTERLOG_TRACEBACK"
INTERNAL, INTERRUPTED, CLOSED_PIPE = 70, 130, 141


class Commands(click.Group):
    """The commands of ``FAMILIES``, imported one by one as they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, family by family."""
        return [name for family in FAMILIES.values() for name in family]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now, or ``None``."""
        for family in FAMILIES.values():
            if cmd_name in family:
                module = import_module(f"clusterlog.cli.{family[cmd_name][0]}")
                found: click.Command = getattr(module, cmd_name)
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click, but an unknown name is answered with the nearest known one."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            ctx.fail(f"no command {args[0]!a}: {hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and what they do, told without importing a command."""
        from click.shell_completion import CompletionItem

        told = {name: does for family in FAMILIES.values() for name, (_, does) in family.items()}
        found = [CompletionItem(name, help=does) for name, does in told.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The families, one section each."""
        for title, family in FAMILIES.items():
            with formatter.section(title):
                formatter.write_dl([(name, told) for name, (_, told) in family.items()])


def _version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        import clusterlog

        click.echo(f"clusterlog {clusterlog.__version__}")
        ctx.exit()


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
@click.pass_context
def clusterlog(ctx: click.Context) -> None:
    """Follow one request across every node of a cluster.

    Data goes to standard output, talk to standard error. Exit codes: 0 found or done, 1 nothing matched, 2 usage or
    query error, 3 not reachable or busy, 4 not allowed, 5 incomplete, 6 not confirmed by all, 7 a wait ran
    out, 10 a checked request failed, 70 internal error, 130 interrupted, 141 whoever read the output has left.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def call(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Whatever goes wrong has been told in one line by then."""
    try:
        code = _called(arguments)
        sys.stdout.flush()
    except click.ClickException as error:
        return _usage(error)
    except QueryError as error:
        return _refused_query(error)
    except ClusterlogError as error:
        return _told(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _forget_standard_output()
        return CLOSED_PIPE
    except Exception as error:
        return _internal(error)
    return code


def _called(arguments: Sequence[str]) -> int:
    """click's own ``main`` ends a closed pipe with 1; so the context is made and invoked here."""
    # Shell completion is asked for by an environment variable and answered by ``main`` alone.
    if "_CLUSTERLOG_COMPLETE" in os.environ:
        clusterlog.main(list(arguments), prog_name="clusterlog")
    try:
        with clusterlog.make_context("clusterlog", list(arguments)) as ctx:
            result: Any = clusterlog.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    return result if isinstance(result, int) else 0


def _told(message: str, code: int) -> int:
    from clusterlog.cli.line import escaped

    click.echo(f"clusterlog: {escaped(message)}", err=True)
    return code


def _usage(error: click.ClickException) -> int:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "clusterlog"
    return _told(f"{message[:1].lower()}{message[1:]} (see {where} --help)", error.exit_code)


def _refused_query(error: QueryError) -> int:
    """The query again, and a caret under the place; control characters count one column each."""
    from clusterlog.cli.line import caret

    code = _told(str(error), error.exit_code)
    if error.query:
        click.echo(caret(error.query, error.position, error.length), err=True)
    return code


def _internal(error: Exception) -> int:
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        raise error
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return _told(f"{about}{error.strerror} ({TRACEBACK}=1 shows where)", INTERNAL)
    return _told(f"internal error: {type(error).__name__}: {error} ({TRACEBACK}=1 shows where)", INTERNAL)


def _forget_standard_output() -> None:
    """Nobody reads it any more: what is still buffered must not raise again when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
