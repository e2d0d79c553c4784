"""A bus of rows and NOTIFY."""

from __future__ import annotations

import time

from clusterlog.control.bus import base
from clusterlog.control.bus.base import (
    KEPT_S,
    Changed,
    Gap,
    Lease,
    Message,
    Notice,
    Snapshot,
    sendable,
)
from clusterlog.control.bus.bell import Waker
from clusterlog.control.bus.postgres.address import Address
from clusterlog.control.bus.postgres.session import Refused, Row, Session
from clusterlog.control.bus.postgres.tables import BATCH, Statements, channel, mending
from clusterlog.errors import BusDenied, BusUnreachable, Conflict

POLL_S = 0.2
"""How often it is looked where no NOTIFY comes."""
LOOKS = 3
"""How many times it is looked in ``SILENCE_S`` where one does: the trivial query that finds a dead connection."""


class PostgresBus:
    """The database at ``url`` as a bus, with the rows of ``cluster``. ``ca_file`` as in the settings."""

    local = False

    def __init__(self, url: str, cluster: str, ca_file: str = "") -> None:
        """Raises SettingError for a URL that cannot be right."""
        self._address = Address.parse(url, ca_file)
        self._cluster = cluster

    @property
    def name(self) -> str:
        """See ``Bus``."""
        return self._address.name

    def open(self) -> PostgresLink:
        """See ``Bus``; several hosts are tried in their order. Raises BusDenied as well."""
        session = Session.to(self.name, self._address.attempts)
        try:
            return PostgresLink(session, self._address, self._cluster)
        except BaseException:
            session.close()
            raise


class PostgresLink:
    """A link to a database; see ``Link``."""

    def __init__(self, session: Session, address: Address, cluster: str) -> None:
        self._session = session
        self._name = address.name
        self._cluster = cluster
        self._channel = channel(address.schema, cluster)
        self._sql = Statements(address.schema)
        self._pending: list[Notice] = [Gap()]
        self._behind = False
        self._unheard = 0
        self._closed = False
        process = self._prepare(address.schema)
        # A pooler makes up the process it tells of. It may give this connection to others between two transactions.
        listen = process == session.process if address.listen is None else address.listen
        self._polls = not (listen and self._listens())
        self._document, self._cursor = self._looked(self._ask(self._sql.look, cluster))
        self._looked_at = time.monotonic()
        self._waker = Waker()

    def read(self) -> Snapshot:
        """See ``Link``."""
        ((document, now),) = self._ask(self._sql.read, self._cluster)
        return Snapshot(document, _number(now))

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """See ``Link``."""
        instead = () if instead_of is None else (instead_of,)
        statement = self._sql.first if instead_of is None else self._sql.replace
        if not self._ask(statement, self._cluster, document, self._channel, *instead, crossed_is_conflict=True):
            raise _conflict()

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """See ``Link``."""
        self._ask(self._sql.lease, self._cluster, key, body, version, repr(float(ttl_s)))

    def release(self, key: str) -> None:
        """See ``Link``."""
        self._ask(self._sql.release, self._cluster, key)

    def leases(self) -> tuple[Lease, ...]:
        """See ``Link``."""
        rows = self._ask(self._sql.leases, self._cluster, str(KEPT_S))
        return tuple(
            Lease(_text(key), body or b"", float(_text(age)), float(_text(ttl))) for key, body, age, ttl in rows
        )

    def leased(self, version: str) -> int:
        """See ``Link``."""
        ((count,),) = self._ask(self._sql.leased, self._cluster, version)
        return _number(count)

    def send(self, body: bytes) -> None:
        """See ``Link``."""
        self._ask(self._sql.send, self._cluster, sendable(body), self._channel)

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """See ``Link``."""
        end = time.monotonic() + timeout_s
        while True:
            if come := self._come():
                return come
            now = time.monotonic()
            if now >= end:
                return ()
            since = self._session.waits_since
            if since is None and now >= self._due:
                self._begin_look()
                continue
            if since is not None and now >= since + base.PATIENCE_S:
                raise BusUnreachable(f"{self._name}: no answer within {base.PATIENCE_S:.0f} s")
            until = self._due if since is None else since + base.PATIENCE_S
            if self._waker.wait(min(end, until) - now, self._session):
                return self._come()

    def wake(self) -> None:
        """See ``Link``."""
        self._waker.wake()

    def close(self) -> None:
        """See ``Link``."""
        if not self._closed:
            self._closed = True
            self._session.close()
            self._waker.close()

    @property
    def _due(self) -> float:
        return self._looked_at + (POLL_S if self._polls else base.SILENCE_S / LOOKS)

    def _come(self) -> tuple[Notice, ...]:
        """What has come, without waiting for more of it than was told."""
        if self._closed:
            raise BusUnreachable(f"{self._name}: this link is closed: open another one")
        for notified in self._session.notified():
            self._unheard = 0
            self._hear(notified)
        self._take_look()
        if self._behind:
            self._fetch()
        pending, self._pending = tuple(self._pending), []
        return pending

    def _hear(self, notified: str) -> None:
        kind, rest = notified[:1], notified[1:]
        if kind == "d" and rest != self._document:
            self._document = rest
            self._pending.append(Changed())
        elif kind == "m" and rest.isdecimal() and int(rest) > self._cursor:
            self._behind = True

    def _begin_look(self) -> None:
        self._looked_at = time.monotonic()
        self._session.begin(self._sql.look, self._cluster)

    def _take_look(self) -> None:
        """See what a look has found that was not notified: all, where one polls, else what got lost on the way."""
        try:
            rows = self._session.answered()
        except Refused as refused:
            raise self._error(refused) from None
        if rows is None:
            return
        document, last = self._looked(rows)
        news = document != self._document or last != self._cursor
        if document != self._document:
            self._document = document
            self._pending.append(Changed())
        if last < self._cursor:  # the tables are older than they were, or others: what was numbered since is unknown
            self._cursor = last
            self._pending.append(Gap())
        self._behind = self._behind or last > self._cursor
        self._unheard += news
        self._polls = self._polls or self._unheard > 1  # once may be a notification that is a moment late

    def _fetch(self) -> None:
        """Read on behind the last message that is known, some at a time."""
        rows = self._ask(self._sql.behind, self._cluster, str(self._cursor))
        for id, body in rows:
            if _number(id) != self._cursor + 1:
                self._pending.append(Gap())
            self._cursor = _number(id)
            self._pending.append(Message(body or b""))
        self._behind = len(rows) == BATCH

    def _prepare(self, schema: str) -> int:
        """Make the tables where there are none; which process of the server we speak to.

        Raises BusDenied, with what to run, where we may not.
        """
        ((there, made, role, process),) = self._ask(self._sql.made)
        exists, complete = there == b"\x01", None if made is None else made == b"\x01"
        try:
            if complete is None:
                raise Refused("42501", f"permission denied for schema {schema}")
            if not complete:
                self._session.run(self._sql.making(schema=not exists))
        except Refused as refused:
            if not refused.denied:
                raise self._error(refused) from None
            sql = mending(schema, _text(role), there=exists, made=complete)
            raise BusDenied(
                f"{self._name}: {_text(role)} may not keep its tables there: have somebody run: {sql}"
            ) from None
        self._forget()
        return _number(process)

    def _forget(self) -> None:
        """Take away what ran out long ago; whoever may only read is not kept from that."""
        try:
            self._session.ask(self._sql.purge, self._cluster, str(KEPT_S))
        except Refused as refused:
            if not refused.denied:
                raise self._error(refused) from None

    def _listens(self) -> bool:
        try:
            self._session.ask(f"LISTEN {self._channel}")
        except Refused:  # a replica, or something that only speaks like PostgreSQL
            return False
        return True

    def _looked(self, rows: list[Row]) -> tuple[str, int]:
        ((document, last),) = rows
        return _text(document), _number(last)

    def _ask(self, statement: str, *values: str | bytes, crossed_is_conflict: bool = False) -> list[Row]:
        if self._closed:
            raise BusUnreachable(f"{self._name}: this link is closed: open another one")
        try:
            return self._session.ask(statement, *values)
        except Refused as refused:
            if refused.crossed and crossed_is_conflict:
                raise _conflict() from None
            raise self._error(refused) from None

    def _error(self, refused: Refused) -> BusUnreachable:
        kind = BusDenied if refused.denied else BusUnreachable
        return kind(f"{self._name}: {refused.said}")


def _conflict() -> Conflict:
    return Conflict("somebody else has changed the rules meanwhile: look at them, and decide anew")


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(value)
