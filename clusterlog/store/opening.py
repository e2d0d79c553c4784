"""The store that settings name, opened for reading: embedded in the home, a search server's, or that of a ``serve``."""

from __future__ import annotations

from clusterlog.settings import Settings
from clusterlog.store.base import Store

GREETING_S = 10.0
"""How long a server may take to say what it is."""
_UNAUTHORIZED = 401


def open_store(settings: Settings) -> Store:
    """The store to be asked; whoever opens it closes it. An embedded one that is not there yet answers nothing.

    Raises StoreUnavailable where nobody answers, StoreDenied for credentials, SettingError and NotAllowed for settings
    and files that cannot be used, MissingExtra where a library is not installed.
    """
    if not settings.store:
        from clusterlog.store.embedded import EmbeddedStore

        return EmbeddedStore.open(settings.home_path / "store", "read")
    from clusterlog.store.elasticsearch.judge import trouble
    from clusterlog.store.elasticsearch.transport import Client

    client = Client.of(settings)
    try:
        greeting = client.call("GET", "/", timeout=GREETING_S)
        if greeting.status == _UNAUTHORIZED:
            raise trouble(greeting)
    except BaseException:
        client.close()
        raise
    # Any other status is an answer, too: a key that may only read is not told by Elasticsearch what it reads from.
    if isinstance(greeting.body, dict) and "clusterlog" in greeting.body:
        from clusterlog.store.remote import RemoteStore

        return RemoteStore(client)
    from clusterlog.store.elasticsearch.find import ElasticsearchStore

    return ElasticsearchStore(client)
