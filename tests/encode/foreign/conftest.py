"""Translates lines as ``clusterlog ingest`` does, and real loggers that write them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest

from clusterlog.encode.foreign.document import Subject
from clusterlog.encode.foreign.names import own, shipped
from clusterlog.encode.foreign.translation import Lines, Translator
from clusterlog.record.redact import Redactor

INSTANCE = "e" * 32
SUBJECT = Subject(INSTANCE, "/var/log/shop.log", "shop", "shop", "development", "2026-11-03T00:00:00.000000000Z")


def hashed(text: str) -> tuple[str, str]:
    """A hash that a test can see through."""
    return f"hash-of-{text}", "key-1"


class Careful(Translator):
    """Takes the careful way for every line."""

    def plan(self, names, format):
        plan = super().plan(names, format)
        plan.swift = False
        return plan


class Room:
    """Translates lines of one file, parsed or as text."""

    def __init__(self, made: type[Translator] = Translator, names: str = "", **options: object) -> None:
        table = own(names, "own.toml") if names else shipped()
        options.setdefault("redactor", Redactor())
        self.translator = made(table, identity_hash=hashed, **options)
        self.lines = Lines(self.translator, SUBJECT)
        self.number = 0

    def all(self, line: object) -> list[dict]:
        """The events of a line."""
        text = line if isinstance(line, bytes) else orjson.dumps(line)
        made = self.lines.events(orjson.loads(text), self.number + 1, text)
        self.number += len(made)
        return [orjson.loads(payload) for payload, _, _ in made]

    def __call__(self, line: object) -> dict:
        """The one event of a line."""
        (event,) = self.all(line)
        return event


@pytest.fixture
def translate() -> Room:
    """A room of its own."""
    return Room()


@pytest.fixture(scope="session")
def room() -> type[Room]:
    """The class, for rooms with options."""
    return Room


@pytest.fixture(scope="session")
def careful() -> type[Translator]:
    """A translator that never takes the short way."""
    return Careful


@pytest.fixture
def written() -> Callable[..., object]:
    """What a real logger writes with a formatter, line by line, parsed."""

    @contextmanager
    def by(formatter: logging.Formatter) -> Iterator[tuple[logging.Logger, Callable[[], list[dict]]]]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        log = logging.Logger("shop.api", logging.DEBUG)  # noqa: LOG001 - of this test alone
        log.addHandler(handler)
        yield log, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    return by
