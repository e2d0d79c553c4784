"""``clusterlog status``: how far the delivery of a home is."""

from __future__ import annotations

import json
from typing import Any

import click

from clusterlog.cli import paint
from clusterlog.cli.deliver.entrance import taken_in
from clusterlog.cli.home.delivery import dropped
from clusterlog.cli.home.mend import mend
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.settings import Settings


@click.command()
@with_settings("home", "store", "token_file")
@as_json
def status(settings: Settings, as_json: bool) -> None:
    """Show what is delivered, what waits, what was lost and why, and who writes.

    Read from files, so it answers when everything else is dead. A store at a URL that no shipper delivers to now is
    asked for a sign of life.
    """
    from clusterlog.ship.status import status as read

    with paint.progress("reading the spools", "bytes") as advance:
        told = read(settings, advance)
    if settings.store and not settings.sink and told["store"]["state"] == "unknown":
        told["store"] |= _sign_of_life(settings)
    if not settings.home_path.is_dir():
        paint.say(
            f"clusterlog: no home at {escaped(settings.home)}: nothing has logged there; --home DIR names another"
        )
    if as_json:
        paint.emit(json.dumps(told).encode())
        return
    for label, value in _described(told):
        click.echo(f"{paint.inked(label.ljust(8), 'dim')}  {value}")
    if told["instances"]:
        click.echo("")
    rows = [
        (
            each["id"],
            escaped(each["service"] or "-"),
            escaped(each["node"] or "-"),
            str(each["pid"] or "-"),
            each["state"],
            _ago(each["seen_s"]),
            paint.amount(each["sequence"]),
            paint.amount(each["waiting"]) if each["waiting"] else "-",
        )
        for each in told["instances"]
    ]
    if rows:
        headings = ("INSTANCE", "SERVICE", "NODE", "PID", "STATE", "SEEN", "SEQUENCE", "WAITING")
        for text in paint.table(headings, rows, "PID SEEN SEQUENCE WAITING"):
            click.echo(text)


def _sign_of_life(settings: Settings) -> dict[str, Any]:
    """State of a store at a URL, and what is wrong with it or what it is."""
    from contextlib import closing

    from clusterlog.store.elasticsearch.reach import greeted
    from clusterlog.store.elasticsearch.transport import Client

    try:
        with closing(Client.of(settings)) as client:
            return {"state": "reachable", "error": None, "server": greeted(client)}
    except StoreUnavailable as error:
        return {"state": "refusing" if isinstance(error, StoreDenied) else "unreachable", "error": str(error)}


def _ago(seconds: float | None) -> str:
    from clusterlog.search.instant import spoken

    return "-" if seconds is None else f"{spoken(int(seconds * 1e9))} ago"


def _described(told: dict[str, Any]) -> list[tuple[str, str]]:
    from clusterlog.ship.sinks.promise import in_words

    pid, store, backlog = told["shipper"]["pid"], told["store"], told["backlog"]
    running = told["shipper"]["state"] == "running"
    waits = "nothing waits"
    if backlog["events"]:
        waits = f"{paint.counted(backlog['events'], 'event')}, {paint.size(backlog['bytes'])}"
        waits += f", the oldest of them said {_ago(backlog['oldest_age_s'])}"
    lost = told["dropped"]
    elsewhere = "://" in store["url"]
    state = paint.inked(store["state"], {"reachable": "good", "unknown": "dim"}.get(store["state"], "bad"))
    # A store in the home that no shipper has open is opened by whoever asks: there is nothing that could be known.
    shown = "" if store["state"] == "unknown" and not elsewhere else f"  {state}"
    none = _NO_SHIPPER + ("" if elsewhere else _HERE)
    error = (store["error"] or "").removeprefix(f"{store['url']}: ")
    about = error or store.get("server")
    refused = f"{paint.counted(told['dead'], 'event')} in dead/, the first for: {escaped(told['dead_reason'] or '-')}"
    rows = [
        ("home", escaped(told["home"])),
        ("shipper", (f"running, process {pid}" if pid else "running") if running else none),
        ("store", f"{escaped(store['url'])}{shown}" + (f": {escaped(about)}" if about else "")),
        ("waiting", waits),
        ("events", f"{paint.amount(told['accepted'])} accepted, {paint.amount(told['shipped'])} shipped"),
        ("lost", paint.inked(dropped(lost), "bad") if lost else "nothing"),
        ("refused", paint.inked(refused, "bad") if told["dead"] else "nothing"),
    ]
    if words := in_words(told["store"]["url"]):
        rows.insert(3, ("promise", paint.inked(words, "W") if store["promise"] == "sent" else words))
    if told["syslog"]:
        rows.append(("syslog", taken_in(told["syslog"])))
    if error and (cure := mend(error)):
        rows.insert(3, ("mend", paint.inked(cure, "id")))
    if told["delivery"]:
        rows.insert(-4, ("delivery", _delivery(told["delivery"])))
        rows += [("warning", paint.inked(escaped(text), "W")) for text in told["delivery"]["warnings"]]
    return rows


def _delivery(told: dict[str, Any]) -> str:
    """How batches go now, and what was met."""
    parts = [
        f"{_batches(told['batches'])}, {told['latency_s'] * 1000:.0f} ms each",
        f"{told['in_flight']} under way of {told['at_once']}",
    ]
    if told["breaker"] != "closed":
        parts.append(f"breaker {told['breaker']}")
    if told["bisected"]:
        parts.append(f"{_batches(told['bisected'])} halved")
    for name, text in _MET.items():
        if told[name]:
            parts.append(f"{paint.amount(told[name])} {text}")
    return "; ".join(parts)


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{paint.amount(count)} batches"


_MET = {
    "retried": "sent again",
    "duplicates": "there already",
    "repaired": "repaired",
    "conflicts": "conflicts",
    "failure_store": "in the failure store",
}


_NO_SHIPPER = "none: `clusterlog ship` delivers what waits"
_HERE = "; trace and search deliver it first"
