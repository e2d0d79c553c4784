"""``clusterlog dead``: events that a store refused: which, why, and what to do about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped, escaped_json
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import NotAllowed, NotFound, StoreUnavailable
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.ship.dead.letters import Letter
    from clusterlog.ship.dead.replay import Choice, Say

SCHEMA = "clusterlog.dead"
_LIMIT = 100

_reason = click.option("--reason", metavar="TEXT", default="", help="Only those whose reason has this text in it.")
_all = click.option("--all", "everything", is_flag=True, help="All of them.")
_ids = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group(invoke_without_command=True)
@click.pass_context
def dead(ctx: click.Context) -> None:
    """List, show, replay or purge events that the store refused.

    Each lies in the home's dead/ with the reason. An ID is an event's, or the beginning of one.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@dead.command("ls")
@_reason
@click.option("--limit", metavar="N", type=click.IntRange(min=0), default=_LIMIT, help="At most so many; 0 is all.")
@with_settings("home")
@as_json
def list_letters(settings: Settings, reason: str, limit: int, as_json: bool) -> None:
    """List the events that were kept aside. The newest comes first, each with its reason."""
    found = _newest_first(settings, reason)
    shown = found[:limit] if limit else found
    if as_json:
        told = {"home": settings.home, "count": len(found), "letters": [_facts(letter) for letter in shown]}
        paint.emit(json.dumps({"schema": f"{SCHEMA}.ls/1", **told}).encode())
        return
    if not found:
        paint.say("no dead letters" + (" with such a reason" if reason else ""))
        return
    rows = [
        (_moment(each.wall_ns), escaped(each.id), each.cause, paint.amount(each.attempts), escaped(each.reason))
        for each in shown
    ]
    for line in paint.table(("KEPT", "EVENT", "CAUSE", "SENT", "REASON"), rows, "SENT"):
        paint.show(line)
    causes = ", ".join(f"{paint.amount(number)} {cause}" for cause, number in Counter(x.cause for x in found).items())
    more = f"; --limit 0 shows the other {paint.amount(len(found) - len(shown))}" if len(shown) < len(found) else ""
    paint.say(f"{paint.counted(len(found), 'event')} in {escaped(settings.home)}/dead: {causes}{more}")


@dead.command()
@click.argument("id")
@with_settings("home")
@as_json
def show(settings: Settings, id: str, as_json: bool) -> None:
    """Show one of them: the event itself, why and where it was refused."""
    from clusterlog.store.document import parse

    letter = _only(_newest_first(settings), id)
    event: Any = None
    try:
        event = parse(letter.body)
    except ValueError:
        pass
    told = {**_facts(letter), "event": event}
    if event is None:
        told["body"] = letter.body.decode("utf-8", "backslashreplace")
    if as_json:
        paint.emit(json.dumps({"schema": f"{SCHEMA}.show/1", "home": settings.home, **told}).encode())
        return
    for name, value in (
        ("event", letter.id),
        ("cause", letter.cause),
        ("reason", letter.reason),
        ("sink", letter.sink),
        ("kept", f"{_moment(letter.wall_ns)}, sent {paint.counted(letter.attempts, 'time')}"),
    ):
        click.echo(f"{paint.inked(name.ljust(6), 'dim')}  {escaped(value)}")
    click.echo("")
    if event is None:
        click.echo(escaped(told["body"]))
    else:
        document = json.dumps(event, indent=2, ensure_ascii=False)
        paint.emit(escaped_json(document.encode("utf-8", "backslashreplace")))


@dead.command()
@_ids
@_all
@_reason
@with_settings("home")
@as_json
def replay(settings: Settings, ids: tuple[str, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Send them again, under the ids they have.

    They go the ordinary road. To be done once whatever refused them is mended: a mapping, a template, a
    pipeline. What is refused again comes back here.
    """
    from clusterlog.ship.dead.replay import event_of
    from clusterlog.ship.dead.replay import replay as back
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.ship.ingest.segments import Full
    from clusterlog.spool.budget import Budget

    found, chosen = _chosen(settings, ids, everything, reason)
    left = [letter for letter in found if event_of(letter) is None]
    with _speaking(settings) as say:
        try:
            sent = back(settings.home_path, chosen, say, Budget(settings.disk_limit))
        except Full as full:
            raise StoreUnavailable(f"the spool may not grow now ({full}): deliver what waits there first") from None
    if as_json:
        told = {"home": settings.home, "replayed": sent, "left": [letter.id for letter in left]}
        paint.emit(json.dumps({"schema": f"{SCHEMA}.replay/1", **told}).encode())
        return
    if left:
        paint.say(f"left where they are: {paint.counted(len(left), 'letter')} without an event that a store could take")
    pid = HomeLock.holder(settings.home_path)
    who = f"process {pid} delivers" if pid > 0 else "the shipper delivers" if pid else "`clusterlog ship` delivers"
    paint.say(f"{paint.counted(sent, 'event')} went back into the spool; {who} what lies there")


@dead.command()
@_ids
@_all
@_reason
@with_settings("home")
@as_json
def purge(settings: Settings, ids: tuple[str, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Throw them away. A drop event tells the store that they will not come."""
    from clusterlog.ship.dead.replay import purge as away

    _, chosen = _chosen(settings, ids, everything, reason)
    with _speaking(settings) as say:
        gone = away(settings.home_path, chosen, say)
    if as_json:
        told = {"schema": f"{SCHEMA}.purge/1", "home": settings.home, "purged": gone}
        paint.emit(json.dumps(told).encode())
        return
    paint.say(f"threw away {paint.counted(gone, 'event')}")


def _newest_first(settings: Settings, reason: str = "") -> list[Letter]:
    """Every letter with such a reason; of what was kept twice the last."""
    from clusterlog.ship.dead.letters import letters
    from clusterlog.spool.budget import used_bytes

    home = settings.home_path
    if not home.is_dir():
        raise NotFound(f"no home at {settings.home}: nothing has logged there; --home DIR names another")
    total = used_bytes(home / "dead")
    done, found = 0, dict[str, "Letter"]()
    with _readable(settings), paint.progress("reading", "bytes") as advance:
        for letter in letters(home / "dead"):
            done += len(letter.body)
            if reason.lower() in letter.reason.lower():
                found[letter.id] = letter
            advance(min(done, total), total)
    return sorted(found.values(), key=lambda letter: letter.wall_ns, reverse=True)


def _only(letters: Iterable[Letter], id: str) -> Letter:
    found = [letter for letter in letters if letter.id.startswith(id)]
    exact = [letter for letter in found if letter.id == id]
    if not found:
        raise NotFound(f"no dead letter {id!a}: `clusterlog dead ls` lists them")
    if len(found) > 1 and not exact:
        raise NotFound(f"{len(found)} dead letters begin with {id!a}: give more of the id")
    return (exact or found)[0]


def _chosen(settings: Settings, ids: tuple[str, ...], everything: bool, reason: str) -> tuple[list[Letter], Choice]:
    """The letters that are meant, and how to know them again. Raises NotFound, UsageError."""
    if not (ids or everything or reason):
        raise click.UsageError("which ones? Give ids, --reason TEXT or --all")
    if ids and everything:
        raise click.UsageError("ids and --all contradict each other")
    kept = _newest_first(settings)
    found = [_only(kept, id) for id in ids] if ids else kept
    found = [letter for letter in found if reason.lower() in letter.reason.lower()]
    if not found:
        raise NotFound("no dead letters" + (" with such a reason" if reason else ""))
    known = {letter.id for letter in found}
    return found, lambda letter: letter.id in known


@contextmanager
def _speaking(settings: Settings) -> Iterator[Say]:
    """Says state events as a shipper does, in a spool instance of its own."""
    from clusterlog.ship.state.voice import Voice

    voice = Voice(settings)
    with _readable(settings):
        try:
            yield voice.say
        finally:
            voice.end()


@contextmanager
def _readable(settings: Settings) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise NotAllowed(f"cannot use {settings.home}/dead: permission denied; run as its owner") from None


def _facts(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "instance": letter.instance,
        "sequence": letter.sequence,
        "cause": letter.cause,
        "reason": letter.reason,
        "sink": letter.sink,
        "attempts": letter.attempts,
        "kept": _moment(letter.wall_ns),
        "bytes": len(letter.body),
    }


def _moment(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S}Z"
