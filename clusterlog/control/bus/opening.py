"""From the setting ``bus`` to a bus; what a bus needs from elsewhere is imported only where it is asked for."""

from __future__ import annotations

import difflib
from pathlib import Path
from urllib.parse import unquote

from clusterlog.control.bus.base import Bus
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.errors import MissingExtra, SettingError
from clusterlog.settings.table import Settings
from clusterlog.settings.values import BUSES


def local_bus(settings: Settings) -> Bus:
    """The bus of this host, in the home: the one that every worker speaks to."""
    return SqliteBus(settings.home_path / "control" / "bus.db", settings.environment)


def bus_at(url: str, settings: Settings) -> Bus:
    """The bus at ``url`` (empty: in the home), in the name space of the setting ``environment``.

    Connects to nothing. Raises SettingError for an address that cannot be right, and MissingExtra.
    """
    if not url:
        return local_bus(settings)
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in BUSES:
        near = difflib.get_close_matches(scheme, BUSES, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise SettingError(f"bus: {scheme}: is no way between nodes{hint}: {', '.join(BUSES)}")
    if scheme == "memory":
        from clusterlog.control.bus.memory import MemoryBus

        return MemoryBus(rest.removeprefix("//"), settings.environment)
    if scheme == "sqlite":
        return SqliteBus(_path(rest), settings.environment)
    if scheme in ("postgresql", "postgres"):
        try:
            from clusterlog.control.bus.postgres.link import PostgresBus
        except ImportError:  # psycopg raises it, too, where it finds no libpq
            raise MissingExtra("a bus in PostgreSQL", "postgres") from None
        return PostgresBus(f"{scheme}:{rest}", settings.environment, settings.ca_file)
    if scheme.startswith("redis"):
        from clusterlog.control.bus.redis.address import address
        from clusterlog.control.bus.redis.link import RedisBus

        where = address(url, ca=settings.ca_file, own=settings.cert_file, key=settings.key_file)
        return RedisBus(where, settings.environment)
    from clusterlog.control.bus.hub.link import HubBus

    return HubBus(url, settings.environment, settings)


def _path(rest: str) -> Path:
    """The path of ``sqlite:/path`` and ``sqlite:///path``."""
    path = Path(unquote(rest.removeprefix("//")))
    if not path.is_absolute():
        raise SettingError("bus: sqlite: wants an absolute path: sqlite:///var/lib/clusterlog/control/bus.db")
    return path
