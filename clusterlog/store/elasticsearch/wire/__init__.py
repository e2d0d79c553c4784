"""The way to a search server: its hosts as nodes of the client, TLS, proxies, and in words what went wrong on it."""
