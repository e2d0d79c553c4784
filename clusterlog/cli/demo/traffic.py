"""The customers: requests over real HTTP, several at a time, not faster than they are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx

from clusterlog.cli.demo.plan import Outcome, Planned
from clusterlog.cli.demo.services.hop import TICKET
from clusterlog.errors import NodeUnavailable

AT_ONCE = 12
TIMEOUT_S = 30.0
_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a planned request: ``id`` is that of the response header ``X-Request-ID``."""

    planned: Planned
    id: str
    status: int

    @property
    def outcome(self) -> Outcome:
        """A 5xx failed, whatever was planned; else as planned, for a clock would judge how busy the machine is."""
        if self.status >= 500:
            return "failed"
        return "ok" if self.planned.outcome == "failed" else self.planned.outcome


class Customers:
    """Sends requests from a pool of threads to the shops at ``urls``.

    ``answered`` is called for each answer and ``tick`` several times a second, both in the thread that calls ``send``.
    """

    def __init__(self, urls: Mapping[str, str], answered: Callable[[Answer], None], tick: Callable[[], None]) -> None:
        self._urls = urls
        self._answered = answered
        self._tick = tick
        limits = httpx.Limits(max_keepalive_connections=0)  # a kept connection may be closed as it is used again
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=limits)

    def send(self, requests: Iterable[Planned], rate: float | None, stop: Callable[[], bool]) -> None:
        """Send the requests, at most ``rate`` a second, and wait for the answers; none any more once ``stop()``.

        Raises NodeUnavailable where a shop does not answer.
        """
        pool = ThreadPoolExecutor(AT_ONCE, "customer")
        under_way: set[Future[Answer]] = set()
        due = time.monotonic()
        try:
            for planned in requests:
                while not stop() and (len(under_way) >= AT_ONCE or time.monotonic() < due):
                    under_way = self._awaited(under_way, due)
                if stop():
                    break
                under_way.add(pool.submit(self._request, planned))
                due = max(due, time.monotonic()) + (1 / rate if rate else 0.0)
            while under_way:
                under_way = self._awaited(under_way, due)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _awaited(self, under_way: set[Future[Answer]], due: float) -> set[Future[Answer]]:
        """Wait for an answer, or a moment; the requests that are still under way."""
        if under_way:
            done, under_way = wait(under_way, _TICK_S, FIRST_COMPLETED)
            for each in done:
                self._answered(each.result())
        else:
            time.sleep(min(_TICK_S, max(0.0, due - time.monotonic())))
        self._tick()
        return under_way

    def _request(self, planned: Planned) -> Answer:
        url = self._urls[planned.shop] + planned.path
        headers = {"X-User": planned.user, TICKET: planned.ticket}
        try:
            answer = self._client.request(planned.method, url, json=planned.body, headers=headers)
        except httpx.HTTPError as error:
            raise NodeUnavailable(f"{planned.shop} did not answer: {type(error).__name__}: {error}") from None
        return Answer(planned, answer.headers.get("X-Request-ID", ""), answer.status_code)
