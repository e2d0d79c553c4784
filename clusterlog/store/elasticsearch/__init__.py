"""Elasticsearch and OpenSearch: events are sent in bulk and found again over HTTP.

What comes in are deliveries and queries, what leaves are requests in plain JSON, which all versions of both take. The
official client's transport carries them; nothing but ``provision`` asks a server for its version.
"""
