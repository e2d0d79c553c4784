"""The cluster's hand: log levels as desired state, with proof from every worker, and messages between nodes.

An operator's change comes in as a signed document on a bus; what leaves are levels in force here, and what each worker
says of them. It stands beside the road: logging outlives it, and nothing here touches a network inside an import,
``start()``, a fork or a log call. ``start`` alone introduces it to the road.
"""
