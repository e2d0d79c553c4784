"""One lock per home: whoever holds ``run/ship.lock`` is the only one to deliver, index and delete."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterlog.errors import HomeBusy, NotAllowed, SettingError
from clusterlog.spool import filesystem, liveness

_MARKS = ("spool", "run", "store", "clusterlog.toml")


def is_home(path: Path) -> bool:
    """Whether a directory is a home, or an empty one that was made to become one."""
    try:
        there = os.listdir(path)
    except FileNotFoundError:
        return False
    except OSError:  # whoever wants to use it is told why that cannot be
        return True
    return not there or any(mark in there for mark in _MARKS)


def is_served(path: Path) -> bool:
    """Whether a home is, or was, that of a ``serve``: then events of other machines are in its store as well."""
    return (path / "run" / "serve.json").is_file()


class HomeLock:
    """The lock of a home, held until ``release`` or the end of the process."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def take(cls, home: Path) -> HomeLock:
        """Take the lock of ``home``, making its ``run`` directory where needed.

        Raises HomeBusy while another process holds it, NotAllowed without permission, SettingError where the home
        cannot be one (a network file system, a file).
        """
        refusal = filesystem.unsuitable(home)
        if refusal:
            raise SettingError(refusal)
        path = home / "run" / "ship.lock"
        try:
            filesystem.make_private(path.parent)
            fd = liveness.hold(path)
        except PermissionError as error:
            raise NotAllowed(
                f"cannot write in {home}: {error.strerror}; run as its owner, or choose another --home"
            ) from None
        except (NotADirectoryError, FileExistsError):
            raise SettingError(f"{home} is not a directory: choose another --home") from None
        except OSError as error:
            raise SettingError(f"{home} cannot be a home: {error.strerror}; choose another --home") from None
        if fd < 0:
            raise HomeBusy(str(home), max(0, liveness.holder(path)))
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the number is for people, and the lock is what frees the disk again
            pass
        return cls(path, fd)

    @staticmethod
    def holder(home: Path) -> int:
        """The process id of the holder; 0 if there is none, -1 if it lives in another pid namespace."""
        return liveness.holder(home / "run" / "ship.lock")

    def release(self) -> None:
        """Let the lock go. Idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            liveness.let_go(self.path, fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
