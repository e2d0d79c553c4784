"""A bus over HTTP: one connection to ask, and one on which the server is asked what is new and answers once it is."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from clusterlog import __version__
from clusterlog.control.bus import base
from clusterlog.control.bus.base import Gap, Lease, Notice, Snapshot, sendable
from clusterlog.control.bus.bell import Waker
from clusterlog.control.bus.hub.protocol import (
    MOST_REQUEST,
    PORT,
    ROOT,
    decoded,
    encoded,
    lease_heard,
    members,
    notice_heard,
)
from clusterlog.control.bus.hub.wire import Answer, Way, Wire
from clusterlog.errors import BusDenied, BusUnreachable, Conflict, Rejected
from clusterlog.settings import Settings
from clusterlog.settings.servers.credentials import Credentials
from clusterlog.settings.servers.hosts import Host, hosts
from clusterlog.settings.servers.identity import present
from clusterlog.settings.servers.trust import Pin, verifying

Told = TypeVar("Told")

HOLDS = 3
"""How many times a server says in ``SILENCE_S`` that there is nothing new."""
_SCHEMES = {"hub+http": PORT, "hub+https": PORT}


class HubBus:
    """The hub at ``url``, which may have several hosts, in the name space ``cluster``; the rest is of the settings."""

    local = False

    def __init__(self, url: str, cluster: str, settings: Settings) -> None:
        """Raises SettingError for a URL that cannot be right."""
        self._hosts = hosts(url, _SCHEMES, "a hub")
        self._cluster = cluster
        self._settings = settings

    @property
    def name(self) -> str:
        """See ``Bus``."""
        return ",".join(each.url for each in self._hosts)

    def open(self) -> HubLink:
        """See ``Bus``: the first of the hosts that answers. Raises BusDenied, and what files of the settings raise."""
        failures: list[BusUnreachable] = []
        for way, source in self._ways():
            try:
                return HubLink(way, source, self._cluster)
            except BusUnreachable as error:
                failures.append(error)
        kind = next((type(each) for each in failures if isinstance(each, BusDenied)), BusUnreachable)
        raise kind("; ".join(map(str, failures)))

    def _ways(self) -> list[tuple[Way, str]]:
        settings = self._settings
        credentials = Credentials.of(settings, "control")
        own = (settings.cert_file, settings.key_file)
        context = None
        if not settings.fingerprint and any(each.scheme == "hub+https" for each in self._hosts):
            context = verifying(settings.ca_file)
            present(context, *own)
        return [self._way(each, credentials, own, context) for each in self._hosts]

    def _way(
        self, host: Host, credentials: Credentials, own: tuple[str, str], context: ssl.SSLContext | None
    ) -> tuple[Way, str]:
        secure = host.scheme == "hub+https"
        # The token of the settings may be that of a store elsewhere: what stands in this URL is meant for this server.
        shown = Credentials("control") if host.login is not None else credentials
        headers = {"User-Agent": f"clusterlog/{__version__}"}
        if authorization := shown.header(host):
            headers["Authorization"] = authorization
        fingerprint = self._settings.fingerprint if secure else ""
        pin = Pin(fingerprint, own) if fingerprint else None
        return Way(host, headers, context if secure else None, pin), shown.source(host)


class HubLink:
    """A link to a hub; see ``Link``."""

    def __init__(self, way: Way, source: str, cluster: str) -> None:
        self._name = way.host.url
        self._source = source
        self._cluster = cluster
        self._calls, self._news = Wire(way), Wire(way)
        self._silent_at: float | None = None
        self._after = ""
        self._closed = False
        self._waker = Waker()
        self._pending: tuple[Notice, ...] = (Gap(),)
        try:
            self._news.ask("GET", self._path("/notices", after="", hold="0"))
            self._after, _ = self._noticed(self._judged(self._news.answer()))
        except BaseException:
            self.close()
            raise

    def read(self) -> Snapshot:
        """See ``Link``."""
        answer = self._call("GET", "/document")
        return self._told(answer, lambda told: Snapshot(decoded(told["document"]), int(told["now_ns"])))

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """See ``Link``. Raises Rejected for what is more than a request may have."""
        self._call("PUT", "/document", {"document": encoded(document), "instead_of": encoded(instead_of)})

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """See ``Link``."""
        self._call("PUT", "/leases", {"key": key, "body": encoded(body), "ttl_s": ttl_s, "version": version})

    def release(self, key: str) -> None:
        """See ``Link``."""
        self._call("DELETE", "/leases", key=key)

    def leases(self) -> tuple[Lease, ...]:
        """See ``Link``."""
        answer = self._call("GET", "/leases")
        return self._told(answer, lambda told: tuple(lease_heard(each) for each in told["leases"]))

    def leased(self, version: str) -> int:
        """See ``Link``."""
        return self._told(self._call("GET", "/leased", version=version), lambda told: int(told["leased"]))

    def send(self, body: bytes) -> None:
        """See ``Link``."""
        self._call("POST", "/messages", sendable(body))

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """See ``Link``."""
        end = time.monotonic() + timeout_s
        while True:
            self._check()
            if self._pending:
                come, self._pending = self._pending, ()
                return come
            if self._silent_at is None:
                # Another connection would hear what a cut one missed; that it was cut is to be known all the same.
                hold = f"{base.SILENCE_S / HOLDS:g}"
                self._news.ask("GET", self._path("/notices", after=self._after, hold=hold), anew=False)
                self._silent_at = time.monotonic() + base.SILENCE_S
            if self._news.has_come():
                self._silent_at = None
                self._after, self._pending = self._noticed(self._judged(self._news.answer()))
                continue
            now = time.monotonic()
            if now >= self._silent_at:
                raise BusUnreachable(f"{self._name}: nothing was heard for {base.SILENCE_S:.0f} s")
            if now >= end:
                return ()
            if self._waker.wait(min(end, self._silent_at) - now, self._news):
                return ()

    def wake(self) -> None:
        """See ``Link``."""
        self._waker.wake()

    def close(self) -> None:
        """See ``Link``."""
        self._closed = True
        self._calls.close()
        self._news.close()
        self._waker.close()

    def _call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        self._check()
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None and len(content) > MOST_REQUEST:
            raise Rejected(f"{len(content):,} bytes are more than a hub takes ({MOST_REQUEST:,})", "size")
        self._calls.ask(method, self._path(path, **query), content)
        return self._judged(self._calls.answer())

    def _check(self) -> None:
        if self._closed:
            raise BusUnreachable(f"{self._name}: this link is closed: open another one")

    def _path(self, path: str, **query: str) -> str:
        return f"{ROOT}{path}?{urlencode({'cluster': self._cluster, **query})}"

    def _judged(self, answer: Answer) -> Answer:
        """The answer, if it is one. Raises BusDenied, BusUnreachable, Conflict, Rejected."""
        status = answer.status
        if status == 200:
            return answer
        if status == 409:
            raise Conflict("somebody else has changed the rules meanwhile: look at them, and decide anew")
        if status == 413:
            raise Rejected(f"{self._name}: it is more than a hub takes", "size")
        raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> BusUnreachable:
        status = answer.status
        if status == 401:
            if not self._source:
                return BusDenied(f"{self._name}: wants a token (401): set token_file to its run/serve.json, or a copy")
            return BusDenied(f"{self._name}: does not accept our {self._source} (401)")
        if status == 403:
            return BusDenied(f"{self._name}: our {self._source} is not the token to control (403)")
        if status in (404, 405):
            return BusUnreachable(f"{self._name}: there is no hub here ({status}): it takes a clusterlog serve")
        return BusUnreachable(f"{self._name}: answers {status}{_reason(answer)}")

    def _noticed(self, answer: Answer) -> tuple[str, tuple[Notice, ...]]:
        return self._told(answer, lambda told: (str(told["after"]), tuple(map(notice_heard, told["notices"]))))

    def _told(self, answer: Answer, read: Callable[[dict[str, Any]], Told]) -> Told:
        try:
            return read(members(answer.content))
        except (ValueError, TypeError, KeyError):
            self.close()
            raise BusUnreachable(
                f"{self._name}: answers, but not as a clusterlog serve does: is something in between?"
            ) from None


def _reason(answer: Answer) -> str:
    """What the server says of it."""
    try:
        reason = str(members(answer.content)["error"]["reason"])
    except (ValueError, TypeError, KeyError):
        return ""
    return f": {reason[:200]}"
