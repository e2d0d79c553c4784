"""What went wrong on the way to a host, in one line that says what to do."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator

from urllib3 import exceptions

from clusterlog.settings.servers.trust import WrongFingerprint

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_WANTS_CERTIFICATE = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE"}
)
"""The last is what Java says, and so Elasticsearch: bad is that there is none."""
_REFUSES_CERTIFICATE = frozenset(
    {"TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_CERTIFICATE_EXPIRED"}
)
_HINTS = {
    "http": "; does it speak https?",
    "https": "; does it want a certificate of ours (cert_file, key_file)?",
}
_EXPIRED, _NOT_YET = 10, 9
_UNTRUSTED = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 63, 64})
"""Codes of OpenSSL's verification (x509_vfy.h)."""


def was_sent(error: BaseException) -> bool:
    """Whether the request may have arrived: then only who knows what it does may send it again."""
    if isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError | exceptions.ProxyError):
        return False
    return not isinstance(error, exceptions.SSLError | exceptions.LocationValueError)


def sentence(error: BaseException, url: str, proxy: str, answer_s: float, *, answered: bool = False) -> str:
    """One line: where, what, and what mends it. ``url`` and ``proxy`` have no credentials in them.

    ``answered``: the host has answered before, so that how it is spoken to is right.
    """
    causes = tuple(_causes(error))
    if isinstance(error, exceptions.ProxyError):
        return f"{url}: {_of_proxy(causes, proxy)}"
    where = f"{url} (through {proxy})" if proxy else url
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"{where}: {_of_tls(cause, url)}"
        if isinstance(cause, socket.gaierror):
            return f"{where}: {_of_name(cause, url)}"
    if isinstance(error, exceptions.NewConnectionError):
        return f"{where}: {_of_connecting(causes)}"
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"{where}: cannot be reached, nothing answers there"
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"{where}: connected, but no answer within {answer_s:g} s"
    if isinstance(error, exceptions.LocationValueError):
        return f"{where}: no name a host can have"
    return f"{where}: {_of_connection(causes, '' if answered else url)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it came from, outermost first: urllib3 keeps it in several places."""
    pending, seen = [error], set[int]()
    while pending:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        found = (*each.args, getattr(each, "original_error", None), each.__cause__, each.__context__)
        pending += [inner for inner in found if isinstance(inner, BaseException)]


def _of_tls(error: ssl.SSLError, url: str) -> str:
    if isinstance(error, WrongFingerprint):
        return f"another certificate than the one with the fingerprint that is set: this one has {error.found}"
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "its certificate has expired"
        if error.verify_code == _NOT_YET:
            return "its certificate is not valid yet: compare the clocks"
        if error.verify_code in _OTHER_NAME:
            return "its certificate is for another name: use a name it is for, or set fingerprint"
        if error.verify_code in _UNTRUSTED:
            return "its certificate is signed by nobody this machine trusts: set ca_file or fingerprint"
        return f"its certificate is not valid: {error.verify_message}"
    if error.reason in _NO_TLS:
        return f"does not speak TLS: write http{url.removeprefix('https')}"
    if error.reason in _WANTS_CERTIFICATE:
        return "wants a certificate of ours that it trusts: set cert_file and key_file"
    if error.reason in _REFUSES_CERTIFICATE:
        told = error.reason.partition("_ALERT_")[2].lower().replace("_", " ")
        return f"does not accept our certificate ({told}): cert_file has to be signed by an authority it trusts"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed the connection during the TLS handshake"
    return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"


def _of_name(error: socket.gaierror, url: str) -> str:
    if error.errno == socket.EAI_AGAIN:
        return "its name cannot be looked up now: the name server does not answer"
    return "no host of that name is known"


def _of_connecting(causes: tuple[BaseException, ...]) -> str:
    codes = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if errno.ECONNREFUSED in codes:
        return "nothing listens there (connection refused)"
    if codes & {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "cannot be reached, no network leads there"
    known = [os.strerror(code).lower() for code in codes if code]
    return f"cannot be reached: {known[0]}" if known else "cannot be reached"


def _of_proxy(causes: tuple[BaseException, ...], proxy: str) -> str:
    for cause in causes:
        if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed"):
            return f"the proxy {proxy} leads nowhere: {str(cause).partition(': ')[2].lower()}"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"no host of the name of the proxy {proxy} is known"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"the proxy {proxy} cannot be spoken to by TLS"
    return f"the proxy {proxy}: {_of_connecting(causes)}"


def _of_connection(causes: tuple[BaseException, ...], url: str) -> str:
    for cause in causes:
        if isinstance(cause, exceptions.IncompleteRead | exceptions.InvalidChunkLength | exceptions.DecodeError):
            return "the connection broke in the middle of the answer"
        if isinstance(cause, http.client.IncompleteRead):
            return "the connection broke in the middle of the answer"
        if isinstance(cause, http.client.RemoteDisconnected | ConnectionError):
            return f"closed the connection without an answer{_HINTS.get(url.partition(':')[0], '')}"
        if isinstance(cause, http.client.BadStatusLine | http.client.HTTPException):
            return "answers with something that is not HTTP"
    return f"the connection failed: {str(causes[-1])[:200]}"
