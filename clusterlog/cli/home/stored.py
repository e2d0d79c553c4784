"""The store that a command asks, opened for reading, with what still waited in the spools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from clusterlog.cli import paint
from clusterlog.cli.home.delivery import deliver
from clusterlog.cli.line import escaped
from clusterlog.errors import HomeBusy, Incomplete, NotAllowed, NotFound, StoreUnavailable, TimedOut
from clusterlog.settings import Settings, without_credentials
from clusterlog.store.base import Found, Store
from clusterlog.store.opening import open_store
from clusterlog.store.query import Query

OTHERS_SHIPPER_S = 5.0
"""How long an answer waits for the shipper of the home to deliver what was in the spools when it was asked for."""


class _Partly:
    """A store that goes on where it cannot read some of its events, and remembers in ``damage`` what it said then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.damage = ""
        self.count, self.sequences, self.audit, self.close = store.count, store.sequences, store.audit, store.close

    def find(self, query: Query) -> Iterator[Found]:
        """Those of the events that match which can be read."""
        try:
            yield from self._store.find(query)
        except Incomplete as error:
            self.damage = self.damage or str(error)


@contextmanager
def opened(settings: Settings, *, fresh: bool = True, partly: bool = True) -> Iterator[Store]:
    """The store of these settings for reading; what waits in the spools of an embedded one is delivered first.

    With ``fresh`` false it is asked as it is. With ``partly`` what can be read is found although some events cannot be,
    and Incomplete is raised at the end of the block, so what is found is to be shown inside; it is raised in place of
    NotFound, too, since those events may be what was looked for. Raises NotFound where there is no home, and what
    ``open_store`` raises.
    """
    if not settings.store:
        home = settings.home_path
        if not home.is_dir():
            raise NotFound(f"no home at {home}: nothing has logged there; --home DIR names another")
        if fresh:
            freshen(settings)
        if not (home / "store").is_dir():
            raise NotFound(f"nothing is stored in {home} yet; {waiting(settings)}")
    with closing(open_store(settings)) as store:
        if not partly:
            yield store
            return
        asked = _Partly(store)
        try:
            yield asked
        except NotFound:
            if not asked.damage:
                raise
        if asked.damage:
            raise Incomplete(asked.damage)


def place(settings: Settings) -> str:
    """What is asked, in words."""
    return f"the store at {without_credentials(settings.store)}" if settings.store else f"the store of {settings.home}"


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
    """What no store has yet, as far as this machine knows."""
    if settings.store and not settings.home_path.is_dir():
        return "no spool is here that could hold it"
    from clusterlog.ship.status import status

    try:
        backlog = status(settings)["backlog"]["events"]
    except (OSError, StoreUnavailable):
        return "the spools cannot be read"
    return f"{paint.counted(backlog, 'event')} not delivered yet" if backlog else "nothing waits in the spools"
