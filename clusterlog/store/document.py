"""One stored event as queries see it: parsed, with its values by path, their text, their words and its time.

Every engine answers by these rules, so that a question means the same wherever it is asked:

- A *path* is ECS's dotted name. ``{"log": {"level": "info"}}`` and ``{"log.level": "info"}`` are the same event, and a
  list stands for each of its elements, as in Elasticsearch.
- Values are compared by their *text*: ``5``, ``5.0`` and ``"5"`` are one value. ``null`` is no value.
- *Words* are the runs of letters and digits of the lower-cased text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any, NoReturn

_loads: Callable[[bytes], Any]
try:
    import orjson

    _loads = orjson.loads
except ImportError:  # a platform without a wheel
    import json

    def _not_json(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON value")

    def _loads(data: bytes) -> Any:
        return json.loads(data, parse_constant=_not_json)


Event = dict[str, Any]
Scalar = str | int | float | bool

TEXT_FIELDS = ("message", "error.message", "error.stack_trace")
"""The fields that are searched by words; every other field is one value."""

AHEAD = 86_400 * 1_000_000_000
"""How far (ns) an event's own time may lie behind its arrival's future before the store stops believing it."""

_WORD = re.compile(r"[^\W_]+")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def parse(body: bytes) -> Event:
    """The event of these bytes.

    Raises ``ValueError``, with the reason as its message, for anything but a JSON object.
    """
    try:
        event = _loads(body)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    if type(event) is not dict:
        raise ValueError("not a JSON object")
    return event


def text(value: Scalar) -> str:
    """The text by which a value is compared: JSON's own, whole floats as whole numbers."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


def words(value: str) -> list[str]:
    """The words of a text, lower-cased, in order."""
    return _WORD.findall(value.lower())


@lru_cache(4096)
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """Every way to cut a path into a key and the rest below it, longest key first (the whole path has no rest)."""
    cuts = [at for at, letter in enumerate(path) if letter == "."]
    return tuple((path[:at], path[at + 1 :]) for at in reversed(cuts))


def nodes(event: object, path: str) -> Iterator[object]:
    """Everything that stands at ``path``: scalars, objects and the elements of lists, ``None`` included."""
    if type(event) is list:
        for element in event:
            yield from nodes(element, path)
    elif type(event) is dict:
        if path in event:
            yield from _elements(event[path])
        for key, rest in _splits(path):
            if key in event:
                yield from nodes(event[key], rest)


def _elements(value: object) -> Iterator[object]:
    if type(value) is list:
        for element in value:
            yield from _elements(element)
    else:
        yield value


def values(event: Event, path: str) -> list[Scalar]:
    """The scalar values at ``path``; ``null`` and objects are none."""
    return [value for value in nodes(event, path) if isinstance(value, str | int | float)]


def exists(event: Event, path: str) -> bool:
    """Whether some value other than ``null`` stands at ``path`` or anywhere below it."""
    return any(_holds(node) for node in nodes(event, path)) or _exists_below(event, path)


def _exists_below(event: object, path: str) -> bool:
    """Whether a dotted key begins with ``path`` (``labels`` and ``{"labels.x": 1}``)."""
    if type(event) is list:
        return any(_exists_below(element, path) for element in event)
    if type(event) is not dict:
        return False
    below = path + "."
    if any(key.startswith(below) and _holds(value) for key, value in event.items()):
        return True
    return any(_exists_below(event[key], rest) for key, rest in _splits(path) if key in event)


def _holds(value: object) -> bool:
    if type(value) is dict:
        return any(_holds(inner) for inner in value.values())
    if type(value) is list:
        return any(_holds(inner) for inner in value)
    return value is not None


_SECONDS: dict[str, int] = {}
_KEPT_SECONDS = 4096


def time_ns(stamp: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time, ``None`` for anything else; digits beyond nine are cut.

    The seconds of our own form are kept: a batch spans few of them, and every event comes by here.
    """
    seconds = _SECONDS.get(stamp[:20])
    if seconds is not None and len(stamp) == 30 and stamp[29] == "Z":
        fraction = stamp[20:29]
        if fraction.isdigit() and fraction.isascii():
            return seconds + int(fraction)
    found = _TIME.fullmatch(stamp)
    if found is None:
        return None
    seconds = _epoch_seconds(*map(int, found.group(1, 2, 3, 4, 5, 6)))
    if seconds is None:
        return None
    if found[8] is None:
        if stamp[19:20] == ".":
            if len(_SECONDS) >= _KEPT_SECONDS:
                _SECONDS.clear()
            _SECONDS[stamp[:20]] = seconds * 1_000_000_000
    else:
        hours, minutes = int(found[9]), int(found[10])
        if hours > 23 or minutes > 59:
            return None
        seconds -= (hours * 3_600 + minutes * 60) * (1 if found[8] == "+" else -1)
    return seconds * 1_000_000_000 + int((found[7] or "0")[:9].ljust(9, "0"))


def _epoch_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    if hour > 23 or minute > 59 or second > 60:  # RFC 3339 knows leap seconds
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return days * 86_400 + hour * 3_600 + minute * 60 + second


def placed(event: Event, arrival: int) -> tuple[int, bool]:
    """Where in time (ns) the event is found, and whether that is its own ``@timestamp``.

    Without a readable one it is found at its arrival, and a clock that is more than a day ahead of it is believed for
    one day: else a single bad clock would stand in front of every newest page.
    """
    stamp = event.get("@timestamp")
    own = time_ns(stamp) if type(stamp) is str else None
    if own is None:
        return arrival, False
    latest = arrival + AHEAD
    return (own, True) if own <= latest else (latest, False)


def id_of(event: Event) -> str | None:
    """The event's ``event.id``, ``None`` if it has none, or several, or one that is not a string."""
    inner = event.get("event")
    if type(inner) is dict and "event.id" not in event:
        found = inner.get("id")
        if type(found) is str:
            return found
    ids = values(event, "event.id")
    return ids[0] if len(ids) == 1 and type(ids[0]) is str else None
