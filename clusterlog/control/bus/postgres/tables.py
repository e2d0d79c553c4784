"""All SQL there is: the tables of a bus, what is asked of them, and what to run where we may not make them.

Every cluster has its rows in the same tables. What is sent is numbered by a row that is updated with it, so that
numbers are given in the order of commits, without a hole: whoever reads on behind a number misses nothing, and sees
what was trimmed meanwhile. A sequence would give them in another order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

KEPT_MESSAGE_S = 60
"""How long a message can still be fetched: by far longer than a link may be silent."""
MOST_MESSAGES = 10_000
BATCH = 64
"""Messages that are fetched at a time, 16 MiB at most."""

_TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.document (
    cluster text PRIMARY KEY, body bytea NOT NULL, written timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.lease (
    cluster text, key text, body bytea NOT NULL, version text NOT NULL, ttl_s float8 NOT NULL,
    said timestamptz NOT NULL, PRIMARY KEY (cluster, key)) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS lease_version ON {schema}.lease (cluster, version);
CREATE TABLE IF NOT EXISTS {schema}.sent (cluster text PRIMARY KEY, last bigint NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.message (
    cluster text, id bigint, body bytea NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (cluster, id));
"""
_NOW = "clock_timestamp()"
"""``now()`` would be the time at which a transaction began."""


def channel(schema: str, cluster: str) -> str:
    """The channel on which a cluster's changes are told; an identifier has 63 bytes at most, a cluster any name."""
    return f"clusterlog_{hashlib.sha256(f'{schema}/{cluster}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Statements:
    """What is asked of the tables in ``schema``. ``$1`` is the cluster; all parameters are text or bytes."""

    schema: str

    @property
    def made(self) -> str:
        """Whether the schema is there, and its tables, who asks, and which process of the server says so."""
        schema = self.schema
        return (
            f"SELECT to_regnamespace('{schema}') IS NOT NULL,"
            f" CASE WHEN to_regnamespace('{schema}') IS NULL THEN false"
            f" WHEN NOT has_schema_privilege('{schema}', 'USAGE') THEN NULL"
            f" ELSE to_regclass('{schema}.message') IS NOT NULL END,"
            " quote_ident(current_user::text), pg_backend_pid()::text"
        )

    def making(self, *, schema: bool) -> str:
        """Makes the tables, and the ``schema`` where it is not there: for one at a time, and harmless if they are."""
        key = int.from_bytes(hashlib.sha256(f"clusterlog/{self.schema}".encode()).digest()[:8], "big", signed=True)
        first = f"CREATE SCHEMA IF NOT EXISTS {self.schema};" if schema else ""
        return f"BEGIN; SELECT pg_advisory_xact_lock({key}); {first}{_TABLES.format(schema=self.schema)} COMMIT"

    @property
    def purge(self) -> str:
        """Forgets leases that ran out ``$2`` seconds ago."""
        return (
            f"DELETE FROM {self.schema}.lease WHERE cluster = $1::text"
            f" AND said + ttl_s * interval '1 s' < {_NOW} - $2::text::float8 * interval '1 s'"
        )

    @property
    def look(self) -> str:
        """What the document is (its hash), and what was sent last."""
        return (
            f"SELECT (SELECT encode(sha256(body), 'hex') FROM {self.schema}.document WHERE cluster = $1::text),"
            f" (SELECT last::text FROM {self.schema}.sent WHERE cluster = $1::text)"
        )

    @property
    def read(self) -> str:
        """The document, and the clock in nanoseconds."""
        return (
            f"SELECT (SELECT body FROM {self.schema}.document WHERE cluster = $1::text),"
            f" (extract(epoch FROM {_NOW})::numeric * 1000000000)::bigint::text"
        )

    @property
    def first(self) -> str:
        """Keeps the document ``$2`` where there is none, and tells ``$3`` of it; no row where there is one."""
        return self._told(
            f"INSERT INTO {self.schema}.document (cluster, body, written) VALUES ($1::text, $2::bytea, {_NOW})"
            " ON CONFLICT DO NOTHING RETURNING body"
        )

    @property
    def replace(self) -> str:
        """Keeps ``$2`` in place of ``$4``, and tells ``$3`` of it; no row where it is another by now."""
        return self._told(
            f"UPDATE {self.schema}.document SET body = $2::bytea, written = {_NOW}"
            " WHERE cluster = $1::text AND body = $4::bytea RETURNING body"
        )

    def _told(self, change: str) -> str:
        return f"WITH kept AS ({change}) SELECT pg_notify($3::text, 'd' || encode(sha256(body), 'hex')) FROM kept"

    @property
    def lease(self) -> str:
        """Keeps the lease ``$2``: ``$3`` is what it says, ``$4`` its version, ``$5`` its seconds. It tells nobody."""
        return (
            f"INSERT INTO {self.schema}.lease (cluster, key, body, version, ttl_s, said)"
            f" VALUES ($1::text, $2::text, $3::bytea, $4::text, $5::text::float8, {_NOW}) ON CONFLICT (cluster, key)"
            " DO UPDATE SET body = excluded.body, version = excluded.version, ttl_s = excluded.ttl_s,"
            " said = excluded.said"
        )

    @property
    def release(self) -> str:
        """Forgets the lease ``$2``."""
        return f"DELETE FROM {self.schema}.lease WHERE cluster = $1::text AND key = $2::text"

    @property
    def leases(self) -> str:
        """All leases but those that ran out ``$2`` seconds ago, each with its age."""
        return (
            f"SELECT key, body, greatest(0, extract(epoch FROM {_NOW} - said))::text, ttl_s::text"
            f" FROM {self.schema}.lease WHERE cluster = $1::text"
            f" AND said + ttl_s * interval '1 s' >= {_NOW} - $2::text::float8 * interval '1 s' ORDER BY key"
        )

    @property
    def leased(self) -> str:
        """How many leases are in force under the version ``$2``."""
        return (
            f"SELECT count(*)::text FROM {self.schema}.lease WHERE cluster = $1::text AND version = $2::text"
            f" AND said + ttl_s * interval '1 s' > {_NOW}"
        )

    @property
    def send(self) -> str:
        """Numbers and keeps the message ``$2``, tells ``$3`` its number, and trims the oldest.

        All but the first step wait for its lock, so that whoever sends at the same time never waits crosswise.
        """
        schema = self.schema
        return (
            f"WITH next AS (INSERT INTO {schema}.sent AS s (cluster, last) VALUES ($1::text, 1)"
            "   ON CONFLICT (cluster) DO UPDATE SET last = s.last + 1 RETURNING s.last),"
            f" kept AS (INSERT INTO {schema}.message (cluster, id, body, at)"
            f"   SELECT $1::text, last, $2::bytea, {_NOW} FROM next RETURNING id),"
            f" oldest AS (SELECT m.id, m.at FROM {schema}.message m WHERE m.cluster = $1::text"
            "   ORDER BY m.id LIMIT 16),"
            f" trimmed AS (DELETE FROM {schema}.message m USING next, oldest o WHERE m.cluster = $1::text"
            f"   AND m.id = o.id AND m.id < next.last AND (o.id <= next.last - {MOST_MESSAGES}"
            f"     OR o.at < {_NOW} - interval '{KEPT_MESSAGE_S} s'))"
            " SELECT pg_notify($3::text, 'm' || id::text) FROM kept"
        )

    @property
    def behind(self) -> str:
        """Messages behind the number ``$2``, in their order, so many at most."""
        return (
            f"SELECT m.id::text, m.body FROM {self.schema}.message m WHERE m.cluster = $1::text"
            f" AND m.id > $2::text::bigint ORDER BY m.id LIMIT {BATCH}"
        )


def mending(schema: str, role: str, *, there: bool, made: bool | None) -> str:
    """The SQL that somebody who may has to run for ``role``, in one line."""
    if not there:
        return f"CREATE SCHEMA {schema} AUTHORIZATION {role};"
    if made is False:
        return f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};"
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {role};"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};"
    )
