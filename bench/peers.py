"""The peers of a log call: each in a process of its own, each saying the same event in its own idiom.

All write to a file before the call returns, but for two that do it later in a thread (OpenTelemetry's handler to a
file, python-logstash-async to a socket): theirs is the time until nothing waits any more.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from bench.shape import ERROR, IDS, STATIC, Loop, logger_with, native_loops, stdlib_loops


def _file_logger(path: Path, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    return logger_with(handler)


def stdlib(path: Path) -> dict[str, Loop]:
    """The standard library with a text format that shows the ids and the fields."""
    shown = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(trace_id)s %(span_id)s %(message)s"
    return stdlib_loops(_file_logger(path / "log", logging.Formatter(shown)))


def json_logger(path: Path) -> dict[str, Loop]:
    """python-json-logger with orjson."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    return stdlib_loops(
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
    return native_loops(library.get_logger("bench").bind(**STATIC))


def ecs_logging(path: Path) -> dict[str, Loop]:
    """ecs-logging's formatter for the standard library."""
    from ecs_logging import StdlibFormatter

    return stdlib_loops(_file_logger(path / "log", StdlibFormatter(extra=STATIC)))


def loguru(path: Path) -> dict[str, Loop]:
    """loguru with JSON lines, without the values of variables in tracebacks, which it advises for production."""
    from loguru import logger

    logger.remove()
    logger.add(path / "log", level="INFO", serialize=True, diagnose=False, backtrace=False)
    logger.configure(extra=STATIC)
    ids = logger.contextualize(**IDS)
    ids.__enter__()
    loops = native_loops(logger)
    failed = logger.opt(exception=ERROR).error

    def exception(n: int, held: object = ids) -> None:  # the ids are gone with their context manager
        for _ in range(n):
            failed("order failed", order=4711)

    return {**loops, "exception": exception}


def opentelemetry(path: Path) -> dict[str, Loop]:
    """opentelemetry-sdk's handler, in batches, with room for all of them, to a file of JSON lines."""
    import warnings

    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter
    from opentelemetry.sdk.resources import Resource

    warnings.simplefilter("ignore", DeprecationWarning)  # it is to move to another package
    provider = LoggerProvider(Resource.create({name: value for name, value in STATIC.items() if name != "pid"}))
    file = open(path / "log", "w")  # noqa: SIM115 - lives as long as the process
    exporter = ConsoleLogRecordExporter(file, lambda record: record.to_json(indent=None) + "\n")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=1 << 20))
    loops = stdlib_loops(logger_with(LoggingHandler(logger_provider=provider)))
    return {name: _drained(loop, provider.force_flush) for name, loop in loops.items()}


def logstash_async(path: Path) -> dict[str, Loop]:
    """python-logstash-async with its queue in memory, which is its fastest, to a socket whose end reads and forgets."""
    from logstash_async.constants import constants
    from logstash_async.formatter import LogstashFormatter
    from logstash_async.handler import AsynchronousLogstashHandler

    constants.QUEUE_CHECK_INTERVAL = 0.05  # its thread sleeps so long; with 2 seconds a round would be mostly that
    handler = AsynchronousLogstashHandler("127.0.0.1", _forgetful_port(), database_path=None)
    handler.setFormatter(LogstashFormatter(extra=STATIC))

    def wait() -> None:
        worker = AsynchronousLogstashHandler._worker_thread
        while worker is not None and (worker._queue.qsize() or worker._database.get_non_flushed_event_count()):
            handler.flush()
            time.sleep(0.02)

    return {name: _drained(loop, wait) for name, loop in stdlib_loops(logger_with(handler)).items()}


def _drained(loop: Loop, drain: Callable[[], object]) -> Loop:
    def looped(n: int) -> None:
        loop(n)
        drain()

    return looped


def _forgetful_port() -> int:
    """A port of this machine behind which another process reads whatever comes, until this one ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    alive, held = os.pipe()
    if os.fork() == 0:
        os.close(held)
        open_ones: list[socket.socket] = []
        while alive not in (ready := select.select([alive, listening, *open_ones], [], [])[0]):
            for each in ready:
                if each is listening:
                    open_ones.append(listening.accept()[0])
                elif not each.recv(1 << 16):
                    open_ones.remove(each)
        os._exit(0)
    os.close(alive)
    port: int = listening.getsockname()[1]
    return port


def _start(path: Path) -> None:
    import clusterlog
    from clusterlog.context import request

    clusterlog.start("shop", home=str(path), environment="production", node="node-1", disk_limit="8GiB")
    request.enter(request.Request(IDS["request_id"], IDS["trace_id"], IDS["span_id"]))


def clusterlog_native(path: Path) -> dict[str, Loop]:
    """Our logger: framed, numbered, checksummed and written when the call returns."""
    import clusterlog

    _start(path)
    return native_loops(clusterlog.get_logger("bench"))


def clusterlog_in_a_span(path: Path) -> dict[str, Loop]:
    """Our logger while OpenTelemetry is joined and one of its spans is active."""
    from opentelemetry import context, trace
    from opentelemetry.sdk.trace import TracerProvider

    loops = clusterlog_native(path)
    context.attach(trace.set_span_in_context(TracerProvider().get_tracer("bench").start_span("work")))
    return loops


def clusterlog_handler(path: Path) -> dict[str, Loop]:
    """Standard logging through our handler."""
    _start(path)
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    return stdlib_loops(log)


def clusterlog_logger(path: Path) -> dict[str, Loop]:
    """Standard logging through loggers of our class, which make no record."""
    from clusterlog.record.stdlib import Logger

    logging.setLoggerClass(Logger)
    return clusterlog_handler(path)


def _in_force(rules: int, armed: bool) -> None:
    """So many rules, one of them about the logger that is measured; ``armed``: one about a request that never comes."""
    from clusterlog.control.applying.levels import InForce
    from clusterlog.control.rules.effective import Levels
    from clusterlog.control.rules.rule import Predicate, Rule

    given = [Rule(f"r{n}", f"other.{n}" if n else "bench", logging.INFO) for n in range(rules)]
    if armed:
        given.append(Rule("armed", "bench", logging.DEBUG, predicate=Predicate(request="never")))
    InForce().apply(Levels(tuple(given)))


def ruled(
    peer: Callable[[Path], dict[str, Loop]], rules: int, armed: bool = False
) -> Callable[[Path], dict[str, Loop]]:
    """A peer while rules of the cluster are in force."""

    def made(path: Path) -> dict[str, Loop]:
        loops = peer(path)
        _in_force(rules, armed)
        return loops

    return made


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
    "ecs-logging": ecs_logging,
    "OpenTelemetry handler": opentelemetry,
    "python-logstash-async": logstash_async,
    "loguru": loguru,
    "structlog fastest": structlog,
    "floor": floor,
    "clusterlog native": clusterlog_native,
    "clusterlog in a span": clusterlog_in_a_span,
    "clusterlog Logger": clusterlog_logger,
    "clusterlog Handler": clusterlog_handler,
}


RULED = {
    "stdlib text": stdlib,
    "native, no rule": clusterlog_native,
    "native, 1 rule": ruled(clusterlog_native, 1),
    "native, 100 rules": ruled(clusterlog_native, 100),
    "native, armed": ruled(clusterlog_native, 0, armed=True),
    "Handler, no rule": clusterlog_handler,
    "Handler, armed": ruled(clusterlog_handler, 0, armed=True),
    "Logger, no rule": clusterlog_logger,
    "Logger, armed": ruled(clusterlog_logger, 0, armed=True),
}
"""What rules of the cluster cost a call that is dropped; all but the first within a request that no rule is about."""


def serve(peer: str, directory: str) -> None:
    """Run one peer: for each line ``CASE CALLS`` on standard input answer CPU nanoseconds for all calls, or ``-``."""
    loops = (PEERS | RULED)[peer](Path(directory))
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
