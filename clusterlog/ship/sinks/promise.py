"""What it means that a sink has taken an event: the honest word for it, by the scheme of its URL. Pure."""

from __future__ import annotations

from typing import Literal

Promise = Literal["stored", "queued", "sent"]

_QUEUED = frozenset(
    {
        *("logstash+http", "logstash+https", "lumberjack+tcp", "lumberjack+tls"),
        *("otlp+http", "otlp+https", "otlp-json+http", "otlp-json+https"),
    }
)
_SENT = frozenset({"jsonlines+tcp", "jsonlines+tls", "syslog+tcp", "syslog+tls"})

_WORDS: dict[Promise, str] = {
    "stored": "",
    "queued": "acknowledged once the far end has queued them",
    "sent": "best effort: the far end acknowledges nothing, and what is under way when it breaks off is lost",
}


def promise_of(url: str) -> Promise:
    """``stored``: safe there. ``queued``: somebody has it who will store it. ``sent``: it has left, and that is all."""
    scheme = url.partition(":")[0].lower()
    return "queued" if scheme in _QUEUED else "sent" if scheme in _SENT else "stored"


def in_words(url: str) -> str:
    """What is worth saying about events that are shipped there; nothing where they are simply stored."""
    return _WORDS[promise_of(url)]
