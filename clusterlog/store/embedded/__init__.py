"""The store of one machine: compressed frames of the raw events are the truth, a search index beside them is a view.

``schema`` (the index's fields), ``indexing`` (event → index document), ``frames`` (the file of raw events), ``ledger``
(which ids are stored), ``partition`` (one stretch of arrival: its files and its search), ``plan`` (query → index
query), ``writer``, ``reader`` and ``store``, which puts the last two behind one name.
"""

from clusterlog.errors import MissingExtra

try:
    import tantivy as _tantivy  # noqa: F401
    import zstandard as _zstandard  # noqa: F401
except ImportError:
    raise MissingExtra("the embedded store", "server") from None

from clusterlog.store.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
