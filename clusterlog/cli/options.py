"""Options that mean the same on every command; those of settings are made from the settings themselves."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.errors import SettingError
from clusterlog.settings import Settings, load, seconds

Command = Callable[..., Any]

_METAVARS = {
    "home": "DIR",
    "sink": "URL",
    "store": "URL",
    "kibana": "URL",
    "token_file": "FILE",
    "service": "NAME",
    "node": "NAME",
    "user_key": "FILE",
    "debug": "LOGGERS",
}
_COMPLETED = {
    "home": candidates.directories,
    "token_file": candidates.files,
    "user_key": candidates.files,
    "service": candidates.services,
    "node": candidates.nodes,
}


def with_settings(*names: str) -> Callable[[Command], Command]:
    """An option for each of these settings; the command is called with all settings as ``settings``.

    They are looked for as commands do: the home upward from the working directory.
    """
    told = {each.name: each.metadata["doc"] for each in fields(Settings) if "doc" in each.metadata}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**parameters: Any) -> Any:
            given = {name: parameters.pop(name) for name in names}
            settings = load(given, for_command=True)
            if os.path.lexists(settings.home) and not os.path.isdir(settings.home):
                raise SettingError(f"{settings.home} is not a directory: choose another --home")
            return command(settings=settings, **parameters)

        option: Command = called
        for name in reversed(names):
            option = click.option(
                f"--{name.replace('_', '-')}",
                name,
                metavar=_METAVARS.get(name),
                shell_complete=_COMPLETED.get(name),
                help=_sentence(told[name]),
            )(option)
        return option

    return decorate


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
"""``--json``: the answer as one document with its schema in it."""


FORMATS = {
    "human": "for people",
    "plain": "for pipes: no colour, no lanes, nothing cut",
    "json": "one document",
    "ndjson": "one document a line",
    "md": "Markdown",
}
_SHORT = ("json", "ndjson")


def with_format(*formats: str) -> Callable[[Command], Command]:
    """``--format`` with these of ``FORMATS``, and ``--json`` and ``--ndjson`` as short forms of the two.

    The command is called with the format as ``output``. Without a choice that is ``human`` on a terminal and ``plain``
    in a pipe.
    """
    shorts = [name for name in _SHORT if name in formats]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**parameters: Any) -> Any:
            chosen = parameters.pop("output")
            for name in shorts:
                if parameters.pop(f"as_{name}"):
                    if chosen not in (None, name):
                        raise click.UsageError(f"--{name} and --format {chosen} contradict each other")
                    chosen = name
            return command(output=chosen or ("human" if paint.terminal(sys.stdout) else "plain"), **parameters)

        option: Command = called
        for name in reversed(shorts):
            option = click.option(f"--{name}", f"as_{name}", is_flag=True, help=f"Short for --format {name}.")(option)
        told = ", ".join(f"{name} ({FORMATS[name]})" for name in formats)
        told = f"{told}; without a choice human on a terminal, plain in a pipe."
        return click.option("--format", "output", type=click.Choice(formats), metavar="FORMAT", help=told)(option)

    return decorate


def on_screen(command: Command) -> Command:
    """``--color`` and ``--no-pager``: they hold for all the command paints and need no parameter of it."""

    @functools.wraps(command)
    def called(*, colour: paint.Colour, no_pager: bool, **parameters: Any) -> Any:
        with paint.looks(colour, pager=not no_pager):
            return command(**parameters)

    option: Command = click.option("--no-pager", is_flag=True, help="Show long output directly, not in $PAGER.")(called)
    when = click.Choice(("auto", "always", "never"))
    return click.option("--color", "colour", type=when, default="auto", help="When to use colours.")(option)


def with_times(command: Command) -> Command:
    """``--since`` and ``--until``; the command gets nanoseconds since the epoch, or ``None`` for no bound."""

    @functools.wraps(command)
    def called(*, since: str | None, until: str | None, **parameters: Any) -> Any:
        from clusterlog.search.instant import parse_time

        now = time.time_ns()
        bounds = (parse_time(each, now) if each else None for each in (since, until))
        return command(since=next(bounds), until=next(bounds), **parameters)

    option: Command = click.option("--until", metavar="TIME", help="Until when, as --since.")(called)
    told = "From when on: 15m, 2h, 7d, a date or time."
    return click.option("--since", metavar="TIME", is_flag=False, flag_value="", help=told)(option)


def _sentence(doc: str) -> str:
    """What a setting is, as it is said of an option, which is left out where a setting is empty."""
    return f"{doc[:1].upper()}{doc[1:].replace('; empty:', '; without it')}."


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Callback of an option: seconds, from ``90``, ``15m``, ``2h`` or ``7d``. Raises BadParameter."""
    if value is None:
        return None
    try:
        return seconds(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!a}: expected {error}") from None
