"""What stops a line on its way from the call to the road: the layers of standard logging, one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler


@dataclass(frozen=True, slots=True)
class Layer:
    """Something that stops lines. ``certain``: it stops all of this level; else it may, as a filter does."""

    layer: str
    text: str
    certain: bool = True


def layers(logger: logging.Logger, level: int) -> tuple[Layer, ...]:
    """What stops a line of ``level`` said by ``logger``, if its own level does not, the first one first."""
    return tuple(_found(logger, level))


def _found(logger: logging.Logger, level: int) -> Iterator[Layer]:
    name = logger.name
    if logger.manager.disable >= level:
        yield Layer("disable", f"logging.disable({logging.getLevelName(logger.manager.disable)}) is in force")
    if logger.disabled:
        yield Layer("logger", f"logger {name} is disabled, as dictConfig does with those it does not name")
    if logger.filters:
        yield Layer("filter", f"logger {name} has {_counted(logger.filters)}", certain=False)
    yield from _handlers(logger, level)


def _handlers(logger: logging.Logger, level: int) -> Iterator[Layer]:
    reached = list(_reached(logger))
    ours = [handler for handler in reached if isinstance(handler, RecordHandler)]
    others = [handler for handler in reached if not isinstance(handler, RecordHandler)]
    if ours and all(handler.level > level for handler in ours):
        yield Layer("handler", f"the handler of clusterlog takes {_least(ours)} and above")
    elif not ours and any(isinstance(handler, RecordHandler) for handler in logging.root.handlers):
        yield Layer("handler", f"logger {logger.name} keeps its records from the handler of clusterlog (propagate)")
    elif not ours and slot.road is not None and not _taken_elsewhere():
        yield Layer("unheard", f"no handler of clusterlog hears logger {logger.name}: native lines alone arrive", False)
    for own in ours:
        if own.level <= level and own.filters:
            yield Layer("filter", f"the handler of clusterlog has {_counted(own.filters)}", certain=False)
    if slot.road is None and all(other.level > level for other in others):
        yield Layer("road", "clusterlog was not started in this process")
    for other in others:
        if other.level > level:
            yield Layer("handler", f"{type(other).__name__} takes {_least([other])} and above", certain=False)


def _taken_elsewhere() -> bool:
    """Whether records are taken before they come to handlers, as under ``clusterlog run``."""
    return str(getattr(logging.Logger.callHandlers, "__globals__", {}).get("__name__", "")).startswith("clusterlog.")


def _least(handlers: Sequence[logging.Handler]) -> str:
    return str(logging.getLevelName(min(handler.level for handler in handlers)))


def _reached(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """The handlers that a record of ``logger`` is offered to."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _counted(filters: object) -> str:
    count = len(filters)  # type: ignore[arg-type]
    return "a filter" if count == 1 else f"{count} filters"
