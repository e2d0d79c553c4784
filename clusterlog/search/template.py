"""What an event says with the values left out: equal for all events that one place in a program tells."""

from __future__ import annotations

import re

from clusterlog.search.story.event import Event, request_line, text

# UUIDs and other hexadecimal ids, then numbers; neither inside of a word, so that `utf8` and `shop-1` stay.
_VALUE = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=[a-f]*[0-9])[0-9a-f]{8,})(?![\w-])"
    r"|(?<![\w.-])[-+]?\d+(?:[.,:]\d+)*(?![\w-])",
    re.IGNORECASE,
)
_LONGEST = 2000  # characters of a message that are looked at


def shape(words: str) -> str:
    """A text whose numbers and ids are stars: ``order 54833 failed`` and ``order 7 failed`` have one shape."""
    return _VALUE.sub("*", words[:_LONGEST])


def template(event: Event) -> str:
    """What tells an event's call site from others of its logger.

    A line's own template where it was logged with arguments, else the shape of its message. Of an answered request
    method and route, of an outgoing call method and shape of the path (the host may differ from node to node), of a
    step its name.
    """
    document = event.document
    if event.kind == "access":
        route = text(document, "clusterlog.route") or shape(text(document, "url.path"))
        return f"{text(document, 'http.request.method')} {route}".strip() or shape(text(document, "message"))
    if event.kind == "call":
        path = text(document, "url.path")
        asked = f"{text(document, 'http.request.method')} {path}" if path else request_line(event)
        return shape(asked.strip() or text(document, "message"))
    told, message = text(document, "clusterlog.template"), text(document, "message")
    return told if told and told != message else shape(message)
