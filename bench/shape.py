"""The event that every peer says, in the two shapes of a call: fields as ``extra={…}``, and fields as keywords.

INFO "order placed" with five own fields (two texts, an integer, a float, a truth value), three ids from context
variables and five static fields; about 455 bytes of JSON.
"""

from __future__ import annotations

import contextvars
import logging
import os
from collections.abc import Callable

Loop = Callable[[int], None]
"""Says so many events."""

STATIC = {"service": "shop", "environment": "production", "host": "node-1", "pid": os.getpid(), "ecs.version": "9.1.0"}
IDS = {
    "request_id": "0198f0c2a7b47c6e9a3d2f1e5b8c4d60",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
}
CONTEXT = {name: contextvars.ContextVar(name, default=value) for name, value in IDS.items()}


def failing(depth: int) -> BaseException:
    """One exception with ``depth`` frames, raised once and logged again and again."""

    def fall(left: int) -> None:
        if left:
            fall(left - 1)
        raise ValueError("payment refused")

    try:
        fall(depth - 2)
    except ValueError as error:
        return error
    raise AssertionError


ERROR = failing(20)
EXC_INFO = (type(ERROR), ERROR, ERROR.__traceback__)


def stdlib_loops(log: logging.Logger) -> dict[str, Loop]:
    """Every case in the shape of the standard library, where the caller makes a dict of the fields."""

    def enabled(n: int) -> None:
        for _ in range(n):
            log.info(
                "order placed",
                extra={"customer": "c-1841", "city": "Helsinki", "order": 4711, "amount": 12.9, "gift": False},
            )

    def disabled(n: int) -> None:
        for _ in range(n):
            log.debug(
                "order placed",
                extra={"customer": "c-1841", "city": "Helsinki", "order": 4711, "amount": 12.9, "gift": False},
            )

    def disabled_bare(n: int) -> None:
        for _ in range(n):
            log.debug("order placed")

    def exception(n: int) -> None:
        for _ in range(n):
            log.error("order failed", exc_info=EXC_INFO, extra={"order": 4711})

    def secret(n: int) -> None:
        for _ in range(n):
            log.info(
                "order placed",
                extra={"customer": "c-1841", "city": "Helsinki", "order": 4711, "amount": 12.9, "token": "s3cr3t"},
            )

    return {
        "enabled": enabled,
        "disabled": disabled,
        "disabled-bare": disabled_bare,
        "exception": exception,
        "secret": secret,
    }


def native_loops(log: object) -> dict[str, Loop]:
    """Every case with fields as keywords."""
    info, debug, error = log.info, log.debug, log.error  # type: ignore[attr-defined]

    def enabled(n: int) -> None:
        for _ in range(n):
            info("order placed", customer="c-1841", city="Helsinki", order=4711, amount=12.9, gift=False)

    def varying(n: int) -> None:
        for k in range(n):
            info(f"order {k} placed", customer="c-1841", city="Helsinki", order=4711, amount=12.9, gift=False)

    def disabled(n: int) -> None:
        for _ in range(n):
            debug("order placed", customer="c-1841", city="Helsinki", order=4711, amount=12.9, gift=False)

    def disabled_bare(n: int) -> None:
        for _ in range(n):
            debug("order placed")

    def exception(n: int) -> None:
        for _ in range(n):
            error("order failed", exc_info=ERROR, order=4711)

    def secret(n: int) -> None:
        for _ in range(n):
            info("order placed", customer="c-1841", city="Helsinki", order=4711, amount=12.9, token="s3cr3t")

    loops = {
        "enabled": enabled,
        "disabled": disabled,
        "disabled-bare": disabled_bare,
        "exception": exception,
        "secret": secret,
    }
    return {**loops, "varying": varying}


class IdFilter(logging.Filter):
    """Puts the ids of the request on a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        for name, variable in CONTEXT.items():
            setattr(record, name, variable.get())
        return True


def logger_with(handler: logging.Handler) -> logging.Logger:
    """A logger with this handler alone, which gets the ids."""
    handler.addFilter(IdFilter())
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log
