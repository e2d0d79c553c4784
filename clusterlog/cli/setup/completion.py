"""``clusterlog completion``: the lines that teach a shell to complete commands, request ids and fields."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from clusterlog.cli import paint

_KINDS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
SHELLS = tuple(_KINDS)
_VARIABLE = "_CLUSTERLOG_COMPLETE"
_FILES = {
    "bash": '~/.bashrc: eval "$(clusterlog completion bash)"',
    "zsh": '~/.zshrc: eval "$(clusterlog completion zsh)"',
    "fish": "~/.config/fish/config.fish: clusterlog completion fish | source",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print what makes SHELL complete commands, options, recent request ids, nodes, services and fields.

    SHELL is bash (4.4 and newer), zsh or fish; without it, the one of $SHELL.
    """
    shell = shell or _of_the_user()
    from clusterlog.cli.commands import clusterlog

    script = _KINDS[shell](clusterlog, {}, "clusterlog", _VARIABLE)
    click.echo(script.source())
    if paint.terminal(sys.stdout):
        paint.say(f"put this line into {_FILES[shell]}")


def _of_the_user() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"name the shell: {', '.join(SHELLS)}")
    return name
