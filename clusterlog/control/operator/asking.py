"""A question to workers from somebody who is none of them: asked over the bus, answered one by one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clusterlog.control.bus.base import Link, Message
from clusterlog.control.members import Node
from clusterlog.control.messages.envelope import Envelope, Sender, read, sealed
from clusterlog.control.messages.gathering import Replies, Reply
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

PATIENCE_S = 3.0


def asked(
    link: Link,
    sealer: Sealer,
    about: tuple[str, str],
    data: Mapping[str, Any],
    nodes: Iterable[Node],
    timeout_s: float | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Replies:
    """What the living workers of ``nodes`` answer to ``data`` within ``timeout_s`` (``PATIENCE_S``), and who has not.

    ``about`` is functionality and topic. ``tell`` hears (answered, expected). Raises BusUnreachable, and Rejected for
    what cannot be sent.
    """
    expected = {
        worker.status.instance: Sender(worker.status.instance, node.node, node.service, worker.status.pid)
        for node in nodes
        for worker in node.workers
        if worker.state in ("up", "late")
    }
    me = Sender(f"operator-{secrets.token_hex(8)}")
    question = Envelope(*about, me, 1, dict(data), "request", secrets.token_hex(8))
    replies: dict[str, Reply] = {}
    end = time.monotonic() + (PATIENCE_S if timeout_s is None else timeout_s)
    if expected:
        link.send(sealed(question, sealer))
    while expected.keys() - replies.keys() and (left := end - time.monotonic()) > 0:
        for notice in link.wait(left):
            reply = _reply(notice.body, sealer) if isinstance(notice, Message) else None
            if reply is not None and reply.id == question.id and reply.sender.instance in expected:
                replies.setdefault(reply.sender.instance, Reply(reply.sender, reply.data, reply.failed))
        if tell is not None:
            tell(len(replies), len(expected))
    return Replies(tuple(replies.values()), tuple(who for name, who in expected.items() if name not in replies))


def _reply(body: bytes, sealer: Sealer) -> Envelope | None:
    """The answer that ``body`` is; None for anything else, and for what is not to be believed."""
    try:
        found = read(body, sealer)
    except Rejected:
        return None
    return found if found.kind == "reply" else None
