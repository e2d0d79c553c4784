"""Where a request is seen in Kibana: addresses that can be written down without asking it.

Pure and light, as lines of the console carry them, too. What stands in an address is quoted three times: as a value in
KQL, that query in JSON or in Kibana's own notation (rison), and the whole for a URL.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

OLDEST = "8.9.0"
"""The oldest Kibana whose addresses and saved objects these are; newer ones read what is written for it."""
COLUMNS = ("service.node.name", "log.level", "log.logger", "message", "event.duration")
SORT = (("@timestamp", "asc"), ("event.sequence", "asc"))
EVERYTHING = ("now-30d", "now")
"""The time looked at where nothing is known: as long as events are kept by default."""

_SITE = re.compile(r"(?P<base>https?://.*?)(?:/s/(?P<space>[a-z0-9_-]+))?/?", re.IGNORECASE)
_PAGE = re.compile(r"/app(/.*)?$|/$|[?#].*")
_UUID7 = re.compile(r"(?P<ms>[0-9a-f]{8}-?[0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_NS = 3_600_000_000_000
_LAST_HOUR = 70_000_000  # in the year 9955
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def split(site: str) -> tuple[str, str]:
    """The address of a Kibana without its space, and the space, empty for the default one.

    ``https://host:5601/base/s/ops``; what a browser shows behind it (``/app/discover#/…``) is left out.
    """
    found = _SITE.fullmatch(_PAGE.sub("", site.strip()))
    return (found["base"], found["space"] or "") if found else (site, "")


def object_id(name: str, space: str) -> str:
    """The id of a saved object of ours. Ids are unique across spaces, so each space has objects of its own."""
    return f"clusterlog-{name}" + (f".{space}" if space and space != "default" else "")


def is_(field: str, value: str) -> str:
    """The KQL that finds a value in a field."""
    return f'{field}: "{"".join([_ESCAPES.get(each, each) for each in value])}"'


def around(first_ns: int, last_ns: int | None = None) -> tuple[str, str]:
    """The times to look at for what happened then: whole hours, one before and one behind at least."""
    last_ns = first_ns if last_ns is None else last_ns
    start, end = first_ns // _HOUR_NS - 1, last_ns // _HOUR_NS + 2
    return _hour(start), _hour(end)


def made_at(request_id: str) -> int | None:
    """When an id was made, in nanoseconds, as far as it tells: a UUID of version 7 does."""
    found = _UUID7.fullmatch(request_id)
    return int(found["ms"].replace("-", ""), 16) * 1_000_000 if found else None


def discover(site: str, query: str, times: tuple[str, str], columns: tuple[str, ...] = COLUMNS) -> str:
    """The address of what a query finds, in Discover, oldest first.

    ``/app/r`` leads to wherever a version of Kibana has it, and needs no part behind a ``#``, which some log-in pages
    lose. ``site`` may carry credentials, which are not handed on.
    """
    base, space = split(_public(site))
    parameters = locator(space, query, times, columns)
    return f"{base}{_prefix(space)}/app/r?l=DISCOVER_APP_LOCATOR&v={OLDEST}&p={quoted(parameters)}"


def locator(space: str, query: str, times: tuple[str, str], columns: tuple[str, ...] = COLUMNS) -> str:
    """What Discover is told to show, as JSON."""
    told: dict[str, Any] = {
        "dataViewId": object_id("events", space),
        "timeRange": {"from": times[0], "to": times[1]},
        "query": {"language": "kuery", "query": query},
        "columns": columns,
        "sort": SORT,
    }
    return json.dumps(told, separators=(",", ":"))


def dashboard(site: str, name: str, query: str, times: tuple[str, str]) -> str:
    """The address of a dashboard of ours, with a query in its bar."""
    base, space = split(_public(site))
    when = f"(time:(from:{rison(times[0])},to:{rison(times[1])}))"
    asked = f"(query:(language:kuery,query:{rison(query)}))"
    place = f"/app/dashboards#/view/{quoted(object_id(name, space))}"
    return f"{base}{_prefix(space)}{place}?_g={quoted(when, '():,')}&_a={quoted(asked, '():,')}"


def of_request(site: str, request_id: str, seen_ns: int | None = None) -> str:
    """The address of all events of a request; ``seen_ns``: when something of it happened."""
    moment = made_at(request_id) if seen_ns is None else seen_ns
    return discover(site, is_("http.request.id", request_id), EVERYTHING if moment is None else around(moment))


def rison(text: str) -> str:
    """A text in Kibana's notation for the parts of an address: in ``'``, with ``!`` before each ``'`` and ``!``."""
    return "'" + re.sub("[!']", r"!\g<0>", text) + "'"


def _prefix(space: str) -> str:
    return f"/s/{space}" if space else ""


def _public(site: str) -> str:
    from clusterlog.settings import without_credentials

    return without_credentials(site)


def quoted(text: str, safe: str = "") -> str:
    """The text as it stands in a URL; ``safe`` are signs that stay as they are."""
    from urllib.parse import quote  # late: no line of a console without Kibana needs it

    return quote(text, safe=safe, errors="replace")


def _hour(number: int) -> str:
    return (_EPOCH + timedelta(hours=min(max(number, 0), _LAST_HOUR))).isoformat()[:19] + ".000Z"
