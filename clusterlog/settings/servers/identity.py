"""Who we are to a server that asks for a certificate (mTLS)."""

from __future__ import annotations

import ssl

from clusterlog.errors import NotAllowed, SettingError


def present(context: ssl.SSLContext, cert_file: str, key_file: str = "") -> None:
    """Let a context show the certificate of a PEM file, whose key is in another or in the same one.

    Without ``cert_file`` it shows none. Raises SettingError and NotAllowed for files that cannot be used.
    """
    if not cert_file:
        if key_file:
            raise SettingError("key_file is set, and cert_file is not: a key is nothing without its certificate")
        return
    for name, path in (("cert_file", cert_file), ("key_file", key_file or cert_file)):
        _readable(name, path)
    key = f"key_file: {key_file}" if key_file else f"cert_file: {cert_file}"
    try:
        context.load_cert_chain(cert_file, key_file or None, password=_no_password)
    except _Encrypted:
        raise SettingError(f"{key}: the key is encrypted, and nobody is there to be asked for its password") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingError(f"{key}: the key is not that of the certificate in {cert_file}") from None
        raise SettingError(
            f"cert_file, key_file: no certificate with its key in {_both(cert_file, key_file)}"
        ) from None


def _both(cert_file: str, key_file: str) -> str:
    return f"{cert_file} and {key_file}" if key_file else cert_file


def _readable(name: str, path: str) -> None:
    try:
        with open(path, "rb"):
            return
    except PermissionError:
        raise NotAllowed(f"{name}: cannot read {path}: permission denied") from None
    except OSError as error:
        raise SettingError(f"{name}: cannot read {path}: {error.strerror}") from None


class _Encrypted(Exception):
    """The key has a password."""


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal."""
    raise _Encrypted
