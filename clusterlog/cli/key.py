"""``clusterlog key``: the keys under which users and sessions are hashed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.encode.identity import LOOK_S, Key, key_file, read_keys
from clusterlog.settings import Settings

SCHEMA = "clusterlog.keys/1"


@click.group(invoke_without_command=True)
@click.pass_context
def key(ctx: click.Context) -> None:
    """List or change the keys under which users and sessions are hashed.

    Only hashes are stored, and only who has the key finds somebody by name. Every node of a cluster needs the same
    key file; the setting user_key says where it is.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@key.command()
@with_settings("home", "user_key")
@as_json
def ls(settings: Settings, as_json: bool) -> None:
    """List the keys by their ids, the current one last.

    The keys themselves are never shown.
    """
    file = key_file(settings)
    _show(file, read_keys(file), as_json)


@key.command()
@with_settings("home", "user_key")
@as_json
def rotate(settings: Settings, as_json: bool) -> None:
    """Make a fresh key the current one.

    Older keys stay in the file, so that users are still found in what was said before; who takes one out of it makes
    those users unfindable for ever. Processes that run take the fresh key up by themselves.
    """
    from clusterlog.encode.identity import rotate as put_fresh_key

    file = key_file(settings)
    keys = put_fresh_key(file)
    _show(file, keys, as_json)
    if len(keys) == 1:
        paint.say(f"made the first key in {escaped(str(file))}")
    else:
        paint.say(
            f"{keys[-1].id} is the current key; running processes take it within {LOOK_S:.0f} seconds"
            f"\nother nodes need it too: copy {escaped(str(file))} to wherever their user_key is"
        )


def _show(file: Path, keys: Sequence[Key], as_json: bool) -> None:
    if as_json:
        told = [{"id": each.id, "since": each.since or None, "current": each is keys[-1]} for each in keys]
        paint.emit(json.dumps({"schema": SCHEMA, "file": str(file), "keys": told}).encode())
        return
    rows = [(each.id, escaped(each.since or "-"), "current" if each is keys[-1] else "older") for each in keys]
    for text in paint.table(("KEY", "SINCE", "STATE"), rows):
        click.echo(text)
