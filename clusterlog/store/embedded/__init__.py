"""The store of one machine: compressed frames of the raw events are the truth, a search index beside them is a view.

An event's way in: ``writer`` (the one that may write) → ``intake`` (new, known or unacceptable?) → ``raw`` (frames and
their ids on disk: stored) → ``index`` (found). A question's way: ``reader`` (all partitions, in order of time) →
``search`` (one of them) → ``index.plan`` and ``index.answer`` (which event numbers) → ``raw`` (the events themselves),
and where the index alone cannot tell, ``clusterlog.store.predicate`` decides. ``store`` puts both behind one name.
"""

from clusterlog.errors import MissingExtra

try:
    import tantivy as _tantivy  # noqa: F401
    import zstandard as _zstandard  # noqa: F401
except ImportError:
    raise MissingExtra("the embedded store", "server") from None

from clusterlog.store.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
