"""The cluster's keys: files that every node has, whose holders believe each other.

A file of text holds a key on each line, ``#`` for a comment: the first one signs, all verify, so that a key can be
replaced without a moment in which nodes do not understand each other. Any other file is one key, byte for byte.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.errors import NotAllowed, SettingError

KEY_BYTES = 32
FEWEST_BYTES = 16
_MOST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that the nodes of a cluster share."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Eight hex digits that say which key it is, and nothing about it."""
        return hashlib.sha256(b"clusterlog control key id" + self.secret).hexdigest()[:8]


def cluster_keys(home: Path, control_key: str, local: bool) -> tuple[Key, ...]:
    """The keys of this node's cluster, the one that signs first.

    ``control_key`` is the setting, a file; without one a bus that is ``local`` has ``control/cluster.key`` in ``home``,
    made with mode 0600 where it is missing. Raises SettingError where a network bus has no key or a file holds none,
    NotAllowed where it may not be read or made.
    """
    if control_key:
        return read_keys(Path(control_key))
    if not local:
        raise SettingError(
            "a bus over the network needs a key: write one with `openssl rand -hex 32`, put the file on every node,"
            " and set control_key to its path"
        )
    file = home / "control" / "cluster.key"
    if not file.exists():
        make_key(file)
    return read_keys(file)


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys of ``file``, the one that signs first. Raises NotAllowed and SettingError, saying what to do."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise SettingError(f"there is no control key {file}: copy it there, as every node has the same one") from None
    except OSError as error:
        raise NotAllowed(f"the control key {file} cannot be read: {error.strerror or error}") from None
    if len(content) > _MOST_BYTES:
        raise SettingError(f"{file} is no control key: it has more than {_MOST_BYTES} bytes")
    secrets_ = _lines(content) if content.isascii() and not _binary(content) else [content]
    if not secrets_ or any(len(secret) < FEWEST_BYTES for secret in secrets_):
        raise SettingError(
            f"the control key {file} is too short: at least {FEWEST_BYTES} bytes a key, as from `openssl rand -hex 32`"
        )
    return tuple(Key(secret) for secret in dict.fromkeys(secrets_))


def _binary(content: bytes) -> bool:
    return any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in content)


def _lines(content: bytes) -> list[bytes]:
    lines = [line.strip() for line in content.splitlines()]
    return [line for line in lines if line and not line.startswith(b"#")]


def make_key(file: Path) -> None:
    """Make a fresh key of 32 bytes in ``file``, whole or not at all; one that somebody else made first stays.

    Raises NotAllowed.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(_fresh())
                stream.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(beside, file)
        finally:
            os.unlink(beside)
    except OSError as error:
        raise NotAllowed(f"the control key {file} cannot be made: {error.strerror or error}") from None


def _fresh() -> bytes:
    while True:  # never twice in a lifetime: 32 random bytes that look like text would be read as lines
        key = secrets.token_bytes(KEY_BYTES)
        if not key.isascii():
            return key
