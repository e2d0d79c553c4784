"""The bank: a real TCP endpoint outside of the cluster, which charges some cards and never answers for another.

Run with the number of a socket that it is handed, or with ``HOST:PORT``. It knows nothing of clusterlog: whoever asks
why a payment failed has what the payments say, and no more.
"""

from __future__ import annotations

import asyncio
import socket
import sys

SILENT = b"tok_unanswered"
"""The card for which there is never an answer."""

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"
_BODY = b'{"charged":true}'


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request (HTTP/1.1), or wait until the client is gone."""
    try:
        asked = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(asked.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if SILENT in await reader.readexactly(length):
            await reader.read()
        else:
            writer.write(_ANSWER + _BODY)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        return
    finally:
        writer.close()


def listener(place: str) -> socket.socket:
    """The socket to answer on: that of a number, or one of its own at ``HOST:PORT``."""
    host, colon, port = place.rpartition(":")
    return socket.create_server((host, int(port))) if colon else socket.socket(fileno=int(place))


async def serve(listener: socket.socket) -> None:
    """Answer for ever on a socket that listens already."""
    async with await asyncio.start_server(answer, sock=listener) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(listener(sys.argv[1])))
