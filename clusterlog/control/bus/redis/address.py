"""Where a Redis is, who we are to it, and what it must show: read from the URL of a bus.

``redis://[user:password@]host[:port][,host[:port]…][/number][?options]``, ``rediss://`` by TLS, and with Sentinel
``redis+sentinel://[user:password@]sentinel[:port][,…]/master[/number]``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from clusterlog.errors import BusUnreachable, SettingError

OPTIONS = ("password_file", "ca_file", "cert_file", "key_file", "sentinel_user", "sentinel_password_file")
"""None of them is a secret: where addresses are shown, only what stands before the @ is left out."""
_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class Place:
    """Host and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Login:
    """User and password; a password in a file is read again for every connection, so that it may change."""

    def __init__(self, user: str = "", password: str = "", file: str = "") -> None:
        self.user = user
        self._password = password
        self._file = file

    def password(self) -> str:
        """The password. Raises BusUnreachable where its file cannot be read."""
        if not self._file:
            return self._password
        try:
            return Path(self._file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not text"
            raise BusUnreachable(f"password_file {self._file} of the bus: {why}") from None


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM; empty where this machine's own are meant, and none is shown."""

    ca: str = ""
    own: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """``places`` are those of sentinels where ``master`` is the name they know the server by."""

    name: str
    places: tuple[Place, ...]
    number: int
    master: str
    login: Login
    sentinel_login: Login
    tls: Certificates | None


def address(url: str, *, ca: str = "", own: str = "", key: str = "") -> Address:
    """What ``url`` says; certificates are those given, where it names no others.

    Raises SettingError, which shows nothing that may be secret.
    """
    scheme, _, rest = url.partition("://")
    rest, _, written = rest.partition("?")
    options = dict(parse_qsl(written, keep_blank_values=True))
    for option in options:
        if option not in OPTIONS:
            near = difflib.get_close_matches(option, OPTIONS, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingError(f"bus: {option} is no option of a Redis{hint}: {', '.join(OPTIONS)}")
    before, at, after = rest.rpartition("@")
    authority, _, path = after.partition("/")
    sentinel = scheme.endswith("+sentinel")
    master, _, number = path.partition("/") if sentinel else ("", "", path)
    if sentinel and not master:
        raise SettingError("bus: which master do the sentinels watch? redis+sentinel://host:26379/NAME")
    if number and not number.isdecimal():
        raise SettingError("bus: a database of a Redis is a number: redis://host:6379/0")
    places = tuple(_place(each, _SENTINEL_PORT if sentinel else _PORT) for each in authority.split(","))
    hosts = ",".join(map(str, places))
    return Address(
        name=f"{scheme}://{hosts}" + (f"/{unquote(master)}" if master else "") + (f"/{number}" if number else ""),
        places=places,
        number=int(number or 0),
        master=unquote(master),
        login=_login(before if at else "", options.get("password_file", "")),
        sentinel_login=Login(options.get("sentinel_user", ""), file=options.get("sentinel_password_file", "")),
        tls=Certificates(options.get("ca_file", ca), options.get("cert_file", own), options.get("key_file", key))
        if scheme.startswith("rediss")
        else None,
    )


def _login(written: str, file: str) -> Login:
    user, colon, password = written.partition(":")
    if "," in written:
        raise SettingError("bus: a comma in a user or password is written as %2C")
    if user and not colon and not file:
        raise SettingError("bus: a user without a password: redis://user:password@host, or redis://:password@host")
    return Login(unquote(user), unquote(password), file)


def _place(written: str, port: int) -> Place:
    """``host``, ``host:port``, ``[::1]:port``."""
    if written.startswith("["):
        host, bracket, after = written[1:].partition("]")
        colon, given = after[:1], after[1:]
        right = bool(bracket) and colon in ("", ":")
    else:
        host, colon, given = written.partition(":")
        right = True
    if not host or not right or (colon and not (given.isdecimal() and 0 < int(given) < 65536)):
        raise SettingError("bus: each server is host, host:port or [IPv6]:port, with commas between them")
    return Place(host, int(given) if colon else port)
