"""Events posted as OTLP: spans to ``/v1/traces``, all others to ``/v1/logs``, acknowledged by the status of the answer.

A receiver may reject some records of a request and take the others, and says how many, but not which (OTLP 1.x,
"Partial Success"); the request must not be sent again. So all that were in it are kept aside, and the requests after it
are smaller, until one in which nothing is rejected: in the end little is kept aside that was taken.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from clusterlog.encode.compact import dumps
from clusterlog.encode.otlp.protobuf import encoded
from clusterlog.encode.otlp.records import Told
from clusterlog.encode.otlp.requests import request
from clusterlog.encode.otlp.schema import LOGS, TRACES
from clusterlog.errors import StoreUnavailable
from clusterlog.ship.sinks.otlp.answer import JSON, PROTOBUF, rejected
from clusterlog.store import document
from clusterlog.store.base import STORED, Delivery, Outcome
from clusterlog.store.elasticsearch.transport import Client

__all__ = ["JSON", "PATHS", "PROTOBUF", "OtlpSink"]

PATHS = ("/v1/logs", "/v1/traces")
TIMEOUT_S = 60.0
MOST = 1000
"""Events of a request."""
_LEVEL, _GZIP = 1, 31


class OtlpSink:
    """Posts batches as ``form``, a media type. Threads may share it."""

    def __init__(self, client: Client, form: str, *, compressed: bool) -> None:
        self._client = client
        self._form = form
        self._compressed = compressed
        self._most = MOST  # threads may overwrite each other's: it is a guess in any case

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Stored is what a receiver says it has taken. Where that is a part only, the rest is to be sent again.

        Raises StoreUnavailable, whose ``advice`` says how to go on, where nothing was judged.
        """
        found: dict[int, Outcome] = {}
        read: dict[int, Told] = {}
        for at, delivery in enumerate(batch):
            try:
                read[at] = Told(document.parse(delivery.body))
            except ValueError as error:
                found[at] = Outcome("refused", str(error))
        failure: StoreUnavailable | None = None
        answered = False
        for spans in (False, True):
            those = [at for at, told in read.items() if told.is_span is spans]
            try:
                for part, outcome in self._posted(those, read, spans):
                    found |= dict.fromkeys(part, outcome)
                    answered = True
            except StoreUnavailable as error:
                failure = failure or error
                status = Outcome("blocked" if error.advice == "wait" else "retry", str(error))
                found |= {at: status for at in those if at not in found}
        if failure is not None and not answered:
            raise failure
        return [found[at] for at in range(len(batch))]

    def _posted(self, those: list[int], read: dict[int, Told], spans: bool) -> Iterator[tuple[list[int], Outcome]]:
        """Post these; what became of each part of them. Raises StoreUnavailable."""
        while those:
            part, those = those[: self._most], those[self._most :]
            yield part, self._post([read[at] for at in part], spans)

    def _post(self, told: list[Told], spans: bool) -> Outcome:
        whole = request(told, spans=spans)
        body = dumps(whole) if self._form == JSON else encoded(whole, TRACES if spans else LOGS)
        headers = {"content-type": self._form, "accept": self._form}
        if self._compressed:
            headers["content-encoding"] = "gzip"
            body = zlib.compress(body, _LEVEL, _GZIP)
        answer = self._client.call("POST", PATHS[spans], body, timeout=TIMEOUT_S, again=False, headers=headers)
        count, why = rejected(answer, spans=spans)
        if not count:
            self._most = min(MOST, self._most * 2)
            return STORED
        if count >= len(told):
            return Outcome("refused", why)
        self._most = max(1, len(told) // 4)
        return Outcome("refused", f"{count} of {len(told)} were rejected, and OTLP does not say which: {why}")

    def flush(self) -> None:
        """Nothing is held back here: what is acknowledged is with the far end."""

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.close()
