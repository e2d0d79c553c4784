"""``clusterlog message``: what applications say to each other, said and heard from a terminal."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.home.cluster import OPTIONS, Cluster, actor, reached, warn
from clusterlog.cli.line import escaped, moment
from clusterlog.cli.options import as_json, duration, on_screen, with_settings
from clusterlog.control.bus.base import Gap, Link, Message
from clusterlog.control.messages.envelope import SCHEMA, Envelope, Sender, read, sealed
from clusterlog.control.messages.gathering import Replies
from clusterlog.control.messages.sequences import Sequences
from clusterlog.control.messages.switchboard import Switchboard
from clusterlog.control.node.pace import BackOff
from clusterlog.errors import BusUnreachable, NotAllowed, NotConfirmed, Rejected, TimedOut
from clusterlog.settings import Settings

LOOK_S = 0.5


def _word(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not value or not value.isprintable():
        raise click.BadParameter("a word such as cache")
    return value


def _data(_ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """JSON as it stands, or ``-`` for what comes on standard input."""
    given = sys.stdin.read() if value == "-" else value or "null"
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        hint = f"; a text is written {json.dumps(given)!r}" if given.isprintable() and len(given) < 60 else ""
        raise click.BadParameter(f"{given[:60]!a} is no JSON: {error}{hint}", param=param) from None


_functionality = click.argument("functionality", metavar="FUNC", callback=_word)
_topic = click.argument("topic", metavar="TOPIC", callback=_word)
_said = click.argument("data", metavar="[JSON]", required=False, callback=_data)


@click.group()
def message() -> None:
    """Send messages to applications, ask them, or listen to what they say to each other.

    FUNC is the functionality in which it is said, as in clusterlog.cluster.client(FUNC).
    """


@message.command()
@_functionality
@_topic
@_said
@with_settings(*OPTIONS)
@as_json
def send(settings: Settings, functionality: str, topic: str, data: Any, as_json: bool) -> None:
    """Send a message to all who subscribe to it.

    JSON (null without it, - for standard input) goes to every process that subscribes to TOPIC of FUNC. Nobody confirms
    a message; `message request` waits for answers.
    """
    with reached(settings) as cluster:
        said = Envelope(functionality, topic, _sender(settings), 1, data)
        body = _sealed(said, cluster)
        cluster.link.send(body)
        workers = sum(worker.state in ("up", "late") for node in cluster.nodes() for worker in node.workers)
        if as_json:
            paint.emit(json.dumps({**_told(said), "workers": workers}, ensure_ascii=False).encode())
        else:
            there = f"{paint.counted(workers, 'worker')} of the cluster may hear it" if workers else "nobody is there"
            paint.say(f"sent {escaped(functionality)} {escaped(topic)}: {there}")


@message.command()
@_functionality
@_topic
@_said
@click.option("--service", multiple=True, metavar="NAME", shell_complete=candidates.cluster_services, help="Ask these.")
@click.option(
    "--node", multiple=True, metavar="GLOB", shell_complete=candidates.cluster_nodes, help="Ask these, as orders-*."
)
@click.option("--wait", metavar="TIME", default="5s", callback=duration, show_default=True, help="For all to answer.")
@with_settings(*OPTIONS)
@as_json
def request(
    settings: Settings,
    functionality: str,
    topic: str,
    data: Any,
    service: tuple[str, ...],
    node: tuple[str, ...],
    wait: float,
    as_json: bool,
) -> None:
    """Ask all who subscribe, and show what they answer.

    Every process that subscribes to TOPIC of FUNC is asked. Exit 6 where a worker that is there has not answered, or
    could not.
    """
    with reached(settings) as cluster:
        _sealed(Envelope(functionality, topic, _sender(settings), 1, data), cluster)
        nodes = cluster.nodes()
        board = Switchboard(cluster.link.wake, lambda: nodes)
        board.begin(_sender(settings), cluster.sealer)
        with _carrying(board, cluster.link):
            replies = board.client(functionality).request(topic, data, service=service, node=node, timeout_s=wait)
    if as_json:
        paint.emit(json.dumps(_answers(replies), ensure_ascii=False).encode())
    else:
        for each in replies:
            told = f"failed: {escaped(each.failed)}" if each.failed else _short(each.data)
            paint.show(f"{_name(each.sender)}  {told}")
        for who in replies.missing:
            warn(f"no answer from {_name(who)}")
    if not replies.complete:
        failed = sum(bool(each.failed) for each in replies)
        raise NotConfirmed(f"{len(replies.missing)} have not answered, and {failed} could not")
    if not len(replies):
        warn("nobody is there to be asked")


@message.command()
@_functionality
@click.option("--topic", metavar="GLOB", default="*", help="Only these topics, as flush*.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="End after N messages.")
@click.option(
    "--wait", metavar="TIME", callback=duration, help="End after that time; exit 7 if --limit is not reached."
)
@with_settings(*OPTIONS)
@on_screen
@as_json
def listen(
    settings: Settings, functionality: str, topic: str, limit: int | None, wait: float | None, as_json: bool
) -> None:
    """Show what is said from now on, until Ctrl-C.

    With --json each message in FUNC is a line of its own. Where messages may have been missed, a line on standard error
    says so.
    """
    until = None if wait is None else time.monotonic() + wait
    heard = 0
    with reached(settings) as cluster:
        paint.say(f"listening to {escaped(functionality)} on {cluster.bus.name}")
        for each in _heard(cluster, functionality, until):
            if not fnmatchcase(each.topic, topic):
                continue
            _show(each, as_json)
            heard += 1
            if heard == limit:
                return
    if limit is not None:
        raise TimedOut(f"{heard} of {limit} messages came in {wait:g} s")


def _heard(cluster: Cluster, functionality: str, until: float | None) -> Iterator[Envelope]:
    """What is said in ``functionality``, over as many connections as it takes. The first one is the cluster's own."""
    pace, sequences = BackOff(), Sequences()
    link: Link | None = cluster.link
    while link is not None:
        try:
            while (left := _left(until, LOOK_S)) > 0:
                for notice in link.wait(left):
                    if isinstance(notice, Gap) and link is not cluster.link:
                        warn("connected again: messages may have been missed")
                    elif isinstance(notice, Message) and (said := _of(notice, cluster, functionality, sequences)):
                        yield said
                pace.worked()
            return
        except BusUnreachable as error:
            warn(f"{error}: trying again")
        finally:
            link.close()
        link = _again(cluster, pace, until)


def _left(until: float | None, most: float) -> float:
    return most if until is None else min(most, until - time.monotonic())


def _again(cluster: Cluster, pace: BackOff, until: float | None) -> Link | None:
    """Another connection in place of one that was lost; None when the time is up."""
    while (pause := _left(until, pace.failed())) >= 0:
        time.sleep(pause)
        with suppress(BusUnreachable):
            return cluster.bus.open()
    return None


def _of(notice: Message, cluster: Cluster, functionality: str, sequences: Sequences) -> Envelope | None:
    """The message, if it is one to be shown; of what nobody can believe it is said that it came."""
    try:
        said = read(notice.body, cluster.sealer)
    except Rejected as error:
        warn(f"a message is passed over: {error}")
        return None
    if said.functionality != functionality:
        return None
    known = sequences.heard((said.sender.instance, functionality), said.number)
    if known == "hole":
        warn(f"{_name(said.sender)} has said something that did not arrive here")
    return said if known != "again" and said.kind != "reply" else None


def _show(said: Envelope, as_json: bool) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        paint.emit(json.dumps({**_told(said), "received": now}, ensure_ascii=False).encode())
    else:
        what = f"{said.topic} (asks)" if said.kind == "request" else said.topic
        paint.show(f"{moment(now)}  {_name(said.sender)}  {escaped(what)}  {_short(said.data)}")
    sys.stdout.flush()


def _told(said: Envelope) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": said.kind,
        "functionality": said.functionality,
        "topic": said.topic,
        "data": said.data,
        "sender": _who(said.sender),
    }


def _answers(replies: Replies) -> dict[str, Any]:
    return {
        "schema": "clusterlog.replies/1",
        "complete": replies.complete,
        "replies": [{**_who(each.sender), "data": each.data, "failed": each.failed or None} for each in replies],
        "missing": [_who(who) for who in replies.missing],
    }


def _who(sender: Sender) -> dict[str, Any]:
    return {"node": sender.node, "service": sender.service, "pid": sender.pid, "instance": sender.instance}


def _name(sender: Sender) -> str:
    return escaped(f"{sender.node} {sender.service} {sender.pid}".strip())


def _short(data: Any) -> str:
    return escaped(json.dumps(data, ensure_ascii=False))


def _sender(settings: Settings) -> Sender:
    """Whoever asks. Raises NotAllowed where this node only listens."""
    if settings.role == "receive" and settings.origins.get("role", "default") != "default":
        raise NotAllowed("a node whose role is receive sends no messages: the setting role has to be apply or send")
    return Sender(secrets.token_hex(16), actor(), "message", os.getpid())


def _sealed(said: Envelope, cluster: Cluster) -> bytes:
    try:
        return sealed(said, cluster.sealer)
    except Rejected as error:
        raise click.BadParameter(str(error), param_hint="JSON") from None


@contextmanager
def _carrying(board: Switchboard, link: Link) -> Iterator[None]:
    """Meanwhile a thread carries what the board sends and hears."""
    ended = threading.Event()

    def carry() -> None:
        with suppress(BusUnreachable):  # then nobody answers, which is what the asker is told
            while not ended.is_set():
                while (body := board.outbox.first()) is not None:
                    link.send(body)
                    board.outbox.sent(body)
                for notice in link.wait(LOOK_S):
                    if isinstance(notice, Message):
                        board.receive(notice)

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        link.wake()
        thread.join()
