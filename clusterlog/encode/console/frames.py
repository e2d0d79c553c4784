"""A stack trace as text, read back: which frames are the application's own, and which a person may skip."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FRAME = re.compile(r'  File "(?P<path>.*)", line (?P<line>\d+)(?:, in (?P<function>.*))?')
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\](?P<package>[^/\\]+)")
_PYTHON = re.compile(r"[/\\]lib(?:64)?[/\\]python3\.\d+[/\\]|^<frozen |[/\\]Python3\d+[/\\]Lib[/\\]")
_REPEATED = re.compile(r"  \[Previous line repeated (\d+) more times?\]")
_HEADING = "Traceback (most recent call last):"
_RELATIONS = {
    "The above exception was the direct cause of the following exception:": "caused by",
    "During handling of the above exception, another exception occurred:": "while handling",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One place of a traceback. ``library`` is the installed package or ``python``, and empty in own code.

    ``source`` are its lines of code, outdented, without the carets; ``repeated``: that often more in a row.
    """

    path: str
    line: int
    function: str
    source: tuple[str, ...]
    library: str
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception of a chain: what it says, the frames it went through, outermost first.

    ``relation`` is how it stands to the exception before it in the list: ``caused by`` or ``while handling``; empty in
    the first.
    """

    text: str
    frames: tuple[Frame, ...]
    relation: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """So many frames in a row that are not shown, and whose they are; without ``libraries`` they are anybody's."""

    count: int
    libraries: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """``9 frames in httpx, python``, ``79 more frames``."""
        noun = "frame" if self.count == 1 else "frames"
        return f"{self.count} {noun} in {', '.join(self.libraries)}" if self.libraries else f"{self.count} more {noun}"


def library_of(path: str) -> str:
    """The installed package a file belongs to, ``python`` for the standard library, empty for the application's own."""
    installed = _INSTALLED.search(path)
    if installed:
        return installed["package"].removesuffix(".py")
    return "python" if _PYTHON.search(path) else ""


def read(stack_trace: str) -> tuple[Raised, ...]:
    """The exceptions of a stack trace, newest first, as Python prints them oldest first.

    Empty for a text that is none, and for exception groups, whose trees no list can tell.
    """
    if "\n  | " in stack_trace or stack_trace.startswith("  + "):
        return ()
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in stack_trace.split("\n"):
        if line in _RELATIONS:
            blocks.append((_RELATIONS[line], []))
        else:
            blocks[-1][1].append(line)
    found = [_block(lines) for _, lines in blocks]
    if any(each is None for each in found):
        return ()
    # Between two blocks stands how the later one came of the earlier: said of the earlier when it is told second.
    relations = [relation for relation, _ in blocks[1:]]
    newest_first = [each for each in reversed(found) if each is not None]
    return tuple(
        Raised(text, frames, relation)
        for (text, frames), relation in zip(newest_first, ["", *reversed(relations)], strict=True)
    )


def _block(lines: Sequence[str]) -> tuple[str, tuple[Frame, ...]] | None:
    """What one exception says and its frames; ``None`` for something else than a traceback's block."""
    kept = [line for line in lines if line != _HEADING]
    while kept and not kept[0].strip():
        kept.pop(0)
    if not kept:
        return None
    frames: list[Frame] = []
    at = 0
    while at < len(kept) and (kept[at].startswith("  ") and (found := _FRAME.fullmatch(kept[at]))):
        begin = at + 1
        at = begin
        while at < len(kept) and kept[at].startswith("    ") and not _FRAME.fullmatch(kept[at]):
            at += 1
        source = tuple(line[4:] for line in kept[begin:at] if line.strip(" ~^"))
        again = _REPEATED.fullmatch(kept[at]) if at < len(kept) else None
        path, line, function = found["path"], int(found["line"]), found["function"] or ""
        frames.append(Frame(path, line, function, source, library_of(path), int(again[1]) if again else 0))
        at += again is not None
    if len(kept) > at and frames and kept[at].startswith("  "):
        return None
    return "\n".join(kept[at:]).rstrip(), tuple(frames)


def folded(frames: Sequence[Frame]) -> Iterator[Frame | Skipped]:
    """The frames to show: own ones, and where it was raised; of others how many there were, in which libraries."""
    skipped: list[Frame] = []
    for number, frame in enumerate(frames):
        if frame.library and number != len(frames) - 1:
            skipped.append(frame)
            continue
        if skipped:
            yield Skipped(len(skipped), tuple(dict.fromkeys(each.library for each in skipped)))
            skipped = []
        yield frame


def ends(shown: Sequence[Frame | Skipped], most: int) -> Iterator[Frame | Skipped]:
    """What is shown of a deep recursion: the first and the last of ``most`` frames, and between them how many more."""
    left_out = shown[most // 2 : len(shown) - most // 2] if len(shown) > most else ()
    if not left_out:
        yield from shown
        return
    yield from shown[: most // 2]
    yield Skipped(sum(each.count if isinstance(each, Skipped) else 1 + each.repeated for each in left_out))
    yield from shown[len(shown) - most // 2 :]


def place(frame: Frame, directory: str) -> str:
    """``orders/stock.py:41 in reserve``: relative within ``directory``; a library's from its package on.

    Of a frame that is repeated also how often.
    """
    path = frame.path
    within = _INSTALLED.search(path)
    python = _PYTHON.search(path)
    if within:
        path = path[within.start("package") :]
    elif python:
        path = path[python.end() :] if not path.startswith("<") else path
    elif directory and path.startswith(directory + os.sep):
        path = path[len(directory) + 1 :]
    again = f", and {frame.repeated} times more" if frame.repeated else ""
    function = f" in {frame.function}" if frame.function else ""
    return f"{path}:{frame.line}{function}{again}"
