"""What an application holds to speak and to hear in one functionality."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterlog.control.messages.gathering import Replies
from clusterlog.control.rules.rule import Selector

if TYPE_CHECKING:
    from clusterlog.control.messages.handlers import Subscription
    from clusterlog.control.messages.switchboard import Switchboard

REQUEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Whether a message was taken to be sent, which is no proof that anybody hears it; ``reason`` why it was not.

    True where it was taken.
    """

    taken: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.taken


class Client:
    """Speaks to the other processes of the cluster that know the same functionality, and hears them.

    No method waits for the network or raises into the application, but for what is plainly wrong in a call.
    """

    def __init__(self, functionality: str, switchboard: Switchboard) -> None:
        self.functionality = functionality
        self._switchboard = switchboard

    def subscribe(self, topic: str, fn: Callable[..., Any], on_gap: Callable[[], Any] | None = None) -> Subscription:
        """Call ``fn(data)`` with what others send under ``topic``; with ``fn(data, message)`` also who said it.

        Own messages are not heard. What ``fn`` returns is the answer to a request. ``on_gap()`` is called whenever
        messages may have been missed: after every connection to the bus, after a hole in what somebody sent, and where
        ``fn`` was too slow; a cache empties itself then. Functions are called one at a time, in a thread of ours.
        Raises TypeError for what cannot be called.
        """
        return self._switchboard.subscribe(self.functionality, topic, fn, on_gap)

    def send(self, topic: str, data: Any = None) -> Sent:
        """Send plain data, what JSON can hold, to every other process of the cluster; heard at most once."""
        return self._switchboard.send(self.functionality, topic, data)

    def request(
        self,
        topic: str,
        data: Any = None,
        *,
        service: Iterable[str] = (),
        node: Iterable[str] = (),
        timeout_s: float = REQUEST_S,
    ) -> Replies:
        """Ask every other worker, or those of these services and nodes (globs), and wait for their answers.

        Returns when all who are known to be there have answered, or after ``timeout_s`` seconds, with who is missing.
        """
        asked = Selector(service=_several(service), node=_several(node))
        return self._switchboard.request(self.functionality, topic, data, asked, timeout_s)


def _several(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
