"""The URL of a database, as libpq reads it, and two words of our own in it: ``schema`` and ``listen``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from clusterlog.errors import SettingError
from clusterlog.settings import without_credentials

SCHEMA = "clusterlog"
_LISTEN = {"on": True, "off": False}
_OURS = ("schema", "listen")
_VERIFYING = ("verify-ca", "verify-full")
_DEFAULTS = {
    "application_name": "clusterlog",
    "target_session_attrs": "read-write",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""What a URL does not say itself. A link has its own watch on silence; these let the kernel see most of it sooner."""


@dataclass(frozen=True, slots=True)
class Address:
    """``attempts`` are the hosts to try, in their order, each as libpq wants it; ``name`` has no credentials in it.

    ``listen`` is ``None`` where a link is to find out whether NOTIFY reaches it.
    """

    name: str
    attempts: tuple[str, ...] = field(repr=False)
    schema: str = SCHEMA
    listen: bool | None = None

    @classmethod
    def parse(cls, url: str, ca_file: str = "") -> Address:
        """From ``postgresql://user@a:5432,b/database?schema=NAME&listen=on|off&…``; the rest of it is libpq's.

        ``ca_file`` is what a verifying ``sslmode`` believes where the URL has no ``sslrootcert``. Raises SettingError.
        """
        own, rest = _split(url)
        try:
            given = conninfo_to_dict(rest)
        except Error as error:
            raise SettingError(f"bus: {without_credentials(url)!r} cannot be read{_why(error)}") from None
        if given.get("sslmode") in _VERIFYING and ca_file:
            given.setdefault("sslrootcert", ca_file)
        schema = own.get("schema", SCHEMA)
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise SettingError(f"bus: schema={schema!a}: expected a name of a-z, 0-9 and _")
        if own.get("listen", "on") not in _LISTEN:
            raise SettingError(f"bus: listen={own['listen']!a}: expected on or off")
        hosts = _each_host(given)
        attempts = tuple(make_conninfo("", **{**_DEFAULTS, **each, "client_encoding": "UTF8"}) for each in hosts)
        return cls(_shown(given, hosts), attempts, schema, _LISTEN[own["listen"]] if "listen" in own else None)


def _split(url: str) -> tuple[dict[str, str], str]:
    """Our own words, and the URL without them: libpq refuses what it does not know."""
    base, _, query = url.partition("?")
    pairs = query.split("&") if query else []
    ours = [each for each in pairs if each.partition("=")[0] in _OURS]
    rest = "&".join(each for each in pairs if each not in ours)
    return dict(parse_qsl("&".join(ours), keep_blank_values=True)), f"{base}?{rest}" if rest else base


def _why(error: Error) -> str:
    """What libpq says, unless it quotes what may be a part of a password."""
    said = str(error).strip()
    if said.startswith(("invalid URI query parameter", "missing")):
        return f": {said}"
    return ": expected postgresql://user@host:5432/database, with %40 for an @ in a password, %25 for a %"


def _each_host(given: dict[str, Any]) -> list[dict[str, Any]]:
    """The same once per host: libpq goes on to the next one when it likes, and not when our time is up."""
    lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr", "port") if given.get(name)}
    count = max((len(lists[name]) for name in ("host", "hostaddr") if name in lists), default=1)
    for name, values in lists.items():
        if len(values) == 1:
            lists[name] = values * count
        elif len(values) != count:
            raise SettingError(f"bus: {count} hosts and {len(values)} of {name}: expected as many, or one")
    return [{**given, **{name: values[number] for name, values in lists.items()}} for number in range(count)]


def _shown(given: dict[str, Any], hosts: list[dict[str, Any]]) -> str:
    """The address for people: hosts, ports and database, and nothing that libpq takes in other ways."""
    shown = []
    for each in hosts:
        host = str(each.get("host") or each.get("hostaddr") or "")
        bracketed = f"[{host}]" if ":" in host else quote(host, safe="") if host.startswith("/") else host
        shown.append(f"{bracketed}:{each['port']}" if each.get("port") else bracketed)
    database = f"/{given['dbname']}" if given.get("dbname") else ""
    return f"postgresql://{','.join(shown)}{database}"
