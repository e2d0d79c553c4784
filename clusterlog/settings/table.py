"""Every setting once: its name, its type, its default, and what it is for."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clusterlog.settings.values import (
    DURABILITIES,
    ROLES,
    SINKS,
    address,
    bus,
    ceiling,
    compression,
    console,
    durability,
    fingerprint,
    level,
    named,
    proxy,
    recorder,
    role,
    seconds,
    size,
    text,
    throttle,
    words,
)


def _program() -> str:
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in ("", "-", "-c", "-m") else ""
    if name == "__main__.py":
        name = Path(sys.argv[0]).parent.name
    return name.removesuffix(".py") or "python"


def _setting(read: Callable[[Any], Any], default: Any, doc: str, otel: str = "", secret: bool = False) -> Any:
    meta = {"read": read, "doc": doc, "otel": otel, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=meta)
    return field(default=default, metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their values. ``origins`` tells for each name where its value came from."""

    service: str = _setting(named, _program, "name of the service", "OTEL_SERVICE_NAME")
    node: str = _setting(named, socket.gethostname, "name of this node, a group of processes on a host")
    environment: str = _setting(named, "development", "deployment environment; part of the data stream's name")
    home: str = _setting(text, "", "state directory; empty: .clusterlog here or above; in production the system's")
    store: str = _setting(address("http", "https"), "", "where events are asked for; empty: embedded in the home")
    sink: str = _setting(address(*SINKS), "", "where events are shipped; empty: the store")
    kibana: str = _setting(address("http", "https"), "", "Kibana and its space: https://host:5601/s/ops; empty: none")
    token: str = _setting(text, "", "API key or token for the store, as it is or as id:key", secret=True)
    token_file: str = _setting(text, "", "file with the token; read again when the store refuses it")
    ca_file: str = _setting(text, "", "certificates to trust, PEM; empty: those this machine trusts")
    fingerprint: str = _setting(fingerprint, "", "SHA-256 of the store's certificate, or of the CA that signed it")
    cert_file: str = _setting(text, "", "our own certificate, for servers that want one, PEM; empty: none")
    key_file: str = _setting(text, "", "the key of our certificate, PEM, without a password; empty: in cert_file")
    compression: str = _setting(
        compression, "auto", "what is sent elsewhere: auto (where a server tells if it cannot read it), on, off"
    )
    proxy: str = _setting(proxy, "environment", "way to the store: environment (HTTPS_PROXY, NO_PROXY), none or a URL")
    level: str = _setting(level, "INFO", "level of the root logger")
    trust: str = _setting(text, "private", "whose request ids are believed: private, none, * or networks")
    propagate_to: str = _setting(text, "private", "which hosts get our ids: private, none, * or networks and names")
    redact: tuple[str, ...] = _setting(words, (), "further words that make a key secret")
    session_cookie: str = _setting(text, "", "the cookie whose hash becomes clusterlog.session.hash")
    metrics: tuple[str, ...] = _setting(words, (), "numbers that also go to clusterlog.metrics, where ranges work")
    linger: float = _setting(seconds, 60.0, "how long work left behind by a request carries its id")
    durability: str = _setting(durability, "interval", "when the spool is synced: " + ", ".join(DURABILITIES))
    disk_limit: int = _setting(size, 1 << 30, "bytes the spool may take")
    user_key: str = _setting(text, "", "file with the keys for user hashes; empty: HOME/user.key, made when needed")
    debug: tuple[str, ...] = _setting(words, (), "loggers that start at DEBUG")
    throttle: str = _setting(
        throttle, "off", "lines alike that pass in a time, the rest is counted: off, or as 100/60s"
    )
    console: str = _setting(
        console, "auto", "lines on a terminal in development: auto (what nobody else shows), on, off"
    )
    bus: str = _setting(
        bus, "", "way between the nodes: redis://, postgresql://, hub+http://…; empty: sqlite in the home; off: none"
    )
    control_key: str = _setting(text, "", "file with the cluster's key, the same on every node; a network bus needs it")
    role: str = _setting(role, "apply", "what this node may do in its cluster: " + ", ".join(ROLES))
    tags: tuple[str, ...] = _setting(words, (), "words by which rules may mean this node, beside its role")
    ceiling: tuple[str, ...] = _setting(
        ceiling,
        ("DEBUG", "botocore=INFO", "httpcore=INFO", "urllib3=INFO"),
        "most verbose levels that rules may set here: LEVEL or logger=LEVEL, whoever sends them",
    )
    longest: float = _setting(
        seconds, 0.0, "longest life of a rule here, whoever sends it: longer ones are refused; 0: no limit"
    )
    recorder: str = _setting(
        recorder,
        "off",
        "keeps a request's lines from this level on, written if it fails or is slow (1 s): off, DEBUG, DEBUG/2s",
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def home_path(self) -> Path:
        """The state directory as an absolute path."""
        return Path(self.home)


def names() -> tuple[str, ...]:
    """The name of every setting."""
    return tuple(each.name for each in fields(Settings) if each.name != "origins")
