"""``clusterlog serve``: shipper and store of a home as a server for other machines."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from clusterlog.cli import paint
from clusterlog.cli.deliver.entrance import Losses, doors_of, entrance, syslog_option, taken_in
from clusterlog.cli.deliver.ship import Asked, Teller, summary
from clusterlog.cli.home.delivery import told_of
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.errors import SettingError
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.ship.shipper import Shipper
    from clusterlog.web.server import Server
    from clusterlog.web.syslog.doors import Door
    from clusterlog.web.syslog.listener import Listener

SCHEMA = "clusterlog.serve/1"
LISTEN = "127.0.0.1:8520"


@click.command()
@click.option("--listen", metavar="HOST:PORT", default=LISTEN, show_default=True, help="Where; port 0 is any free one.")
@click.option("--tls-cert", metavar="FILE", default="", help="Speak TLS with this certificate (PEM, its chain in it).")
@click.option("--tls-key", metavar="FILE", default="", help="The certificate's key (PEM, without a password).")
@click.option("--no-tls", is_flag=True, help="Listen to other machines without TLS: all can be read on the way.")
@syslog_option("Take syslog in there, too: TLS where there is a certificate, else TCP and UDP. May be given again.")
@click.option("--syslog-clients", metavar="FILE", default="", help="Who may send syslog by TLS: authorities, PEM.")
@with_settings("home")
@as_json
def serve(
    settings: Settings,
    listen: str,
    tls_cert: str,
    tls_key: str,
    no_tls: bool,
    syslog: tuple[str, ...],
    syslog_clients: str,
    as_json: bool,
) -> None:
    """Ship a home into its store, and take events and questions from other machines, until SIGTERM or Ctrl-C.

    It speaks Elasticsearch's _bulk protocol, for clusterlog and for any other sender, and answers `--store URL`. Tokens
    to write and to read are in HOME/run/serve.json, kept across restarts. One process at a time serves or ships a home.

    Syslog knows no tokens and no answers: whoever reaches that port may send, and is not told what became of it.

    With --json it prints one document when it is ready.
    """
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.web import tokens
    from clusterlog.web.address import Address
    from clusterlog.web.server import Server

    address = Address.parse(listen, tls_cert, tls_key)
    if not (address.is_loopback or address.cert or no_tls):
        raise SettingError(
            f"{listen} is open to other machines, and tokens and events would be readable on the way: give --tls-cert"
            " and --tls-key, or --no-tls where something before it speaks TLS"
        )
    found = doors_of(syslog, tls_cert, tls_key, no_tls)
    _look_at_home(settings)
    stop, begun = Asked(), time.monotonic()
    with HomeLock.take(settings.home_path):
        known = tokens.load(settings.home_path)
        server = Server(settings, address, known)
        file = tokens.publish(settings.home_path, server.url, known)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop.by_signal)
        beside = _entrance(settings, server, found, syslog_clients) if found else None
        teller = Teller(settings, server.name, syslog=beside.told if beside else lambda: None)
        losses = Losses(beside)

        def tell(shipper: Shipper) -> None:
            teller.tell(shipper)
            losses.tell()

        ready = partial(_ready, settings, server, str(file), beside.urls if beside else [], as_json)
        server.run(stop, ready, tell, [beside] if beside else [])
    losses.tell(at_once=True)
    paint.say(summary(told_of(server.report), server.name, time.monotonic() - begun))
    if beside:
        paint.say(f"syslog: {taken_in(beside.told())}")


def _entrance(settings: Settings, server: Server, found: list[Door], clients: str) -> Listener:
    from clusterlog.web.intake.events import Strangers
    from clusterlog.web.intake.fates import Intake

    try:
        return entrance(found, Intake(server.store, Strangers(settings, format="syslog")), clients)
    except BaseException:
        server.close()
        raise


def _look_at_home(settings: Settings) -> None:
    """A server may begin a home, since others log into it; a directory of something else is none."""
    from clusterlog.ship.homelock import is_home

    if settings.home_path.exists() and not is_home(settings.home_path):
        raise SettingError(f"{settings.home} holds something else than a home: choose another --home")


def _ready(settings: Settings, server: Server, file: str, syslog: list[str], as_json: bool) -> None:
    beside = f" and {', '.join(syslog)}" if syslog else ""
    paint.say(f"serving {escaped(settings.home)} at {server.url}{beside}; tokens in {escaped(file)}; Ctrl-C ends it")
    if as_json:
        told = {"schema": SCHEMA, "home": settings.home, "url": server.url, "pid": os.getpid(), "token_file": file}
        told |= {"syslog": syslog} if syslog else {}
        paint.emit(json.dumps(told).encode())
        sys.stdout.flush()
