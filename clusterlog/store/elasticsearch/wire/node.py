"""One host as the official transport's node: connections, time-outs, a proxy before it, its certificate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import urllib3
from elastic_transport import (
    ApiResponseMeta,
    BaseNode,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    NodeConfig,
    TransportApiResponse,
    TransportError,
)
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import make_headers, parse_url

from clusterlog.errors import SettingError
from clusterlog.settings import Settings, without_credentials
from clusterlog.settings.servers import trust
from clusterlog.settings.servers.credentials import Credentials
from clusterlog.settings.servers.hosts import Host
from clusterlog.settings.servers.identity import present
from clusterlog.store.elasticsearch.wire import tls
from clusterlog.store.elasticsearch.wire.trouble import sentence, was_sent

CONNECT_S = 5.0
ANSWER_S = 30.0
CONNECTIONS = 10
_WAY = "_clusterlog_way"


@dataclass(frozen=True, slots=True)
class Way:
    """How one host is reached. ``proxy`` is a URL, empty for none; ``fingerprint`` as in the setting.

    ``own`` are the files of the certificate we show, and of its key.
    """

    host: Host
    credentials: Credentials
    proxy: str = ""
    ca_file: str = ""
    fingerprint: str = ""
    own: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, host: Host, credentials: Credentials, settings: Settings) -> Way:
        """As the settings say. Raises SettingError for a proxy that cannot be used."""
        own = settings.cert_file, settings.key_file
        return cls(host, credentials, proxy_for(host, settings.proxy), settings.ca_file, settings.fingerprint, own)

    def config(self, user_agent: str) -> NodeConfig:
        """What the transport's pool of nodes wants to know of it."""
        host = self.host
        headers = {"user-agent": user_agent}
        return NodeConfig(
            host.scheme, host.name, host.port, path_prefix=host.path, headers=headers, _extras={_WAY: self}
        )


def proxy_for(host: Host, setting: str) -> str:
    """The proxy on the way to a host, empty for none; none stands before this machine itself.

    Raises SettingError for one of a kind that cannot be used.
    """
    if setting == "none" or host.is_loopback():
        return ""
    if setting != "environment":
        return setting
    proxies = getproxies()
    if proxy_bypass(f"{host.name}:{host.port}"):
        return ""
    found = proxies.get(host.scheme) or proxies.get("all") or ""
    if not found:
        return ""
    url = found if "://" in found else f"http://{found}"
    if not url.startswith(("http://", "https://")):
        raise SettingError(
            f"{without_credentials(url)!r} ({host.scheme}_proxy) is no HTTP proxy; proxy = none goes past it"
        )
    return url


class Node(BaseNode):
    """A host with its connections; the transport chooses between several and lets the dead ones rest."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._way: Way = config._extras[_WAY]
        self._open, self._close = _opener(self._way)
        self._answered = False

    def perform_request(  # type: ignore[override] # the transport takes a pair
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> TransportApiResponse:
        """Send a request and read its answer to the end.

        Raises ConnectionError if it was certainly not sent and ConnectionTimeout if it may have arrived: the transport
        turns to another host after the first, and after the second only if it is told to.
        """
        own = self._headers.copy()
        own.update(headers or {})
        authorization = self._way.credentials.header(self._way.host)
        if authorization:
            own["authorization"] = authorization
        answer_s = ANSWER_S if request_timeout is DEFAULT or request_timeout is None else float(request_timeout)
        timeout = urllib3.Timeout(connect=min(CONNECT_S, answer_s), read=answer_s)
        begun = time.monotonic()
        try:
            response = self._send(method, f"{self.path_prefix}{target}", body, own, timeout)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._failed(error, answer_s) from error
        self._answered = True
        meta = ApiResponseMeta(
            status=response.status,
            http_version="1.1",
            headers=HttpHeaders(response.headers),
            duration=time.monotonic() - begun,
            node=self.config,
        )
        return TransportApiResponse(meta, response.data)

    def _send(self, *request: Any) -> urllib3.BaseHTTPResponse:
        try:
            return self._open(*request)
        except urllib3.exceptions.SSLError as error:
            if not isinstance(error.args[0], trust.AuthorityFound):
                raise
        return self._open(*request)

    def _failed(self, error: Exception, answer_s: float) -> TransportError:
        way = self._way
        told = sentence(error, way.host.url, without_credentials(way.proxy), answer_s, answered=self._answered)
        return ConnectionTimeout(told, (error,)) if was_sent(error) else ConnectionError(told, (error,))

    def close(self) -> None:
        """Close its connections."""
        self._close()


Opener = Callable[..., urllib3.BaseHTTPResponse]


def _opener(way: Way) -> tuple[Opener, Callable[[], None]]:
    """How a request is sent to a host (method, target, body, headers, timeout), and how its connections are closed."""
    options: dict[str, Any] = {"maxsize": CONNECTIONS, "block": True}
    connection: type[tls.SecureConnection] = tls.SecureConnection
    if way.host.scheme == "https":
        if way.fingerprint:
            connection = tls.pinned(way.fingerprint, way.own)
        else:
            options["ssl_context"] = trust.verifying(way.ca_file)
            present(options["ssl_context"], *way.own)
    secure: type[HTTPSConnectionPool] = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
    if way.proxy:
        return _through_proxy(way, secure, options)
    made: type[HTTPConnectionPool] = secure if way.host.scheme == "https" else HTTPConnectionPool
    pool = made(way.host.name, way.host.port, **options)

    def send(method: str, target: str, body: Any, headers: Any, timeout: Any) -> urllib3.BaseHTTPResponse:
        return pool.urlopen(method, target, body=body, headers=headers, timeout=timeout, retries=False, redirect=False)

    return send, pool.close


def _through_proxy(
    way: Way, secure: type[HTTPSConnectionPool], options: dict[str, Any]
) -> tuple[Opener, Callable[[], None]]:
    login = parse_url(way.proxy).auth
    if login:
        options["proxy_headers"] = make_headers(proxy_basic_auth=unquote(login))
    if way.proxy.startswith("https:"):
        options["proxy_ssl_context"] = trust.verifying()
    manager = urllib3.ProxyManager(way.proxy, num_pools=1, **options)
    manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": secure}
    origin = way.host.url.removesuffix(way.host.path)

    def send(method: str, target: str, body: Any, headers: Any, timeout: Any) -> urllib3.BaseHTTPResponse:
        return manager.urlopen(
            method, origin + target, body=body, headers=headers, timeout=timeout, retries=False, redirect=False
        )

    return send, manager.clear
