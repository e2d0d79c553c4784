"""A query as JSON, for whoever asks a store over a network: ``encoded`` and ``decoded`` undo each other.

Times are RFC 3339 with nine digits, since an integer of nanoseconds is not safe in every JSON reader. What comes in is
a stranger's: anything that is not exactly a query is refused with the place where it stands.

    {"where": {"and": [{"match": {"field": "log.level", "value": "error"}}, {"not": {"exists": {"field": "user"}}}]},
     "since": "2026-11-03T12:00:00.000000000Z", "order": "oldest", "limit": 20, "after": ["2026-…Z", "an event.id"]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from clusterlog.errors import QueryError
from clusterlog.store import document
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Query, Range, Value, Wildcard

DEEPEST = 100
"""Conditions within conditions; a parser of people's queries makes a few."""
MOST_NODES = 50_000
LONGEST = 8 << 20
"""Bytes of a query."""

_SECOND = 1_000_000_000
_FIRST = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * _SECOND
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * _SECOND + _SECOND - 1
_MEMBERS = ("where", "since", "until", "order", "limit", "after")
_BOUNDS = ("gt", "gte", "lt", "lte")


def encoded(query: Query) -> bytes:
    """The query as a JSON object; what says no more than a default is left out.

    Times before the year 1 and behind 9999, at which no event is found, become the nearest there is. Raises
    ``QueryError`` for a number that JSON does not have.
    """
    told: dict[str, Any] = {}
    if not isinstance(query.where, Everything):
        told["where"] = _told(query.where)
    for name, time in (("since", query.since), ("until", query.until)):
        if time is not None:
            told[name] = stamp(time)
    if query.order != "newest":
        told["order"] = query.order
    if query.limit != Query().limit:
        told["limit"] = query.limit
    if query.after is not None:
        told["after"] = [stamp(query.after[0]), query.after[1]]
    try:
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise QueryError("a number in this query is infinite, or none: it can be asked of no store elsewhere") from None


def stamp(time: int) -> str:
    """A time (ns) as ``@timestamp`` is written."""
    seconds, fraction = divmod(min(max(time, _FIRST), _LAST), _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{fraction:09d}Z"


def _told(node: Node) -> dict[str, Any]:
    match node:
        case Everything():
            return {"everything": {}}
        case And(parts):
            return {"and": [_told(part) for part in parts]}
        case Or(parts):
            return {"or": [_told(part) for part in parts]}
        case Not(part):
            return {"not": _told(part)}
        case Exists(field):
            return {"exists": {"field": field}}
        case Wildcard(field, pattern):
            return {"wildcard": {"field": field, "pattern": list(pattern)}}
        case Match(field, value, phrase):
            return {"match": {"field": field, "value": value} | ({"phrase": True} if phrase else {})}
        case Range(field):
            bounds = {name: getattr(node, name) for name in _BOUNDS}
            return {"range": {"field": field, **{name: bound for name, bound in bounds.items() if bound is not None}}}


def decoded(data: bytes) -> Query:
    """The query of these bytes; an empty object is the default one.

    Raises ``QueryError``, one line that names the place, for anything else.
    """
    if len(data) > LONGEST:
        raise QueryError(f"the query is longer than {LONGEST >> 20} MiB")
    try:
        told = json.loads(data or b"{}", parse_constant=_no_number)
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    except ValueError as error:
        raise QueryError(f"the query is not JSON: {error}") from None
    members = _members(told, "the query", _MEMBERS)
    since, until = (_time(members[name], name) if name in members else None for name in ("since", "until"))
    order = members.get("order", "newest")
    if order not in ("newest", "oldest"):
        raise _refused("order", "newest or oldest")
    limit = members.get("limit", Query().limit)
    if limit is not None and (type(limit) is not int or limit < 0):
        raise _refused("limit", "a number of events, or null for all")
    where = _Reading().node(members["where"], "where", DEEPEST) if "where" in members else Everything()
    return Query(where, since, until, order, limit, _after(members["after"]) if "after" in members else None)


class _Reading:
    """Reads conditions, as many as one query may have."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def node(self, told: Any, at: str, depth: int) -> Node:
        """The condition that stands at a place."""
        self._left -= 1
        if not depth:
            raise QueryError(f"the query is nested too deeply: more than {DEEPEST} conditions within each other")
        if self._left < 0:
            raise QueryError(f"the query has more than {MOST_NODES:,} conditions")
        if type(told) is not dict or len(told) != 1:
            raise _refused(at, "an object with one of and, or, not, match, wildcard, range, exists, everything")
        ((kind, inside),) = told.items()
        here = f"{at}.{kind}"
        if kind in ("and", "or"):
            if type(inside) is not list:
                raise _refused(here, "a list of conditions")
            parts = tuple(self.node(part, f"{here}[{number}]", depth - 1) for number, part in enumerate(inside))
            return And(parts) if kind == "and" else Or(parts)
        if kind == "not":
            return Not(self.node(inside, here, depth - 1))
        return _leaf(kind, inside, at)


def _leaf(kind: str, inside: Any, at: str) -> Node:
    here = f"{at}.{kind}"
    match kind:
        case "everything":
            _members(inside, here, ())
            return Everything()
        case "match":
            members = _members(inside, here, ("field", "value", "phrase"))
            phrase = members.get("phrase", False)
            if type(phrase) is not bool:
                raise _refused(f"{here}.phrase", "true or false")
            return Match(_field(members, here, needed=False), _value(members.get("value"), f"{here}.value"), phrase)
        case "wildcard":
            members = _members(inside, here, ("field", "pattern"))
            pattern = members.get("pattern")
            if type(pattern) is not list or not pattern or not all(type(piece) is str for piece in pattern):
                raise _refused(f"{here}.pattern", "a list of the texts between the stars")
            return Wildcard(_field(members, here, needed=False), tuple(pattern))
        case "range":
            members = _members(inside, here, ("field", *_BOUNDS))
            bounds = {name: _value(members[name], f"{here}.{name}") for name in _BOUNDS if name in members}
            return Range(_named(members, here), **bounds)
        case "exists":
            return Exists(_named(_members(inside, here, ("field",)), here))
    raise _refused(at, f"one of and, or, not, match, wildcard, range, exists, everything, and not {kind[:40]!a}")


def _members(told: Any, at: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if type(told) is not dict:
        raise _refused(at, "an object")
    for name in told:
        if name not in known:
            raise _refused(at, f"{', '.join(known) or 'nothing'} in it, and not {name[:40]!a}")
    return told


def _named(members: Mapping[str, Any], at: str) -> str:
    field = _field(members, at, needed=True)
    assert field is not None
    return field


def _field(members: Mapping[str, Any], at: str, *, needed: bool) -> str | None:
    field = members.get("field")
    if type(field) is not str and (needed or "field" not in members or field is not None):
        raise _refused(f"{at}.field", "the name of a field" + ("" if needed else ", or null for any text"))
    return field


def _value(told: Any, at: str) -> Value:
    if not isinstance(told, str | int | float):
        raise _refused(at, "a text, a number, true or false")
    if isinstance(told, float) and not math.isfinite(told):
        raise _refused(at, "a number that is not infinite")
    return told


def _time(told: Any, at: str) -> int:
    time = document.time_ns(told) if type(told) is str else None
    if time is None:
        raise _refused(at, "a time such as 2026-11-03T12:00:00Z")
    return time


def _after(told: Any) -> tuple[int, str]:
    if type(told) is not list or len(told) != 2 or type(told[1]) is not str:
        raise _refused("after", "the time and the event.id of the event before, as `next` gave them")
    return _time(told[0], "after[0]"), told[1]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _refused(at: str, expected: str) -> QueryError:
    return QueryError(f"{at}: expected {expected}")
