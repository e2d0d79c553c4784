"""Requests to Elasticsearch or OpenSearch over the official client's transport, in plain JSON.

Versioned content types are not sent: OpenSearch refuses them, and so does an Elasticsearch older than the client. Any
HTTP status is an answer here; what it means is for the caller to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clusterlog import __version__
from clusterlog.encode.compact import dumps, loads
from clusterlog.errors import MissingExtra, NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings import Settings

try:
    from elastic_transport import ApiResponseMeta, SerializerCollection, Transport, TransportError
    from urllib3.exceptions import ReadTimeoutError
except ImportError:
    raise MissingExtra("a store at a URL", "elasticsearch") from None

from clusterlog.settings.servers.credentials import Credentials, Kind
from clusterlog.settings.servers.hosts import Host, hosts
from clusterlog.store.elasticsearch.wire.node import Node, Way

USER_AGENT = f"clusterlog/{__version__}"
JSON, NDJSON = "application/json", "application/x-ndjson"
_UNAUTHORIZED = 401
_ELSEWHERE = (502, 503, 504)
"""What a gateway before a dead host answers: another host may do better."""
_COMPRESSED_FROM = 1400
"""Bytes; what fits into one packet is sent as it is."""
_LEVEL, _GZIP = 1, 31


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. ``body`` is parsed JSON, ``None`` where it is none; ``content`` is what came.

    ``node`` is the host's URL, without credentials; ``credentials`` says where those that were sent come from. The
    names of ``headers`` are found in any case.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    node: str
    content: bytes = b""
    credentials: str = ""


class Client:
    """Sends requests to the hosts of one URL, each to one that answers. Threads may share it."""

    def __init__(self, ways: tuple[Way, ...], credentials: Credentials, *, compresses: bool | None = None) -> None:
        self.credentials = credentials
        self._by_place = {(way.host.scheme, way.host.name, way.host.port, way.host.path): way.host for way in ways}
        configs = [way.config(USER_AGENT) for way in ways]
        self._transport = Transport(configs, node_class=Node, max_retries=0, meta_header=False)
        self._transport.serializers = _Untouched()
        far = not all(host.is_loopback() for host in self.hosts)
        self._compresses = far if compresses is None else compresses

    @classmethod
    def of(cls, settings: Settings, *, url: str = "", kind: Kind = "read") -> Client:
        """For ``url``, or else the setting ``store``; ``kind`` is the token taken from the file of a ``serve``.

        Nothing is sent yet. Raises SettingError and NotAllowed for settings and files that cannot be used.
        """
        credentials = Credentials.of(settings, kind)
        ways = tuple(Way.of(host, credentials, settings) for host in hosts(url or settings.store))
        return cls(ways, credentials, compresses={"on": True, "off": False}.get(settings.compression))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts, in the order of the URL."""
        return tuple(self._by_place.values())

    @property
    def url(self) -> str:
        """The hosts as they may be shown."""
        return ",".join(host.url for host in self.hosts)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,
        ndjson: bool = False,
        again: bool = True,
        known: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; any status is an answer. ``path`` is quoted already, ``timeout`` is in seconds.

        ``again``: the request may be sent to another host where it may have reached one, as a question may. What
        certainly did not arrive goes to another host in any case. ``known``: content that is not parsed, since who
        asks knows what it means. ``headers`` are for servers of another kind: they are sent as well, or instead of ours
        of the same name, and nothing is compressed. Raises StoreUnavailable if nobody answers.
        """
        target = f"{path}?{_query(params)}" if params else path
        sent = {"accept": JSON, **({"accept-encoding": "gzip"} if self._compresses else {})}
        data = dumps(body) if isinstance(body, dict) else body
        if data is not None:
            sent["content-type"] = NDJSON if ndjson else JSON
            if self._compresses and len(data) >= _COMPRESSED_FROM and headers is None:
                sent["content-encoding"] = "gzip"
                data = zlib.compress(data, _LEVEL, _GZIP)
        sent |= headers or {}
        token = self.credentials.token
        meta, content = self._send(method, target, data, sent, timeout, again)
        if meta.status == _UNAUTHORIZED and self._has_other(token):  # the key was replaced meanwhile
            meta, content = self._send(method, target, data, sent, timeout, again)
        node = meta.node
        host = self._by_place[node.scheme, node.host, node.port, node.path_prefix]
        body = None if content == known else _parsed(content)
        return Answer(meta.status, body, meta.headers, host.url, content, self.credentials.source(host))

    def _has_other(self, token: str) -> bool:
        """Whether the file of the token has another one than was refused; one that cannot be read now has none."""
        try:
            self.credentials.again()
        except (SettingError, NotAllowed):
            return False
        return self.credentials.token != token

    def _send(
        self, method: str, target: str, data: bytes | None, headers: dict[str, str], timeout: float | None, again: bool
    ) -> tuple[ApiResponseMeta, bytes]:
        try:
            return self._transport.perform_request(
                method,
                target,
                body=data,
                headers=headers,
                max_retries=len(self._by_place) - 1,
                retry_on_status=_ELSEWHERE if again else (),
                retry_on_timeout=again,
                request_timeout=timeout,
            )
        except TransportError as error:
            told = dict.fromkeys(
                str(each.message) for each in (error, *error.errors) if isinstance(each, TransportError)
            )
            slow = isinstance(error.__cause__, ReadTimeoutError)
            raise StoreUnavailable("; ".join(told), "slower" if slow else "again") from None

    def close(self) -> None:
        """Close all connections. Idempotent."""
        for node in self._transport.node_pool.all():
            node.close()


class _Untouched(SerializerCollection):
    """Bytes in, bytes out: the transport's own reading hides the status of an answer whose type it does not know."""

    def dumps(self, data: Any, mimetype: str | None = None) -> bytes:
        """What it was given."""
        return bytes(data)

    def loads(self, data: bytes, mimetype: str | None = None) -> bytes:
        """What it was given."""
        return data


def _query(params: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name)}={quote(value, safe=',*:')}" for name, value in params.items())


def _parsed(content: bytes) -> Any:
    try:
        return loads(content)
    except ValueError:
        return None
