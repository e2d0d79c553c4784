"""Questions to a server, and answers that are taken at their word: whole, or said to lack something, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from clusterlog.errors import Incomplete, StoreUnavailable
from clusterlog.store.elasticsearch.judge import trouble
from clusterlog.store.elasticsearch.reading import mapping
from clusterlog.store.elasticsearch.reading.clauses import Clause
from clusterlog.store.elasticsearch.transport import Answer, Client

BUCKETS = 10_000
"""Of one answer; a server gives 65,536 (``search.max_buckets``)."""
ANSWER_S = 60.0
AUDIT_S = 600.0
"""How long a look at everything may take."""
MAPPING_S = 30.0
"""How long what a server knows of its fields is taken as known: new fields come with new events."""
_AGAIN = (0.25, 1.0, 3.0)
"""Pauses (s) after which a server that has too much to do is asked once more."""
_LONGEST_PAUSE_S = 10.0
_FAILURES_TOLD = 3
_RIGHTS = (
    "reading needs the rights read and view_index_metadata on {target}: "
    "`clusterlog setup elasticsearch --keys read` makes a key with them"
)
_OPEN = {"ignore_unavailable": "true", "allow_no_indices": "true"}
"""Where no index is, nothing is stored yet."""
_NOTHING: Mapping[str, Clause] = {}


@dataclass(slots=True)
class Damage:
    """What an answer lacks, in words; empty while it lacks nothing."""

    told: dict[str, None] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Remember it, once."""
        self.told[what] = None

    def confess(self) -> None:
        """Raise ``Incomplete`` if anything is lacking."""
        if self.told:
            first, *others = self.told
            more = f", and {len(others)} more" if others else ""
            raise Incomplete(f"some events cannot be read: {first}{more}")


class Asker:
    """Asks for the events of ``target``, names of indices with wildcards. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        client: Client,
        target: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.target = target
        self.path = quote(target, safe=",*:-._")
        self._clock, self._sleep = clock, sleep
        self._mapping: tuple[float, mapping.Mapping] | None = None

    def mapping(self) -> mapping.Mapping:
        """What the server knows of its fields, not older than ``MAPPING_S``."""
        now = self._clock()
        if self._mapping is None or now - self._mapping[0] > MAPPING_S:
            answer = self.tried("GET", f"/{self.path}/_field_caps", params={"fields": "*", **_OPEN})
            self._mapping = now, mapping.Mapping.read(self.read(answer, "fields", Damage()))
        return self._mapping[1]

    def forget(self) -> None:
        """Ask for the mapping again at the next question."""
        self._mapping = None

    def search(
        self, body: dict[str, Any], damage: Damage, *, timeout: float = ANSWER_S, of: str = ""
    ) -> Mapping[str, Any]:
        """The body of an answer to a search. What it lacks is noted in ``damage``.

        ``of`` is put behind the target: ``::failures``.
        """
        answer = self.tried("POST", f"/{self.path}{of}/_search", body, params=_OPEN, timeout=timeout)
        return self.read(answer, "hits", damage)

    def aggregation(self, body: dict[str, Any], name: str, damage: Damage, *, of: str = "") -> Mapping[str, Any]:
        """One aggregation of a search; empty where no index was searched."""
        told = self.search(body, damage, timeout=AUDIT_S, of=of)
        found = told["aggregations"].get(name) if isinstance(told.get("aggregations"), dict) else None
        if isinstance(found, dict):
            return found
        if isinstance(told.get("_shards"), dict) and not told["_shards"].get("total"):
            return {}
        raise StoreUnavailable(f"{self.client.url}: answers without what was to be counted")

    def buckets(
        self,
        clause: Clause,
        sources: Sequence[Clause],
        damage: Damage,
        *,
        inside: Mapping[str, Clause] = _NOTHING,
        of: str = "",
    ) -> Iterator[Mapping[str, Any]]:
        """Every bucket of a composite aggregation by ``sources``, in their order, with the aggregations ``inside``."""
        composite: dict[str, Any] = {"size": BUCKETS, "sources": list(sources)}
        while True:
            asked = {"by": {"composite": composite, **({"aggs": dict(inside)} if inside else {})}}
            body = {"query": clause, "size": 0, "track_total_hits": False, "aggs": asked}
            told = self.aggregation(body, "by", damage, of=of)
            found = told.get("buckets", ())
            yield from found
            if "after_key" not in told or not found:
                return
            composite["after"] = told["after_key"]

    def count(self, clause: Clause, damage: Damage) -> int:
        """How many documents match a clause."""
        answer = self.tried("POST", f"/{self.path}/_count", {"query": clause}, params=_OPEN)
        told = self.read(answer, "count", damage)["count"]
        if type(told) is not int:
            raise StoreUnavailable(f"{answer.node}: answers without saying how many there are")
        return told

    def read(self, answer: Answer, word: str, damage: Damage) -> Mapping[str, Any]:
        """The body of an answer that has ``word`` in it. Raises StoreUnavailable and StoreDenied for any other."""
        if answer.status != 200:
            raise refused(answer, self.target)
        told = answer.body
        if not isinstance(told, dict) or word not in told:
            raise StoreUnavailable(f"{answer.node}: answers 200, but not to what was asked: is a proxy in between?")
        _note(told, damage)
        return told

    def tried(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        timeout: float = ANSWER_S,
    ) -> Answer:
        """Any answer, but for that of a server with too much to do, which is asked again a few times."""
        pauses = list(_AGAIN)
        while True:
            answer = self.client.call(method, path, body, params=params, timeout=timeout)
            if answer.status != 429 or not pauses:
                return answer
            asked = trouble(answer).retry_after or 0.0
            self._sleep(min(max(asked, pauses.pop(0)), _LONGEST_PAUSE_S))


def refused(answer: Answer, target: str) -> StoreUnavailable:
    """What an answer means that is not 200, and what to do about it."""
    return trouble(answer, _RIGHTS.format(target=target))


def _note(told: Mapping[str, Any], damage: Damage) -> None:
    """What an answer with status 200 says it lacks: shards that failed, time that ran out."""
    shards = told.get("_shards")
    if isinstance(shards, dict) and shards.get("failed"):
        reasons = dict.fromkeys(_reason(each) for each in shards.get("failures") or ())
        said = "; ".join(list(reasons)[:_FAILURES_TOLD])
        damage.note(f"{shards['failed']} of {shards.get('total', '?')} shards failed" + (f" ({said})" if said else ""))
    if told.get("timed_out"):
        damage.note("the search ran out of time")
    clusters = told.get("_clusters")
    if isinstance(clusters, dict) and clusters.get("skipped"):
        damage.note(f"{clusters['skipped']} remote clusters did not answer")


def _reason(failure: Any) -> str:
    reason = failure.get("reason") if isinstance(failure, dict) else None
    if not isinstance(reason, dict):
        return "no reason told"
    index = failure.get("index") or "?"
    text = f"{index}: {reason.get('type')}: {reason.get('reason')}"
    return " ".join(text.split())[:300]
