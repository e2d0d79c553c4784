"""Which certificates are believed: those of an authority we trust, or the ones with a known fingerprint.

A fingerprint may be that of the server's own certificate, or of the authority that signed it, which is what
Elasticsearch shows when it is first started. An authority that is known by its fingerprint is taken from what the
server presents, and then everything is verified against it, host name included: anybody can present a copy of it.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings.servers.identity import present


class WrongFingerprint(ssl.SSLError):
    """No certificate of the server has the fingerprint that is set; ``found`` is that of its own."""

    def __init__(self, found: str) -> None:
        super().__init__(f"fingerprint {found}")
        self.found = found


def verifying(ca_file: str = "") -> ssl.SSLContext:
    """A context that trusts the authorities of a PEM file, or without one those of this machine and of certifi.

    Raises SettingError and NotAllowed for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except PermissionError:
        raise NotAllowed(f"ca_file: cannot read {ca_file}: permission denied") from None
    except ssl.SSLError:
        raise SettingError(f"ca_file: {ca_file} holds no certificate: expected PEM") from None
    except OSError as error:
        raise SettingError(f"ca_file: cannot read {ca_file}: {error.strerror}") from None
    if not ca_file:
        try:
            import certifi
        except ImportError:  # the machine's own have to do
            return context
        if Path(certifi.where()).is_file():
            context.load_verify_locations(certifi.where())
    return context


class AuthorityFound(ssl.SSLError):
    """The authority with the fingerprint is known now: the next connection verifies everything against it."""


class Pin:
    """A fingerprint, and what is known of the certificate that has it. One per host.

    ``own`` are the files of the certificate we show, and of its key.
    """

    def __init__(self, fingerprint: str, own: tuple[str, str] = ("", "")) -> None:
        self.fingerprint = fingerprint
        self._own = own
        self._authority: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """For the next connection: one that verifies, once the authority is known."""
        if self._authority is not None:
            return self._authority
        context = _bare(self._own)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def judge(self, presented: Sequence[bytes]) -> None:
        """Let the certificate pass whose fingerprint it is.

        ``presented`` are the certificates in DER, the server's own first. Raises AuthorityFound, after which
        ``context`` is another one, and WrongFingerprint.
        """
        found = [hashlib.sha256(each).hexdigest() for each in presented]
        if self.fingerprint == found[0]:
            return
        if self.fingerprint not in found:
            raise WrongFingerprint(found[0])
        authority = _bare(self._own)
        authority.load_verify_locations(cadata=presented[found.index(self.fingerprint)])
        self._authority = authority
        raise AuthorityFound


def _bare(own: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    present(context, *own)
    return context


def presented(sock: Any) -> list[bytes]:
    """The certificates a server presented, in DER, its own first; only that one where Python does not give the rest."""
    own = sock.getpeercert(binary_form=True)
    if hasattr(sock, "get_unverified_chain"):  # from Python 3.13 on
        return [own, *sock.get_unverified_chain()]
    chain = getattr(getattr(sock, "_sslobj", None), "get_unverified_chain", None)
    return [own, *(ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in (chain() or ()))] if chain else [own]
