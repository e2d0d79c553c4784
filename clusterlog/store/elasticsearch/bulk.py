"""The sink: events are created under their own ids in data streams, so that sending one again is harmless.

It needs the rights ``create_doc`` and ``auto_configure`` on ``logs-clusterlog.*-*`` and nothing else. No event is sent
to where no data stream can be: an index made by chance would have none of the mappings, and no end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from clusterlog.settings import Settings
from clusterlog.store.base import STORED, Delivery, Outcome
from clusterlog.store.elasticsearch.content import says_the_same
from clusterlog.store.elasticsearch.judge import all_created, error_of, judge, trouble
from clusterlog.store.elasticsearch.lines import Lines, Request
from clusterlog.store.elasticsearch.transport import Answer, Client

TIMEOUT_S = 60.0
_ASKED = (
    "errors,error.type,error.reason,items.*.status,items.*.failure_store,"
    "items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,items.*.error.index"
)
"""All of an answer that is looked at: the rest, names of indices and shards, is as long as an event."""
_ASKED_PLACE = "items.*._index"
_OPTIONAL: Mapping[str, str] = {"require_data_stream": "true", "include_source_on_error": "false"}
"""What Elasticsearch knows and OpenSearch refuses. A refusal names it, so no version has to be asked for."""
_UNKNOWN_PARAMETER = re.compile(r"unrecognized parameters?:\s*(.*)")
_THERE_ALREADY = "resource_already_exists_exception"
_NO_TEMPLATE = ("no matching index template", "has no data stream template")
_STREAM = re.compile(r"\[(logs-[^\]]+)\]")
_LOOKED_UP_AT_ONCE = 100


class ElasticsearchSink:
    """Creates events in Elasticsearch, OpenSearch or a ``clusterlog serve``. Threads may share it."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._lines = Lines(settings.environment)
        self._optional = _OPTIONAL
        self._made: set[str] = set()

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """One outcome per delivery. Raises StoreUnavailable, whose ``advice`` says how to go on, if none was judged.

        What cannot be an event at all is refused here, and not sent.
        """
        return self._deliver(batch, _ASKED)

    def deliver_placed(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """As ``deliver``; what was stored has the backing index it went to as its place.

        An id is known within one backing index: what was sent before a rollover and is stored again after it is there
        twice. The name of an index is as long as half an event, so only who asks for it gets it.
        """
        return self._deliver(batch, f"{_ASKED},{_ASKED_PLACE}")

    def _deliver(self, batch: Sequence[Delivery], asked: str) -> Sequence[Outcome]:
        while True:
            optional = self._optional
            request = self._request(batch, optional)
            outcomes: list[Outcome] = []
            if request.body:
                sent = len(batch) - len(request.settled)
                answer = self._send(request.body, sent, {"filter_path": asked, **optional})
                if self._forgoes(optional, answer):
                    continue
                outcomes = [each if each is STORED else _explained(each) for each in judge(answer, sent)]
            for at in sorted(request.settled):
                outcomes.insert(at, request.settled[at])
            return outcomes

    def _request(self, batch: Sequence[Delivery], optional: Mapping[str, str]) -> Request:
        request = self._lines.request(batch)
        if "require_data_stream" in optional:
            return request
        blocked = {stream: Outcome("blocked", why) for stream in request.streams if (why := self._lacks(stream))}
        return self._lines.request(batch, blocked) if blocked else request

    def _send(self, body: bytes, sent: int, params: Mapping[str, str]) -> Answer:
        """Never twice without the shipper's knowledge: what it sent before decides what a duplicate means."""
        return self._client.call(
            "POST",
            "/_bulk",
            body,
            params=params,
            timeout=TIMEOUT_S,
            ndjson=True,
            again=False,
            known=all_created(sent),
        )

    def _forgoes(self, sent: Mapping[str, str], answer: Answer) -> bool:
        """Whether the server refused the request for parameters it does not know, which it is spared from now on.

        ``sent`` are those of the request: another thread may have met the same meanwhile.
        """
        error = answer.body.get("error") if answer.status == 400 and isinstance(answer.body, dict) else None
        named = _UNKNOWN_PARAMETER.search(str(error.get("reason"))) if isinstance(error, dict) else None
        unknown = [name for name in sent if named and f"[{name}]" in named[1]]
        self._optional = {name: value for name, value in self._optional.items() if name not in unknown}
        return bool(unknown)

    def _lacks(self, stream: str) -> str:
        """Why a stream cannot be written to, empty if it can: for servers that would make a plain index instead."""
        if stream in self._made:
            return ""
        answer = self._client.call("PUT", f"/_data_stream/{quote(stream)}", timeout=TIMEOUT_S)
        if answer.status == 429 or answer.status >= 500:
            raise trouble(answer)
        kind, reason = error_of(answer)
        if answer.status == 400 and kind != _THERE_ALREADY:
            return _without_stream(reason)
        self._made.add(stream)  # made now, or there before, or not for us to ask: then the events themselves will tell
        return ""

    def same(self, duplicates: Sequence[tuple[Delivery, Outcome]]) -> Sequence[bool | None]:
        """Whether what is stored under each id says the same; ``None`` where the rights to look do not suffice.

        The document is read from the index that named itself as its place, at once and not only after a refresh; the
        right ``read`` is needed. Raises StoreUnavailable.
        """
        found: list[bool | None] = []
        for start in range(0, len(duplicates), _LOOKED_UP_AT_ONCE):
            found += self._same(duplicates[start : start + _LOOKED_UP_AT_ONCE])
        return found

    def _same(self, duplicates: Sequence[tuple[Delivery, Outcome]]) -> list[bool | None]:
        asked = [{"_index": outcome.place or "_", "_id": delivery.id} for delivery, outcome in duplicates]
        params = {"filter_path": "docs.found,docs._source,docs.error.type"}
        answer = self._client.call("POST", "/_mget", {"docs": asked}, params=params, timeout=TIMEOUT_S)
        if answer.status == 429 or answer.status >= 500:
            raise trouble(answer)
        documents = answer.body.get("docs") if answer.status == 200 and isinstance(answer.body, dict) else None
        if not isinstance(documents, list) or len(documents) != len(asked):
            return [None] * len(asked)
        return [
            says_the_same(delivery.body, told["_source"]) if isinstance(told, dict) and "_source" in told else None
            for (delivery, _), told in zip(duplicates, documents, strict=True)
        ]

    def flush(self) -> None:
        """Nothing is held back here: what is acknowledged is durable, and is found after the index's next refresh."""

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.close()


def _explained(outcome: Outcome) -> Outcome:
    return Outcome("blocked", _without_stream(outcome.reason)) if outcome.status == "blocked" else outcome


def _without_stream(reason: str) -> str:
    """What mends it where a server says that there is no data stream; any other reason as it is."""
    named = _STREAM.search(reason)
    stream = named[1] if named else "this name"
    if any(part in reason for part in _NO_TEMPLATE):
        return f"no template makes a data stream of {stream}: run `clusterlog setup elasticsearch`"
    if "is not a data stream" in reason:
        return (
            f"{stream} is an index, not a data stream: delete or rename it, then run `clusterlog setup elasticsearch`"
        )
    return reason
