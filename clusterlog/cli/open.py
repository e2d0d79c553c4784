"""``clusterlog open``: one request in Kibana, in the browser; its address where there is none."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, with_settings
from clusterlog.encode.console import addresses
from clusterlog.errors import Ambiguous, MissingExtra, NotFound, SettingError, StoreUnavailable
from clusterlog.search import kibana, pasted
from clusterlog.settings import Settings

SCHEMA = "clusterlog.open/1"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@click.command()
@click.argument("request_id", metavar="ID", shell_complete=candidates.request_ids)
@click.option("--dashboard", "on_dashboard", is_flag=True, help='On the dashboard "Requests" instead of in Discover.')
@click.option("--print", "only_print", is_flag=True, help="Print the address, and open nothing.")
@with_settings("home", "store", "kibana", "token_file")
@as_json
def open(settings: Settings, request_id: str, on_dashboard: bool, only_print: bool, as_json: bool) -> int:
    """Open one request in Kibana: all its events on all nodes, oldest first.

    ID is whatever `trace` takes: an id or a part of it, a traceparent, a header, a log line. The address is printed,
    and opened where there is a display. Kibana is named by --kibana or the setting kibana, its space with it
    (https://host:5601/s/ops), and has been set up by `clusterlog setup kibana`.
    """
    if not settings.kibana:
        raise SettingError("no Kibana is named: --kibana https://host:5601, or the setting kibana")
    meant = _meant(settings, request_id)
    if on_dashboard:
        address = addresses.dashboard(settings.kibana, "requests", meant.query, meant.times)
    else:
        address = addresses.discover(settings.kibana, meant.query, meant.times)
    opened = not only_print and _opened(address, os.environ)
    if as_json:
        told = {"schema": SCHEMA, "requests": list(meant.requests), "query": meant.query, "address": address}
        paint.emit(json.dumps({**told, "opened": opened}).encode())
        return 0
    paint.show(escaped(address))
    if opened:
        paint.say("opened in the browser")
    elif not only_print and paint.terminal(sys.stdout):
        paint.say("no browser could be opened here: the address leads there from anywhere")
    return 0


def _meant(settings: Settings, given: str) -> kibana.Meant:
    """What is meant, by what the store knows of it; where that is not the one that Kibana shows, by the id alone.

    Raises what ``documents`` raises: NotFound only where the store is the one that Kibana shows, as its address says.
    """
    from clusterlog.cli.find.request import documents
    from clusterlog.cli.home.stored import opened

    try:
        with opened(settings, fresh=False) as store:
            return kibana.of_events(documents(store, given, settings))
    except Ambiguous:
        raise
    except NotFound:
        if settings.store:
            raise
    except (StoreUnavailable, MissingExtra) as error:
        paint.say(f"clusterlog: {escaped(str(error))}: the id is taken as it is")
    return kibana.of_pasted(pasted.read(given))


def _opened(address: str, environ: Mapping[str, str]) -> bool:
    """Open the browser of whoever sits here; false where nobody does."""
    if sys.platform != "darwin" and not any(environ.get(name) for name in _DISPLAYS):
        return False  # else a browser for terminals might take over this one
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
