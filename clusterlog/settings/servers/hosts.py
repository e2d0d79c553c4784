"""The hosts of a URL: ``https://user:password@a:9200,b:9200/prefix``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from clusterlog.errors import SettingError
from clusterlog.settings import without_credentials

_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_HOST = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?"
    r"(?:(?P<login>[^@/?#]*)@)?"
    r"(?P<name>\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)"
    r"(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[^?#\s]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Host:
    """One host: ``name`` without the brackets of an IPv6 address; ``path`` is empty or begins with a slash."""

    scheme: str
    name: str
    port: int
    path: str = ""
    login: tuple[str, str] | None = None
    port_given: bool = True

    @property
    def url(self) -> str:
        """The URL as it may be shown: without user and password."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{self.scheme}://{name}:{self.port}{self.path}"

    def is_loopback(self) -> bool:
        """Whether it is this machine, as far as its name says."""
        return is_loopback(self.name)


def is_loopback(name: str) -> bool:
    """Whether a host's name or address leads to this machine alone, as far as can be said without asking."""
    if name.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def hosts(url: str, ports: Mapping[str, int] = _PORTS, what: str = "a store") -> tuple[Host, ...]:
    """The hosts, all different. What a later one leaves out (scheme, user, port, path) is as for the first.

    ``ports`` are those of the schemes it may begin with, ``what`` is said to be there.

    A path may stand behind the last one instead. A comma in a password is written ``%2C``, an ``@`` ``%40``, as in
    every URL. Raises SettingError.
    """
    found: list[Host] = []
    for part in url.split(","):
        found.append(_host(part.strip(), found[0] if found else None, url, ports, what))
    path = found[0].path or found[-1].path
    found = [each if each.path else replace(each, path=path) for each in found]
    return tuple(dict.fromkeys(found))


def _host(part: str, first: Host | None, url: str, ports: Mapping[str, int], what: str) -> Host:
    read = _HOST.fullmatch(part)
    if read is None:
        form = "https://host:9200" if ports is _PORTS else f"{list(ports)[-1]}://host:port"
        raise SettingError(f"{without_credentials(url)!r} is no URL of {what}: expected {form}")
    scheme = (read["scheme"] or (first.scheme if first else "")).lower()
    if scheme not in ports:
        schemes = " or ".join(f"{each}://" for each in ports)
        raise SettingError(f"{without_credentials(url)!r} is no URL of {what}: it begins with {schemes}")
    port = int(read["port"]) if read["port"] else first.port if first else ports[scheme]
    if not 0 < port < 65536:
        raise SettingError(f"{without_credentials(url)!r}: {port} is no port")
    login = None if first is None else first.login
    if read["login"] is not None:
        user, _, password = read["login"].partition(":")
        login = unquote(user), unquote(password)
    given = bool(read["port"] or (first and first.port_given))
    return Host(scheme, read["name"].strip("[]"), port, (read["path"] or "").rstrip("/"), login, given)
