"""Connections of urllib3 that believe the certificates which settings say, and tell why a server ended them."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPSConnection

from clusterlog.settings.servers.trust import Pin, presented


class SecureConnection(HTTPSConnection):
    """A connection that tells why a server ended it, also where that shows only while the request is written.

    In TLS 1.3 a client has shaken hands, and may write, before the server has seen that it shows no certificate: what
    the server then says lies unread in front of the end of the connection, which is all that writing meets.
    """

    def request(self, *given: Any, **more: Any) -> None:
        """Send a request. Raises ssl.SSLError, that of the server's alert where there is one."""
        try:
            super().request(*given, **more)
        except ssl.SSLError:
            if self.sock is not None:
                with suppress(TimeoutError):
                    self.sock.recv(1)  # raises what the alert says
            raise


class PinnedConnection(SecureConnection):
    """A connection to a server whose certificate is known by its fingerprint."""

    pin: Pin

    def connect(self) -> None:
        """Connect; nothing is sent before the certificate is judged. Raises ssl.SSLError."""
        context = self.pin.context()
        self.ssl_context, self.cert_reqs = context, context.verify_mode
        self.assert_hostname = None if context.check_hostname else False
        super().connect()
        if context.verify_mode == ssl.CERT_NONE:
            self.pin.judge(presented(self.sock))
        self.is_verified = True


def pinned(fingerprint: str, own: tuple[str, str] = ("", "")) -> type[PinnedConnection]:
    """The class of connections to one host, whose certificate has that fingerprint; ``own`` as of ``Pin``."""
    return type("PinnedConnection", (PinnedConnection,), {"pin": Pin(fingerprint, own)})
