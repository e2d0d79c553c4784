"""The peers of a log call: each in a process of its own, each saying the same event in its own idiom.

Event: INFO "order placed" with five own fields (two texts, an integer, a float, a truth value), three ids from
context variables and five static fields; about 455 bytes of JSON. Every peer writes to a file.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

Loop = Callable[[int], None]
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


def _stdlib_loops(log: logging.Logger) -> dict[str, Loop]:
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


def _native_loops(log: object) -> dict[str, Loop]:
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


class _IdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name, variable in CONTEXT.items():
            setattr(record, name, variable.get())
        return True


def _file_logger(path: Path, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    handler.addFilter(_IdFilter())
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


def stdlib(path: Path) -> dict[str, Loop]:
    """The standard library with a text format that shows the ids and the fields."""
    shown = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(trace_id)s %(span_id)s %(message)s"
    return _stdlib_loops(_file_logger(path / "log", logging.Formatter(shown)))


def json_logger(path: Path) -> dict[str, Loop]:
    """python-json-logger with orjson."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    return _stdlib_loops(
        _file_logger(
            path / "log", OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", static_fields=STATIC)
        )
    )


def structlog(path: Path) -> dict[str, Loop]:
    """structlog in its fastest documented set-up: filtering, cached, contextvars, orjson, bytes to a file."""
    import orjson
    import structlog as library

    library.configure(
        cache_logger_on_first_use=True,
        wrapper_class=library.make_filtering_bound_logger(logging.INFO),
        processors=[
            library.contextvars.merge_contextvars,
            library.processors.add_log_level,
            library.processors.format_exc_info,
            library.processors.TimeStamper(fmt="iso", utc=True),
            library.processors.EventRenamer("message"),
            library.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=library.BytesLoggerFactory(file=open(path / "log", "wb")),  # noqa: SIM115 - lives as long as the process
    )
    library.contextvars.bind_contextvars(**IDS)
    return _native_loops(library.get_logger("bench").bind(**STATIC))


def _start(path: Path) -> None:
    import clusterlog
    from clusterlog.context import request

    clusterlog.start("shop", home=str(path), environment="production", node="node-1", disk_limit="8GiB")
    request.enter(request.Request(IDS["request_id"], IDS["trace_id"], IDS["span_id"]))


def clusterlog_native(path: Path) -> dict[str, Loop]:
    """Our logger: framed, numbered, checksummed and written when the call returns."""
    import clusterlog

    _start(path)
    return _native_loops(clusterlog.get_logger("bench"))


def clusterlog_handler(path: Path) -> dict[str, Loop]:
    """Standard logging through our handler."""
    _start(path)
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    return _stdlib_loops(log)


def floor(path: Path) -> dict[str, Loop]:
    """What cannot be avoided: a call with five keywords, clock, one dict encoded, header and checksum, one write.

    The document is the one our own logger writes, of as many bytes; its time stamp and its number are left as they are.
    """
    import orjson

    fd = os.open(path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    header, dumps, write, crc32, clock = struct.Struct("<4sBBHIIQQ"), orjson.dumps, os.write, zlib.crc32, time.time_ns
    instance = IDS["request_id"]
    before = {
        "@timestamp": "2026-09-21T14:13:20.000000001Z",
        "process": {"pid": os.getpid(), "entity_id": instance},
        "event": {"id": f"{instance}-00000000007", "sequence": 1234567, "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "bench"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "node-1"}, "environment": "production"},
        "host": {"name": socket.gethostname()},
    }
    request, trace, span = {"request": {"id": IDS["request_id"]}}, {"id": IDS["trace_id"]}, {"id": IDS["span_id"]}

    def say(event: str, **fields: object) -> None:
        ns = clock()
        said = {"message": event, "clusterlog": {"template": event}, "http": request, "trace": trace, "span": span}
        body = dumps({**before, **said, "labels": fields})
        write(fd, header.pack(b"clog", 1, 0, 32, len(body), crc32(body), 1, ns) + body)

    def enabled(n: int) -> None:
        for _ in range(n):
            say("order placed", customer="c-1841", city="Helsinki", order=4711, amount=12.9, gift=False)

    return {"enabled": enabled}


PEERS = {
    "stdlib text": stdlib,
    "python-json-logger orjson": json_logger,
    "structlog fastest": structlog,
    "floor": floor,
    "clusterlog native": clusterlog_native,
    "clusterlog Handler": clusterlog_handler,
}


def serve(peer: str, directory: str) -> None:
    """Run one peer: for each line ``CASE CALLS`` on standard input answer CPU nanoseconds for all calls, or ``-``."""
    loops = PEERS[peer](Path(directory))
    for name, loop in loops.items():
        loop(20 if name == "exception" else 2000)
    print("ready", flush=True)
    import gc

    for line in sys.stdin:
        case, calls = line.split()
        if case not in loops:
            print("-", flush=True)
            continue
        gc.collect()
        before = time.process_time_ns()
        loops[case](int(calls))
        print(json.dumps(time.process_time_ns() - before), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
