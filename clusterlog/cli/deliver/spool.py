"""``clusterlog spool``: look into spool files with nothing else alive: no application, no shipper, no store."""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from clusterlog.cli import paint
from clusterlog.cli.drawing.lines import Columns
from clusterlog.cli.line import escaped, letter
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import NotAllowed, NotFound, SettingError
from clusterlog.search.story.event import part, text, whole
from clusterlog.settings import Settings
from clusterlog.spool.liveness import holder
from clusterlog.spool.reader import Instance, instances
from clusterlog.spool.segment import LANES, OWN_ID, Damage, Record, SegmentName, scan
from clusterlog.store.document import parse

DAMAGED = 5
_TELL_EVERY = 2000

paths = click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")


@click.group(invoke_without_command=True)
@click.pass_context
def spool(ctx: click.Context) -> None:
    """Look into spool files.

    A PATH is a home, a directory of segments or a segment (*.seg); without any, the home is looked into. Nothing is
    changed, and nothing else has to run.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@dataclass(slots=True)
class Seen:
    """What the segments of one instance hold."""

    instance: Instance
    events: int = 0
    first: int = 0
    last: int = 0
    origin: dict[str, Any] = field(default_factory=dict)
    damage: list[Problem] = field(default_factory=list)
    unfinished: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, directory: Path, name: SegmentName, item: Record | Damage) -> None:
        """Look at one record, or at bytes that are none."""
        file = directory / str(name)
        if isinstance(item, Damage):
            if item.tail and self.instance.alive and name == self.instance.lane(name.lane)[-1]:
                self.unfinished += item.end - item.offset
            else:
                self.damage.append(Problem(file, item.offset, item.end, _described(item)))
            return
        self.events += 1
        self.first = min(self.first or item.sequence, item.sequence)
        self.last = max(self.last, item.sequence)
        if not self.origin:
            self.origin = _document(item) or {}
        before = self._numbers.get(name.lane, 0)
        if item.sequence <= before:
            self.damage.append(Problem(file, item.offset, item.end, f"number {item.sequence} after {before}"))
        self._numbers[name.lane] = item.sequence

    def as_row(self) -> dict[str, Any]:
        """What ``ls --json`` tells of it."""
        pid = self.instance.pid if self.instance.pid > 0 else whole(self.origin, "process.pid")
        return {
            "id": self.instance.id,
            "service": text(self.origin, "service.name") or None,
            "node": text(self.origin, "service.node.name") or None,
            "pid": pid,
            "state": "alive" if self.instance.alive else "dead",
            "segments": len(self.instance.segments),
            "bytes": sum(self.instance.segments.values()),
            "events": self.events,
            "first": self.first or None,
            "last": self.last or None,
            "damaged_bytes": sum(each.end - each.offset for each in self.damage),
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """A place in a file that is not as it was written."""

    file: Path
    offset: int
    end: int
    reason: str


@spool.command("ls")
@paths
@with_settings("home")
@as_json
def list_instances(settings: Settings, paths: tuple[Path, ...], as_json: bool) -> None:
    """List the instances.

    Whose they are, whether their writer lives, how much they hold, what is damaged.
    """
    rows = [seen.as_row() for seen in _looked_into(settings, paths)]
    if as_json:
        told = {"schema": "clusterlog.spool.ls/1", "home": settings.home, "instances": rows}
        paint.emit(json.dumps(told).encode())
        return
    headings = ("INSTANCE", "SERVICE", "NODE", "PID", "STATE", "SEGMENTS", "SIZE", "EVENTS", "FIRST", "LAST", "DAMAGED")
    cells = [
        (
            row["id"],
            escaped(str(row["service"] or "-")),
            escaped(str(row["node"] or "-")),
            str(row["pid"] or "-"),
            row["state"],
            str(row["segments"]),
            paint.size(row["bytes"]),
            paint.amount(row["events"]),
            str(row["first"] or "-"),
            str(row["last"] or "-"),
            paint.size(row["damaged_bytes"]) if row["damaged_bytes"] else "-",
        )
        for row in rows
    ]
    for row_text in paint.table(headings, cells, "PID SEGMENTS SIZE EVENTS FIRST LAST DAMAGED"):
        click.echo(row_text)


@spool.command()
@paths
@with_settings("home")
@as_json
def verify(settings: Settings, paths: tuple[Path, ...], as_json: bool) -> int:
    """Check every record: frame, checksum, number, JSON. Exit 5 if something is damaged.

    An unfinished record at the end of a file whose writer lives is no damage: it is being written.
    """
    seen = _looked_into(settings, paths, check=True)
    damage = sorted((each for one in seen for each in one.damage), key=lambda each: (each.file, each.offset))
    told: dict[str, Any] = {
        "schema": "clusterlog.spool.verify/1",
        "segments": sum(len(one.instance.segments) for one in seen),
        "events": sum(one.events for one in seen),
        "bytes": sum(sum(one.instance.segments.values()) for one in seen),
        "unfinished_bytes": sum(one.unfinished for one in seen),
        "damage": [
            {"file": str(each.file), "offset": each.offset, "end": each.end, "reason": each.reason} for each in damage
        ],
    }
    if as_json:
        paint.emit(json.dumps(told).encode())
    else:
        for each in damage:
            click.echo(f"{escaped(str(each.file))}:{each.offset}: {each.reason}")
        verdict = paint.counted(len(damage), "damaged place") if damage else "nothing is damaged"
        counted = f"{paint.counted(told['events'], 'event')} in {paint.counted(told['segments'], 'segment')}"
        counted += f", {paint.size(told['bytes'])}"
        click.echo(paint.inked(f"{counted}: {verdict}", "bad" if damage else "good"))
    return DAMAGED if damage else 0


@spool.command()
@paths
@with_settings("home")
@click.option("--json", "--ndjson", "as_json", is_flag=True, help="The documents as they are, one per line.")
def cat(settings: Settings, paths: tuple[Path, ...], as_json: bool) -> None:
    """Print events, instance by instance in the order of their numbers."""
    skipped = 0
    columns = Columns(whole_ids=not paint.terminal(sys.stdout), ascii_only=not paint.unicode())
    for directory, instance in _chosen(settings, paths):
        for item in _in_order(directory, instance):
            if isinstance(item, Damage):
                skipped += item.end - item.offset
            elif as_json:
                paint.emit(item.payload)
            else:
                paint.show(_readable(item, columns))
    if skipped:
        paint.say(f"clusterlog: {paint.size(skipped)} are no record: see `clusterlog spool verify`")


@spool.command()
@paths
@with_settings("home")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="A new file to write.")
def export(settings: Settings, paths: tuple[Path, ...], output: Path | None) -> None:
    """Copy every event to a file or to standard output.

    One JSON document per line, instance by instance in the order of their numbers.
    """
    chosen = _chosen(settings, paths)
    total = sum(sum(instance.segments.values()) for _, instance in chosen)
    done = events = skipped = 0
    with _opened(output) as file, paint.progress("exporting", "bytes") as advance:
        for directory, instance in chosen:
            for item in _in_order(directory, instance):
                if isinstance(item, Damage):
                    skipped += item.end - item.offset
                else:
                    file.write(item.payload + b"\n")
                    events += 1
                done += item.end - item.offset
                if events % _TELL_EVERY == 0:
                    advance(done, total)
    where = f" to {escaped(str(output))}" if output else ""
    lost = f"; {paint.size(skipped)} are no record: see `clusterlog spool verify`" if skipped else ""
    paint.say(f"exported {paint.counted(events, 'event')}{where}{lost}")


def _opened(output: Path | None) -> Any:
    """A new file, or standard output left open behind. Raises SettingError and NotAllowed."""
    if output is None:
        return click.open_file("-", "wb")
    try:
        return os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise SettingError(f"{output} is there already: remove it, or choose another name") from None
    except PermissionError:
        raise NotAllowed(f"cannot write {output}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot write {output}: {error.strerror}") from None


def _chosen(settings: Settings, paths: tuple[Path, ...]) -> list[tuple[Path, Instance]]:
    """The instances the paths name, each with its directory. Raises NotFound, NotAllowed, SettingError."""
    if not paths:
        home = settings.home_path
        if not (home / "spool").is_dir():
            raise NotFound(f"no spool in {home}: nothing has logged there; --home DIR names another home")
        paths = (home,)
    try:
        found = [each for path in paths for each in _instances(path)]
    except PermissionError as error:
        raise NotAllowed(f"cannot read {error.filename}: permission denied") from None
    if not found:
        raise NotFound(f"no segments in {', '.join(map(str, paths))}: everything is delivered, or nothing was logged")
    return found


def _instances(path: Path) -> list[tuple[Path, Instance]]:
    if path.is_dir():
        directory = path / "spool" if (path / "spool").is_dir() else path
        return [(directory, each) for each in instances(directory)]
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    name = SegmentName.parse(path.name)
    if name is None:
        raise SettingError(f"{path} is no segment: those are named <instance>-<lane>-<number>.seg, and the name counts")
    writer = holder(path.parent / f"{name.instance}.lock")
    return [(path.parent, Instance(name.instance, writer, {name: path.stat().st_size}))]


def _looked_into(settings: Settings, paths: tuple[Path, ...], *, check: bool = False) -> list[Seen]:
    """Every record read once; ``check`` also reads each document."""
    chosen = _chosen(settings, paths)
    total = sum(sum(instance.segments.values()) for _, instance in chosen)
    found = []
    done = 0
    with paint.progress("reading", "bytes") as advance:
        for directory, instance in chosen:
            seen = Seen(instance)
            found.append(seen)
            for name in instance.segments:
                for item in _items(directory / str(name)):
                    seen.add(directory, name, item)
                    if check and isinstance(item, Record) and (trouble := _trouble(instance, item)):
                        seen.damage.append(Problem(directory / str(name), item.offset, item.end, trouble))
                    advance(done + item.end, total)
                done += instance.segments[name]
    return found


def _items(file: Path) -> Iterator[Record | Damage]:
    try:
        yield from scan(file)
    except FileNotFoundError:  # delivered and removed while we looked
        return
    except PermissionError:
        raise NotAllowed(f"cannot read {file}: permission denied") from None


def _in_order(directory: Path, instance: Instance) -> Iterator[Record | Damage]:
    """Both lanes woven together by their numbers; damage comes where it lies in its lane."""
    return heapq.merge(*(_lane(directory, instance, lane) for lane in LANES), key=_numbered())


def _lane(directory: Path, instance: Instance, lane: str) -> Iterator[Record | Damage]:
    for name in instance.lane(lane):
        for item in _items(directory / str(name)):
            if not (isinstance(item, Damage) and item.tail and instance.alive):
                yield item


def _numbered() -> Callable[[Record | Damage], int]:
    return lambda item: item.sequence if isinstance(item, Record) else 0


def _described(damage: Damage) -> str:
    where = "at the end of the file: its writer died, or the file was cut" if damage.tail else "between two records"
    return f"{damage.end - damage.offset} bytes are no record, {where}"


def _document(record: Record) -> dict[str, Any] | None:
    """The event, or of a dead letter the line that stands before it; ``None`` for anything else."""
    for found in (record.payload, record.payload.partition(b"\n")[0]):
        try:
            return parse(found)
        except ValueError:
            continue
    return None


def _trouble(instance: Instance, record: Record) -> str:
    """What is wrong with a record whose checksum is right. A dead letter is another kind of object and passes."""
    document = _document(record)
    if document is None:
        return f"record {record.sequence} is no JSON object"
    own = part(document, "event.id")
    if own is not None and not record.flags & OWN_ID and own != f"{instance.id}-{record.sequence:011x}":
        return f"record {record.sequence} holds the event {escaped(str(own))[:80]}"
    return ""


def _readable(record: Record, columns: Columns) -> str:
    document = _document(record)
    if document is None:
        return escaped(record.payload.decode("utf-8", "replace"))
    return paint.inked(columns.line(document), letter(document))
