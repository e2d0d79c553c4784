"""Addresses in Kibana: each of their three layers of quoting holds, whatever an id is made of."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterlog.context import ids
from clusterlog.encode.console import addresses
from clusterlog.search.language.parsing import parse
from clusterlog.store.query import Match

NOON_NS = 1_793_707_200_000_000_000
SITE = "https://kibana:5601/base/s/ops"
HOSTILE = "a'b\"c\\d!e&f=g#h(i)j:k%l+m n\nö{{value}}"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def parameters(address):
    """What the locator of an address is told."""
    asked = parse_qs(urlsplit(address).query, strict_parsing=True)
    assert asked.keys() == {"l", "v", "p"}
    return json.loads(asked["p"][0])


def from_rison(text):
    """A text of Kibana's notation, read back."""
    assert text[0] == text[-1] == "'"
    read, rest = "", text[1:-1]
    while rest:
        escaped = rest[0] == "!"
        assert rest[0] != "'"
        read, rest = (read + rest[1], rest[2:]) if escaped else (read + rest[0], rest[1:])
    return read


@pytest.mark.parametrize(
    ("site", "base", "space"),
    [
        ("https://h:5601", "https://h:5601", ""),
        ("https://h:5601/", "https://h:5601", ""),
        ("https://h:5601/s/ops", "https://h:5601", "ops"),
        ("https://u:p@h/kibana/s/a_b-1/", "https://u:p@h/kibana", "a_b-1"),
        ("https://h/kibana", "https://h/kibana", ""),
        ("https://h/app/home#/", "https://h", ""),
        ("https://h/k/s/ops/app/discover#/?_g=(a:'/s/x')", "https://h/k", "ops"),
        ("https://h/s/ops?x=/s/y", "https://h", "ops"),
        ("https://h/apps/kibana", "https://h/apps/kibana", ""),
    ],
)
def test_an_address_is_split_into_where_kibana_is_and_its_space(site, base, space):
    assert addresses.split(site) == (base, space)


def test_the_address_of_a_request_leads_to_its_hours_in_its_space(monkeypatch):
    request = ids.uuid7(NOON_NS, 0)
    address = addresses.of_request(SITE, request)
    assert address.startswith("https://kibana:5601/base/s/ops/app/r?l=DISCOVER_APP_LOCATOR&v=8.9.0&p=")
    told = parameters(address)
    assert told["query"] == {"language": "kuery", "query": f'http.request.id: "{request}"'}
    assert told["timeRange"] == {"from": "2026-11-03T11:00:00.000Z", "to": "2026-11-03T14:00:00.000Z"}
    assert told["dataViewId"] == "clusterlog-events.ops"
    assert told["sort"] == [["@timestamp", "asc"], ["event.sequence", "asc"]]


def test_where_an_id_tells_no_time_all_that_is_kept_is_looked_at():
    told = parameters(addresses.of_request("http://h", "order-17"))
    assert told["timeRange"] == {"from": "now-30d", "to": "now"}
    seen = parameters(addresses.of_request("http://h", "order-17", NOON_NS))
    assert seen["timeRange"]["from"] == "2026-11-03T11:00:00.000Z"


def test_lines_of_the_same_hour_have_the_same_address():
    first, second = (addresses.of_request(SITE, "a", NOON_NS + minute * 60 * 10**9) for minute in (0, 59))
    assert first == second


def test_user_and_password_are_not_handed_on():
    for address in (
        addresses.of_request("https://elastic:secret@h:5601", "a"),
        addresses.dashboard("https://elastic:se@cret@h:5601/s/ops", "requests", "a: b", addresses.EVERYTHING),
    ):
        assert "secret" not in address and "cret" not in address and "elastic" not in address
        assert address.startswith("https://h:5601/")


@given(texts)
@example(HOSTILE)
def test_any_id_comes_out_of_an_address_as_it_went_in(request):
    told = parameters(addresses.discover(SITE, addresses.is_("http.request.id", request), addresses.EVERYTHING))
    assert parse(told["query"]["query"]) == Match("http.request.id", request, phrase=True) or parse(
        told["query"]["query"]
    ) == Match("http.request.id", request)


@given(texts)
@example(HOSTILE)
def test_any_query_comes_out_of_the_address_of_a_dashboard_as_it_went_in(query):
    address = addresses.dashboard(SITE, "requests", query, ("now-1h", "now"))
    assert address.isascii() and not re.search(r"[\s\"<>\\^`{|}]", address)
    before, _, after = address.partition("#")
    assert before == "https://kibana:5601/base/s/ops/app/dashboards"
    state = re.fullmatch(r"/view/clusterlog-requests\.ops\?_g=([^&#]*)&_a=([^&#]*)", after)
    assert unquote(state[1]) == "(time:(from:'now-1h',to:'now'))"
    asked = unquote(state[2])
    assert asked.startswith("(query:(language:kuery,query:") and asked.endswith("))")
    assert from_rison(asked[len("(query:(language:kuery,query:") : -2]) == query


@given(st.integers(-(10**20), 10**25), st.integers(-(10**20), 10**25))
def test_any_time_gives_an_address(first, last):
    for each in addresses.around(min(first, last), max(first, last)):
        assert datetime.fromisoformat(each).tzinfo == UTC


@given(st.integers(0, 4 * 10**18))
def test_the_time_of_an_id_is_when_it_was_made(ns):
    made = ids.uuid7(ns, 5)
    assert addresses.made_at(made) == ns // 1_000_000 * 1_000_000
    hyphened = f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"
    assert addresses.made_at(hyphened.upper()) == addresses.made_at(made)


@pytest.mark.parametrize(
    "other", ["order-17", "4bf92f3577b34da6a3ce929d0e0e4736", "", "01a1ff24f9797e77886517ab362f4a4"]
)
def test_other_ids_tell_no_time(other):
    assert addresses.made_at(other) is None


def test_an_address_can_be_followed_by_a_terminal():
    """They take about two thousand characters, and nothing but ASCII."""
    address = addresses.of_request(
        "https://a-rather-long-name.of.a.host.example.com:5601/base/path/s/operations", "x" * 64
    )
    assert len(address) < 1000 and address.isascii() and address.isprintable() and " " not in address
