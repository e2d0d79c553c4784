"""A message as it travels: what is said, in which functionality, by whom, and which of theirs it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from clusterlog.control.bus.base import MOST_MESSAGE
from clusterlog.control.rules.rule import Selector
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

SCHEMA = "clusterlog.message/1"

EVERYBODY = Selector()
Kind = Literal["event", "request", "reply"]
Terms = Literal["service", "node"]


@dataclass(frozen=True, slots=True)
class Sender:
    """The process that says something; ``instance`` is its own, for as long as it lives."""

    instance: str
    node: str = ""
    service: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """``number`` counts what ``sender`` has said in ``functionality``, from 1, so that a hole is seen.

    ``id`` ties replies to their request; ``to`` is the instance a reply is for; ``selector`` whom a request asks;
    ``failed`` is why a reply has no ``data``.
    """

    functionality: str
    topic: str
    sender: Sender
    number: int
    data: Any = None
    kind: Kind = "event"
    id: str = ""
    to: str = ""
    selector: Selector = EVERYBODY
    failed: str = ""


def sealed(envelope: Envelope, sealer: Sealer) -> bytes:
    """The bytes to send. Raises ``Rejected``: ``data`` for what is no plain data, ``size`` for too much of it."""
    sender = envelope.sender
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": envelope.kind,
        "functionality": envelope.functionality,
        "topic": envelope.topic,
        "sender": {"instance": sender.instance, "node": sender.node, "service": sender.service, "pid": sender.pid},
        "number": envelope.number,
        "data": envelope.data,
    }
    fields |= {name: value for name in ("id", "to", "failed") if (value := getattr(envelope, name))}
    asked = {name: list(value) for name in get_args(Terms) if (value := getattr(envelope.selector, name))}
    if asked:
        fields["selector"] = asked
    try:
        body = sealer.seal(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise Rejected(f"only plain data can be sent, what JSON can hold: {error}", "data") from None
    if len(body) > MOST_MESSAGE:
        raise Rejected(f"it takes {len(body)} bytes, and a message may have {MOST_MESSAGE}", "size")
    return body


def read(body: bytes, sealer: Sealer) -> Envelope:
    """The message that ``body`` is. Raises ``Rejected`` as ``Sealer.opened`` does, and ``garbage`` for none."""
    fields = sealer.opened(body, SCHEMA, MOST_MESSAGE)
    sender, asked = fields.get("sender"), fields.get("selector", {})
    number, kind = fields.get("number"), fields.get("kind")
    if not isinstance(sender, dict) or not isinstance(asked, dict) or type(number) is not int or number < 1:
        raise Rejected("a message has a sender and a number", "garbage")
    if kind not in get_args(Kind):
        raise Rejected(f"{kind!r} is a kind of message that this version of clusterlog does not know", "kind")
    if asked.keys() - set(get_args(Terms)):
        raise Rejected("it asks for what this version of clusterlog does not know", "selector")
    return Envelope(
        _text(fields, "functionality"),
        _text(fields, "topic"),
        Sender(_text(sender, "instance"), _text(sender, "node"), _text(sender, "service"), _pid(sender)),
        number,
        fields.get("data"),
        cast(Kind, kind),
        _text(fields, "id"),
        _text(fields, "to"),
        Selector(service=_names(asked, "service"), node=_names(asked, "node")),
        _text(fields, "failed"),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise Rejected(f"{name} of a message is a text", "garbage")
    return value


def _pid(sender: Mapping[str, Any]) -> int:
    value = sender.get("pid", 0)
    return value if type(value) is int else 0


def _names(asked: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = asked.get(name, [])
    if not isinstance(value, list) or any(type(each) is not str for each in value):
        raise Rejected(f"{name} of a selector is a list of names", "garbage")
    return tuple(value)
