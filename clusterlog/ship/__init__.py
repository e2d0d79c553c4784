"""On the road: from the spools of a home to its sink, judged one by one, acknowledged, removed.

One process per home does this, holding ``run/ship.lock``. It can be killed at any instruction.
"""
