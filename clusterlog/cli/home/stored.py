"""The store that a command asks, opened for reading, with what still waited in the spools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterlog.cli import paint
from clusterlog.cli.home.delivery import deliver
from clusterlog.cli.line import escaped
from clusterlog.errors import HomeBusy, NotAllowed, NotFound, SettingError, StoreUnavailable, TimedOut
from clusterlog.settings import Settings
from clusterlog.store.base import Store

OTHERS_SHIPPER_S = 5.0
"""How long an answer waits for the shipper of the home to deliver what was in the spools when it was asked for."""


@contextmanager
def opened(settings: Settings, *, fresh: bool = True) -> Iterator[Store]:
    """The store of these settings for reading; what waits in the spools of an embedded one is delivered first.

    With ``fresh`` false it is asked as it is. Raises NotFound where there is no home, SettingError for a store this
    version cannot ask, StoreUnavailable.
    """
    home = embedded_home(settings)
    if not home.is_dir():
        raise NotFound(f"no home at {home}: nothing has logged there; --home DIR names another")
    if fresh:
        freshen(settings)
    if not (home / "store").is_dir():
        raise NotFound(f"nothing is stored in {home} yet; {waiting(settings)}")
    from clusterlog.store.embedded import EmbeddedStore

    store = EmbeddedStore.open(home / "store", "read")
    try:
        yield store
    finally:
        store.close()


def embedded_home(settings: Settings) -> Path:
    """The home whose store is asked. Raises SettingError for a store this version cannot ask."""
    if settings.store:
        raise SettingError(f"store = {settings.store!r}: this version asks the embedded store only")
    return settings.home_path


def freshen(settings: Settings) -> None:
    """Deliver what lies in the spools, or wait a moment for whoever ships this home. An answer comes in any case."""
    from clusterlog.ship.waiting import undelivered

    if settings.sink or not undelivered(settings.home_path):
        return
    try:
        deliver(settings, OTHERS_SHIPPER_S)
    except (TimedOut, NotAllowed, HomeBusy, StoreUnavailable, OSError) as error:
        paint.say(f"clusterlog: the newest events may be missing: {escaped(str(error))}")


def waiting(settings: Settings) -> str:
    """What no store has yet."""
    from clusterlog.ship.status import status

    try:
        backlog = status(settings)["backlog"]["events"]
    except (OSError, StoreUnavailable):
        return "the spools cannot be read"
    return f"{paint.counted(backlog, 'event')} not delivered yet" if backlog else "nothing waits in the spools"
