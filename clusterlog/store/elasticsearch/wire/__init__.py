"""The way to a server: hosts, credentials, certificates, proxies, and in words what went wrong on it."""
