"""PostgreSQL as a bus: rows are what is kept, and NOTIFY says that there is something to look at.

``address`` reads the URL, ``session`` asks one server within a time, ``tables`` is all SQL there is, ``link`` makes a
bus of it. Whoever cannot hear a NOTIFY (a pooler that gives out a connection for one transaction only) looks every
``POLL_S`` instead.
"""
