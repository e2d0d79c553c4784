"""``clusterlog setup kibana``: data view, Discover sessions and dashboards in Kibana, as a plan that is shown first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, on_screen, with_settings
from clusterlog.cli.setup.servers import DECLINED, carry_out, steps, watched
from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.store.elasticsearch.provision.plan import Plan, Step
    from clusterlog.store.kibana.objects import Object
    from clusterlog.store.kibana.server import Kibana

SCHEMA = "clusterlog.kibana/1"
STDOUT = "-"


@dataclass(slots=True)
class Told:
    """What the command has to tell at its end; without a Kibana there is no plan."""

    objects: tuple[Object, ...]
    url: str = ""
    version: str = ""
    plan: Plan | None = None
    done: int = 0
    file: str = ""
    error: str | None = None


@click.command(short_help="Make data view, sessions and dashboards in Kibana; --dry-run shows them.")
@with_settings("home", "kibana", "token_file")
@click.option("--dry-run", is_flag=True, help="Show every dashboard and what would be changed, and change nothing.")
@click.option("--output", metavar="FILE", help="Write them as NDJSON, for Kibana's own import; - to standard output.")
@click.option("--remove", is_flag=True, help="Take back what this command made.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_screen
@as_json
def kibana(settings: Settings, dry_run: bool, output: str | None, remove: bool, yes: bool, as_json: bool) -> int:
    """Make clusterlog's data view, Discover sessions and dashboards in Kibana.

    They are built from the readable files of the folder kibana/, compared with what is there, and imported. What is as
    it should be is left; what was made by somebody else is never touched. The address names the space, too:
    https://host:5601/s/ops.

    Needed are a Kibana of version 8.9 or newer and its privilege Saved Objects Management: All. A user and password in
    the address are taken before a token.
    """
    _check(dry_run, output, remove)
    asks = not (yes or as_json or dry_run) and watched()
    if remove and not (asks or yes or dry_run):
        raise click.UsageError("--remove needs --yes where nobody can be asked")
    from clusterlog.encode.console.addresses import split
    from clusterlog.store.kibana import sources
    from clusterlog.store.kibana.objects import build

    told = Told(build(sources.read(), split(settings.kibana)[1]))
    if output is not None:
        _write(told, output)
        _emit(told, as_json and output != STDOUT)
        return 0
    if dry_run and not remove and not settings.kibana:
        if not as_json:
            _show(told, boards=True)
        paint.say("no Kibana is named (--kibana, or the setting kibana): this is all that one would get")
        _emit(told, as_json)
        return 0
    return _with_kibana(settings, told, remove=remove, changes=not dry_run, asks=asks, as_json=as_json)


def _check(dry_run: bool, output: str | None, remove: bool) -> None:
    if output is not None and (dry_run or remove):
        raise click.UsageError("--output writes a file and asks no Kibana: it stands alone")
    if output == "":
        raise click.UsageError("--output: name a file")


def _with_kibana(settings: Settings, told: Told, *, remove: bool, changes: bool, asks: bool, as_json: bool) -> int:
    from clusterlog.store.kibana.plan import key_of, planned, removal
    from clusterlog.store.kibana.server import Kibana

    with closing(Kibana.of(settings)) as kibana:
        told.url = kibana.url
        told.version = kibana.check()
        found = kibana.look(map(key_of, told.objects))
        told.plan = plan = (removal if remove else planned)(told.objects, found)
        if not as_json:
            _show(told, boards=not changes and not remove)
        if plan.refused:
            _emit(told, as_json)
            raise SettingError(f"{kibana.url}: {plan.refused[0]}")
        if not changes or not plan.steps:
            _emit(told, as_json)
            return 0
        if asks and not click.confirm("make these changes?", err=True):
            paint.say("nothing was changed")
            return DECLINED
        _carry_out(kibana, told, plan, as_json)
    return 0


def _carry_out(kibana: Kibana, told: Told, plan: Plan, as_json: bool) -> None:
    from clusterlog.cli.drawing.plan import DONE
    from clusterlog.store.kibana.plan import perform

    def work(counted: Callable[[], None]) -> None:
        def done(step: Step) -> None:
            if not as_json:
                paint.say(escaped(f"{DONE[step.action]} {step.kind} {step.name}"))
            counted()

        perform(kibana, plan, done)

    carry_out(told, len(plan.steps), work, lambda: _emit(told, as_json), quiet=as_json)


def _write(told: Told, output: str) -> None:
    from clusterlog.store.kibana.objects import ndjson

    content = ndjson(told.objects)
    if output == STDOUT:
        paint.emit(content.removesuffix(b"\n"))
        return
    target = Path(output)
    if target.suffix != ".ndjson":
        paint.say("Kibana imports a file only if its name ends in .ndjson")
    try:
        target.write_bytes(content)
    except PermissionError as error:
        raise NotAllowed(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from None
    except OSError as error:
        raise SettingError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from None
    told.file = os.path.abspath(target)
    paint.say(f"wrote {paint.counted(len(told.objects), 'object')} to {escaped(output)}")


def _show(told: Told, *, boards: bool) -> None:
    from clusterlog.cli.drawing import boards as tables
    from clusterlog.cli.drawing import plan as drawing
    from clusterlog.cli.drawing.pen import ASCII, Ink, Pen

    ascii_only = not paint.unicode()
    with paint.paged():
        if boards:
            pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
            paint.show_rows(tables.boards(told.objects, pen, paint.width()))
        if told.plan is not None:
            paint.show_rows([[("", "")]] if boards else [])
            paint.show_rows([[(f"Kibana {escaped(told.version)} at {escaped(told.url)}", "")]])
            paint.show_rows(drawing.plan(told.plan))


def _emit(told: Told, as_json: bool) -> None:
    if not as_json:
        return
    plan = told.plan
    document = {
        "schema": SCHEMA,
        "kibana": told.url or None,
        "version": told.version or None,
        "objects": [_described(each) for each in told.objects],
        "notes": list(plan.notes) if plan else [],
        "refused": list(plan.refused) if plan else [],
        "kept": list(plan.kept) if plan else [],
        "plan": list(steps(plan, told.done)) if plan else None,
        "file": told.file or None,
        "error": told.error,
    }
    paint.emit(json.dumps(document).encode())


def _described(made: Object) -> dict[str, Any]:
    from clusterlog.store.kibana.objects import DASHBOARD, mark_of
    from clusterlog.store.kibana.outline import outline, panels_of

    told = {"type": made["type"], "id": made["id"], "generation": mark_of(made)[1], **outline(made)}
    if made["type"] == DASHBOARD:
        told["panels"] = [
            {
                "title": each.title,
                "kind": each.kind,
                "query": each.query,
                "measures": list(each.measures),
                "by": list(each.divided_by),
                "place": each.place,
            }
            for each in panels_of(made)
        ]
    return told
