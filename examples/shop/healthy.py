"""Whether somebody listens on a port of this container: the health check of services that no request is spent on."""

import socket
import sys

try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3).close()
except OSError as error:
    sys.exit(f"port {sys.argv[1]}: {error}")
