"""One host that is spoken to over a plain connection, with or without TLS: no HTTP, no thread, time-outs throughout."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass

from clusterlog.errors import MissingExtra, SettingError, StoreUnavailable
from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import Host
from clusterlog.settings.servers.identity import present
from clusterlog.settings.servers.trust import AuthorityFound, Pin, presented, verifying

try:
    from clusterlog.store.elasticsearch.wire.trouble import sentence
except ImportError:
    raise MissingExtra("a sink at a URL", "elasticsearch") from None

CONNECT_S = 5.0
_OBJECTS_S = 0.3
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


@dataclass(frozen=True, slots=True)
class Certificates:
    """Which certificates are believed, and which one we show; files and fingerprint as in the settings."""

    ca_file: str = ""
    fingerprint: str = ""
    cert_file: str = ""
    key_file: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Certificates:
        """Those of the settings."""
        return cls(settings.ca_file, settings.fingerprint, settings.cert_file, settings.key_file)


class Endpoint:
    """A host and how its connections are made: with TLS, if its scheme ends in ``tls`` or ``https``.

    Threads may share it. Raises SettingError and NotAllowed for certificates that cannot be used.
    """

    def __init__(self, host: Host, certificates: Certificates) -> None:
        self.host = host
        self.has_tls = host.scheme.endswith(("tls", "https"))
        own = certificates.cert_file, certificates.key_file
        self._pin = Pin(certificates.fingerprint, own) if certificates.fingerprint else None
        self._context = verifying(certificates.ca_file) if self.has_tls and self._pin is None else None
        if self._context is not None:
            present(self._context, *own)

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self.host.url

    def connect(self) -> socket.socket:
        """A connection, TLS included. Raises StoreUnavailable with what is wrong in words."""
        raw: socket.socket | None = None
        try:
            raw = self._raw()
            if not self.has_tls:
                return raw
            try:
                return self._secured(raw)
            except AuthorityFound:
                raw.close()
                raw = self._raw()
                return self._secured(raw)
        except OSError as error:
            handshake = raw is not None
            if raw is not None:
                raw.close()
            raise StoreUnavailable(self.trouble(error, handshake=handshake)) from None

    def touch(self) -> None:
        """Connect, and wait a moment for what a server may have against us. Raises StoreUnavailable."""
        with self.connect() as connection:
            connection.settimeout(_OBJECTS_S)
            try:
                connection.recv(1)
            except TimeoutError:
                return
            except OSError as error:
                raise StoreUnavailable(self.trouble(error)) from None

    def _raw(self) -> socket.socket:
        made = socket.create_connection((self.host.name, self.host.port), CONNECT_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return made

    def _secured(self, raw: socket.socket) -> ssl.SSLSocket:
        context = self._context
        if context is None:
            assert self._pin is not None
            context = self._pin.context()
        made = context.wrap_socket(raw, server_hostname=self.host.name)
        if self._pin is not None and context.verify_mode == ssl.CERT_NONE:
            try:
                self._pin.judge(presented(made))
            except BaseException:
                made.close()
                raise
        return made

    def trouble(self, error: OSError, *, handshake: bool = False) -> str:
        """One line about what broke a connection, or kept it from coming about."""
        if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in _NO_TLS:
            plain = self.url.replace("tls:", "tcp:", 1).replace("https:", "http:", 1)
            return f"{self.url}: does not speak TLS: write {plain}"
        if isinstance(error, ssl.SSLError | socket.gaierror):
            return sentence(error, self.url, "", CONNECT_S)
        if handshake and isinstance(error, TimeoutError):
            return f"{self.url}: connected, but no TLS handshake within {CONNECT_S:g} s: does it speak TLS?"
        if handshake:
            return f"{self.url}: closed the connection during the TLS handshake"
        if isinstance(error, TimeoutError):
            return f"{self.url}: cannot be reached, nothing answers there"
        if error.errno == errno.ECONNREFUSED:
            return f"{self.url}: nothing listens there (connection refused)"
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return f"{self.url}: cannot be reached, no network leads there"
        told = os.strerror(error.errno).lower() if error.errno else str(error)
        return f"{self.url}: cannot be reached: {told}"


def plain(found: tuple[Host, ...]) -> tuple[Host, ...]:
    """Hosts that are spoken to without HTTP. Raises SettingError for what has no place there."""
    for host in found:
        if host.login is not None:
            raise SettingError(
                f"{host.url}: takes no user and password: write cert_file, if it wants to know who we are"
            )
        if host.path:
            raise SettingError(f"{host.url}: a path means nothing there: leave out {host.path}")
    return found


def shown(found: tuple[Host, ...]) -> str:
    """The hosts as they may be shown."""
    return ",".join(host.url for host in found)


def is_alive(connection: socket.socket) -> bool:
    """Whether a connection on which nothing is expected still stands, as far as this side has heard.

    Tickets and the like that TLS sends by itself are taken in; anything else that comes unasked ends it.
    """
    before = connection.gettimeout()
    try:
        connection.settimeout(0.0)
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        connection.settimeout(before)
        return True
    except OSError:
        return False
    return False
