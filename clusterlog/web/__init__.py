"""The far end as a server: events are taken in and searched over HTTP, by this protocol's senders and by strangers'.

What comes in is Elasticsearch's ``_bulk``, judged item by item (``intake``), queries (``api``), and what nodes say to
each other (``hub``); ``guard`` lets in who has a token for it, ``app`` puts them together, ``server`` runs it beside
the shipper of its home. It knows stores, shippers and buses, and no screen.
"""

from clusterlog.errors import MissingExtra

try:
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError:
    raise MissingExtra("serve", "server") from None
