"""Connections and datagrams that bring syslog: one thread reads them all, and waits while the inbox is full."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from clusterlog.web.faults import complain
from clusterlog.web.syslog.doors import Door, context, opened
from clusterlog.web.syslog.framing import Frame, Frames
from clusterlog.web.syslog.inbox import Inbox

MOST = 1_000
"""Connections. Beyond that whoever has been silent longest makes room."""
MOST_HELD = 64 << 20
"""Bytes of messages of which the rest is still to come, of all connections."""
HANDSHAKE_S = 20.0
_TRAILER = b"\r\n\0"


class Listener:
    """Listens at doors and fills an inbox. Raises as ``doors.opened`` and ``doors.context``."""

    def __init__(self, found: Sequence[Door], inbox: Inbox, clients: str = "", most: int = MOST) -> None:
        self._inbox = inbox
        self._most = most
        contexts = [context(door, clients) for door in found]
        self._open = [(door, made, each) for (door, made), each in zip(opened(found), contexts, strict=True)]
        self.urls = [_url(door, made) for door, made, _ in self._open]
        self.streams: dict[_Stream, None] = {}
        self.held = 0
        self.last_refused = ""
        """Who was refused by TLS last, and why."""
        self._handshakes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_unforeseen)
        self._ended = asyncio.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clusterlog-syslog-in", daemon=True)

    def begin(self) -> None:
        """Listen from now on."""
        self._inbox.on_room = self._room
        self._inbox.begin()
        self._thread.start()
        self._begun.wait()

    def end(self) -> None:
        """Close all doors and connections, and store what came in."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
            self._inbox.end()
        for _, made, _ in self._open:
            made.close()
        self._loop.close()

    def losses(self) -> dict[str, int]:
        """What did not come as it should, or was lost, by reason."""
        return {reason: count for reason, count in sorted(self._inbox.counts.items()) if count and reason != "known"}

    def told(self) -> dict[str, Any]:
        """How much has come in, and what became of it: ``syslog`` of ``clusterlog.status/1``."""
        inbox = self._inbox
        counts = {"received": inbox.received, "stored": inbox.stored, "known": inbox.counts["known"]}
        return {**counts, "unparsed": inbox.unparsed, "losses": self.losses()}

    def heard(self, stream: _Stream) -> None:
        """Whoever was heard last stands last; where there are too many, the first goes."""
        self.streams.pop(stream, None)
        self.streams[stream] = None
        if len(self.streams) > self._most:
            first = next(iter(self.streams))
            self.streams.pop(first)
            self._inbox.count("too_many_connections")
            first.close()

    def _room(self) -> None:
        self._loop.call_soon_threadsafe(self._resume)

    def _resume(self) -> None:
        for stream in self.streams:
            stream.resume()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._begun.set()

    async def _listen(self) -> None:
        servers: list[asyncio.Server] = []
        datagrams: list[asyncio.DatagramTransport] = []
        for door, made, tls in self._open:
            if door.kind == "udp":
                transport, _ = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self._inbox), sock=made)
                datagrams.append(transport)
                continue
            begun = partial(_Stream, self, self._inbox) if tls is None else partial(_Handshake, self, self._inbox, tls)
            servers.append(await self._loop.create_server(begun, sock=made, backlog=self._most))
        self._begun.set()
        await self._ended.wait()
        for server in servers:
            server.close()
        for each in datagrams:
            each.close()
        for stream in list(self.streams):
            stream.close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # they are told that they have ended one step later

    def secure(self, stream: _Stream, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        """Have a connection speak TLS, and count it where it cannot."""
        task = self._loop.create_task(self._secured(stream, transport, tls))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _secured(self, stream: _Stream, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            secured = await self._loop.start_tls(
                transport, stream, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as error:
            stream.connection_lost(error)
            if not isinstance(error, ConnectionResetError):  # who looks whether somebody listens has nothing to say
                self._inbox.count("handshakes")
                self.last_refused = f"{stream.peer}: {_reason(error)}"
        else:
            if secured is not None:
                stream.secured(secured)


class _Handshake(asyncio.Protocol):
    """A connection that is to speak TLS first: asyncio's own servers tell nobody of handshakes that fail."""

    def __init__(self, listener: Listener, inbox: Inbox, tls: ssl.SSLContext) -> None:
        self._listener = listener
        self._inbox = inbox
        self._tls = tls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast(asyncio.Transport, transport)
        plain.pause_reading()
        stream = _Stream(self._listener, self._inbox)
        stream.connection_made(plain)
        self._listener.secure(stream, plain, self._tls)


class _Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, listener: Listener, inbox: Inbox) -> None:
        self._listener = listener
        self._inbox = inbox
        self._frames = Frames()
        self.peer = ""
        self._misframed = 0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _host(transport.get_extra_info("peername"))
        self._listener.heard(self)

    def data_received(self, data: bytes) -> None:
        if self not in self._listener.streams:  # it was asked to go
            return
        self._listener.heard(self)
        before = self._frames.size
        found = self._frames.feed(data)
        self._listener.held += self._frames.size - before
        if self._frames.misframed > self._misframed:
            self._inbox.count("misframed", self._frames.misframed - self._misframed)
            self._misframed = self._frames.misframed
        self._inbox.put(self.peer, found)
        if self._listener.held > MOST_HELD:
            self._inbox.count("no_room")
            self.close()
        elif self._inbox.is_full and not self._waits:
            self._waits = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.streams.pop(self, None)
        self._listener.held -= self._frames.size
        self._inbox.put(self.peer, self._frames.end())

    def secured(self, transport: asyncio.Transport) -> None:
        """It speaks TLS from here on. What came with the end of the handshake has been read already."""
        plain, self._transport = self._transport, transport
        if self._waits:
            transport.pause_reading()
            plain.resume_reading()

    def resume(self) -> None:
        """There is room again."""
        if self._waits:
            self._waits = False
            self._transport.resume_reading()

    def close(self) -> None:
        """End it now."""
        self._transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    """One message a datagram (RFC 5426)."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._inbox.is_full:
            self._inbox.count("no_room")
        else:
            self._inbox.put(_host(addr), [Frame(data.rstrip(_TRAILER), True)])


def _reason(error: OSError) -> str:
    """Why a handshake failed, in OpenSSL's words without its file and line."""
    reason = getattr(error, "reason", None) or str(error)
    return getattr(error, "verify_message", "") or str(reason).replace("_", " ").lower()


def _host(address: Any) -> str:
    return str(address[0]) if address else ""


def _url(door: Door, made: socket.socket) -> str:
    host = f"[{door.address.host}]" if ":" in door.address.host else door.address.host
    return f"syslog+{door.kind}://{host}:{made.getsockname()[1]}"


def _unforeseen(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    error = told.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError | ssl.SSLError):
        complain(error)
