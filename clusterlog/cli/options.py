"""Options that mean the same on every command; those of settings are made from the settings themselves."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from clusterlog.errors import SettingError
from clusterlog.settings import Settings, load, seconds

Command = Callable[..., Any]

_METAVARS = {"home": "DIR", "sink": "URL", "store": "URL", "service": "NAME", "node": "NAME", "debug": "LOGGERS"}


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
            flag = f"--{name.replace('_', '-')}"
            option = click.option(flag, name, metavar=_METAVARS.get(name), help=_sentence(told[name]))(option)
        return option

    return decorate


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
"""``--json``: the answer as one document with its schema in it."""


def _sentence(doc: str) -> str:
    return f"{doc[:1].upper()}{doc[1:]}."


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Callback of an option: seconds, from ``90``, ``15m``, ``2h`` or ``7d``. Raises BadParameter."""
    if value is None:
        return None
    try:
        return seconds(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!a}: expected {error}") from None
