"""Syslog that comes in beside what a command does: where, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.home.delivery import dropped
from clusterlog.cli.line import escaped
from clusterlog.errors import SettingError

if TYPE_CHECKING:
    from clusterlog.web.syslog.doors import Door
    from clusterlog.web.syslog.inbox import Takes
    from clusterlog.web.syslog.listener import Listener

LOSSES_S = 60.0

_REASONS = {
    "cut": "cut",
    "handshakes": "TLS handshakes failed",
    "misframed": "out of frame",
    "no_room": "without room",
    "not_stored": "not stored",
    "refused": "refused",
    "too_many_connections": "connections ended to make room",
}


def syslog_option(help: str) -> Callable[[Any], Any]:
    """The option by which a command is told where to listen."""
    return click.option("--syslog", metavar="[tcp|udp|tls://]HOST:PORT", multiple=True, help=help)


def doors_of(syslog: tuple[str, ...], cert: str = "", key: str = "", no_tls: bool = False) -> list[Door]:
    """The ways in that are asked for. Raises SettingError, also for one that is open to everybody by mistake."""
    from clusterlog.web.syslog.doors import doors, is_open

    found: list[Door] = []
    for listen in syslog:
        made = doors(listen, cert, key)
        if is_open(listen, made) and not no_tls:
            raise SettingError(
                f"--syslog {listen} is open to other machines without TLS: give --tls-cert and --tls-key, --no-tls, or"
                " say tcp:// or udp:// before it"
            )
        found += made
    return found


def entrance(found: list[Door], intake: Takes, clients: str = "") -> Listener:
    """What takes syslog in at these doors; it has not begun. Raises SettingError and NotAllowed."""
    from clusterlog.web.syslog.inbox import Inbox
    from clusterlog.web.syslog.listener import Listener

    return Listener(found, Inbox(intake), clients)


def taken_in(told: Mapping[str, Any]) -> str:
    """What came in by syslog, for people; ``told`` is ``syslog`` of ``clusterlog.status/1``."""
    parts = [f"{paint.counted(told['received'], 'line')}, {paint.amount(told['stored'])} stored"]
    if told["known"]:
        parts.append(f"{paint.amount(told['known'])} there already")
    if told["unparsed"]:
        parts.append(f"{paint.amount(told['unparsed'])} only as text")
    if told["losses"]:
        parts.append(dropped({_REASONS.get(reason, reason): count for reason, count in told["losses"].items()}))
    return "; ".join(parts)


class Losses:
    """Says what of syslog did not come as it should, once a minute at most, where there is more of it."""

    def __init__(self, entrance: Listener | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._entrance = entrance
        self._monotonic = monotonic
        self._said: dict[str, int] = {}
        self._due = 0.0

    def tell(self, *, at_once: bool = False) -> None:
        """What there is to say now."""
        now = self._monotonic()
        if self._entrance is None or (now < self._due and not at_once):
            return
        counts = self._entrance.losses()
        if counts != self._said:
            self._said, self._due = counts, now + LOSSES_S
            last = self._entrance.last_refused
            said = dropped({_REASONS[reason]: count for reason, count in counts.items()})
            paint.say(f"syslog: {said}" + (f", the last from {escaped(last)}" if counts.get("handshakes") else ""))
