"""How gunicorn runs the orders; a node's address comes on its command line."""

from __future__ import annotations

workers = 2
threads = 8
accesslog = "-"
graceful_timeout = 5
control_socket_disable = True
"""The nodes of the demo would share one, in the user's own home directory."""
