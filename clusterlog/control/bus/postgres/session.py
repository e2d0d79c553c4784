"""One connection to one server, asked by libpq's own interface: every answer comes within a time, or not at all.

psycopg's connections wait as long as a server pleases; here a thread that waits for a notification can also be woken,
and what it has asked in between be fetched later.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import Error, pq

from clusterlog.control.bus import base
from clusterlog.errors import BusDenied, BusUnreachable

Row = tuple[bytes | None, ...]

_DENIED = "42501"
_CROSSED = ("40001", "40P01")
"""Serialization failure, deadlock: somebody else was quicker."""
_WRONG_LOGIN = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r"|permission denied for database|role .* does not exist|requires a valid client certificate",
    re.IGNORECASE,
)


@dataclass
class Refused(Exception):
    """A statement that the server answered with an error: its SQLSTATE, and what it says."""

    state: str
    said: str

    @property
    def denied(self) -> bool:
        """Whether it is a right that is missing."""
        return self.state == _DENIED

    @property
    def crossed(self) -> bool:
        """Whether another transaction came first."""
        return self.state in _CROSSED


class Session:
    """A connection. Whatever it raises but ``Refused``, it is of no further use afterwards."""

    def __init__(self, name: str, connection: pq.abc.PGconn) -> None:
        self._name = name
        self._connection = connection
        self._pid = os.getpid()
        self._notified: list[str] = []
        self._asked_at: float | None = None
        self._answer: list[Row] | None = None
        self._rows: list[Row] = []
        self._failure: Refused | None = None
        connection.nonblocking = 1

    @classmethod
    def to(cls, name: str, attempts: Sequence[str]) -> Session:
        """Connect to the first of ``attempts`` that can be. Raises BusDenied, BusUnreachable."""
        failures: list[str] = []
        for each in attempts:
            connection = None
            try:
                connection = pq.PGconn.connect_start(each.encode())
                if not _connected(connection, time.monotonic() + base.PATIENCE_S):
                    failures.append(f"no answer within {base.PATIENCE_S:.0f} s")
                elif connection.status == pq.ConnStatus.OK:
                    return cls(name, connection)
                else:
                    failures.append(_line(connection.get_error_message()))
            except Error as error:
                failures.append(_line(str(error)))
            if connection is not None:
                connection.finish()
        told = "; ".join(dict.fromkeys(failures))
        if _WRONG_LOGIN.search(told):
            raise BusDenied(f"{name}: {told}")
        raise BusUnreachable(f"{name}: {told}")

    def fileno(self) -> int:
        """What can be waited for."""
        return self._connection.socket

    @property
    def process(self) -> int:
        """The server's process for this connection, as the server has said when it began."""
        return self._connection.backend_pid

    @property
    def waits_since(self) -> float | None:
        """When something was asked (monotonic seconds) that is not answered yet."""
        return self._asked_at

    def ask(self, statement: str, *values: str | bytes) -> list[Row]:
        """The rows of a statement; what was asked before is answered first, and kept for ``answered``.

        Raises Refused, BusUnreachable.
        """
        self._settle()
        self.begin(statement, *values)
        return self._finish()

    def run(self, script: str) -> None:
        """Several statements, without values; if one fails, none of them happened. Raises Refused, BusUnreachable."""
        self._settle()
        with _Cut(self._name):
            self._checked().send_query(script.encode())
            self._asked_at = time.monotonic()
            self._flush()
        try:
            self._finish()
        except Refused:
            self.ask("ROLLBACK")
            raise

    def begin(self, statement: str, *values: str | bytes) -> None:
        """Ask, and do not wait. Nothing else may be waited for."""
        given = [each if isinstance(each, bytes) else each.encode("utf-8", "replace") for each in values]
        binary = [pq.Format.BINARY] * len(given)
        with _Cut(self._name):
            self._checked().send_query_params(statement.encode(), given, None, binary, pq.Format.BINARY)
            self._asked_at = time.monotonic()
            self._flush()

    def answered(self) -> list[Row] | None:
        """The answer to what was begun, once, and ``None`` while there is none. Raises Refused, BusUnreachable."""
        with _Cut(self._name):
            self._take()
            if self._asked_at is not None and self._whole():
                self._answer = self._outcome()
        answer, self._answer = self._answer, None
        return answer

    def notified(self) -> list[str]:
        """What was notified since the last time. Raises BusUnreachable where the connection is cut."""
        with _Cut(self._name):
            self._take()
        notified, self._notified = self._notified, []
        return notified

    def close(self) -> None:
        """Let go of it. Never raises; a connection that a parent process opened is left to it."""
        if os.getpid() == self._pid:
            self._connection.finish()

    def _checked(self) -> pq.abc.PGconn:
        if os.getpid() != self._pid:
            raise BusUnreachable(f"{self._name}: a parent process opened this link: open another one")
        return self._connection

    def _settle(self) -> None:
        """Have what was begun answered."""
        if self._asked_at is not None:
            self._answer = self._finish()

    def _finish(self) -> list[Row]:
        """Wait for what was asked."""
        end = time.monotonic() + base.PATIENCE_S
        with _Cut(self._name):
            while not self._whole():
                if not _ready(self._connection, select.POLLIN, end):
                    raise self._silent()
                self._take()
            return self._outcome()

    def _whole(self) -> bool:
        """Take in what is there of the answer; whether that is all of it.

        Never asks for more than is there: libpq would wait for the rest, and the whole interpreter with it.
        """
        while not self._connection.is_busy():
            result = self._connection.get_result()
            if result is None:
                return True
            if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                self._rows = list(_rows(result))
            elif self._failure is None:
                state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                self._failure = Refused(state.decode("ascii", "replace"), _line(result.get_error_message()))
        return False

    def _outcome(self) -> list[Row]:
        """The rows of the last result of what was asked. Raises the first refusal."""
        self._asked_at = None
        (rows, self._rows), (failure, self._failure) = (self._rows, []), (self._failure, None)
        self._take()
        if failure is not None:
            raise failure
        return rows

    def _take(self) -> None:
        """Read what has come, and keep what it notifies of."""
        connection = self._checked()
        connection.consume_input()
        while (notify := connection.notifies()) is not None:
            self._notified.append(notify.extra.decode("utf-8", "replace"))

    def _flush(self) -> None:
        end = time.monotonic() + base.PATIENCE_S
        while self._connection.flush():
            if not _ready(self._connection, select.POLLIN | select.POLLOUT, end):
                raise self._silent()
            self._take()

    def _silent(self) -> BusUnreachable:
        return BusUnreachable(f"{self._name}: no answer within {base.PATIENCE_S:.0f} s")


class _Cut:
    """Turns what libpq raises into BusUnreachable."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Error):
            raise BusUnreachable(f"{self._name}: {_line(str(error))}") from None


def _connected(connection: pq.abc.PGconn, end: float) -> bool:
    """Go through with connecting; False where it was not over in time, the connection's status says how it went."""
    while connection.status != pq.ConnStatus.BAD:
        step = connection.connect_poll()
        if step in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
            break
        events = select.POLLIN if step == pq.PollingStatus.READING else select.POLLOUT
        if not _ready(connection, events, end):
            return False
    return True


def _ready(connection: pq.abc.PGconn, events: int, end: float) -> bool:
    poll = select.poll()
    poll.register(connection.socket, events)
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))


def _rows(result: pq.abc.PGresult) -> Iterator[Row]:
    for row in range(result.ntuples):
        yield tuple(result.get_value(row, column) for column in range(result.nfields))


def _line(said: str) -> str:
    """What libpq says, in one line and without where it stood in its sources."""
    return " ".join(said.split()) or "the connection was cut"
