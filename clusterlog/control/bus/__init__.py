"""Ways between the nodes of a cluster: a document that is kept, leases that run out, messages that pass by.

Bytes come in and go out; what they mean, and whether they are to be believed, is decided elsewhere. Every way passes
the same conformance suite (``clusterlog.testing.buses``).
"""
