"""What a process has that may change hands under it: descriptors, and the process itself.

Daemonisers close every descriptor they did not open, and the next file the application opens gets the number of one of
ours: whoever kept only the number would write records into it, or close it.
"""

from __future__ import annotations

import mmap
import os

_MADV_WIPEONFORK = 18

Identity = tuple[int, int]
NONE: Identity = (0, 0)


def identity(fd: int) -> Identity:
    """Device and inode of an open file. Raises OSError."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def intact(fd: int, expected: Identity) -> bool:
    """Whether ``fd`` still stands for that file, and the file still has a name."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == expected and found.st_nlink > 0


def close(fd: int, expected: Identity) -> None:
    """Close ``fd``, if it still stands for that file."""
    try:
        if identity(fd) == expected:
            os.close(fd)
    except OSError:  # somebody else has closed it
        return


def fork_page() -> mmap.mmap:
    """A page the kernel zeroes in every forked child: also a fork by C code without Python's hooks is noticed.

    Reading one byte costs a tenth of ``getpid``. Where the advice is unknown, the hooks alone must do.
    """
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        page.madvise(_MADV_WIPEONFORK)
    except (OSError, ValueError):
        pass
    return page
