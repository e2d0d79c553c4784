"""Every way in which tantivy fails, as one exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ViewBroken(Exception):
    """The index cannot go on; everything it says, and what it lacks, is in the frames."""


@contextmanager
def mended() -> Iterator[None]:
    """Everything tantivy fails with, a panic included, as ``ViewBroken``."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ViewBroken(str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # pyo3's; derives from BaseException and cannot be imported
            raise ViewBroken(str(error)) from error
        raise
