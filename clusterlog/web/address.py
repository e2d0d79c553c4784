"""Where a server listens, and with which certificate."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from clusterlog.errors import ClusterlogError, NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings.servers.hosts import is_loopback
from clusterlog.web.connection import MOST, Listener

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and the certificate of who does, if it speaks TLS."""

    host: str
    port: int
    cert: str = ""
    key: str = ""

    @classmethod
    def parse(cls, listen: str, cert: str = "", key: str = "") -> Address:
        """From ``HOST:PORT``; an IPv6 address is in brackets. Raises SettingError."""
        host, colon, port = listen.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host != bare
        if not colon or not bare or bracketed != (":" in bare) or not (port.isascii() and port.isdecimal()):
            raise SettingError(f"{listen!r} is no address to listen on: expected HOST:PORT, such as 127.0.0.1:8520")
        if int(port) > 65535:
            raise SettingError(f"{listen!r}: {port} is no port")
        if bool(cert) != bool(key):
            raise SettingError("TLS takes a certificate and its key: --tls-cert and --tls-key go together")
        return cls(bare, int(port), cert, key)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def names(self) -> tuple[str, ...]:
        """The hosts by which it may be asked; on a network, any: there the certificate says who it is."""
        return tuple(dict.fromkeys((*_LOOPBACK, self.host.lower()))) if self.is_loopback else ()

    def url(self, port: int) -> str:
        """Its URL; of an address that is every one of this machine, by the machine's name."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        return f"{'https' if self.cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def context(self) -> ssl.SSLContext | None:
        """What speaks TLS. Raises SettingError and NotAllowed for files that cannot be used."""
        if not self.cert:
            return None
        for file in (self.cert, self.key):
            try:
                Path(file).read_bytes()
            except PermissionError:
                raise NotAllowed(f"cannot read {file}: permission denied") from None
            except OSError as error:
                raise SettingError(f"cannot read {file}: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            why = error.reason.lower().replace("_", " ") if isinstance(error, ssl.SSLError) and error.reason else error
            raise SettingError(f"{self.cert} and {self.key} are no certificate and key in PEM: {why}") from None
        return context

    def listen(self) -> socket.socket:
        """A socket that listens there.

        Raises StoreUnavailable where somebody else does, NotAllowed, SettingError for an address that is not ours.
        """
        shown = f"{self.host}:{self.port}"
        try:
            family, kind, number, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            made = Listener(family, kind, number)
        except socket.gaierror as error:
            raise SettingError(f"cannot listen on {shown}: {(error.strerror or str(error)).lower()}") from None
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(MOST)
        except OSError as error:
            made.close()
            raise refusal(shown, error) from None
        return made


def refusal(shown: str, error: OSError) -> ClusterlogError:
    """What is raised where an address cannot be bound."""
    kind: type[ClusterlogError]
    kind = {errno.EADDRINUSE: StoreUnavailable, errno.EACCES: NotAllowed}.get(error.errno or 0, SettingError)
    return kind(f"cannot listen on {shown}: {(error.strerror or str(error)).lower()}")


def _no_password() -> str:
    raise ValueError("the key has a password, and nobody is there to be asked for it")
