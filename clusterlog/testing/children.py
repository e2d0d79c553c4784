"""Work in forked children, which tells by one bit whether it went well."""

from __future__ import annotations

import os
from collections.abc import Callable


class in_the_background:  # noqa: N801 - reads as a function
    """A forked child at work; what it is called with tells whether its work was true."""

    def __init__(self, work: Callable[[], bool]) -> None:
        self._work = work

    def __enter__(self) -> Callable[[], bool]:
        self._child = os.fork()
        if self._child == 0:
            code = 1
            try:
                code = 0 if self._work() else 2
            finally:
                os._exit(code)
        self._code: int | None = None
        return self._result

    def __exit__(self, *error: object) -> None:
        self._result()

    def _result(self) -> bool:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        return self._code == 0


def in_a_child(work: Callable[[], bool]) -> bool:
    """Whether ``work`` is true in a forked child."""
    with in_the_background(work) as result:
        return result()
