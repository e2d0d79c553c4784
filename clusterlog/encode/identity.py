"""Users and sessions without names: HMAC-SHA-256 under a key that stays on the machine, with the key's id beside it.

A plain hash of an e-mail address is undone by trying addresses; a keyed one is not, as long as the key is kept. The
key can be changed: the file then holds the older ones, too, so that what was said under them is still found by name.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IMODE

from clusterlog.errors import ClusterlogError, ClusterlogWarning, NotAllowed, NotFound, SettingError
from clusterlog.record.failure import raised_by_signal
from clusterlog.settings import Settings

KEY_BYTES = 32
LOOK_S = 5.0
"""A process that runs hashes under a new key this many seconds after the file has it, at the latest."""
SEVERAL = b"# clusterlog user keys"
"""How a file with several keys begins. Any other file is one key, whatever its bytes are."""
_EXPLAINED = SEVERAL + b": when each became current, and the key; the last one is the current one"
_HEX = b"hex:"
_CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file; ``since`` is when it became current (RFC 3339, UTC; empty where nobody knows)."""

    secret: bytes = field(repr=False)
    since: str = ""

    @property
    def id(self) -> str:
        """Eight hex digits that say which key it is, and nothing about it; ``clusterlog.user.key_id``."""
        return hashlib.sha256(b"clusterlog key id" + self.secret).hexdigest()[:8]

    def hash(self, identity: str) -> str:
        """HMAC-SHA-256 of an identity in lower-case hex: ``user.hash``, ``clusterlog.session.hash``."""
        return hmac.new(self.secret, identity.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def key_file(settings: Settings) -> Path:
    """Where the keys are: the setting ``user_key``, or ``user.key`` in the home."""
    return Path(settings.user_key) if settings.user_key else settings.home_path / "user.key"


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys of a file, the current one last; never empty.

    Raises NotFound where there is no file, NotAllowed where it may not be read, SettingError where it holds no key.
    """
    try:
        content = file.read_bytes().strip()
    except FileNotFoundError:
        raise NotFound(f"no user key in {file}: no user was named here yet, or user_key is another file") from None
    except OSError as error:
        raise _refusal("read", file, error) from None
    if content.startswith(SEVERAL):
        lines = [line.strip() for line in content.split(b"\n")]
        found = tuple(
            _parsed(file, number, line) for number, line in enumerate(lines, 1) if line[:1] not in (b"", b"#")
        )
    else:
        found = (Key(content),) if content else ()
    if not found:
        raise SettingError(f"the user key {file} is empty: remove it, and the next user makes one, or write a key")
    return found


def rotate(file: Path, now: float | None = None) -> tuple[Key, ...]:
    """Put a fresh key behind those of a file, where there is none yet the first; returns all, the current one last.

    ``now`` in seconds since the epoch. The file is replaced as a whole, with its owner and mode, and is on disk when
    this returns; of two that rotate at once one waits for the other. Raises NotAllowed and SettingError.
    """
    file = Path(os.path.realpath(file))  # a link stays one
    now = time.time() if now is None else now
    try:
        with _alone_in(file.parent):
            try:
                before = read_keys(file)
            except NotFound:
                _make(file, now)
                return read_keys(file)
            made = file.stat()
            keys = (*before, Key(_fresh(), _instant(now)))
            beside = _beside(file, keys)
            try:
                os.chmod(beside, S_IMODE(made.st_mode))
                if (made.st_uid, made.st_gid) != (os.geteuid(), os.getegid()):
                    os.chown(beside, made.st_uid, made.st_gid)
                os.replace(beside, file)
            except OSError:
                os.unlink(beside)
                raise
            return keys
    except OSError as error:
        raise _refusal("write", file, error) from None


def hashes(settings: Settings, user: str) -> tuple[str, ...]:
    """``user.hash`` of a user under every key the home knows, the current one first. Makes no key.

    Raises NotFound where there is no key file, NotAllowed where it may not be read, SettingError where it holds no key.
    """
    return tuple(dict.fromkeys(key.hash(user) for key in reversed(read_keys(key_file(settings)))))


def hashes_of_session(settings: Settings, session: str) -> tuple[str, ...]:
    """``clusterlog.session.hash`` of the session cookie's value under every key; as ``hashes``."""
    return hashes(settings, session)


class IdentityHash:
    """Hashes identities; the key file is read, or made with mode 0600, at the first one.

    It is looked at again when ``LOOK_S`` seconds of ``clock`` have passed and there is an identity to hash. Where it
    cannot be read, a key of this process alone serves: that is warned of, ``trouble`` says why, and ``alone`` counts
    the hashes made under it, by which nobody will find anybody.
    """

    def __init__(self, key_file: str | Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = Path(key_file)
        self._clock = clock
        self._current: _Current | None = None
        self._seen: tuple[int, int, int] | None = None
        self._due = 0.0
        self.trouble = ""
        self.alone = 0

    def __call__(self, identity: str) -> tuple[str, str]:
        """(hash, key id) of an identity, both lower-case hex. Never raises."""
        current = self._current
        if current is None or self._clock() >= self._due:
            current = self._look()
        if self.trouble:
            self.alone += 1
        found = current.known.get(identity)
        if found is None:
            found = current.key.hash(identity)
            if len(current.known) >= _CACHE_SIZE:
                current.known.clear()
            current.known[identity] = found
        return found, current.id

    def _look(self) -> _Current:
        """The key in force. A file that can no longer be read leaves the one that was read last."""
        self._due = self._clock() + LOOK_S  # first, for another thread that looks now
        current = self._current
        try:
            status = os.stat(self._file)
            seen: tuple[int, int, int] | None = (status.st_ino, status.st_mtime_ns, status.st_size)
            if current is not None and seen == self._seen:
                return current
        except OSError as error:
            if raised_by_signal(error):
                raise
            seen = None
            if current is not None and not self.trouble:
                return current
        try:
            key = self._read_or_made()
        except ClusterlogError as error:
            return self._without(str(error))
        except OSError as error:
            return self._without(str(_refusal("write", self._file, error)))
        self._seen, self.trouble = seen, ""
        if current is None or current.key.secret != key.secret:
            self._current = current = _Current(key)  # last, for the same reason
        return current

    def _read_or_made(self) -> Key:
        try:
            return read_keys(self._file)[-1]
        except NotFound:
            _make(self._file, time.time())
            return read_keys(self._file)[-1]

    def _without(self, why: str) -> _Current:
        current = self._current
        if current is None:
            self.trouble = why
            self._current = current = _Current(Key(_fresh()))
            try:
                warnings.warn(
                    f"{why}: hashes of users and sessions are made under a key of this process alone, and nobody is"
                    " found by them",
                    ClusterlogWarning,
                    stacklevel=2,
                )
            except ClusterlogWarning:  # where warnings are errors: not in the host's log call
                pass
        return current


class _Current:
    """The key in force, and what it made of identities already."""

    __slots__ = ("id", "key", "known")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.id = key.id
        self.known: dict[str, str] = {}


def _fresh() -> bytes:
    return os.urandom(KEY_BYTES).hex().encode()


def _make(file: Path, now: float) -> None:
    """Written beside and linked into place, so that of two processes or threads one key wins, and a whole one."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = _beside(file, (Key(_fresh(), _instant(now)),))
    try:
        os.link(beside, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(beside)


def _beside(file: Path, keys: Iterable[Key]) -> Path:
    beside = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as new:
        new.write(b"\n".join((_EXPLAINED, *map(_written, keys), b"")))
        new.flush()
        os.fsync(new.fileno())
    return beside


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """While no other process or thread rotates a key here; what was done is on disk afterwards."""
    import fcntl  # an application that only hashes starts where there is none

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
        os.fsync(fd)
    finally:
        os.close(fd)


def _written(key: Key) -> bytes:
    """A line; a key whose bytes are no text of one line is told as hex."""
    secret = key.secret
    if secret.startswith(_HEX) or not (secret.isascii() and secret.decode("ascii").isprintable()):
        secret = _HEX + secret.hex().encode()
    return (key.since or "-").encode() + b" " + secret


def _parsed(file: Path, number: int, line: bytes) -> Key:
    since, _, secret = line.partition(b" ")
    secret = secret.strip()
    if secret.startswith(_HEX):
        try:
            secret = bytes.fromhex(secret[len(_HEX) :].decode("ascii"))
        except ValueError:  # of which a failed decoding is one
            secret = b""
    if not secret:
        raise SettingError(f"the user key {file} has no key in line {number}: expected a time or -, a blank, and a key")
    return Key(secret, "" if since == b"-" else since.decode("utf-8", "replace"))


def _refusal(what: str, file: Path, error: OSError) -> ClusterlogError:
    """The error to raise in place of one of the system; what a signal handler raised is the host's, and passes."""
    if raised_by_signal(error):
        raise error
    kind = NotAllowed if isinstance(error, PermissionError) else SettingError
    return kind(f"cannot {what} the user key {file}: {(error.strerror or str(error)).lower()}")


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
