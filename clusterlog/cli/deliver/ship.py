"""``clusterlog ship``: empty the spools of a home into its store."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.deliver.entrance import Losses, doors_of, entrance, syslog_option, taken_in
from clusterlog.cli.home.delivery import deliver, dropped, shipper_of, told_of
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, duration, with_settings
from clusterlog.errors import NotFound
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.ship.shipper import Report, Shipper
    from clusterlog.web.syslog.doors import Door
    from clusterlog.web.syslog.listener import Listener

SCHEMA = "clusterlog.ship/1"
_PUBLISH_S = 5.0
_AGAIN_S = 60.0
_NAP_S = 0.1


@click.command()
@click.option("--once", is_flag=True, help="Deliver what lies in the spools now, then end.")
@click.option(
    "--timeout", metavar="TIME", callback=duration, help="With --once: how long to wait for another process's shipper."
)
@click.option(
    "--until-eof", is_flag=True, hidden=True, help="End when standard input does: whoever began this is gone."
)
@syslog_option("Take syslog of balancers in there as well, and deliver it: TCP and UDP. May be given again.")
@with_settings("home", "store", "sink", "token_file")
@as_json
def ship(
    settings: Settings,
    once: bool,
    timeout: float | None,
    until_eof: bool,
    syslog: tuple[str, ...],
    as_json: bool,
) -> None:
    """Deliver what lies in the spools to the store, again and again until SIGTERM or Ctrl-C.

    At the end, answers to what is under way are waited for, ten seconds at most; what has none is sent again by the
    next shipper, and stored once. A second signal ends it at once.

    One process at a time ships a home. With --once, while another one does, this waits until that one has delivered
    what was in the spools when this began.

    With --syslog lines of balancers are delivered, too. Whoever reaches that port may send; up to 32 MiB wait in
    memory while the store is away, and are lost with this process.
    """
    if timeout is not None and not once:
        raise click.UsageError("--timeout goes with --once: without it, this waits for nobody")
    if syslog and once:
        raise click.UsageError("--syslog goes without --once: that takes nothing in")
    found = doors_of(syslog)
    if found and not (settings.store or settings.sink):
        raise click.UsageError("--syslog is for a store elsewhere: `clusterlog serve --syslog` keeps events here")
    _look_for_home(settings)
    begun = time.monotonic()
    if once:
        report, sink = deliver(settings, timeout)
    else:
        report, sink = _serve(settings, until_eof, found)
    told = told_of(report)
    if as_json:
        paint.emit(json.dumps({"schema": SCHEMA, "home": settings.home, "sink": sink, **told}).encode())
    if not until_eof:
        paint.say(summary(told, sink, time.monotonic() - begun))


def _look_for_home(settings: Settings) -> None:
    """Whoever ships does not make a home: a mistyped one would be shipped for ever, and nothing ever arrive."""
    from clusterlog.ship.homelock import is_home

    if not is_home(settings.home_path):
        raise NotFound(f"no home at {settings.home}: nothing has logged there; --home DIR names another")


def summary(told: dict[str, Any], sink: str, seconds: float) -> str:
    """What was shipped, for people; ``told`` is a report as ``told_of`` gives it."""
    if told["stored"] is None:
        return f"delivered by the shipper of this home in {seconds:.1f} s"
    parts = [f"{paint.counted(told['stored'], 'event')} to {escaped(sink)}{_promised(sink)} in {seconds:.1f} s"]
    if told["duplicates"]:
        parts.append(f"{paint.amount(told['duplicates'])} were there already")
    if told["dead"]:
        parts.append(f"{paint.amount(told['dead'])} were refused and lie in dead/")
    if told["dropped"]:
        parts.append("dropped by their writers: " + dropped(told["dropped"]))
    return "shipped " + "; ".join(parts)


def _promised(sink: str) -> str:
    """In brackets, what it means that a sink takes an event, where that is not simply that it is stored."""
    from clusterlog.ship.sinks.promise import in_words

    words = in_words(sink)
    return f" ({words})" if words else ""


def _serve(settings: Settings, until_eof: bool, found: list[Door]) -> tuple[Report, str]:
    from clusterlog.ship.homelock import HomeLock

    stop = Asked()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.by_signal)
    if until_eof:
        threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()
    with HomeLock.take(settings.home_path), ExitStack() as stack:
        shipper, sink = shipper_of(settings)
        beside = _beside(settings, found, stack) if found else None
        if not until_eof:
            also = f", and what comes to {', '.join(beside.urls)}" if beside else ""
            paint.say(f"shipping {escaped(settings.home)}{also} to {escaped(sink)}{_promised(sink)}; Ctrl-C ends it")
        teller, losses = Teller(settings, sink, syslog=beside.told if beside else lambda: None), Losses(beside)

        def tell(shipper: Shipper) -> None:
            teller.tell(shipper)
            losses.tell()

        shipper.run(stop, tell)
    if beside:
        paint.say(f"syslog: {taken_in(beside.told())}")
    return shipper.report, sink


def _beside(settings: Settings, found: list[Door], stack: ExitStack) -> Listener:
    """Take syslog in for the sink of these settings, until the stack is left."""
    from clusterlog.ship.sinks import open_sink
    from clusterlog.web.syslog.passage import Passage

    sink, *_ = open_sink(settings)
    stack.callback(sink.close)
    made = entrance(found, Passage(sink, settings))
    made.begin()
    stack.callback(made.end)
    return made


def _wait_for_eof(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        continue
    stop.set()


class Asked(threading.Event):
    """An event that a signal handler may set: the library's own holds a lock that the handler would wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    def by_signal(self, number: int, frame: object) -> None:
        """The first signal asks; the next one does what it does to any process."""
        signal.signal(number, signal.SIG_DFL)
        self._asked = True

    def set(self) -> None:
        """Ask."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether somebody has asked."""
        return self._asked

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep up to ``timeout`` seconds, in naps, until somebody asks."""
        until = time.monotonic() + (timeout or 0.0)
        while not self._asked and (timeout is None or time.monotonic() < until):
            time.sleep(_NAP_S if timeout is None else min(_NAP_S, timeout))
        return self._asked


class Teller:
    """Says when the sink stops taking events and when it takes them again, and publishes it for ``clusterlog status``.

    The same is said once a minute at most, and a warning again where its number has grown.
    """

    def __init__(
        self,
        settings: Settings,
        sink: str,
        monotonic: Callable[[], float] = time.monotonic,
        syslog: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self._home = settings.home_path
        self._sink = sink
        self._syslog = syslog
        self._monotonic = monotonic
        self._error = self._spoken = ""
        self._due = 0.0
        self._said: dict[str, float] = {}
        self._warned: dict[str, str] = {}

    def tell(self, shipper: Shipper) -> None:
        """What has changed since the last time."""
        from clusterlog.ship.status import publish

        error, told = shipper.error, shipper.told()
        changed = error != self._error
        if error and changed and self._may_say(error):
            paint.say(f"not delivered: {escaped(error)}; events wait in the spool")
            self._spoken = error
        if not error and self._spoken:
            paint.say(f"{escaped(self._sink)} takes events again")
            self._spoken = ""
        for text in told["warnings"]:
            kind = text.partition(" ")[2]  # without the number
            if self._warned.get(kind) != text and self._may_say(kind):
                self._warned[kind] = text
                paint.say(escaped(text))
        self._error = error
        if changed or self._monotonic() >= self._due:
            self._due = self._monotonic() + _PUBLISH_S
            publish(self._home, self._sink, error, told, self._syslog())

    def _may_say(self, text: str) -> bool:
        now = self._monotonic()
        self._said = {each: at for each, at in self._said.items() if now - at < _AGAIN_S}
        return self._said.setdefault(text, now) == now
