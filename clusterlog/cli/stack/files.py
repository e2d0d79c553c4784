"""The files of the stack: where they come from, and how they get into a folder without taking anything's place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clusterlog.errors import NotAllowed, SettingError

COMPOSE = "docker-compose.yml"
TREES = (".dockerignore", COMPOSE, "examples/shop", "logstash")
"""What a stack is made of; at the top of a checkout they have these very names."""
_PACKAGED = Path(__file__).parent / "sources"
_CHECKOUT = Path(__file__).parents[3]

State = Literal["new", "same", "other"]


@dataclass(frozen=True, slots=True)
class File:
    """One file of the stack: its ``name`` in the folder, what is to be in it, and what is there now."""

    name: str
    content: bytes
    state: State


def source() -> Path:
    """Where the files are: with the package where it is installed, else in the checkout it runs from."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def planned(directory: Path) -> tuple[File, ...]:
    """Every file of a stack in ``directory``, and whether it is there. Raises SettingError and NotAllowed."""
    root = source()
    return tuple(
        _compared(directory, path.relative_to(root).as_posix(), path.read_bytes())
        for tree in TREES
        for path in _files(root / tree)
    )


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (each for each in sorted(path.rglob("*")) if each.is_file() and "__pycache__" not in each.parts)
    elif path.is_file():
        yield path
    else:
        raise SettingError(f"{path} is missing: this clusterlog was not installed whole")


def _compared(directory: Path, name: str, content: bytes) -> File:
    target = directory / name
    try:
        present = target.read_bytes()
    except FileNotFoundError:
        return File(name, content, "new")
    except PermissionError:
        raise NotAllowed(f"cannot read {target}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot read {target}: {(error.strerror or str(error)).lower()}") from None
    return File(name, content, "same" if present == content else "other")


def write(directory: Path, name: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file that is not there yet; never over one. Raises SettingError and NotAllowed.

    It is there whole or not at all.
    """
    target = directory / name
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, target)
        finally:
            beside.unlink()
    except FileExistsError:
        raise SettingError(f"{target} is there already, and is left as it is") from None
    except PermissionError as error:
        raise NotAllowed(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from None
    except OSError as error:
        raise SettingError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from None
