"""Where syslog is listened to: ``HOST:PORT``, or ``udp://``, ``tcp://`` or ``tls://`` before it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.web.address import Address, refusal

Kind = Literal["tcp", "tls", "udp"]

_BUFFER = 8 << 20
"""Bytes of datagrams that the kernel keeps for us, as far as it lets us say so."""


class Door(NamedTuple):
    """One way in."""

    kind: Kind
    address: Address


def doors(listen: str, cert: str, key: str) -> tuple[Door, ...]:
    """The ways in that ``listen`` names: without a scheme TLS where there is a certificate, else TCP and UDP.

    Raises SettingError.
    """
    scheme, slashes, rest = listen.rpartition("://")
    if slashes and scheme not in ("tcp", "tls", "udp"):
        raise SettingError(f"{listen!r}: expected HOST:PORT, or udp://, tcp:// or tls:// before it")
    if scheme == "tls" and not cert:
        raise SettingError(f"{listen} takes a certificate: --tls-cert and --tls-key")
    address = Address.parse(rest, cert, key)
    if scheme in ("tcp", "udp"):
        return (Door("tcp" if scheme == "tcp" else "udp", address),)
    return (Door("tls", address),) if cert else (Door("tcp", address), Door("udp", address))


def is_open(listen: str, found: Sequence[Door]) -> bool:
    """Whether other machines can send there without TLS although nobody has said so by a scheme."""
    return "://" not in listen and any(door.kind != "tls" and not door.address.is_loopback for door in found)


def opened(found: Sequence[Door]) -> list[tuple[Door, socket.socket]]:
    """The doors with their sockets; ``host:0`` is the same free port for all of them. Raises as ``Address.listen``."""
    made: list[tuple[Door, socket.socket]] = []
    chosen: dict[str, int] = {}
    try:
        for door in found:
            host, port = door.address.host, door.address.port or chosen.get(door.address.host, 0)
            at = Address(host, port)
            listening = at.listen() if door.kind != "udp" else _datagrams(at)
            made.append((door, listening))
            if not door.address.port:
                chosen[host] = listening.getsockname()[1]
    except BaseException:
        for _, each in made:
            each.close()
        raise
    return made


def context(door: Door, clients: str) -> ssl.SSLContext | None:
    """What speaks TLS there, with those only whose certificates ``clients``, a file of authorities, has signed.

    Raises SettingError and NotAllowed for files that cannot be used.
    """
    if door.kind != "tls":
        return None
    made = door.address.context()
    if made is not None and clients:
        try:
            made.load_verify_locations(cadata=Path(clients).read_text("ascii"))
        except PermissionError:
            raise NotAllowed(f"cannot read {clients}: permission denied") from None
        except (OSError, ValueError) as error:
            raise SettingError(f"{clients} holds no certificates in PEM: {error}") from None
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _datagrams(address: Address) -> socket.socket:
    try:
        family, kind, number, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, number)
    except socket.gaierror as error:
        shown = f"{address.host}:{address.port}"
        raise SettingError(f"cannot listen on {shown}: {(error.strerror or str(error)).lower()}") from None
    try:
        with suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        made.bind(where)
    except OSError as error:
        made.close()
        raise refusal(f"{address.host}:{address.port}", error) from None
    return made
