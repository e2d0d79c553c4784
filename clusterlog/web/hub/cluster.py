"""One name space of a bus, and everybody who asks for it: one link to ask, one thread that hears what is new."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from clusterlog.control.bus.base import SILENCE_S, Bus, Changed, Link, Notice
from clusterlog.errors import BusUnreachable
from clusterlog.web.hub.feed import Feed

Result = TypeVar("Result")

AGAIN_S = 1.0
"""After what time a bus that failed is opened again."""


class Cluster:
    """Begun in a thread, as that opens files; ``loop`` is that of all who wait."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        """Raises BusUnreachable."""
        self._bus = bus
        self._loop = loop
        self._link: Link | None = None
        self._asking = threading.Lock()
        self._users = 0
        self._left_at = time.monotonic()
        self._feed = Feed(secrets.token_hex(8))
        self._more = asyncio.Event()
        self._ending = threading.Event()
        self._hearing = bus.open()
        self._hearing.wait(0.0)  # the gap at the beginning: nobody has heard anything yet
        self._thread = threading.Thread(target=self._hear, name="clusterlog-hub", daemon=True)
        self._thread.start()

    @property
    def idle_since(self) -> float | None:
        """When it was last of use (monotonic seconds); None while it is."""
        return None if self._users else self._left_at

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """It is, within this block. In the loop's thread."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._left_at = time.monotonic()

    def ask(self, work: Callable[[Link], Result]) -> Result:
        """What ``work`` returns of a link, for one thread after the other. Raises what the link does.

        A link that failed has done nothing. Where it did so at once, as its file is another one by now, a new one is
        tried.
        """
        with self._asking:
            if self._ending.is_set():
                raise BusUnreachable("this server is ending, or has made room for other name spaces")
            begun = time.monotonic()
            if self._link is not None:
                try:
                    return self._done(self._link, work)
                except BusUnreachable:
                    if time.monotonic() > begun + AGAIN_S:
                        raise
            self._link = self._bus.open()
            return self._done(self._link, work)

    def _done(self, link: Link, work: Callable[[Link], Result]) -> Result:
        try:
            return work(link)
        except BusUnreachable:
            link.close()
            self._link = None
            raise

    async def news(self, after: str, hold_s: float) -> bytes:
        """What came behind ``after``, as soon as there is something, or that nothing did for ``hold_s`` seconds."""
        found = self._feed.behind(after)
        if found is None and hold_s > 0:
            with suppress(TimeoutError), self.in_use():
                async with asyncio.timeout(hold_s):
                    await self._more.wait()
            found = self._feed.behind(after)
        return self._feed.nothing(after) if found is None else found

    def end(self) -> None:
        """Let everybody go who waits. In the loop's thread."""
        self._ending.set()
        self._more.set()

    def close(self) -> None:
        """End the thread, and let go of the bus."""
        self._ending.set()
        self._hearing.wake()
        self._thread.join()
        with self._asking:
            if self._link is not None:
                self._link.close()

    def _hear(self) -> None:
        try:
            while not self._ending.is_set():
                try:
                    if come := self._hearing.wait(SILENCE_S):
                        self._loop.call_soon_threadsafe(self._tell, come)
                except BusUnreachable:
                    self._hearing.close()
                    if not self._opened_again():
                        return
                    # Its first notice is a gap, for messages; the document may be another one as well.
                    self._loop.call_soon_threadsafe(self._tell, (Changed(),))
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass
        finally:
            self._hearing.close()

    def _opened_again(self) -> bool:
        while not self._ending.is_set():
            with suppress(BusUnreachable):
                self._hearing = self._bus.open()
                return True
            self._ending.wait(AGAIN_S)
        return False

    def _tell(self, come: tuple[Notice, ...]) -> None:
        self._feed.add(come)
        more, self._more = self._more, asyncio.Event()
        more.set()
