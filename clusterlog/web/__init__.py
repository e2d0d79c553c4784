"""The far end as a server: events are taken in and searched over HTTP, by this protocol's senders and by strangers'.

What comes in is Elasticsearch's ``_bulk``, judged item by item (``intake``), and queries (``api``); ``guard`` lets in
who has a token for it, ``app`` puts the three together, ``server`` runs it beside the shipper of its home. It knows
stores and shippers, and no screen.
"""

from clusterlog.errors import MissingExtra

try:
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError:
    raise MissingExtra("serve", "server") from None
