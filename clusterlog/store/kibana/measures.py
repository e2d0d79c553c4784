"""What a panel shows, as its source writes it: ``max event.duration where log.level: error``, ``service.name top 10``.

Pure; the words stand at ``measure``, ``breakdown`` and ``order``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = r"[@A-Za-z_][\w.@]*"
_MEASURE = re.compile(
    rf"(?:(?P<count>count)|(?P<function>[a-z]+)(?P<percent>\d{{1,2}})?[ ]+(?P<field>{_FIELD}))"
    r"(?:[ ]+where[ ]+(?P<where>\S.*))?"
)
_BREAKDOWN = re.compile(rf"(?P<field>{_FIELD})[ ]+top[ ]+(?P<size>\d{{1,4}})")
_SORT = re.compile(rf"(?P<field>{_FIELD})(?P<descending>[ ]+descending)?")

FUNCTIONS = ("max", "min", "sum", "median", "p", "unique")
ASCENDING = ", longest ago first"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: a ``function`` of ``FUNCTIONS`` or ``count`` over a field, of the events that ``where`` (KQL) finds.

    ``percent`` belongs to ``p``: by how many of a hundred the value is not exceeded.
    """

    function: str
    field: str = ""
    where: str = ""
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The most frequent, or by the order of the panel first, ``size`` values of a field."""

    field: str
    size: int


def measure(written: str) -> Measure:
    """Read ``count``, ``unique FIELD``, ``median``, ``p95``, ``max``, ``min``, ``sum FIELD``; each with ``where KQL``.

    Raises ValueError with what is expected.
    """
    read = _MEASURE.fullmatch(written)
    if read and read["count"]:
        return Measure("count", where=read["where"] or "")
    if read and read["function"] in FUNCTIONS and bool(read["percent"]) == (read["function"] == "p"):
        return Measure(read["function"], read["field"], read["where"] or "", int(read["percent"] or 0))
    raise ValueError(f"{written!r}: expected count or {', '.join(FUNCTIONS)} (p95) of a field, perhaps where a query")


def breakdown(written: str) -> Breakdown:
    """Read ``FIELD top N``. Raises ValueError with what is expected."""
    read = _BREAKDOWN.fullmatch(written)
    if read is None or not 0 < int(read["size"]) <= 1000:
        raise ValueError(f"{written!r}: expected a field and how many of its values, as service.name top 10")
    return Breakdown(read["field"], int(read["size"]))


def sorting(written: str) -> tuple[str, str]:
    """Read ``FIELD`` or ``FIELD descending`` as field and Kibana's word. Raises ValueError with what is expected."""
    read = _SORT.fullmatch(written)
    if read is None:
        raise ValueError(f"{written!r}: expected a field, perhaps descending")
    return read["field"], "desc" if read["descending"] else "asc"


def order(written: str, measures: tuple[str, ...]) -> tuple[str, str]:
    """Read by which measure rows are ordered: its label, and Kibana's word for the direction.

    The greatest come first, unless ``, longest ago first`` stands behind the label. Without an order the first measure
    decides. Raises ValueError with what is expected.
    """
    label = written.removesuffix(ASCENDING)
    if not written:
        return measures[0], "desc"
    if label not in measures:
        raise ValueError(f"order {label!r}: expected one of the measures, {', '.join(measures)}")
    return label, "asc" if written.endswith(ASCENDING) else "desc"
