"""What an event says with the values left out: equal for all events that one place in a program tells."""

from __future__ import annotations

from clusterlog.encode.otlp.fields import shape
from clusterlog.search.story.event import Event, request_line, text

__all__ = ["shape", "template"]


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
