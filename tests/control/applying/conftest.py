"""A tree of loggers that is put back afterwards, and roads that only remember."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from clusterlog.context import request as context
from clusterlog.control.applying.levels import InForce
from clusterlog.record.slot import slot


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """No test leaves a level, a logger or a road behind."""
    manager, root = logging.root.manager, logging.root
    known, level, handlers, disable = dict(manager.loggerDict), root.level, list(root.handlers), manager.disable
    context.leave()
    yield
    context.leave()
    slot.road = None
    manager.loggerDict.clear()
    manager.loggerDict.update(known)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.disable(disable)


@pytest.fixture
def in_force() -> Iterator[InForce]:
    """Rules in force, and taken back afterwards."""
    made = InForce()
    yield made
    made.restore()


class RememberingRoad:
    """Stands behind the slot and keeps what is said: level, logger and words of each line, and the documents."""

    encoder = None

    def __init__(self):
        self.said = []
        self.documents = []

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0, bound=None):
        self.said.append((level, logger, event % args if args else event))

    def bound(self, fields):
        return dict(fields)

    def document(self, dataset, level, logger, message, body, *, labels=None, failure=None, scope=None, wall_ns=0):
        self.documents.append((dataset, level, message))

    @property
    def words(self):
        return [word for _, _, word in self.said]


@pytest.fixture
def road():
    """The road of this test."""
    slot.road = RememberingRoad()
    return slot.road
