"""How things look on a terminal: ink, pages, tables, progress. It alone knows rich, and stands in for it."""

from __future__ import annotations

import locale
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from clusterlog.cli.line import columns, escaped_json, short
from clusterlog.encode.console import hyperlink

if TYPE_CHECKING:
    from rich.progress import Progress

    from clusterlog.cli.pager import Paged

Advance = Callable[[int, int], None]
"""(done, total): how far something is."""

Colour = Literal["auto", "always", "never"]

_RED, _YELLOW, _GREEN, _CYAN, _BOLD_RED, _DIM = "31", "33", "32", "36", "1;31", "2"
_HUES = ("34", "35", "32", "36", "94", "95")  # of lanes: none that means a level
INK: dict[str, str] = {
    "E": _BOLD_RED,
    "C": _BOLD_RED,
    "W": _YELLOW,
    "D": _DIM,
    "S": _DIM,
    "id": _CYAN,
    "dim": _DIM,
    "bad": _RED,
    "good": _GREEN,
    **{f"lane{number}": _HUES[number % len(_HUES)] for number in range(8)},
}
"""Name of an ink → its parameters for SGR (ECMA-48, 8.3.117): only the sixteen colours of the terminal's own theme."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What somebody chose for one command: colours, and whether long output may go through a pager."""

    colour: Colour = "auto"
    pager: bool = True


_looks = Looks()
_page: Paged | None = None

PATIENCE_S = 1.0
_PROCESS = re.compile(r"[0-9a-f]{32}")
_INKED = re.compile(r"\x1b\[[\d;]*m")
_REDRAW_S = 0.1


def terminal(stream: IO[Any]) -> bool:
    """Whether a person looks at the stream."""
    return stream.isatty()


def coloured(stream: IO[Any]) -> bool:
    """Whether to use ink: as ``--color`` says; else on a terminal, unless ``NO_COLOR`` or a dumb one (no-color.org).

    ``FORCE_COLOR`` asks for it everywhere.
    """
    if _looks.colour != "auto":
        return _looks.colour == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal(stream) and os.environ.get("TERM") != "dumb"


def inked(text: str, ink: str, stream: IO[Any] | None = None) -> str:
    """The text in the ink of that name, where colours are wanted."""
    style = INK.get(ink)
    return f"\x1b[{style}m{text}\x1b[0m" if style and coloured(stream or sys.stdout) else text


def follows_links() -> bool:
    """Whether whoever looks at standard output can click on a text that leads somewhere."""
    return terminal(sys.stdout) and hyperlink.known(os.environ)


def show_rows(rows: Iterable[Iterable[tuple[str, str]]], links: Mapping[str, str] | None = None) -> None:
    """Data for people: rows of segments, each a text and the name of its ink, as lines of standard output.

    ``links``: an escaped text that is a segment of its own → the address it leads to; for ``follows_links`` alone.
    """
    in_colour = coloured(sys.stdout)  # asked once: a picture has a hundred thousand segments
    for each in rows:
        row = tuple(each)
        if in_colour:
            pieces = [f"\x1b[{INK[ink]}m{text}\x1b[0m" if ink in INK and text.strip() else text for text, ink in row]
        else:
            pieces = [text for text, _ in row]
        if links:
            texts = [text for text, _ in row]
            pieces = [
                hyperlink.linked(piece, links[text]) if text in links else piece
                for piece, text in zip(pieces, texts, strict=True)
            ]
        show("".join(pieces).rstrip())


@contextmanager
def looks(colour: Colour = "auto", *, pager: bool = True) -> Iterator[None]:
    """What somebody chose for one command, until it ends."""
    global _looks
    before, _looks = _looks, Looks(colour, pager)
    try:
        yield
    finally:
        _looks = before


@contextmanager
def unpaged() -> Iterator[None]:
    """Inside, long output is shown directly, whatever was chosen; colours stay as they are."""
    with looks(_looks.colour, pager=False):
        yield


@contextmanager
def paged() -> Iterator[None]:
    """What is shown inside goes through the pager if it is longer than the screen; in a pipe nothing changes.

    A reader who ends the pager early ends the block, too, without an error: what stands behind the block goes on.
    """
    global _page
    if _page is not None or not _looks.pager or not terminal(sys.stdout) or os.environ.get("TERM") == "dumb":
        yield
        return
    from clusterlog.cli.pager import Paged, command_of

    command = command_of(os.environ)
    if not command:
        yield
        return
    _page = page = Paged(command, shutil.get_terminal_size())
    try:
        yield
    except BrokenPipeError:
        if not page.left:
            raise
    finally:
        _page = None
        page.end()
        for each in page.talk:
            say(each)


def width(stream: IO[Any] | None = None) -> int | None:
    """Columns to draw in: the terminal's; ``None`` in a pipe, where nothing is to be cut.

    ``stream`` is standard output unless said otherwise.
    """
    return max(40, shutil.get_terminal_size().columns) if terminal(stream or sys.stdout) else None


def unicode(stream: IO[Any] | None = None) -> bool:
    """Whether standard output takes lines and arrows: by its encoding, and on a terminal by the locale as well.

    Python writes UTF-8 even where ``LC_ALL`` says that nobody there reads it (PEP 540). ``stream`` as for ``width``.
    """
    stream = stream or sys.stdout
    try:
        "●├▶✖".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return not terminal(stream) or locale.getencoding().lower().replace("-", "") == "utf8"


def say(text: str) -> None:
    """Talk: one line to standard error; while a pager has the screen, when it is gone."""
    if _page is not None:
        _page.talk.append(text)
    else:
        click.echo(text, err=True)


def show(text: str) -> None:
    """Data for people: one line of standard output. In a pipe it is not flushed line by line, as click's echo is."""
    if _page is not None:
        _page.write(text)
    else:
        sys.stdout.write(f"{text}\n")


def emit(document: bytes) -> None:
    """Data: one JSON document as a line of standard output, byte for byte unless a terminal has to be protected."""
    sys.stdout.buffer.write((escaped_json(document) if terminal(sys.stdout) else document) + b"\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: str = "", spare: str = "") -> Iterator[str]:
    """The lines of a table of escaped texts; the columns whose headings are in ``numbers`` stand to the right.

    A text may be inked. On a terminal that is too narrow for it, ids of processes are told by their ends, and columns
    of which there is nothing to tell are left out, then those that ``spare`` names, one by one, as far as is needed.
    """
    lines = [tuple(headings), *map(tuple, rows)]
    narrower: list[_Narrower] = [_with_short_ids, _without_empty_columns]
    narrower += [partial(_without, heading) for heading in spare.split()]
    for less in narrower:
        widths = _widths(lines)
        if (room := width()) is not None and sum(widths) + 2 * (len(widths) - 1) > room:
            lines = less(lines)
    widths = _widths(lines)
    right = [heading in numbers.split() for heading in lines[0]]
    for index, row in enumerate(lines):
        cells = [
            " " * (width - _room(cell)) + cell if to_right else cell + " " * (width - _room(cell))
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        text = "  ".join(cells).rstrip()
        yield inked(text, "dim") if index == 0 else text


_Narrower = Callable[[Sequence[tuple[str, ...]]], list[tuple[str, ...]]]


def _widths(lines: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(_room, column)) for column in zip(*lines, strict=True)]


def _room(cell: str) -> int:
    """Columns that a text takes; its ink takes none."""
    return columns(_INKED.sub("", cell)) if "\x1b" in cell else columns(cell)


def _with_short_ids(lines: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(short(cell) if _PROCESS.fullmatch(cell) else cell for cell in line) for line in lines]


def _without_empty_columns(lines: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    told = [any(cell != "-" for cell in cells) for _, *cells in zip(*lines, strict=True)]
    return [tuple(cell for cell, kept in zip(line, told, strict=True) if kept) for line in lines]


def _without(heading: str, lines: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    kept = [each != heading for each in lines[0]]
    return [tuple(cell for cell, stays in zip(line, kept, strict=True) if stays) for line in lines]


def amount(number: int) -> str:
    """A count for people, with commas."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """``1 event``, ``1,204 events``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(count: int) -> str:
    """Bytes for people: ``512 B``, ``4.0 KiB``, ``1.2 GiB``."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1000 or unit == "GiB":
            break
    return f"{value:.1f} {unit}"


@contextmanager
def progress(label: str, unit: str) -> Iterator[Advance]:
    """A bar on standard error for what takes more than a second, if that is a terminal. ``unit``: events or bytes."""
    with _drawn(label) as bar:
        spoken = size if unit == "bytes" else amount

        def advance(done: int, total: int) -> None:
            if bar is not None:
                bar.advance(done, total, lambda: f"{spoken(done)} of {spoken(total)}")

        yield advance


@contextmanager
def paced(label: str, noun: str) -> Iterator[Callable[[int, int, int], None]]:
    """As ``progress``, for what is measured in one unit and counted in another: it says how many there are a second.

    It is told how far of how much the work is, and how many of ``noun`` that were.
    """
    with _drawn(label) as bar:
        begun = time.monotonic()

        def advance(done: int, total: int, count: int) -> None:
            if bar is not None:
                rate = round(count / max(time.monotonic() - begun, 0.001))
                bar.advance(done, total, lambda: f"{counted(count, noun)}, {amount(rate)}/s")

        yield advance


_bars: list[_Bar] = []


@contextmanager
def _drawn(label: str) -> Iterator[_Bar | None]:
    """A bar, if a person looks. One inside of another takes its place for as long as it is there."""
    if not terminal(sys.stderr):
        yield None
        return
    if _bars:
        _bars[-1].end()
    _bars.append(_Bar(label))
    try:
        yield _bars[-1]
    finally:
        _bars.pop().end()


class _Bar:
    """Drawn by rich; where that is not installed, as a line that replaces itself."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._due = self._begun + PATIENCE_S
        self._rich: Progress | None = None
        self._task: Any = None
        self._plain = False

    def advance(self, done: int, total: int, say: Callable[[], str]) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _REDRAW_S
        told = say()
        if self._rich is not None:
            self._rich.update(self._task, completed=done, total=max(total, 1), told=told)
        elif self._plain or not self._begin(done, max(total, 1), told):
            sys.stderr.write(f"\r{self._label}  {told}{self._left(done, total, now)}\x1b[K")
            sys.stderr.flush()

    def _left(self, done: int, total: int, now: float) -> str:
        """The time that remains if it goes on as it went, which rich's bar tells by itself."""
        if not 0 < done < total:
            return ""
        seconds = round((now - self._begun) * (total - done) / done)
        return f", {seconds // 60}:{seconds % 60:02d} left"

    def _begin(self, done: int, total: int, told: str) -> bool:
        """Draw the bar for the first time; false where rich is not installed."""
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
        except ImportError:
            self._plain = True
            return False
        described = TextColumn("{task.description}", markup=False)
        counted = TextColumn("{task.fields[told]}", markup=False)
        parts = (described, BarColumn(), TaskProgressColumn(), counted, TimeRemainingColumn())
        self._rich = Progress(*parts, console=Console(file=sys.stderr), transient=True)
        self._task = self._rich.add_task(self._label, completed=done, total=total, told=told)
        self._rich.start()
        return True

    def end(self) -> None:
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
        elif self._plain:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
