"""What is to be ingested: files by their names and patterns."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable

from clusterlog.errors import NotAllowed, NotFound, SettingError

STDIN = "-"

_SUFFIX = re.compile(
    r"(?:\.(?:gz|log|jsonl?|ndjson|json|txt|out|\d{1,3})|[.-]\d{4}-?\d\d-?\d\d(?:[T_-]?\d{2,6})?)\Z", re.IGNORECASE
)


def named(arguments: Iterable[str]) -> list[str]:
    """The files that arguments name, each once: paths, ``-``, and patterns the shell has left as they are.

    Raises NotFound where a pattern matches nothing, NotAllowed, and SettingError for directories and what is not there.
    """
    found: dict[object, str] = {}
    for argument in arguments:
        for path in [argument] if argument == STDIN or os.path.lexists(argument) else _matching(argument):
            found.setdefault(_identity(path), path)
    return list(found.values())


def _matching(pattern: str) -> list[str]:
    if not glob.has_magic(pattern):
        raise SettingError(f"no file {pattern}")
    found = [path for path in sorted(glob.glob(pattern, recursive=True)) if not os.path.isdir(path)]
    if not found:
        raise NotFound(f"no file matches {pattern}")
    return found


def _identity(path: str) -> object:
    if path == STDIN:
        return STDIN
    try:
        status = os.stat(path)
    except OSError as error:
        raise _refusal(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise SettingError(f"{path} is a directory: name its files, as in '{path.rstrip('/')}/*.log'")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode) and os.path.realpath(path) != _standard():
        raise SettingError(f"{path} is no file of lines")
    if not os.access(path, os.R_OK):
        raise NotAllowed(f"cannot read {path}: permission denied")
    return status.st_dev, status.st_ino


def _standard() -> str:
    return os.path.realpath("/dev/stdin")


def stem(path: str) -> str:
    """What a log is called without what rotation and formats put behind it: ``shop-1.json.log.2.gz`` is ``shop-1``."""
    name = "stdin" if path == STDIN else os.path.basename(path)
    while (found := _SUFFIX.search(name)) is not None and found.start():
        name = name[: found.start()]
    return name


def _refusal(path: str, error: OSError) -> NotAllowed | SettingError:
    if isinstance(error, PermissionError):
        return NotAllowed(f"cannot read {path}: permission denied")
    return SettingError(f"cannot read {path}: {(error.strerror or str(error)).lower()}")
