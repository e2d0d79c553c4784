"""What an application holds of its cluster: ``clusterlog.cluster``.

Its first use begins this process's part in the cluster at once; without it that begins a second after ``start()``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from clusterlog.control.part import slot
from clusterlog.errors import ClusterlogError, SettingError
from clusterlog.settings.values import seconds

if TYPE_CHECKING:
    from clusterlog.control.bus.base import Link
    from clusterlog.control.members import Node
    from clusterlog.control.messages.client import Client
    from clusterlog.control.messages.switchboard import Switchboard
    from clusterlog.control.node.membership import NodeChange
    from clusterlog.control.node.worker import Worker

FOR = "15m"


class Cluster:
    """The cluster of this process. Safe in threads; only ``nodes`` and what changes levels wait for a bus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switchboard: Switchboard | None = None
        self._listeners: tuple[Callable[[NodeChange], Any], ...] = ()

    def is_clustered(self) -> bool:
        """Whether this process has a part in a cluster: it was started, and the setting ``bus`` is not ``off``."""
        return slot.part is not None and slot.part.clustered

    def client(self, functionality: str) -> Client:
        """The client by which this process speaks to others in ``functionality``: made once, shared by all who ask.

        Raises SettingError for a name that cannot be one.
        """
        if not functionality or functionality == "clusterlog" or not functionality.isprintable():
            raise SettingError(f"{functionality!r} names no functionality: take a word of your own, such as cache")
        self._begin()
        return self.switchboard.client(functionality)

    def on_change(self, fn: Callable[[NodeChange], Any]) -> Callable[[], None]:
        """Call ``fn(change)`` when a node joins, leaves or falls silent; ``change`` has what, node, service, host.

        Called in a thread of ours, one at a time. Gives a function that ends it.
        """
        with self._lock:
            self._listeners = (*self._listeners, fn)
        self._begin()

        def cancel() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not fn)

        return cancel

    def set_level(
        self,
        logger: str,
        level: str,
        for_: float | str = FOR,
        *,
        service: str | Iterable[str] = (),
        node: str | Iterable[str] = (),
        reason: str = "",
    ) -> str:
        """Set the level of ``logger``, and of all below it, everywhere or on these services and nodes (globs).

        ``for_`` is a duration (``"15m"`` or seconds). Gives the id of the rule. Waits until it is written, not until
        all have it in force. Raises NotAllowed where this node's role is not ``send``, BusUnreachable, Rejected for a
        rule too many, SettingError for what is no level, logger or duration.
        """
        from clusterlog.control.operator.change import Wish
        from clusterlog.control.rules.rule import Selector, level_number, logger_named

        try:
            wish = Wish(
                logger_named(logger),
                level_number(level),
                seconds(for_),
                selector=Selector(service=_several(service), node=_several(node)),
                reason=reason,
            )
        except ValueError as error:
            raise SettingError(f"set_level({logger!r}, {level!r}): {error}") from None
        if wish.life_s <= 0:
            raise SettingError("set_level: a rule lives longer than that, as for_='15m'")
        found: str = self._operated(lambda operator: operator.put(wish)).rules[0].id
        return found

    def reset_level(self, rule: str) -> None:
        """Take a rule back, by the id that ``set_level`` gave. Raises NotFound where it is over, else as that."""
        self._operated(lambda operator: operator.reset(rule))

    def nodes(self) -> tuple[Node, ...]:
        """Who is there, as the bus knows it now. Raises BusUnreachable."""
        from clusterlog.control.operator.present import present

        worker = self._worker()
        link = worker.far.open()
        try:
            return present(link.leases(), worker.sealer, worker.lives)
        finally:
            link.close()

    @property
    def switchboard(self) -> Switchboard:
        """The messages of this process."""
        with self._lock:
            if self._switchboard is None:
                from clusterlog.control.messages.switchboard import Switchboard
                from clusterlog.control.node.answers import EXPLAIN
                from clusterlog.control.node.membership import CHANGED, FUNCTIONALITY, GAP

                self._switchboard = Switchboard(self._wake, self.nodes, _trouble)
                self._switchboard.subscribe(FUNCTIONALITY, CHANGED, self._heard)
                self._switchboard.subscribe(FUNCTIONALITY, GAP, self._missed)
                self._switchboard.subscribe(FUNCTIONALITY, EXPLAIN, self._explained)
            return self._switchboard

    def changed(self, change: NodeChange) -> None:
        """Tell those who listen."""
        for fn in self._listeners:
            self.switchboard.handlers.call(lambda fn=fn: fn(change))  # type: ignore[misc]

    def forked(self) -> None:
        """In a child: whatever thread held the lock, it is not here."""
        self._lock = threading.Lock()

    def _heard(self, data: Any) -> None:
        from clusterlog.control.node.membership import NodeChange

        change = NodeChange.read(data)
        if change is not None:
            self.changed(change)

    def _missed(self, _data: Any) -> None:
        """The agent lost sight of the network for a while, which this process's own bus knows nothing of."""
        from clusterlog.control.bus.base import Gap

        self.switchboard.receive(Gap())

    def _explained(self, data: Any) -> dict[str, Any]:
        """An operator asks how the level of a logger came about here."""
        from clusterlog.control.node.answers import explained

        part = slot.part
        return explained(self._worker().hand.force, data, "off" if part is None else part.settings.throttle)

    def _begin(self) -> Worker | None:
        """Begin now what would begin a second after the start; where that cannot be, the road has been told why."""
        try:
            return None if slot.part is None else slot.part.used()
        except (ClusterlogError, OSError):
            return None

    def _worker(self) -> Worker:
        worker = None if slot.part is None else slot.part.begin()
        if worker is None:
            raise SettingError(
                "this process has no part in a cluster: call clusterlog.start(), with a bus that is not off"
            )
        return worker

    def _wake(self) -> None:
        worker = self._begin()
        if worker is not None:
            worker.wake()

    def _operated(self, change: Callable[[Any], Any]) -> Any:
        from clusterlog.control.operator.change import Operator
        from clusterlog.control.operator.present import acknowledged

        worker = self._worker()
        report = worker.me.report
        link: Link = worker.far.open()
        try:
            actor = f"{report.service}/{report.node}"
            return change(
                Operator(link, worker.sealer, actor, lambda leases: acknowledged(leases, worker.sealer), report.role)
            )
        finally:
            link.close()


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _trouble(what: str, error: BaseException) -> None:
    """What a function of the application raised goes on the road, where people look for what goes wrong."""
    from clusterlog.record.slot import slot as record

    if record.road is not None:
        record.road.line(40, "clusterlog.cluster", "%s failed", (what,), {}, error)


cluster = Cluster()
