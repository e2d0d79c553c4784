"""A home into which files are ingested, and what then lies in its spool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusterlog.encode.foreign.names import shipped
from clusterlog.encode.foreign.translation import Translator
from clusterlog.record.redact import Redactor
from clusterlog.ship.ingest.report import FileReport, Problem, Watcher
from clusterlog.ship.ingest.run import Ingest
from clusterlog.spool.reader import instances, records
from clusterlog.spool.segment import Damage

NOON = "2026-11-03T12:00:01.250000000Z"


class Home:
    """A state directory and a directory for logs."""

    def __init__(self, path: Path) -> None:
        self.path = path / "home"
        self.spool = self.path / "spool"
        self.logs = path / "logs"
        self.logs.mkdir()
        self.problems: list[Problem] = []

    def ingest(self, *files: object, again: bool = False, **options: object) -> list[FileReport]:
        """Ingest these files as the command does."""
        options.setdefault("watcher", Watcher(self.problems.append))
        translator = Translator(shipped(), redactor=Redactor(), identity_hash=lambda text: (f"hash-of-{text}", "k"))
        with Ingest(self.path, translator, environment="test", again=again, **options) as run:
            return run.files(map(str, files))

    def one(self, file: object, **options: object) -> FileReport:
        """Ingest one file."""
        (report,) = self.ingest(file, **options)
        return report

    def log(self, name: str, *lines: object, end: str = "\n") -> Path:
        """A log with these lines."""
        path = self.logs / name
        path.write_bytes(self.text(*lines, end=end))
        return path

    def text(self, *lines: object, end: str = "\n") -> bytes:
        """Lines as bytes."""
        said = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        return b"\n".join(said) + end.encode() * bool(lines)

    def records(self) -> list[tuple[str, int, int, dict]]:
        """Instance, number, flags and document of all that lies in the spool, by number; whole, or the test fails."""
        found = []
        for instance in instances(self.spool):
            for _, item in records(self.spool, instance):
                assert not isinstance(item, Damage), item
                found.append((instance.id, item.sequence, item.flags, json.loads(item.payload)))
        return sorted(found, key=lambda each: each[:2])

    def messages(self) -> list[str]:
        """The messages of all events that are lines."""
        return [each["message"] for *_, each in self.records() if each["event"]["kind"] == "event"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    return Home(tmp_path)


def lines(count: int, begin: int = 0) -> list[dict]:
    """Lines with a message of their own each."""
    return [
        {"timestamp": NOON, "message": f"line {n}", "level": "warning" if n % 5 == 0 else "info"}
        for n in range(begin, begin + count)
    ]


@pytest.fixture(name="lines", scope="session")
def _lines():
    return lines
