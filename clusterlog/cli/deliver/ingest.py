"""``clusterlog ingest``: logs that other loggers have written, into the store."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.home.delivery import deliver, told_of
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import HomeBusy, StoreUnavailable
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.encode.foreign.translation import Translator
    from clusterlog.ship.ingest.report import FileReport, Problem

SCHEMA = "clusterlog.ingest/1"
INCOMPLETE = 5
FORMATS = ("auto", "clusterlog", "ecs", "json-logger", "logstash", "otlp", "structlog")
SHOWN = 20
KEPT = 10_000
"""So many lines that could not be read are told of in JSON; all of them are counted."""


def _zone(ctx: click.Context, param: click.Parameter, value: str) -> tzinfo:
    if value == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        if value == "local":
            with open("/etc/localtime", "rb") as file:
                return ZoneInfo.from_file(file)
        return ZoneInfo(value)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise click.BadParameter(f"{value!a}: expected UTC, local or a name such as Europe/Helsinki")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(readable=False), metavar="FILE...")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What every line must be.",
)
@click.option(
    "--service",
    metavar="NAME",
    default="",
    shell_complete=candidates.services,
    help="Service of all lines, whatever they say.",
)
@click.option(
    "--node",
    metavar="NAME",
    default="",
    shell_complete=candidates.nodes,
    help="Node of all lines, whatever they say.",
)
@click.option("--environment", metavar="NAME", default="", help="Environment of all lines, whatever they say.")
@click.option(
    "--names",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A table of further names and the fields they mean (TOML, see docs/ingest.md).",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    default="UTC",
    show_default=True,
    callback=_zone,
    shell_complete=candidates.time_zones,
    help="Of times without an offset: UTC, local, or a name such as Europe/Helsinki.",
)
@click.option("--no-ship", is_flag=True, help="Leave the events in the spool.")
@click.option("--again", is_flag=True, help="Read everything once more; what the store has stays as it is.")
@with_settings("home", "sink")
@as_json
def ingest(
    settings: Settings,
    files: tuple[str, ...],
    format_: str,
    service: str,
    node: str,
    environment: str,
    names: Path | None,
    timezone: tzinfo,
    no_ship: bool,
    again: bool,
    as_json: bool,
) -> int:
    """Take the JSON lines of other loggers in: ECS, python-json-logger, structlog, Logstash, OTLP.

    A FILE may be compressed by gzip, a pattern in quotes, or - for standard input. What was taken before is known again
    by its file, so a second run adds what is new. Exit 5 if a line could not be read.
    """
    from clusterlog.encode.foreign.document import Given
    from clusterlog.encode.foreign.times import Times
    from clusterlog.ship.ingest.files import named

    paths = named(files)
    given = Given(_name(service), _name(node), _name(environment))
    translator = _translator(settings, given, names, Times(timezone), "" if format_ == "auto" else format_)
    begun = time.monotonic()
    problems: list[Problem] = []
    reports = _ingested(settings, translator, paths, problems, no_ship=no_ship, again=again)
    seconds = time.monotonic() - begun
    _say_problems(reports, problems)
    paint.say(_summary(reports, seconds))
    shipped = None if no_ship else _shipped(settings)
    if as_json:
        told = _told(settings, reports, problems, seconds)
        paint.emit(json.dumps({**told, "shipped": shipped}).encode())
    return 0 if all(report.complete for report in reports) else INCOMPLETE


def _name(given: str) -> str:
    from clusterlog.settings import named

    try:
        return named(given) if given else ""
    except ValueError as error:
        raise click.UsageError(f"{given!a}: expected {error}") from None


def _translator(settings: Settings, given: Any, names: Path | None, times: Any, format: str) -> Translator:
    from clusterlog.encode.foreign.names import load
    from clusterlog.encode.foreign.translation import Translator
    from clusterlog.encode.identity import IdentityHash, key_file
    from clusterlog.record.redact import Redactor

    return Translator(
        load(names),
        redactor=Redactor(settings.redact),
        identity_hash=IdentityHash(key_file(settings)),
        given=given,
        metrics=frozenset(settings.metrics),
        times=times,
        format=format,
    )


def _ingested(
    settings: Settings,
    translator: Translator,
    paths: list[str],
    problems: list[Problem],
    *,
    no_ship: bool,
    again: bool,
) -> list[FileReport]:
    from clusterlog.ship.ingest.report import Watcher
    from clusterlog.ship.ingest.run import Ingest
    from clusterlog.spool.budget import Budget

    def make_room(reason: str) -> None:
        if no_ship:
            raise StoreUnavailable(
                f"the spool takes no more ({reason.replace('_', ' ')}): `clusterlog ship --once` empties it, and this"
                " command again goes on where it stopped"
            )
        deliver(settings)

    def keep(problem: Problem) -> None:
        if len(problems) < KEPT:
            problems.append(problem)

    with paint.paced("ingesting", "line") as advance:
        watcher = Watcher(keep, advance, make_room)
        with Ingest(
            settings.home_path,
            translator,
            environment=settings.environment,
            budget=Budget(settings.disk_limit),
            watcher=watcher,
            again=again,
        ) as run:
            return run.files(paths)


def _shipped(settings: Settings) -> dict[str, Any] | None:
    """Deliver what the spool holds now; ``None`` where another process does that."""
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.ship.waiting import undelivered

    if not undelivered(settings.home_path):
        return {"stored": 0, "duplicates": 0, "dead": 0, "dropped": {}}
    holder = HomeLock.holder(settings.home_path)
    if holder:
        paint.say(f"process {holder} ships this home" if holder > 0 else "another process ships this home")
        return None
    try:
        report, sink = deliver(settings)
    except HomeBusy as error:
        paint.say(f"clusterlog: {escaped(str(error))}")
        return None
    told = told_of(report)
    if told["stored"] is not None:
        there = f", {paint.amount(told['duplicates'])} there already" if told["duplicates"] else ""
        refused = f", {paint.amount(told['dead'])} refused and in dead/" if told["dead"] else ""
        paint.say(f"shipped {paint.counted(told['stored'], 'event')} to {escaped(sink)}{there}{refused}")
    return told


def _say_problems(reports: list[FileReport], problems: list[Problem]) -> None:
    for problem in problems[:SHOWN]:
        paint.say(escaped(f"{problem.path}:{problem.line}: {problem.told}"))
    unreadable = sum(report.unreadable.total() for report in reports)
    if unreadable > SHOWN:
        paint.say(f"and {paint.amount(unreadable - SHOWN)} more")
    for report in reports:
        for told in _notes(report):
            paint.say(escaped(f"{report.path}: {told}"))


def _notes(report: FileReport) -> Iterator[str]:
    if report.copy_of:
        yield f"a copy of {report.copy_of}, gone on with as the same file"
    if report.unfinished:
        yield f"the last line is not finished ({paint.size(report.unfinished)}): left for the next run"
    if report.problem:
        yield report.problem


def _summary(reports: list[FileReport], seconds: float) -> str:
    new, known = sum(report.new for report in reports), sum(report.known for report in reports)
    lines = sum(max(0, report.lines - report.skipped) for report in reports)
    parts = [f"{paint.amount(new)} new", f"{paint.amount(known)} there already"]
    unreadable: Counter[str] = Counter()
    for report in reports:
        unreadable.update(report.unreadable)
    if unreadable:
        reasons = ", ".join(f"{paint.amount(count)} {reason.replace('_', ' ')}" for reason, count in unreadable.items())
        parts.append(f"{paint.counted(unreadable.total(), 'line')} unreadable ({reasons})")
    for count, what in (
        (sum(report.empty for report in reports), "empty"),
        (sum(report.replaced for report in reports), "with bytes that are no UTF-8"),
    ):
        if count:
            parts.append(f"{paint.counted(count, 'line')} {what}")
    formats: Counter[str] = Counter()
    for report in reports:
        formats.update(report.formats)
    of = f" of {', '.join(sorted(formats))}" if formats else ""
    rate = f"; {paint.counted(lines, 'line')}{of} in {seconds:.1f} s" if lines else ""
    pace = f", {paint.amount(round(lines / seconds))}/s" if lines and seconds >= 1 else ""
    return f"{paint.counted(len(reports), 'file')}: {', '.join(parts)}{rate}{pace}"


def _told(settings: Settings, reports: list[FileReport], problems: list[Problem], seconds: float) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "home": settings.home,
        "new": sum(report.new for report in reports),
        "known": sum(report.known for report in reports),
        "unreadable": sum(report.unreadable.total() for report in reports),
        "seconds": round(seconds, 3),
        "files": [
            {
                "path": report.path,
                "instance": report.instance or None,
                "formats": report.formats,
                "lines": report.lines,
                "new": report.new,
                "known": report.known,
                "empty": report.empty,
                "unreadable": dict(report.unreadable),
                "replaced": report.replaced,
                "unfinished_bytes": report.unfinished,
                "problem": report.problem or None,
                "copy_of": report.copy_of or None,
            }
            for report in reports
        ],
        "problems": [
            {"path": each.path, "line": each.line, "reason": each.reason, "text": each.told} for each in problems
        ],
    }
