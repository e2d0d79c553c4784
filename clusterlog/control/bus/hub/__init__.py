"""A ``clusterlog serve`` as a bus: HTTP to the bus in that server's home, so that a few machines need nothing else.

``protocol`` is what both ends say, ``wire`` one HTTP connection on which nothing takes longer than it may, ``link``
makes a bus of two of them: one to ask, one on which the server says what is new.
"""
