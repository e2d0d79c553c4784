"""``clusterlog init``: a file of settings with every default and what it means, ready to be changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings import Settings

FILE = "clusterlog.toml"
SCHEMA = "clusterlog.init/1"

_SPOKEN = {"linger": "60s", "disk_limit": "1GiB", "longest": "0"}
"""Defaults as a person would write them; read, they are the same."""
_FOUND = {"service": "the program's name", "node": "the host's name", "home": "see below"}
_GROUPS = (
    ("Who speaks", ("service", "node", "environment")),
    ("Where events go", ("home", "store", "sink", "kibana", "durability", "disk_limit")),
    ("How the store and the sink are reached", ("token", "token_file", "proxy", "compression")),
    ("Certificates", ("ca_file", "fingerprint", "cert_file", "key_file")),
    ("What is logged", ("level", "debug", "console", "throttle", "metrics")),
    ("Requests", ("trust", "propagate_to", "linger")),
    ("The cluster's hand", ("bus", "control_key", "role", "tags", "ceiling", "longest", "recorder")),
    ("People", ("session_cookie", "user_key", "redact")),
)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--service", metavar="NAME", help="The service's name, set in the file.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def init(directory: Path, service: str | None, force: bool, as_json: bool) -> None:
    """Write clusterlog.toml into DIRECTORY, here without one: every setting with its default, as a comment.

    An application and the commands find it from DIRECTORY and from every directory below.
    """
    target = directory / FILE
    if os.path.lexists(target) and not force:
        raise SettingError(f"{target} is there already: edit it, or replace it with --force")
    content = "".join(f"{line}\n" for line in lines(service))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    except PermissionError as error:
        raise NotAllowed(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from None
    if as_json:
        paint.emit(json.dumps({"schema": SCHEMA, "file": str(target.absolute()), "service": service}).encode())
        return
    paint.say(f"wrote {escaped(str(target))}: nothing in it is set yet but what you uncomment")
    if _in_git(directory.absolute()):
        paint.say("events of development lie in .clusterlog/: add that line to .gitignore")


def lines(service: str | None = None) -> Iterator[str]:
    """The lines of the file: settings in groups, each explained, each commented out with its default."""
    known = {each.name: each for each in fields(Settings) if each.name != "origins"}
    grouped = {name for _, names in _GROUPS for name in names}
    groups = (*_GROUPS, ("More", tuple(sorted(known.keys() - grouped))))
    yield "# Settings of clusterlog. Stronger than it are HOME/clusterlog.toml, the environment (CLUSTERLOG_STORE"
    yield "# for store) and what a program gives to start(). `clusterlog doctor --settings` shows every value's origin."
    for title, names in groups:
        present = [name for name in names if name in known]
        if present:
            yield ""
            yield f"# {title}"
        for name in present:
            yield ""
            yield from _explained(name, known[name])
            if name == "service" and service is not None:
                yield f"service = {_toml(service)}"
            else:
                yield f"# {name} = {_default(name, known[name])}"


def _explained(name: str, field: Any) -> Iterator[str]:
    otherwise = f"; without it {_FOUND[name]}" if name in _FOUND and name != "home" else ""
    doc = field.metadata["doc"]
    for line in wrap(f"{doc[:1].upper()}{doc[1:]}{otherwise}.", 110):
        yield f"# {line}"


def _default(name: str, field: Any) -> str:
    """What to uncomment: the default, or an example where the default is found out at run time."""
    if field.default is MISSING:
        return _toml({"service": "shop", "node": "shop-1"}.get(name, ""))
    return _toml(_SPOKEN.get(name, field.default))


def _toml(value: Any) -> str:
    """A value as TOML; JSON's strings, numbers and lists of texts are TOML's as well."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _in_git(directory: Path) -> bool:
    for each in (directory, *directory.parents):
        ignored = each / ".gitignore"
        if ignored.is_file():
            return ".clusterlog" not in ignored.read_text(encoding="utf-8", errors="replace")
        if (each / ".git").exists():
            return True
    return False
