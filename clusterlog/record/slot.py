"""The one place where what happened leaves for the road; empty until ``start`` has put encoder and spool behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Road(Protocol):
    """What stands behind the slot. No method raises, blocks on a network or prints."""

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        wall_ns: int = 0,
        bound: Any = None,
    ) -> None:
        """A log line: ``event`` with ``%``-style ``args``, the caller's own ``fields``, perhaps an exception.

        ``wall_ns`` is when it happened, 0 for now; ``bound`` is what this road made of its logger's own fields.
        """

    def bound(self, fields: Mapping[str, Any]) -> Any:
        """A logger's own fields, serialised now for all its lines to come; ``None`` from a road that cannot yet."""

    def document(
        self,
        dataset: str,
        level: int,
        logger: str,
        message: str,
        body: Mapping[str, Any],
        *,
        labels: Mapping[str, Any] | None = None,
        failure: BaseException | None = None,
        scope: Any = None,
        wall_ns: int = 0,
    ) -> None:
        """An event that is not a log line (``clusterlog.access``, ``clusterlog.call``, ``clusterlog.span``).

        ``body`` holds nested ECS objects, merged over those of the context; ``scope`` stands in for the current one.
        """


class Slot:
    """Holds the road, or ``None``."""

    __slots__ = ("road",)

    def __init__(self) -> None:
        self.road: Road | None = None


slot = Slot()
