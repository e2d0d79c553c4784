"""``clusterlog export``: one request as a file for somebody or something else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.find.request import documents
from clusterlog.cli.home.stored import opened
from clusterlog.cli.line import escaped, escaped_json
from clusterlog.cli.options import with_settings
from clusterlog.encode.compact import dumps
from clusterlog.errors import NotAllowed, SettingError
from clusterlog.search.story.journey import Journey, journey
from clusterlog.settings import Settings
from clusterlog.store.base import Store

Format = Literal["jsonl", "otlp", "otlp-traces", "otlp-logs", "chrome", "md"]
FORMATS: tuple[Format, ...] = ("jsonl", "otlp", "otlp-traces", "otlp-logs", "chrome", "md")
_ENDINGS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".md": "md"}


@click.command()
@click.argument("request_id", metavar="ID", shell_complete=candidates.request_ids)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="jsonl unless the file's name says otherwise: the documents as stored; OTLP as JSON; Chrome's Trace Event"
    " Format, for Perfetto; Markdown, for a ticket.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write to a file; - is standard output.",
)
@with_settings("home", "store", "token_file")
def export(settings: Settings, request_id: str, form: Format | None, output: str | None) -> None:
    """Write one request out, whole and in causal order, for another tool or another person.

    otlp holds spans and log records in one object; a collector's file receiver wants a file of each: otlp-traces and
    otlp-logs. What is written as jsonl can be taken in again by `ingest`.
    """
    chosen = form or _ENDINGS.get(Path(output or "").suffix, "jsonl")
    with opened(settings) as store:
        told = journey(documents(store, request_id, settings))
        if output in (None, "-"):
            _print(_lines(told, chosen, store), chosen)
        else:
            _write(_lines(told, chosen, store), Path(str(output)))


def _lines(told: Journey, form: Format, store: Store) -> Iterator[bytes]:
    """The file's lines without their ends."""
    if form == "jsonl":
        from clusterlog.search.export.documents import documents as stored

        yield from stored(store, told)
    elif form == "md":
        from clusterlog.search.export.markdown import markdown
        from clusterlog.search.receipt import ask, sentences
        from clusterlog.search.story.verdict import verdict

        said = (*verdict(told), *sentences(told, ask(store, told, time.time_ns())))
        for line in markdown(told, said):
            yield line.encode("utf-8", "replace")
    elif form == "chrome":
        from clusterlog.search.export.chrome import trace_events

        yield dumps(trace_events(told))
    else:
        from clusterlog.search.export.otlp import everything, logs, traces

        yield dumps({"otlp": everything, "otlp-traces": traces, "otlp-logs": logs}[form](told))


def _print(lines: Iterable[bytes], form: Format) -> None:
    """To standard output; a terminal is protected from what foreign text may do to it."""
    protect = paint.terminal(sys.stdout)
    for line in lines:
        if protect:
            line = escaped(line.decode("utf-8", "replace")).encode() if form == "md" else escaped_json(line)
        sys.stdout.buffer.write(line + b"\n")


def _write(lines: Iterable[bytes], file: Path) -> None:
    """A file as a whole or not at all: beside it first, then in its place. A device or a pipe is written to."""
    try:
        target = Path(os.path.realpath(file))
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                device.writelines(line + b"\n" for line in lines)
            return
        beside = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
        try:
            with beside.open("xb") as new:
                new.writelines(line + b"\n" for line in lines)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except BrokenPipeError:
        raise
    except PermissionError:
        raise NotAllowed(f"cannot write {file}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot write {file}: {(error.strerror or str(error)).lower()}") from None
