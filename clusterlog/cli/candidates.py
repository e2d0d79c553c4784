"""What a shell may complete: request ids, nodes, services, loggers, rules, the fields of a query, files, programs.

Completion answers from what is stored already, says nothing when something is wrong, and never delivers.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from clusterlog.search.story.event import Document, text, whole

if TYPE_CHECKING:
    from clusterlog.cli.home.cluster import Cluster
    from clusterlog.store.base import Store

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

PATIENCE_S = 1.5
"""How long somebody waits for a completion who has not asked for anything yet."""
_OPTIONS = ("home", "store", "token_file")
_REQUESTS = 20
_LOOKED_AT = 400
"""Newest events that are looked through: what is completed is what somebody has seen a moment ago."""
_LEVELS = ("debug", "info", "warning", "error", "critical")
_FIELD_BEFORE = re.compile(r"([\w.@-]+)\s*:\s*$")
_VALUES = {
    "node": "service.node.name",
    "service.node.name": "service.node.name",
    "service": "service.name",
    "service.name": "service.name",
    "logger": "log.logger",
    "log.logger": "log.logger",
    "route": "clusterlog.route",
    "request": "http.request.id",
}


def _silent(complete: Complete) -> Complete:
    """Nobody asked for an error message in the middle of a command line."""

    @wraps(complete)
    def silently(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return complete(ctx, param, incomplete)
        except Exception:
            return []

    return silently


@_silent
def request_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest requests, each with when, what and how it ended."""
    from clusterlog.store.query import And, Match, Node, Wildcard

    where: Node = Match("event.dataset", "clusterlog.access")
    if incomplete:
        where = And((where, Wildcard("http.request.id", (incomplete, ""))))
    found: dict[str, Document] = {}
    for event in _newest(ctx, where):
        request = text(event, "http.request.id")
        if request not in found or not text(event, "clusterlog.parent.span_id"):  # the outermost tells the whole
            found[request] = event
    return [CompletionItem(request, help=_told(event)) for request, event in found.items() if request][:_REQUESTS]


def _told(event: Document) -> str:
    status = whole(event, "http.response.status_code")
    asked = f"{text(event, 'http.request.method')} {text(event, 'clusterlog.route') or text(event, 'url.path')}"
    return f"{text(event, '@timestamp')[11:19]} {asked} {status or text(event, 'event.outcome')}"


@_silent
def nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The nodes that logged lately."""
    return _distinct(ctx, "service.node.name", incomplete)


@_silent
def services(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The services that logged lately."""
    return _distinct(ctx, "service.name", incomplete)


@_silent
def query_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Fields; after ``level:``, ``node:`` and the like, their values."""
    field, colon, begun = incomplete.partition(":")
    if field and colon:  # zsh and fish hand over the whole word
        return [CompletionItem(f"{field}:{each.value}") for each in _values(ctx, field, begun)]
    # To bash a colon is a word of its own, and completed is what stands behind it.
    before = " ".join(map(str, ctx.params.get(param.name or "") or ())) + colon
    if found := _FIELD_BEFORE.search(before):
        return _values(ctx, found[1], begun if colon else incomplete)
    return _fields(incomplete)


@_silent
def levels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The levels, in upper case as they are told everywhere."""
    return [CompletionItem(level.upper()) for level in _LEVELS if level.startswith(incomplete.lower())]


@_silent
def rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The rules in force, each with what it sets."""
    from clusterlog.control.rules.rule import level_name

    with _cluster(ctx) as cluster:
        found = cluster.operator.look().rules()
    told = {rule.id: f"{level_name(rule.level)} {rule.logger or 'root'} {rule.reason}".strip() for rule in found}
    return [CompletionItem(each, help=does) for each, does in told.items() if each.startswith(incomplete)]


@_silent
def cluster_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The nodes of the cluster, as they say so themselves."""
    with _cluster(ctx) as cluster:
        names = {node.node for node in cluster.nodes()}
    return [CompletionItem(each) for each in sorted(names) if each.startswith(incomplete)]


@_silent
def cluster_services(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The services of the cluster, as their nodes say so themselves."""
    with _cluster(ctx) as cluster:
        names = {node.service for node in cluster.nodes()}
    return [CompletionItem(each) for each in sorted(names) if each.startswith(incomplete)]


@_silent
def loggers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Loggers that levels were set on, and those that logged lately."""
    names: set[str] = set()
    with suppress(Exception), _cluster(ctx) as cluster:
        names |= {name for node in cluster.nodes() for worker in node.workers for name in worker.status.loggers}
    found = [CompletionItem(each) for each in sorted(names) if each.startswith(incomplete)]
    with suppress(Exception):
        found += [each for each in _distinct(ctx, "log.logger", incomplete) if each.value not in names]
    return found


def directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Directories, which the shell knows better."""
    return [CompletionItem(incomplete, type="dir")]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, which the shell knows better."""
    return [CompletionItem(incomplete, type="file")]


@_silent
def programs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What can be run, and behind it files."""
    if ctx.params.get(param.name or "") or "/" in incomplete or not incomplete:
        return files(ctx, param, incomplete)
    found = set()
    for directory in os.get_exec_path():
        with suppress(OSError):
            found |= {each for each in os.listdir(directory) if each.startswith(incomplete)}
    return [CompletionItem(each) for each in sorted(found)]


@_silent
def time_zones(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of time zones."""
    from zoneinfo import available_timezones

    return [
        CompletionItem(each) for each in sorted({"UTC", "local", *available_timezones()}) if each.startswith(incomplete)
    ]


def _values(ctx: click.Context, field: str, begun: str) -> list[CompletionItem]:
    if field in ("level", "log.level"):
        return [CompletionItem(level) for level in _LEVELS if level.startswith(begun.lower())]
    return _distinct(ctx, _VALUES[field], begun) if field in _VALUES else []


def _fields(incomplete: str) -> list[CompletionItem]:
    from clusterlog.search.language import fields

    names = {short: f"short for {field}" for short, field in fields.SHORT.items()}
    if incomplete:  # all of them at once would be a wall
        names |= dict.fromkeys(sorted(fields.KNOWN), "")
    else:
        names["message"] = "the text of an event"
    return [CompletionItem(name, help=told or None) for name, told in names.items() if name.startswith(incomplete)]


def _distinct(ctx: click.Context, field: str, begun: str) -> list[CompletionItem]:
    from clusterlog.store.query import Everything

    seen = dict.fromkeys(text(event, field) for event in _newest(ctx, Everything()))
    return [CompletionItem(each) for each in sorted(seen) if each and each.startswith(begun)]


def _newest(ctx: click.Context, where: Any) -> Iterator[Document]:
    from clusterlog.store.document import parse
    from clusterlog.store.query import Query

    with _stored(ctx) as store:
        for each in store.find(Query(where, limit=_LOOKED_AT)):
            yield parse(each.body)


@contextmanager
def _cluster(ctx: click.Context) -> Iterator[Cluster]:
    """The cluster as it is. Raises what reaching it raises, and TimeoutError where that takes its time."""
    from clusterlog.cli.home.cluster import OPTIONS, reached
    from clusterlog.settings import load

    settings = load({name: ctx.params.get(name) for name in OPTIONS}, for_command=True)
    with _patience(), reached(settings) as cluster:
        yield cluster


@contextmanager
def _patience() -> Iterator[None]:
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _stored(ctx: click.Context) -> Iterator[Store]:
    """The store as it is. Raises what opening it raises, and TimeoutError where a store elsewhere takes its time."""
    from clusterlog.settings import load
    from clusterlog.store.opening import open_store

    settings = load({name: ctx.params.get(name) for name in _OPTIONS}, for_command=True)
    if settings.store:
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        with closing(open_store(settings)) as store:
            yield store
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up(number: int, frame: object) -> None:
    raise TimeoutError
