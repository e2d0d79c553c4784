"""The customers of `clusterlog demo` with a cookie jar each: ``customers.py URL``, until it is told to end.

``REQUESTS_PER_SECOND`` is how many they make together. What does not answer is tried again later, as people do.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from clusterlog.cli.demo.plan import USERS, Planned, endless

SEED = 7
AT_ONCE = 8
TIMEOUT_S = 30.0


class Customers:
    """People who shop at ``url``, each with a session of their own."""

    def __init__(self, url: str) -> None:
        self._url = url
        limits = httpx.Limits(max_keepalive_connections=0)
        self._clients = {user: httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=limits) for user in USERS}

    def request(self, planned: Planned) -> int:
        """Make one request; the status of the answer, 0 without one."""
        client = self._clients[planned.user]
        headers = {"X-User": planned.user}
        try:
            answer = client.request(planned.method, self._url + planned.path, json=planned.body, headers=headers)
        except httpx.HTTPError as error:
            print(f"{planned.method} {planned.path}: {type(error).__name__}: {error}", file=sys.stderr)
            return 0
        if answer.status_code >= 500:
            told = answer.headers.get("X-Request-ID", "-")
            print(f"{planned.method} {planned.path} {answer.status_code} {told}", file=sys.stderr)
        return answer.status_code


def main() -> None:
    """Send requests at the rate that was asked for, until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    pause_s = 1 / max(float(os.environ.get("REQUESTS_PER_SECOND", "2")), 0.01)
    customers = Customers(sys.argv[1].rstrip("/"))
    room = threading.Semaphore(AT_ONCE)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for planned in endless(SEED, 0):
            room.acquire()
            pool.submit(customers.request, planned).add_done_callback(lambda _: room.release())
            if ended.wait(pause_s):
                break


if __name__ == "__main__":
    main()
