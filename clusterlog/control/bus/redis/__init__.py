"""The bus on Redis, alone, with replicas, or watched by Sentinel: a key that holds the truth, and a push beside it.

What Redis pushes is lost to who is not connected, so it is a hint only: after every subscription, and every 30 s, the
document is read. ``address`` reads URLs, ``wire`` is one connection and the only place that knows the client library,
``finding`` comes to the server that may be written to, ``link`` is the bus.
"""

from clusterlog.errors import MissingExtra

try:
    import redis as _redis  # noqa: F401
except ImportError:
    raise MissingExtra("a bus on Redis", "redis") from None
