"""Users and sessions without names: HMAC-SHA-256 under a key that stays on the machine, with the key's id beside it.

A plain hash of an e-mail address is undone by trying addresses; a keyed one is not, as long as the key is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

KEY_BYTES = 32
_CACHE_SIZE = 4096


class IdentityHash:
    """Hashes identities; the key file is read, or made with mode 0600, at the first one."""

    def __init__(self, key_file: str | Path) -> None:
        self._file = Path(key_file)
        self._key: bytes | None = None
        self._known: dict[str, str] = {}
        self.key_id = ""

    def __call__(self, identity: str) -> tuple[str, str]:
        """(hash, key id) of an identity, both lower-case hex; the key id says which key, and nothing about it."""
        key = self._key
        if key is None:
            key = self._load()
            self.key_id = hashlib.sha256(b"clusterlog key id" + key).hexdigest()[:8]
            self._key = key  # last, for another thread that looks now
        found = self._known.get(identity)
        if found is None:
            found = hmac.new(key, identity.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            self._known[identity] = found
        return found, self.key_id

    def _load(self) -> bytes:
        """Read the key; make one where there is none. Without either a key of this process alone serves."""
        try:
            return self._read()
        except FileNotFoundError:
            return self._make()
        except OSError:
            return os.urandom(KEY_BYTES)

    def _read(self) -> bytes:
        return self._file.read_bytes().strip() or os.urandom(KEY_BYTES)

    def _make(self) -> bytes:
        """Written beside and linked into place, so that of two processes or threads one key wins, and a whole one."""
        key = os.urandom(KEY_BYTES).hex().encode()
        beside = self._file.with_name(f".{self._file.name}.{os.urandom(8).hex()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(key + b"\n")
            try:
                os.link(beside, self._file)
            except FileExistsError:
                return self._read()
            finally:
                os.unlink(beside)
        except OSError:
            return key
        return key
