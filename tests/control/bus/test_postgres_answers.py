"""Answers of PostgreSQL that come in pieces: libpq, asked for what is not there, would stop the whole interpreter."""

import os
from collections import deque
from types import SimpleNamespace

import pytest

pq = pytest.importorskip("psycopg").pq
session = pytest.importorskip("clusterlog.control.bus.postgres.session")


class InPieces:
    """A connection whose answer comes piece by piece: after each the rest is not there yet."""

    def __init__(self, *pieces):
        self.pieces = deque(pieces)
        self.there = deque()
        self.socket, self.far = os.pipe()
        os.write(self.far, b".")

    def send_query_params(self, *_):
        pass

    def flush(self):
        return 0

    def consume_input(self):
        if self.pieces:
            self.there.append(self.pieces.popleft())

    def notifies(self):
        return None

    def is_busy(self):
        return not self.there

    def get_result(self):
        assert self.there, "asked for what is not there: libpq would wait, and nobody else in the process could run"
        return self.there.popleft()


def result(*row):
    return SimpleNamespace(
        status=pq.ExecStatus.TUPLES_OK, ntuples=1, nfields=len(row), get_value=lambda _, column: row[column]
    )


@pytest.fixture
def connection():
    made = InPieces(result(b"1"), None)
    yield made
    os.close(made.socket)
    os.close(made.far)


def test_what_is_not_there_yet_of_an_answer_is_waited_for_outside_of_libpq(connection):
    assert session.Session("x", connection).ask("SELECT 1") == [(b"1",)]


def test_an_answer_of_which_a_part_is_there_is_none_yet(connection):
    asked = session.Session("x", connection)
    asked.begin("SELECT 1")
    assert asked.answered() is None
    assert asked.answered() == [(b"1",)]
    assert asked.waits_since is None
