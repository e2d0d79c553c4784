"""The bus of one host: a database in the home, looked at every 200 ms, and at once when a bell rings.

Without infrastructure it holds what a server would hold elsewhere: the document, the leases, and the messages of the
last minute. Time is the boot clock, set by the wall clock once in each run of the machine, so that setting the time
moves nothing. What a process shares here it shares through ``Database``, which knows what a fork does to SQLite.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from clusterlog.control.bus.base import KEPT_S, Changed, Gap, Lease, Message, Notice, Snapshot, sendable
from clusterlog.control.bus.bell import Bells, Waker
from clusterlog.control.bus.database import Database
from clusterlog.control.bus.forking import closed_in_children
from clusterlog.control.rules.expiry import boot_id, boot_ns
from clusterlog.errors import Conflict

POLL_S = 0.2
MESSAGES_LIVE_S = 60.0
MOST_MESSAGES = 4096
MOST_BYTES_OF_MESSAGES = 8 << 20

_TABLES = """
CREATE TABLE IF NOT EXISTS clock (boot TEXT, offset_ns INTEGER, seen_ns INTEGER);
CREATE TABLE IF NOT EXISTS documents (cluster TEXT PRIMARY KEY, serial INTEGER, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    cluster TEXT, key TEXT, body BLOB, at_ns INTEGER, until_ns INTEGER, ttl_s REAL, version TEXT,
    PRIMARY KEY (cluster, key)
);
CREATE INDEX IF NOT EXISTS leases_by_version ON leases (cluster, version, until_ns);
CREATE INDEX IF NOT EXISTS leases_by_end ON leases (until_ns);
CREATE TABLE IF NOT EXISTS messages (
    cluster TEXT, number INTEGER, at_ns INTEGER, upto INTEGER, body BLOB, PRIMARY KEY (cluster, number)
);
"""
"""``serial`` counts changes of a document, ``number`` the messages of a cluster, and ``upto`` their bytes."""


class SqliteBus:
    """The bus in the file ``path``, in the name space ``cluster``."""

    local = True

    def __init__(self, path: Path, cluster: str = "") -> None:
        self.name = f"sqlite:{path}"
        self._path = path
        self._cluster = cluster

    def open(self) -> SqliteLink:
        """Open the file, and make it where there is none. Raises BusUnreachable where it cannot be kept there."""
        return SqliteLink(self._path, self._cluster)


class SqliteLink:
    """An open database; see ``Link``."""

    def __init__(self, path: Path, cluster: str) -> None:
        self._cluster = cluster
        self._waker = Waker()
        with ExitStack() as opened:
            opened.callback(self._waker.close)
            self._database = Database(path, _TABLES)
            opened.callback(self._database.close)
            # Written once in each run of the machine; else a look does, also where somebody holds the lock.
            offset_ns = self._database.run(_clock)
            self._offset_ns = self._database.run(_set_clock, writing=True) if offset_ns is None else offset_ns
            self._serial, self._number = self._database.run(self._newest)
            opened.pop_all()
        self._bells: Bells | None = None
        with suppress(OSError):  # the poll alone must do
            self._bells = Bells(path.parent / "bells")
        self._beside = (self._bells,) if self._bells is not None else ()
        self._gap = True
        self._woken = False
        closed_in_children(self)

    def read(self) -> Snapshot:
        """See ``Link``."""
        return self._database.run(lambda kept: Snapshot(self._document(kept), self._now_ns()))

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """See ``Link``."""

        def work(kept: sqlite3.Connection) -> None:
            if self._document(kept) != instead_of:
                raise Conflict("somebody else has changed the rules meanwhile: look at them, and decide anew")
            kept.execute(
                "INSERT INTO documents VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE SET serial = serial + 1, body = ?2",
                (self._cluster, document),
            )
            self._saw(kept)

        self._database.run(work, writing=True)
        self._ring()

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """See ``Link``."""

        def work(kept: sqlite3.Connection) -> None:
            now = self._saw(kept)
            kept.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._cluster, key, body, now, now + int(ttl_s * 1e9), ttl_s, version),
            )
            kept.execute("DELETE FROM leases WHERE until_ns < ?", (now - int(KEPT_S * 1e9),))

        self._database.run(work, writing=True)

    def release(self, key: str) -> None:
        """See ``Link``."""
        self._database.run(
            lambda kept: kept.execute("DELETE FROM leases WHERE cluster = ? AND key = ?", (self._cluster, key)),
            writing=True,
        )

    def leases(self) -> tuple[Lease, ...]:
        """See ``Link``."""

        def work(kept: sqlite3.Connection) -> tuple[Lease, ...]:
            now = self._now_ns()
            found = kept.execute(
                "SELECT key, body, at_ns, ttl_s FROM leases WHERE cluster = ? AND until_ns >= ?",
                (self._cluster, now - int(KEPT_S * 1e9)),
            )
            return tuple(Lease(key, body, max(0, now - at_ns) / 1e9, ttl_s) for key, body, at_ns, ttl_s in found)

        return self._database.run(work)

    def leased(self, version: str) -> int:
        """See ``Link``."""
        sql = "SELECT count(*) FROM leases WHERE cluster = ? AND version = ? AND until_ns > ?"
        return int(self._database.run(lambda kept: _value(kept, sql, self._cluster, version, self._now_ns())))

    def send(self, body: bytes) -> None:
        """See ``Link``."""
        sendable(body)

        def work(kept: sqlite3.Connection) -> None:
            now = self._saw(kept)
            number, upto = kept.execute(
                "SELECT coalesce(max(number), 0), coalesce(max(upto), 0) FROM messages WHERE cluster = ?",
                (self._cluster,),
            ).fetchone()
            kept.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
                (self._cluster, number + 1, now, upto + len(body), body),
            )
            # The newest always stays: it is what the numbers go on from.
            kept.execute(
                "DELETE FROM messages WHERE cluster = ? AND number <= ? AND (number <= ? OR at_ns < ? OR upto <= ?)",
                (
                    *(self._cluster, number, number + 1 - MOST_MESSAGES),
                    *(now - int(MESSAGES_LIVE_S * 1e9), upto + len(body) - MOST_BYTES_OF_MESSAGES),
                ),
            )

        self._database.run(work, writing=True)
        self._ring()

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """See ``Link``."""
        end = time.monotonic() + timeout_s
        while True:
            if self._bells is not None:
                self._bells.hush()
            come = self._news() if self._database.changed() else ()
            if self._gap:
                self._gap = False
                come = (Gap(), *come)
            left = end - time.monotonic()
            if come or self._woken or left <= 0:
                self._woken = False
                return come
            self._waker.wait(min(left, POLL_S), *self._beside)

    def wake(self) -> None:
        """See ``Link``."""
        self._woken = True
        self._waker.wake()

    def close(self) -> None:
        """See ``Link``."""
        self._database.close()
        self._waker.close()
        if self._bells is not None:
            self._bells.close(ours=self._database.ours)

    def _news(self) -> tuple[Notice, ...]:
        def work(kept: sqlite3.Connection) -> tuple[int, bytes | None, list[tuple[int, bytes]]]:
            serial, _ = self._newest(kept)
            messages = kept.execute(
                "SELECT number, body FROM messages WHERE cluster = ? AND number > ? ORDER BY number",
                (self._cluster, self._number),
            ).fetchall()
            return serial, self._document(kept) if serial != self._serial else None, messages

        serial, document, messages = self._database.run(work)
        come: list[Notice] = []
        if messages:
            if messages[0][0] != self._number + 1:
                come.append(Gap())  # others were trimmed before this link looked
            self._number = messages[-1][0]
        if serial != self._serial:
            self._serial = serial
            come.append(Changed(document))
        return (*come, *(Message(body) for _, body in messages))

    def _newest(self, kept: sqlite3.Connection) -> tuple[int, int]:
        serial = _value(kept, "SELECT serial FROM documents WHERE cluster = ?", self._cluster)
        number = _value(kept, "SELECT max(number) FROM messages WHERE cluster = ?", self._cluster)
        return serial or 0, number or 0

    def _document(self, kept: sqlite3.Connection) -> bytes | None:
        body: bytes | None = _value(kept, "SELECT body FROM documents WHERE cluster = ?", self._cluster)
        return body

    def _now_ns(self) -> int:
        return self._offset_ns + boot_ns()

    def _saw(self, kept: sqlite3.Connection) -> int:
        """Write down how late it is, so that the clock never goes back from one run of the machine to the next."""
        now = self._now_ns()
        kept.execute("UPDATE clock SET seen_ns = ?", (now,))
        return now

    def _ring(self) -> None:
        self._database.look_again()
        if self._bells is not None:
            self._bells.ring()


def _clock(kept: sqlite3.Connection) -> int | None:
    """What is to be added to the boot clock; None where this run of the machine has not said so yet."""
    offset_ns: int | None = _value(kept, "SELECT offset_ns FROM clock WHERE boot = ?", boot_id())
    return offset_ns


def _set_clock(kept: sqlite3.Connection) -> int:
    known = _clock(kept)
    if known is not None:  # by another process, just now
        return known
    now = max(time.time_ns(), _value(kept, "SELECT seen_ns FROM clock") or 0)
    offset_ns = now - boot_ns()
    kept.execute("DELETE FROM clock")
    kept.execute("INSERT INTO clock VALUES (?, ?, ?)", (boot_id(), offset_ns, now))
    return offset_ns


def _value(kept: sqlite3.Connection, sql: str, *values: object) -> Any:
    found = kept.execute(sql, values).fetchone()
    return None if found is None else found[0]
