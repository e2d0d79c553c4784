"""Which Python a command runs, and whether clusterlog gets into it: found out before anything is started.

A command is an interpreter with its options, or a script whose first line names one. Anything else (a shell, a binary)
may start Pythons of its own; those that have clusterlog take part, and nothing is said about the others.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterlog.errors import SettingError

BOOTSTRAP = Path(__file__).parents[1] / "bootstrap"
"""The directory whose ``sitecustomize`` takes a Python on."""

_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?d?")
_TAKES_VALUE = frozenset("WXcm")
_KEEP_OUT = {"I": "-I", "E": "-E", "S": "-S"}
# What pip and uv write into a script instead of a first line that is too long or holds a space.
_TRAMPOLINE = re.compile(rb"'''exec'\s+(?:\"\$\(dirname .*?\"/)?['\"]?([^'\"\n]+?)['\"]?\s+\"\$0\"")
_LONGEST_ANSWER_S = 30


@dataclass(frozen=True, slots=True)
class Program:
    """What a command executes: ``path``; ``python`` is the interpreter that runs it, ``None`` if that is not a Python.

    ``options`` are the interpreter's own, without those of the program.
    """

    path: str
    python: str | None
    options: tuple[str, ...]


def program(command: Sequence[str], environ: Mapping[str, str]) -> Program:
    """What ``command`` would execute. Raises SettingError if there is no such program."""
    path = _which(command[0], environ)
    if path is None:
        raise SettingError(_not_found(command[0]))
    if _PYTHON.fullmatch(os.path.basename(path)):
        return Program(path, path, tuple(command[1:]))
    words = _first_line(path)
    if words and os.path.basename(words[0]) == "env":
        words = _after_env(words[1:], environ)
    if words and _PYTHON.fullmatch(os.path.basename(words[0])):
        return Program(path, words[0], tuple(words[1:]))
    return Program(path, _trampoline(path), ())


def refusal(found: Program, environ: Mapping[str, str]) -> str:
    """Why clusterlog does not get into a program, and what to do about it; empty if it does, or if it is no Python."""
    if found.python is None:
        return ""
    option = _keeps_out(found.options)
    if option:
        return f"python {option} does not look at PYTHONPATH, so clusterlog cannot get in: leave out {option}"
    if not _of_this_environment(found.python) and not _imports_clusterlog(found.python, environ):
        return f"{found.python} has no clusterlog: {shlex.quote(found.python)} -m pip install clusterlog"
    return ""


def bootstrapped(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which every Python takes itself on; one that is in it stays as it is."""
    entries = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry != str(BOOTSTRAP)]
    path = os.pathsep.join([str(BOOTSTRAP), *(entry for entry in entries if entry)])
    return {**environ, "PYTHONPATH": path}


def _which(name: str, environ: Mapping[str, str]) -> str | None:
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    return None if found is None else os.path.abspath(found)


def _not_found(name: str) -> str:
    path = Path(name)
    if path.is_dir():
        return f"{name} is a directory"
    if path.is_file():
        how = f"clusterlog run -- python {name}" if path.suffix == ".py" else f"chmod +x {name}"
        return f"{name} is not executable: {how}"
    return f"no program {name}: it is neither a file nor in PATH"


def _first_line(path: str) -> list[str]:
    """The words of ``#!interpreter option``; none for anything but a script."""
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return []
    if not line.startswith(b"#!"):
        return []
    interpreter, _, rest = os.fsdecode(line[2:]).strip().partition(" ")
    # The kernel passes all that follows as one word; env -S takes it apart.
    return [interpreter, *([rest.strip()] if rest.strip() else [])]


def _after_env(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """What ``env`` executes: behind its options and variables, found in PATH."""
    rest = shlex.split(" ".join(words).removeprefix("-S").removeprefix("--split-string="))
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        rest.pop(0)
    if not rest:
        return []
    return [_which(rest[0], environ) or rest[0], *rest[1:]]


def _trampoline(path: str) -> str | None:
    """The Python of a script that begins with ``#!/bin/sh`` and hands itself over to one."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return None
    found = _TRAMPOLINE.search(head) if head.startswith(b"#!/bin/sh") else None
    if found is None:
        return None
    return os.path.join(os.path.dirname(os.path.realpath(path)), os.fsdecode(found[1]))


def _keeps_out(options: Sequence[str]) -> str:
    """The option of an interpreter that makes it deaf to the environment, as ``-I`` in ``-Im pip``; empty if none."""
    words = iter(options)
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            return ""
        if word.startswith("--"):
            continue
        for position, letter in enumerate(word[1:], 1):
            if letter in _KEEP_OUT:
                return _KEEP_OUT[letter]
            if letter in _TAKES_VALUE:
                if letter in "cm":
                    return ""
                if position == len(word) - 1:
                    next(words, "")
                break
    return ""


def _of_this_environment(python: str) -> bool:
    """Whether an interpreter lies beside our own, and so has what we have."""
    own, other = os.path.dirname(sys.executable), os.path.dirname(python)
    return os.path.realpath(own) == os.path.realpath(other)


def _imports_clusterlog(python: str, environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import clusterlog.integrations.launch"],
            cwd="/",
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
