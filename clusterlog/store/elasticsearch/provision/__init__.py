"""What clusterlog needs on a search server: templates, rights, keys; planned by a look at what is there, then made.

What comes in is a ``Client`` and what somebody chose, what leaves is a plan and, where it is applied, what became of
it. Whatever was not made by clusterlog is left alone.
"""
