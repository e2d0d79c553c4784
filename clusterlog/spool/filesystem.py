"""Whether a directory can hold a home: a local file system of a POSIX machine."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "9p",
    }
)
"""File systems on which record locks or write order cannot be relied upon; one host per home."""


def unsuitable(home: Path) -> str:
    """Why ``home`` cannot be a home, as the first half of a sentence; empty if it can."""
    if sys.platform == "win32":
        return "clusterlog has no spool on this platform"
    kind = kind_of(home)
    if kind in NETWORK:
        return f"{home} is on a network file system ({kind}), which cannot hold a spool: set home to a local directory"
    return ""


def make_private(directory: Path) -> None:
    """Make a directory of a home, and the home itself where it is not there yet, for their owner alone.

    Raises OSError. What lies above the home is made as the umask says.
    """
    home = directory.parent
    home.parent.mkdir(parents=True, exist_ok=True)
    for each in (home, directory):
        each.mkdir(mode=0o700, exist_ok=True)


def kind_of(path: Path, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system that holds ``path`` (or would hold it), as the kernel names it; empty if unknown."""
    try:
        table = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    real = os.path.realpath(path)
    best, kind = -1, ""
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= best:
            best, kind = len(point), after.split(" ", 1)[0]
    return kind
