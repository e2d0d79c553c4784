"""What to ask Kibana for, so that it shows what is meant here: a query, and the times to look at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clusterlog.encode.console import addresses
from clusterlog.search.instant import instant
from clusterlog.search.pasted import Pasted
from clusterlog.search.story.event import Document, text


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody wants to see: the query for it in KQL, from when to when, and its requests as far as known."""

    query: str
    times: tuple[str, str]
    requests: tuple[str, ...] = ()


def of_events(found: Iterable[Document]) -> Meant:
    """Events of one request or of several that belong together: by their ids, in their hours."""
    found = list(found)
    requests, traces = (
        tuple(dict.fromkeys(filter(None, (text(each, field) for each in found))))
        for field in ("http.request.id", "trace.id")
    )
    field, values = ("http.request.id", requests) if requests else ("trace.id", traces)
    moments = [moment for each in found if (moment := instant(text(each, "@timestamp"))) is not None]
    return Meant(" or ".join(addresses.is_(field, each) for each in values), _hours(moments), requests)


def of_pasted(asked: Pasted) -> Meant:
    """What was pasted, by itself: when an id was made says where to look, if it tells."""
    parts = [addresses.is_("http.request.id", each) for each in asked.requests]
    parts += [addresses.is_("trace.id", each) for each in asked.traces]
    if asked.event:
        parts.append(addresses.is_("event.id", asked.event))
    if asked.beginning:
        parts.append(f"http.request.id: {asked.beginning}*")
    if asked.end:
        parts.append(f"http.request.id: *{asked.end}")
    moments = [moment for each in asked.requests if (moment := addresses.made_at(each)) is not None]
    return Meant(" or ".join(dict.fromkeys(parts)), _hours(moments), asked.requests)


def _hours(moments: list[int]) -> tuple[str, str]:
    return addresses.around(min(moments), max(moments)) if moments else addresses.EVERYTHING
