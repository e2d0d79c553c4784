"""The screens of the documentation, drawn by the commands themselves from ``events.ndjson``: ``make screens``.

Each command is called as on terminals of 80, 120 and 200 columns; what it shows is kept as text, and of some also as a
picture in dark and in light colours. The events are always the same, so a change of a file is a change of the code.
"""

from __future__ import annotations

import io
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from html import escape
from pathlib import Path
from typing import NamedTuple

from clusterlog.cli.commands import call
from clusterlog.cli.line import columns
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.control.members import Report, RuleReport, Status
from clusterlog.control.members import fields_of as report_fields
from clusterlog.control.rules.document import Document, Version
from clusterlog.control.rules.document import fields_of as document_fields
from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.rule import Member, Rule, Selector, level_name
from clusterlog.control.signing.keys import cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.search.instant import instant
from clusterlog.store.base import Delivery
from clusterlog.store.document import parse
from clusterlog.store.embedded import EmbeddedStore

HERE = Path(__file__).parent
WIDTHS = (80, 120, 200)
PICTURED = 120
"""The width of the pictures."""
FAILED, LOSSY = "01a1ff24f9797e77886517ab362f4a41", "01a1ff24fb0e7b2a97febdf82d564313"
SLOW, OK = "01a1ff24fbab7ee3a20abca7b9e2d67e", "01a1ff24f8f3710599635fe33e713566"


class Screen(NamedTuple):
    """One command, why somebody calls it, and whether there are pictures of it; it is left after ``lines``."""

    name: str
    told: str
    arguments: tuple[str, ...]
    pictured: bool = False
    lines: int = 1000


SCREENS = (
    Screen("failed", "A request that failed three services away", ("trace", FAILED), pictured=True),
    Screen("slow", "A slow one: where the time went", ("trace", SLOW), pictured=True),
    Screen("ok", "One that went well", ("trace", OK), pictured=True),
    Screen("tree", "The failed one, nested: visits, calls, steps, and the lines inside", ("trace", FAILED, "--tree")),
    Screen("loss", "A disk was full: what is lost is told where it is missing", ("trace", LOSSY), pictured=True),
    Screen("errors-of-a-request", "Only what went wrong", ("trace", FAILED, "--level", "error")),
    Screen("check", "The verdict alone, for scripts: exit code 10", ("trace", FAILED, "--check")),
    Screen("search", "Events that match a query", ("search", "level: error and node: orders-2"), pictured=True),
    Screen("requests", "Requests instead of events", ("search", "--group", "request")),
    Screen("errors", "Errors by what they are", ("errors",), pictured=True),
    Screen("diff", "What differs from a healthy request like it", ("diff", FAILED)),
    Screen("tail", "Events as they are logged", ("tail", "--since", "2026-11-21", "service: payments"), lines=24),
    Screen(
        "level", "Levels in force: by which rules, by whom, for how long, and on every node", ("level",), pictured=True
    ),
    Screen("nodes", "Who is in the cluster", ("nodes",)),
)
NODES = (
    ("orders", "orders-1", 2), ("orders", "orders-2", 2), ("payments", "payments-1", 1),
    ("shop", "shop-1", 1), ("shop", "shop-2", 1),
)  # fmt: skip
"""Of the cluster that is drawn: service, node, and how many workers it has."""

THEMES = {
    "dark": {
        "back": "#14171c", "text": "#d5d9e0", "31": "#f2777a", "32": "#8fc46f", "33": "#e6c35c", "34": "#6ea8e8",
        "35": "#cf8ee0", "36": "#5fc3cf", "94": "#9cc5f5", "95": "#e3b3ee",
    },
    "light": {
        "back": "#ffffff", "text": "#23272e", "31": "#b3261e", "32": "#2e7d32", "33": "#8a6100", "34": "#1a5fb4",
        "35": "#8b2fa0", "36": "#00727f", "94": "#3f83cf", "95": "#a95bbb",
    },
}  # fmt: skip
"""The sixteen colours as two terminals might show them, as far as they are used."""

_FIRST = re.compile(r"(```console\n)\$ clusterlog trace [^`]*?(?=```)")
_INK = re.compile(r"\x1b\[([\d;]*)m")
_CELL, _LINE, _SIZE, _EDGE = 8.43, 17, 14, 14
_FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"


class Terminal(io.TextIOWrapper):
    """Standard output of somebody who looks, and leaves after so many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__(io.BytesIO(), "utf-8", write_through=True)
        self._left = lines

    def isatty(self) -> bool:
        """A person looks at it."""
        return True

    def write(self, text: str) -> int:
        """Take in what is shown; as Ctrl-C would, end the command after the last line."""
        written = super().write(text)
        self._left -= text.count("\n")
        if self._left <= 0:
            raise KeyboardInterrupt
        return written

    @property
    def shown(self) -> str:
        """All of it."""
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@contextmanager
def home() -> Iterator[Path]:
    """A home whose store holds the events, as if they had just arrived."""
    bodies = (HERE / "events.ndjson").read_bytes().splitlines()
    events = [parse(body) for body in bodies]
    arrival = max(instant(event["@timestamp"]) or 0 for event in events)
    with tempfile.TemporaryDirectory(prefix="clusterlog-screens-") as directory:
        store = EmbeddedStore.open(Path(directory) / "store", "write", clock=lambda: arrival)
        store.deliver(
            [
                Delivery(event["event"]["id"], event["process"]["entity_id"], event["event"]["sequence"], body)
                for event, body in zip(events, bodies, strict=True)
            ]
        )
        store.close()
        _cluster(Path(directory))
        yield Path(directory)


def _cluster(directory: Path) -> None:
    """Two rules in force for an hour, and nodes that have just said so; however long it takes to draw them."""
    (directory / "control").mkdir()
    sealer = Sealer(cluster_keys(directory, "", True), "development")
    file = directory / "control" / "bus.db"
    link = SqliteBus(file, "development").open()
    now = link.read().now_ns
    times = {"created_ns": now - 3750 * 10**9, "expires_ns": now + 6750 * 10**9, "rev": 2}
    rules = (
        Rule("k7d3q", "orders.stock", 10, actor="mia@desk", reason="ticket 4711", **times),
        Rule("xw2pn", "shop", 30, "cap", Selector(node=("shop-*",)), actor="ben@desk", **times),
    )
    link.write(sealer.seal(document_fields(Document("development", Version("5f1c", 2), rules, now))), None)
    for number, (service, node, workers) in enumerate(NODES):
        said = tuple(_worker(rules, service, node, 4000 + 10 * number + each) for each in range(1, workers + 1))
        report = Report(node, service, f"host-{number + 1}", version="2.4.1", lag_s=0.4, workers=said)
        link.lease(f"{service}/{node}/1", sealer.seal(report_fields(report)), 30.0, said[0].applied)
    link.close()
    with closing(sqlite3.connect(file)) as kept, kept:
        kept.execute("UPDATE leases SET at_ns = at_ns + 3600000000000, until_ns = until_ns + 3600000000000")


def _worker(rules: tuple[Rule, ...], service: str, node: str, pid: int) -> Status:
    levels = Levels(rules, Member(service, node, ""))
    loggers = {name: level_name(levels.of(name, 20).level) for name in levels.loggers() if name}
    applied = {rule.id: RuleReport("applied") for rule in levels.mine}
    return Status(pid, f"{pid:032x}", pid % 10, 0, "5f1c/2", "INFO", loggers, applied)


def shown(screen: Screen, width: int, directory: Path) -> str:
    """What a terminal of so many columns shows, with its colours."""
    before = {name: os.environ.pop(name, None) for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")}
    os.environ |= {"COLUMNS": str(width), "TERM": "xterm"}
    terminal, talk = Terminal(screen.lines), io.StringIO()
    try:
        with redirect_stdout(terminal), redirect_stderr(talk):
            call([*screen.arguments, "--home", str(directory), "--no-pager"])
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return terminal.shown


def files(directory: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every file that is drawn."""
    for screen in SCREENS:
        for width in WIDTHS:
            seen = shown(screen, width, directory)
            yield f"{screen.name}-{width}.txt", f"{prompt(screen)}\n{_INK.sub('', seen)}"
            if screen.pictured and width == PICTURED:
                for theme in THEMES:
                    yield f"{screen.name}-{theme}.svg", picture(f"{prompt(screen)}\n{seen}", theme, screen.told)
    yield "README.md", "".join(f"{line}\n" for line in contents())


def prompt(screen: Screen) -> str:
    """The command as somebody types it."""
    words = [f"'{word}'" if " " in word else word for word in screen.arguments]
    return f"$ clusterlog {' '.join(words)}"


def picture(seen: str, theme: str, title: str) -> str:
    """A terminal's text with its colours as SVG: each stretch of one ink at its own column, whatever font is there."""
    colours = THEMES[theme]
    lines = seen.removesuffix("\n").split("\n")
    width = round(PICTURED * _CELL + 2 * _EDGE)
    height = len(lines) * _LINE + 2 * _EDGE
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f"<style>text{{font:{_SIZE}px {_FONTS};white-space:pre;fill:{colours['text']}}}"
        + "".join(f".c{name}{{fill:{colours[name]}}}" for name in colours if name.isdecimal())
        + ".b{font-weight:bold}.d{opacity:.6}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{colours["back"]}"/>',
    ]
    for number, line in enumerate(lines):
        y = _EDGE + _LINE * (number + 1) - 4
        for column, text, inks in _stretches(line):
            at, length = round(_EDGE + column * _CELL, 1), round(columns(text) * _CELL, 1)
            names = " ".join({"1": "b", "2": "d"}.get(ink, f"c{ink}") for ink in inks if ink)
            style = f' class="{names}"' if names else ""
            drawn.append(f'<text x="{at}" y="{y}" textLength="{length}"{style}>{escape(text, quote=False)}</text>')
    return "\n".join([*drawn, "</svg>", ""])


def _stretches(line: str) -> Iterator[tuple[int, str, list[str]]]:
    """Column, text and inks of each stretch of a line that holds something to see."""
    column, inks = 0, [""]
    for number, part in enumerate(_INK.split(line)):
        if number % 2:
            inks = [] if part in ("", "0") else part.split(";")
        else:
            text = part.strip(" ")
            if text:
                yield column + len(part) - len(part.lstrip(" ")), text, inks
            column += columns(part)


def contents() -> Iterator[str]:
    """The page that leads to all of them."""
    yield "# Screens"
    yield ""
    yield "What the commands show, drawn by themselves from the same events each time (`make screens`). The events were"
    yield "recorded from `clusterlog demo` by `record.py`, and given the names of a cluster. Pictures are terminals of"
    most = ", ".join(map(str, WIDTHS[:-1]))
    yield f"{PICTURED} columns; each screen is here as text for {most} and {WIDTHS[-1]} of them."
    for screen in SCREENS:
        yield from ("", f"## {screen.told}", "")
        links = ", ".join(f"[{width}]({screen.name}-{width}.txt)" for width in WIDTHS)
        yield f"`{prompt(screen).removeprefix('$ ')}`: {links}"
        if screen.pictured:
            yield ""
            yield "<picture>"
            yield f'<source media="(prefers-color-scheme: dark)" srcset="{screen.name}-dark.svg">'
            yield f'<img src="{screen.name}-light.svg" alt="{escape(screen.told)}">'
            yield "</picture>"


def shown_first(drawn: str) -> str:
    """What the README shows of the failed request: all but its exceptions."""
    return drawn[: drawn.index("\n\n#") + 1]


def main() -> None:
    """Write every file anew, and take away what is not drawn any more."""
    with home() as directory:
        drawn = dict(files(directory))
    readme = HERE.parents[1] / "README.md"
    text = _FIRST.sub(lambda found: found[1] + shown_first(drawn[f"failed-{PICTURED}.txt"]), readme.read_text("utf-8"))
    readme.write_text(text, encoding="utf-8")
    for old in (*HERE.glob("*.txt"), *HERE.glob("*.svg")):
        if old.name not in drawn:
            old.unlink()
    for name, content in drawn.items():
        (HERE / name).write_text(content, encoding="utf-8")
    sys.stdout.write(f"{len(drawn)} files in {HERE}\n")


if __name__ == "__main__":
    main()
