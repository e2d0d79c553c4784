"""Whether events leave the spools, reach a store that answers, and come from nodes that can be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from clusterlog.cli.home.mend import mend
from clusterlog.cli.paint import amount, counted
from clusterlog.cli.setup.doctor import clock
from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.errors import ClusterlogError
from clusterlog.search.instant import instant, spoken
from clusterlog.search.story.event import part, text
from clusterlog.settings import Settings
from clusterlog.ship.sinks.promise import in_words, promise_of
from clusterlog.ship.status import status
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.query import Match, Query

LATE_S = 60.0
"""What waits longer than this waits for nobody."""
_OPENED = 5000
"""Newest starts of processes that are looked at for the names of nodes."""
_LOOPBACK = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def examine(settings: Settings, now_ns: int) -> Iterator[Finding]:
    """Everything from the spool on."""
    if settings.home_path.is_dir():
        yield from _shipper(settings)
    if settings.sink.startswith(("http:", "https:")):
        yield from _remote(settings, settings.sink, "sink")
    elif in_words(settings.sink):
        yield _queue(settings)
    newest = None
    if settings.store:
        yield from _remote(settings, settings.store, "store")
    else:
        store = settings.home_path / "store"
        if not store.is_dir():
            yield Finding("store", "note", "nothing is stored yet")
        else:
            try:
                newest, findings = _embedded(store)
                yield from findings
            except ClusterlogError as error:
                yield Finding("store", "problem", str(error), f"look into it: `clusterlog spool verify`, then {store}")
    yield from clock.examine(newest, now_ns)
    if settings.node in _LOOPBACK:
        text = f"this node is called {settings.node}, as every other one will be that has no host name"
        yield Finding("node name", "problem", text, "set node (CLUSTERLOG_NODE) to a name of its own on every node")


def _shipper(settings: Settings) -> Iterator[Finding]:
    told = status(settings)
    waiting, age = told["backlog"]["events"], told["backlog"]["oldest_age_s"] or 0.0
    running = told["shipper"]["state"] == "running"
    late = f"{counted(waiting, 'event')}, the oldest for {spoken(int(age * 1e9))}"
    if not running and waiting and age > LATE_S:
        beside = "run `clusterlog ship` beside the application, as a service of its own"
        yield Finding("shipper", "problem", f"none runs, and {late} wait", beside)
    elif running and told["store"]["error"]:
        where, error = told["store"]["url"], told["store"]["error"]
        text = f"it runs, and cannot deliver to {where}: {error.removeprefix(f'{where}: ')}"
        yield Finding("shipper", "problem", text, _mended(error))
    elif running:
        yield Finding("shipper", "ok", f"process {told['shipper']['pid']} runs, {counted(waiting, 'event')} wait")
    else:
        who = "`clusterlog ship` delivers" if settings.sink or settings.store else "trace and search deliver"
        waits = f"{counted(waiting, 'event')} waiting: {who} what waits" if waiting else "nothing waits"
        yield Finding("shipper", "note", f"none runs; {waits}")
    lost = told["dropped"]
    if lost:
        reasons = ", ".join(f"{amount(count)} {reason}" for reason, count in sorted(lost.items()))
        yield Finding("losses", "warning", f"dropped by their writers: {reasons}", "`clusterlog verify` says whose")
    if told["dead"]:
        refused = "was refused" if told["dead"] == 1 else "were refused, the first"
        text = f"{counted(told['dead'], 'event')} in dead/ {refused} for: {told['dead_reason']}"
        again = "`clusterlog dead ls` lists them; once that is mended, `clusterlog dead replay --all` sends them again"
        yield Finding("refused", "warning", text, again)
    for warning in (told["delivery"] or {}).get("warnings", ()):
        yield Finding("delivery", "warning", warning)


def _remote(settings: Settings, url: str, check: str) -> Iterator[Finding]:
    """Whether a server answers, is the one it should be, and lets us do what is done there."""
    try:
        from clusterlog.store.elasticsearch.reach import greeted, lacking
        from clusterlog.store.elasticsearch.streams import data_stream
        from clusterlog.store.elasticsearch.transport import Client

        with closing(Client.of(settings, url=url, kind="write" if check == "sink" else "read")) as client:
            yield Finding(check, "ok", f"{client.url} answers: {greeted(client)}")
            lacks = lacking(client, data_stream("clusterlog.app", settings.environment))
    except ClusterlogError as error:
        yield Finding(check, "problem", str(error), _mended(str(error)))
        return
    if lacks is not None:
        yield _rights(lacks)


def _queue(settings: Settings) -> Finding:
    """Whether a sink can be reached that cannot be asked anything: whatever is sent there becomes an event."""
    from clusterlog.ship.sinks.reach import touch

    words = in_words(settings.sink)
    try:
        said = f"{touch(settings)} lets itself be connected to; {words}"
    except ClusterlogError as error:
        return Finding("sink", "problem", str(error), _mended(str(error)))
    if promise_of(settings.sink) == "sent":
        return Finding("sink", "warning", said, "ship to its http or beats input: logstash+https://, lumberjack+tls://")
    return Finding("sink", "ok", said)


def _mended(error: str) -> str:
    return f"{mend(error) or 'put right what it says'}; events wait in the spool meanwhile"


def _rights(lacks: Mapping[str, Sequence[str]]) -> Finding:
    missing = [f"{what} (lacking {', '.join(names)})" for what, names in lacks.items() if names]
    if not missing:
        return Finding("rights", "ok", "our credentials may ship and read")
    text = f"our credentials may not {' nor '.join(missing)}"
    if len(missing) < len(lacks):  # keys for one thing each are as they should be
        return Finding("rights", "note", text)
    return Finding("rights", "problem", text, "`clusterlog setup elasticsearch` says which rights are needed")


def _embedded(directory: Path) -> tuple[int | None, list[Finding]]:
    from clusterlog.store.embedded import EmbeddedStore

    store = EmbeddedStore.open(directory, "read")
    try:
        first = next(iter(store.find(Query(limit=1))), None)
        newest = instant(text(parse(first.body), "@timestamp")) if first is not None else None
        said = "answers, and is empty" if first is None else f"answers, newest event {_stamp(first.body)}"
        return newest, [Finding("store", "ok", f"{directory} {said}"), *_names(store)]
    finally:
        store.close()


def _stamp(body: bytes) -> str:
    return text(parse(body), "@timestamp")[:19] + "Z"


def _names(store: Store) -> Iterator[Finding]:
    """Nodes whose name stands for several hosts: their lines cannot be told apart."""
    hosts: dict[str, set[str]] = defaultdict(set)
    for each in store.find(Query(Match("event.action", "open"), limit=_OPENED)):
        event = parse(each.body)
        host = part(event, "host.name")
        if isinstance(host, str) and host:
            hosts[text(event, "service.node.name")].add(host)
    several = {node: names for node, names in hosts.items() if len(names) > 1}
    for node, names in sorted(several.items()):
        said = f"{node} is the name of {len(names)} hosts: {', '.join(sorted(names)[:5])}"
        yield Finding("node name", "problem", said, "set node (CLUSTERLOG_NODE) to a name of its own on each")
    if hosts and not several:
        yield Finding("node name", "ok", f"{counted(len(hosts), 'node')}, {'each ' * (len(hosts) > 1)}on one host")
