"""Logstash's http input: a batch is one array of JSON, acknowledged by the status of the answer.

An array and not lines: the input's own settings make an event of each element, while lines of JSON need a codec that
somebody has to set, and without it a whole batch becomes the text of one event, which is answered with 200 as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.ship.sinks.logstash.strict import joined, sorted_out
from clusterlog.store.base import STORED, Delivery, Outcome
from clusterlog.store.elasticsearch.judge import trouble
from clusterlog.store.elasticsearch.transport import Answer, Client

TIMEOUT_S = 60.0
_TAKEN = (200, 201, 202, 204)
"""What the input can be set to answer (``response_code``)."""
_SAYS = b"ok"


class HttpSink:
    """Posts batches. Threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Stored is what the input has put into its queue.

        Raises StoreUnavailable, whose ``advice`` says how to go on, where it has not, or nobody knows.
        """
        bodies, refused = sorted_out(batch)
        if bodies:
            body = b"[%b]" % b",".join(bodies)
            judge(self._client.call("POST", "/", body, timeout=TIMEOUT_S, again=False))
        return joined([STORED] * len(bodies), refused)

    def flush(self) -> None:
        """Nothing is held back here: what is acknowledged is in the queue of the far end."""

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.close()


def judge(answer: Answer) -> None:
    """Return if all events of a request are queued. Raises StoreUnavailable for any other answer."""
    status, where = answer.status, answer.node
    if status in _TAKEN:
        if not _is_of_logstash(answer):
            kind = (answer.headers.get("content-type") or "no type").partition(";")[0][:60]
            told = f"answers {status} ({kind}), but not as Logstash does: is a proxy or a log-in page in between?"
            raise StoreUnavailable(f"{where}: {told}")
        return
    if status == 401:
        if not answer.credentials:
            raise StoreDenied(f"{where}: wants to know who we are (401): write user and password into the URL of sink")
        raise StoreDenied(f"{where}: does not accept our {answer.credentials} (401)")
    if status == 400:
        raise StoreUnavailable(f"{where}: cannot read the request (400)", "bisect")
    if status == 415:
        raise StoreUnavailable(f"{where}: cannot read compressed requests (415): set compression = off", "wait")
    if status in (404, 405):
        raise StoreUnavailable(f"{where}: is no http input of Logstash ({status}), which takes every path", "wait")
    raise trouble(answer)


def _is_of_logstash(answer: Answer) -> bool:
    """The input says ``ok``, or nothing where it was set to; a page of whoever stands in between is longer."""
    content = answer.content.strip()
    if answer.status == 204 or not content:
        return answer.status == 204 or answer.headers.get("content-length") == "0"
    return content == _SAYS
