"""Kibana: readable sources of what clusterlog puts there, built into saved objects, planned and imported.

What comes in are the files of the top-level folder ``kibana/`` and a look at what a Kibana has; what leaves are saved
objects, and requests to its interface for them. Whatever clusterlog did not make is left alone.
"""
