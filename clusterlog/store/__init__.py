"""At rest: events are delivered to a store and asked for again by a ``Query``.

A store is a sink that can be asked. Every engine answers the same questions the same way, shown by one contract suite.
"""
