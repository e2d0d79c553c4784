"""``clusterlog doctor``: everything that is looked at, with a mark, and what mends it below."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from textwrap import wrap

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.settings import Settings, names, without_credentials

SCHEMA = "clusterlog.doctor/1"
SETTINGS_SCHEMA = "clusterlog.settings/1"
UNWELL = 1

_MARKS = {"ok": ("✓", "+", "good"), "note": ("·", "-", "dim"), "warning": ("!", "!", "W"), "problem": ("✖", "x", "bad")}
_URLS = frozenset({"store", "sink", "kibana", "proxy", "bus"})
_SECRETS = frozenset(each.name for each in fields(Settings) if each.metadata.get("secret"))


@click.command()
@click.argument("application", metavar="[MODULE:NAME]", required=False)
@click.option("--settings", "only_settings", is_flag=True, help="Each setting with its value and where that came from.")
@with_settings("home", "store", "sink", "bus", "token_file")
@as_json
def doctor(settings: Settings, application: str | None, only_settings: bool, as_json: bool) -> int:
    """Look for what is wrong here and say how to mend it. Exit 1 if there is a problem.

    Looked at are the home, its disk and keys, the shipper, the store, the clock, the cluster and its nodes. With
    MODULE:NAME, the application that a server would be given (shop.app:app), that is imported in a process of its own
    as well, its logging looked at, and requests sent through it.
    """
    if only_settings:
        _show_settings(settings, as_json)
        return 0
    findings = list(_looked(settings, application))
    problems = any(finding.state == "problem" for finding in findings)
    if as_json:
        told = {"schema": SCHEMA, "home": settings.home, "findings": [asdict(finding) for finding in findings]}
        paint.emit(json.dumps(told).encode())
    else:
        for line in _drawn(findings):
            paint.show(line)
        paint.say(_summary(findings))
    return UNWELL if problems else 0


def _looked(settings: Settings, application: str | None) -> Iterator[Finding]:
    from clusterlog.cli.setup import members
    from clusterlog.cli.setup.doctor import application as inside
    from clusterlog.cli.setup.doctor import delivery, home

    yield from home.examine(settings)
    yield from delivery.examine(settings, time.time_ns())
    yield from (Finding(*told) for told in members.examine(settings))
    if application is not None:
        yield from inside.examine(application, settings)


def _drawn(findings: Sequence[Finding]) -> Iterator[str]:
    column = max(len(finding.check) for finding in findings)
    room = max(40, (paint.width() or 120) - column - 6)
    for finding in findings:
        pretty, plain, ink = _MARKS[finding.state]
        mark = pretty if paint.unicode() else plain
        head, *more = wrap(escaped(finding.text), room, break_on_hyphens=False) or [""]
        yield f"{paint.inked(mark, ink)} {finding.check.ljust(column)}  {head}"
        yield from (f"  {' ' * column}  {line}" for line in more)
        for line in wrap(f"mend: {escaped(finding.mend)}", room, break_on_hyphens=False) if finding.mend else ():
            yield f"  {' ' * column}  {paint.inked(line, 'id')}"


def _summary(findings: Sequence[Finding]) -> str:
    counted = Counter(finding.state for finding in findings)
    if not counted["problem"] and not counted["warning"]:
        return "nothing is wrong"
    return f"{paint.counted(counted['problem'], 'problem')}, {paint.counted(counted['warning'], 'warning')}"


def _show_settings(settings: Settings, as_json: bool) -> None:
    values = {name: getattr(settings, name) for name in names()}
    values |= {name: "(not shown)" for name in _SECRETS if values[name]}
    shown = {name: without_credentials(value) if name in _URLS else value for name, value in values.items()}
    if as_json:
        told = {name: {"value": shown[name], "origin": settings.origins.get(name, "default")} for name in shown}
        paint.emit(json.dumps({"schema": SETTINGS_SCHEMA, "settings": told}).encode())
        return
    rows = [
        (name, escaped(_spoken(value)) or "-", escaped(settings.origins.get(name, "default")))
        for name, value in shown.items()
    ]
    for line in paint.table(("SETTING", "VALUE", "ORIGIN"), rows):
        paint.show(line)


def _spoken(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
