"""The store of a ``clusterlog serve``, asked over HTTP: the answers of the embedded store there, byte for byte.

What is found comes in pages. Each ends with a line that says so, so that an answer which was cut off is an error and
never a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from clusterlog.encode.compact import loads
from clusterlog.errors import Incomplete, QueryError, StoreUnavailable
from clusterlog.store import document
from clusterlog.store.base import Found, Progress, Sequences, unseen
from clusterlog.store.elasticsearch.judge import trouble
from clusterlog.store.elasticsearch.transport import Answer, Client
from clusterlog.store.query import Query
from clusterlog.store.ranges import Ranges
from clusterlog.store.wire import encoded

FIRST_PAGE, LARGEST_PAGE, GROWTH = 256 << 10, 8 << 20, 4
"""Bytes of a page: few for who wants the newest hundred, more and more for who reads on."""

_PLACED = re.compile(rb'\[(-?[0-9]+),("(?:[^"\\]|\\.)*"),', re.DOTALL)


class RemoteStore:
    """Asks a ``serve`` through ``client``, whose token may read. ``close`` closes the client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, query: Query) -> Iterator[Found]:
        """The events that match, in the query's order, lazily and in bounded memory.

        Raises ``Incomplete`` at the end when damaged files there kept some from being read, ``StoreUnavailable`` where
        an answer does not come whole, ``QueryError`` for what cannot be asked.
        """
        size = FIRST_PAGE
        problem = ""
        while query.limit != 0:
            params = {"placed": "true", "total": "false", "bytes": str(size)}
            answer = self._ask("POST", "/api/v1/search", encoded(query), params)
            lines, end = _whole(answer, "next")
            for line in lines:
                yield _found(line, answer)
            problem = problem or str(end.get("problem") or "")
            if end["next"] is None:
                break
            query = replace(query, after=_place(end["next"], answer), limit=_left(query.limit, len(lines)))
            size = min(size * GROWTH, LARGEST_PAGE)
        if problem:
            raise Incomplete(problem)

    def count(self, query: Query) -> int:
        """How many events match. Raises ``Incomplete`` and the rest as ``find``."""
        asked = replace(query, after=None)
        told = _object(self._ask("POST", "/api/v1/count", encoded(asked)))
        if told.get("problem"):
            raise Incomplete(str(told["problem"]))
        return int(told["count"])

    def sequences(self, instance: str, within: tuple[int, int] | None = None) -> Sequences:
        """Which numbers of an instance are stored, all of them, as the store there has noted it.

        Raises ``StoreUnavailable``.
        """
        if not instance:
            return Sequences(instance, ())
        return _sequences(_object(self._ask("GET", f"/api/v1/sequences/{quote(instance, safe='')}")))

    def audit(self, progress: Progress = unseen) -> Iterator[Sequences]:
        """The same for every instance, by all that can be read there. Raises ``StoreUnavailable``."""
        lines, _ = _whole(self._ask("GET", "/api/v1/audit"), "instances")
        for line in lines:
            told = loads(line)
            if "progress" in told:
                progress(*told["progress"])
            else:
                yield _sequences(told)

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.close()

    def _ask(
        self, method: str, path: str, body: bytes | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        answer = self._client.call(method, path, body, params=params)
        if answer.status == 200:
            return answer
        if answer.status == 400 and isinstance(answer.body, dict):
            raise QueryError(f"{answer.node}: {answer.body.get('error', {}).get('reason', 'cannot read the query')}")
        raise trouble(answer)


def _whole(answer: Answer, word: str) -> tuple[list[bytes], dict[str, Any]]:
    """The lines of an answer, and the last one, which has ``word`` in it. Raises ``StoreUnavailable`` without it."""
    lines = answer.content.split(b"\n")
    if lines.pop() == b"" and lines:
        try:
            end = loads(lines.pop())
        except ValueError:
            end = None
        if isinstance(end, dict):
            if "error" in end:
                raise StoreUnavailable(f"{answer.node}: {end['error'].get('reason')}")
            if word in end:
                return lines, end
    raise StoreUnavailable(f"{answer.node}: the answer was cut off, or is none of a clusterlog serve")


def _object(answer: Answer) -> dict[str, Any]:
    if not isinstance(answer.body, dict):
        raise StoreUnavailable(f"{answer.node}: answers, but not as a clusterlog serve does")
    return answer.body


def _found(line: bytes, answer: Answer) -> Found:
    placed = _PLACED.match(line)
    if placed is None or not line.endswith(b"]"):
        raise StoreUnavailable(f"{answer.node}: answers, but not as a clusterlog serve does")
    return Found((int(placed[1]), str(loads(placed[2]))), line[placed.end() : -1])


def _place(told: Any, answer: Answer) -> tuple[int, str]:
    """Where to go on, as ``next`` says it."""
    try:
        time, id = told
        at = document.time_ns(time)
    except (TypeError, ValueError):
        at = None
    if at is None:
        raise StoreUnavailable(f"{answer.node}: answers, but not as a clusterlog serve does")
    return at, str(id)


def _left(limit: int | None, taken: int) -> int | None:
    return None if limit is None else max(0, limit - taken)


def _sequences(told: Mapping[str, Any]) -> Sequences:
    return Sequences(told["instance"], *(_ranges(told[name]) for name in ("stored", "twice", "unreadable")))


def _ranges(told: Any) -> Ranges:
    return tuple((int(first), int(last)) for first, last in told)
