"""Whether a home can hold what is logged: its directory, file system, disk, and the key of its users."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from clusterlog.cli.paint import size
from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.encode.identity import key_file, read_keys
from clusterlog.errors import ClusterlogError, NotAllowed, NotFound
from clusterlog.settings import Settings
from clusterlog.spool import filesystem
from clusterlog.spool.budget import MIN_FREE_BYTES, MIN_FREE_SHARE, used_bytes

_NEARLY = 0.8
"""The share of the spool's limit from which on somebody should know."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything about the home itself; no file is made."""
    home = settings.home_path
    yield from _directory(home)
    yield from _disk(settings)
    yield _key(settings)


def _directory(home: Path) -> Iterator[Finding]:
    refusal = filesystem.unsuitable(home)
    kind = filesystem.kind_of(home)
    if refusal:
        yield Finding("home", "problem", refusal.partition(":")[0], "set home to a directory on a local disk")
        return
    existing = next(each for each in (home, *home.parents) if each.exists())
    writable = os.access(existing, os.W_OK | os.X_OK)
    if not writable:
        who = f"user {os.geteuid()}"
        yield Finding(
            "home",
            "problem",
            f"{existing} cannot be written by {who}: events go to stderr",
            f"chown it to who runs the application, or set home to another directory (now {home})",
        )
        return
    if existing != home:
        yield Finding("home", "note", f"{home} is not there yet: the first start() makes it")
        return
    if home.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding("home", "problem", f"{home} can be written by others", f"chmod 700 {home}")
        return
    yield Finding("home", "ok", f"{home}, writable" + (f", {kind}" if kind else ""))


def _disk(settings: Settings) -> Iterator[Finding]:
    home = settings.home_path
    existing = next(each for each in (home, *home.parents) if each.exists())
    disk = os.statvfs(existing)
    free, whole = disk.f_frsize * disk.f_bavail, disk.f_frsize * disk.f_blocks
    floor = int(min(MIN_FREE_BYTES, whole * MIN_FREE_SHARE))
    if free < floor:
        text = f"{size(free)} free of {size(whole)}: below {size(floor)} only WARNING and above is kept"
        yield Finding("disk", "problem", text, "free some space, or set home to another disk")
    elif free < 2 * floor:
        text = f"{size(free)} free of {size(whole)}: from {size(floor)} on only WARNING and above is kept"
        yield Finding("disk", "warning", text, "free some space soon")
    else:
        yield Finding("disk", "ok", f"{size(free)} free of {size(whole)}")
    used = used_bytes(home / "spool")
    if used > settings.disk_limit * _NEARLY:
        text = f"the spool holds {size(used)} of {size(settings.disk_limit)}: soon new events are dropped"
        yield Finding("spool", "problem", text, "run `clusterlog ship`, or raise disk_limit")
    else:
        yield Finding("spool", "ok", f"{size(used)} of {size(settings.disk_limit)}")


def _key(settings: Settings) -> Finding:
    file = key_file(settings)
    try:
        keys = read_keys(file)
    except NotFound:
        if settings.user_key:
            text = f"user_key names {file}, which is not there: this node will hash users under a key of its own"
            return Finding("user key", "problem", text, f"copy the key of another node to {file}, mode 0600")
        text = "none yet: the first bind(user=...) makes one"
        return Finding("user key", "note", text)
    except NotAllowed as error:
        mend = f"make {file} readable for who runs the application (chown, chmod 600)"
        return Finding("user key", "problem", str(error), mend)
    except ClusterlogError as error:
        if not file.is_file():
            return Finding("user key", "problem", str(error), "let user_key name the file with the key")
        text, _, mend = str(error).partition(": ")  # what is wrong with its content, and what it should be
        return Finding("user key", "problem", text, f"{file}: {mend}")
    if file.stat().st_mode & 0o077:
        text = f"{file} can be read by others: with it, hashes of users can be undone by trying names"
        return Finding("user key", "problem", text, f"chmod 600 {file}")
    return Finding("user key", "ok", f"{file}, current key {keys[-1].id}" + (f" of {len(keys)}" if keys[1:] else ""))
