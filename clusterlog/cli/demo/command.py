"""``clusterlog demo``: run the shop, send customers, ship what was logged, and show one failing request."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.deliver.ship import Asked
from clusterlog.cli.demo.plan import endless, plan
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import HomeBusy, MissingExtra, StoreDenied, StoreUnavailable
from clusterlog.settings import Settings, names

if TYPE_CHECKING:
    from clusterlog.cli.demo.run import Run

SCHEMA = "clusterlog.demo/1"
NEEDED = (
    *("flask", "gunicorn", "httpx", "lark", "opentelemetry", "opentelemetry.sdk.trace", "requests", "starlette"),
    *("tantivy", "uvicorn", "zstandard"),
)
_WAY = (
    *("store", "sink", "token", "token_file", "ca_file", "fingerprint", "cert_file", "key_file", "proxy"),
    *("bus", "control_key"),
)
"""Settings that lead to the store and to the cluster, which commands with this home need as well."""

KEPT_RATE = 5.0
"""Requests a second after those that were asked for, where no rate is given."""

MARK = "# Written by `clusterlog demo`, anew at each run; a file without this line is left alone."
_INTERRUPTED = 130


@click.command()
@click.option(
    "--requests", metavar="N", type=click.IntRange(1), default=60, show_default=True, help="How many to make."
)
@click.option("--seed", metavar="N", type=int, default=7, show_default=True, help="Equal seeds make equal requests.")
@click.option("--rate", metavar="N", type=click.FloatRange(0, min_open=True), help="At most so many a second.")
@click.option("--keep", is_flag=True, help="Keep traffic flowing until Ctrl-C or SIGTERM.")
@with_settings("home", "store", "bus", "token_file")
@as_json
def demo(settings: Settings, requests: int, seed: int, rate: float | None, keep: bool, as_json: bool) -> int:
    """Run a small cluster on this machine and follow one failing request across it.

    A load-balanced shop: shop-1 and shop-2 (Starlette), orders-1 and orders-2 (Flask), payments-1 (Starlette), each
    with processes of its own, and a bank that does not answer everyone. When this ends everything is findable, and
    every process it has started has ended.
    """
    if not all(map(find_spec, NEEDED)):
        raise MissingExtra("demo", "demo")
    settings = _with_key(settings)
    with _asked() as stop:
        run = _run(settings, stop, requests, seed, rate, keep, as_json)
        if stop.is_set() and not keep:
            return _INTERRUPTED
    if run.unplanned:
        where = settings.home_path / "demo"
        paint.say(f"clusterlog: {run.unplanned} requests did not end as planned: see {escaped(str(where))}/*.log")
    if as_json:
        document = {"schema": SCHEMA, "home": settings.home, "requests": run.documents()}
        paint.emit(json.dumps(document, ensure_ascii=False).encode())
    elif not keep:
        _show(run, settings)
    return 0


def _run(settings: Settings, stop: Asked, requests: int, seed: int, rate: float | None, keep: bool, quiet: bool) -> Run:
    """Start everything, make the requests, end everything; delivered is then all that was logged."""
    from clusterlog.cli.demo.cluster import Cluster
    from clusterlog.cli.demo.run import Run
    from clusterlog.cli.demo.shipping import Shipping

    _introduced(settings)
    directory = _prepared(settings)
    told = _as_environment(settings)
    with Shipping(settings.home_path, directory / "ship.log", told) as shipping:
        with Cluster(directory, told) as cluster:
            with paint.progress("starting", "processes") as advance:
                cluster.start(_unless(stop, advance))
            _configure(settings, cluster.urls)
            run = Run(cluster, shipping, stop.is_set, remember=quiet)
            with paint.progress("sending customers", "requests") as advance:
                run.send(plan(requests, seed), rate, requests, advance)
            if keep and not stop.is_set():
                if not quiet:
                    shipping.deliver()
                    _show(run, settings)
                    _tell_where(cluster.urls)
                run.send(endless(seed, requests), rate or KEPT_RATE)
            if stop.is_set():
                paint.say("ending: what is under way is answered, and what was logged is stored; Ctrl-C hurries")
            run.settle()
        shipping.finish()
    return run


@contextmanager
def _asked() -> Iterator[Asked]:
    """Ctrl-C, SIGTERM and the end of the terminal ask for the end in good order; a second one gives up on that."""
    stop = Asked()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup(1)
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unless(stop: Asked, advance: paint.Advance) -> paint.Advance:
    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        advance(done, total)

    return tell


def _introduced(settings: Settings) -> None:
    """Raise StoreDenied now where a server does not know us, and not when all is done and nothing can be delivered.

    One that does not answer may do so by then.
    """
    url = settings.sink or settings.store
    if not url.startswith(("http://", "https://")):
        return
    from clusterlog.store.elasticsearch.reach import greeted
    from clusterlog.store.elasticsearch.transport import Client

    with closing(Client.of(settings, url=url, kind="write")) as client:
        try:
            greeted(client)
        except StoreDenied:
            raise
        except StoreUnavailable:
            pass


def _with_key(settings: Settings) -> Settings:
    """A bus over the network wants a key that all nodes have; where none was named, one is made in the home."""
    from clusterlog.control.bus.opening import bus_at
    from clusterlog.control.signing.keys import make_key

    if not settings.bus or settings.bus == "off" or settings.control_key or bus_at(settings.bus, settings).local:
        return settings
    file = settings.home_path / "control" / "cluster.key"
    if not file.exists():
        make_key(file)
    return replace(settings, control_key=str(file), origins={**settings.origins, "control_key": "the demo"})


def _prepared(settings: Settings) -> Path:
    """The directory for the consoles of the processes. Raises what speaks against this home."""
    from clusterlog.ship.homelock import HomeLock

    try:
        HomeLock.take(settings.home_path).release()
    except HomeBusy:  # somebody ships it already, which is as good
        pass
    directory = settings.home_path / "demo"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _as_environment(settings: Settings) -> dict[str, str]:
    """The settings of this command for its children, who work elsewhere and may find other files."""
    told = {"CLUSTERLOG_HOME": settings.home}
    for name in names():
        if settings.origins[name] != "default" and name not in ("service", "node", "home"):
            value: Any = getattr(settings, name)
            told[f"CLUSTERLOG_{name.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
    return told


def _configure(settings: Settings, urls: dict[str, str]) -> None:
    """Write ``HOME/clusterlog.toml``, from which every command with this home knows the store and the key."""
    path = settings.home_path / "clusterlog.toml"
    if path.exists() and not path.read_text("utf-8", "replace").startswith(MARK):
        return
    key = settings.user_key or "user.key"
    values = {"user_key": os.path.relpath(key, settings.home) if settings.home_path in Path(key).parents else key}
    values |= {name: getattr(settings, name) for name in _WAY if settings.origins[name] != "default"}
    lines = [MARK, *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())]
    lines += ["", *(f"# {name} {url}" for name, url in urls.items() if name != "bank")]
    beside = path.with_suffix(f".{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text("\n".join(lines) + "\n", "utf-8")
    beside.replace(path)


def _show(run: Run, settings: Settings) -> None:
    """One failing request as `trace` draws it, and how to look at others."""
    from clusterlog.cli.commands import call

    total = run.outcomes.total()
    told = ", ".join(f"{paint.amount(run.outcomes[kind])} {kind}" for kind in ("ok", "slow", "failed"))
    paint.say(f"{paint.amount(total)} requests: {told}; one that failed:\n")
    home = () if settings.home_path == Path.cwd() / ".clusterlog" else ("--home", settings.home)
    failing = run.examples["failed"].id
    call(["trace", failing, "--format", "human", "--no-pager", *home])
    _tell_further(run, settings, failing, home)


def _tell_further(run: Run, settings: Settings, failing: str, home: Sequence[str]) -> None:
    paint.say("\nto look further:")
    slow = [(("trace", run.examples["slow"].id), "a slow one")] if "slow" in run.examples else []
    asked = [
        (("trace", failing), "the same again"),
        *slow,
        (("diff", failing), "what differs from one that went well"),
        (("errors",), "what goes wrong, each fault once"),
        (("search", "node: payments-1", "--limit", "20"), "what one node said last"),
        (("status",), "what is delivered, and what was lost"),
    ]
    commands = [escaped(shlex.join(("clusterlog", *words, *home))) for words, _ in asked]
    widest = max(map(len, commands))
    for command, (_, meaning) in zip(commands, asked, strict=True):
        paint.say(f"  {command:<{widest}}  {paint.inked(meaning, 'dim', sys.stderr)}")
    paint.say(f"  {escaped(str(settings.home_path / 'demo'))}/*.log: what the servers printed themselves")


def _tell_where(urls: dict[str, str]) -> None:
    shops = " and ".join(url for name, url in urls.items() if name.startswith("shop"))
    paint.say(f"\ntraffic goes on until Ctrl-C; the shop is at {shops}, for example {urls['shop-1']}/catalog")
