"""``clusterlog trace``: one request put together again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from clusterlog.cli import candidates, paint
from clusterlog.cli.find.request import documents, neighbours, tell_of_others
from clusterlog.cli.home.stored import opened
from clusterlog.cli.line import escaped
from clusterlog.cli.options import duration, on_screen, with_format, with_settings
from clusterlog.encode.compact import dumps
from clusterlog.errors import SettingError
from clusterlog.search.receipt import Receipt, ask
from clusterlog.search.story.event import Document
from clusterlog.search.story.journey import Journey, journey
from clusterlog.settings import Settings
from clusterlog.store.base import Store

LEVELS = ("debug", "info", "warning", "error", "critical")
CHECK = "clusterlog.check/1"
HEALTHY, INCOMPLETE, FAILED = 0, 5, 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """How somebody wants to see a request: the options of one call of ``trace``."""

    output: str
    level: str = LEVELS[0]
    nodes: tuple[str, ...] = ()
    nested: bool = False
    raw_times: bool = False
    context: int = 0
    check: bool = False
    ascii_only: bool = False
    width: int | None = None
    kibana: str = ""


@click.command()
@click.argument("request_id", metavar="ID", shell_complete=candidates.request_ids)
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), default=LEVELS[0], help="Hide events below.")
@click.option(
    "--node",
    "nodes",
    metavar="NAME",
    multiple=True,
    shell_complete=candidates.nodes,
    help="Show this node's events only; several add up.",
)
@click.option("--tree", "nested", is_flag=True, help="Nest calls, steps and lines in what they were part of.")
@click.option("--raw-times", is_flag=True, help="Show times as recorded; else measured clocks are corrected.")
@click.option(
    "--context",
    metavar="N",
    type=click.IntRange(0, 1000),
    default=0,
    help="Also N events before and after each, of the same process, that do not belong to the request.",
)
@click.option("--check", is_flag=True, help="Only the verdict; exit 0 healthy, 10 failed, 5 incomplete or running.")
@click.option("--follow", is_flag=True, help="Watch the request, also before it exists, until it has ended.")
@click.option(
    "--wait",
    metavar="TIME",
    callback=duration,
    help="Wait so long for the request to exist and to end, as 30s; exit 7 if it does not.",
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone, as where the locale is not UTF-8.")
@click.option("--width", metavar="COLUMNS", type=click.IntRange(40, 1000), help="Draw for so many, also in a pipe.")
@with_settings("home", "store", "token_file")
@on_screen
@with_format("human", "plain", "json", "ndjson", "md")
def trace(settings: Settings, request_id: str, follow: bool, wait: float | None, **options: Any) -> int:
    """Show one request: every event on every node in causal order, what failed first, where the time went.

    ID is a request id, as it stands in the response header X-Request-ID, its beginning, or its end as `search` shows
    it; a trace id or traceparent; or a whole log line or header with one of them in it.
    """
    chosen = click.get_current_context().get_parameter_source
    if options["width"] and all(chosen(name) == ParameterSource.DEFAULT for name in ("output", "as_json", "as_ndjson")):
        options["output"] = "human"  # only a picture has a width
    wanted = Wanted(**options, kibana=settings.kibana)
    if wanted.nested and wanted.context:
        raise click.UsageError("--context shows what stands around the lines of a list, --tree nests them: take one")
    if follow or wait is not None:
        from clusterlog.cli.find import follow as live

        looks_on = wanted.output if follow and not wanted.check else ""
        draw = partial(show, wanted=wanted)
        if live.follow(settings, request_id, output=looks_on, wait_s=wait, draw=draw):
            return 0
    with opened(settings) as store:
        found = documents(store, request_id, settings)
        return show(found, wanted, store)


def show(found: Iterable[Document], wanted: Wanted, store: Store | None = None) -> int:
    """Show the request that these documents tell of; gives the exit code.

    ``store`` is asked what is complete of it, and for events around it; without one nothing is said of that.
    """
    told = journey(found, raw_times=wanted.raw_times)
    if unknown := [node for node in wanted.nodes if node not in told.nodes]:
        raise SettingError(f"the request was not on {unknown[0]}; it was on {', '.join(told.nodes)}")
    tell_of_others(told)
    receipts = ask(store, told, time.time_ns()) if store is not None else ()
    if wanted.check:
        return _check(told, receipts, wanted)
    if wanted.output == "json":
        paint.emit(dumps(_document(told, receipts)))
    elif wanted.output == "ndjson":
        for entry in told.entries:
            paint.emit(dumps(entry.event.document))
    else:
        around = neighbours(store, told, wanted.context) if store is not None and wanted.context else ()
        _draw(told, receipts, around, wanted)
    return 0


def _draw(told: Journey, receipts: tuple[Receipt, ...], around: Iterable[Document], wanted: Wanted) -> None:
    from clusterlog.cli.drawing import story

    view = story.View(wanted.level, wanted.nodes)
    ascii_only = wanted.ascii_only or not paint.unicode()
    parts: dict[str, Any] = {"view": view, "receipts": receipts, "neighbours": around, "ascii_only": ascii_only}
    if wanted.output == "plain" and not wanted.nested:
        rows: Iterable[Any] = story.plain(told, **parts)
    elif wanted.output == "md":
        rows = story.markdown(told, **parts, nested=wanted.nested, width=wanted.width)
    else:
        width = wanted.width or (paint.width() if wanted.output == "human" else None)
        rows = story.rows(told, **parts, nested=wanted.nested, width=width)
    _show_rows(rows, wanted, told)


def _show_rows(rows: Iterable[Any], wanted: Wanted, told: Journey) -> None:
    links = _links(told, wanted) if wanted.output == "human" else None
    with paint.paged() if wanted.output == "human" else paint.looks("never"):
        paint.show_rows(rows, links)


def _links(told: Journey, wanted: Wanted) -> dict[str, str] | None:
    """What the id of the request leads to: the same events in Kibana."""
    if not wanted.kibana or not paint.follows_links():
        return None
    from clusterlog.encode.console.addresses import discover
    from clusterlog.search.kibana import of_events

    meant = of_events(entry.event.document for entry in told.entries)
    return {escaped(told.id): discover(wanted.kibana, meant.query, meant.times)}


def _check(told: Journey, receipts: tuple[Receipt, ...], wanted: Wanted) -> int:
    lacking = [each for each in receipts if each.missing or each.state in ("lost", "pending", "silent")]
    ended = told.outcome in ("ok", "failed")
    code = FAILED if told.outcome == "failed" else INCOMPLETE if lacking or not ended else HEALTHY
    if wanted.output in ("json", "ndjson"):
        whole = _document(told, receipts)
        state = {FAILED: "failed", INCOMPLETE: "incomplete", HEALTHY: "healthy"}[code]
        kept = {name: whole[name] for name in ("request", "verdict", "receipts")}
        paint.emit(dumps({"schema": CHECK, "state": state, **kept}))
        return code
    from clusterlog.cli.drawing.story import summary

    width = wanted.width or (paint.width() if wanted.output == "human" else None)
    drawn = summary(told, receipts, width=width, ascii_only=wanted.ascii_only or not paint.unicode())
    _show_rows(drawn, wanted, told)
    return code


def _document(told: Journey, receipts: tuple[Receipt, ...]) -> Mapping[str, Any]:
    """``clusterlog.trace/1``, with what is known to be complete."""
    from clusterlog.search.receipt import sentences
    from clusterlog.search.story.document import document

    whole = document(told)
    whole["verdict"] += [
        {"kind": each.kind, "text": each.text, "events": list(each.events)} for each in sentences(told, receipts)
    ]
    whole["receipts"] = [asdict(each) for each in receipts]
    return whole
