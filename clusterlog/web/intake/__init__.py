"""``_bulk``: events come in, and each is answered for itself once it is on disk.

A request's way: ``body`` (its bytes, within limits) → ``bulk`` (its items) → ``events`` (what is delivered; strangers'
documents become events first) → the store, which has synced when it answers → ``fates`` (how each item ended) →
``answer`` (one result per item). ``endpoint`` leads it through.
"""
