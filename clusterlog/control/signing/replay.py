"""What a document that verifies is worth beside the one in force: newer, the same, older than what was seen.

Versions decide. The one look at a clock is for a document that did not come from the store itself: somebody may keep a
node away from its store and hand it what was once true (control-plane.md 4.7 and 4.8).
"""

from __future__ import annotations

from typing import Literal

from clusterlog.control.rules.document import Document, Version
from clusterlog.errors import Rejected

STALE_NS = 300 * 10**9
"""A document handed over by somebody is refused this long after its last rule has ended."""

Judgement = Literal["newer", "same", "ahead"]


def judged(known: Version | None, document: Document | None, stored: bool, wall_ns: int) -> Judgement:
    """Whether ``document`` is to be applied (``newer``), or is in force already (``same``).

    ``ahead``: the store holds less than this node has seen, or nothing any more. The node then keeps what it has until
    that ends, and says so. ``stored``: the document comes from a look at the store, None where that is empty; else it
    was handed over, and is ``Rejected`` (``replay``, ``epoch``, ``stale``) where a store would have the last word.
    """
    if document is None:
        return "same" if known is None else "ahead"
    version = document.version
    if known is None or (known.epoch != version.epoch and stored):
        if not stored:
            _fresh(document, wall_ns)
        return "newer"
    if known.epoch != version.epoch:
        raise Rejected(f"it is of the epoch {version.epoch}, and {known.epoch} holds here", "epoch")
    if version.rev > known.rev:
        if not stored:
            _fresh(document, wall_ns)
        return "newer"
    if version.rev == known.rev:
        return "same"
    if stored:
        return "ahead"
    raise Rejected(f"it is revision {version.rev}, and {known.rev} holds here", "replay")


def _fresh(document: Document, wall_ns: int) -> None:
    """Raises ``Rejected`` (``stale``) for rules that stay or are over for long: only a store may hand those over."""
    for rule in document.rules:
        if not rule.expires_ns:
            raise Rejected(f"rule {rule.id} has no end, and did not come from the store itself", "stale")
        if rule.expires_ns + STALE_NS < wall_ns:
            raise Rejected(f"rule {rule.id} ended more than {STALE_NS // 10**9} s ago", "stale")
