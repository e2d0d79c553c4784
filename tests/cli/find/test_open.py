"""One request opened in Kibana: by whatever was pasted, at its time, in a browser if there is one."""

from __future__ import annotations

import json
import re
import secrets
import webbrowser
from urllib.parse import parse_qs, urlsplit

import pytest
from places import place_on

from clusterlog.store.base import Delivery

KIBANA = ("--kibana", "https://elastic:secret@kibana:5601/s/ops")
UNKNOWN = "01a1ff24f9797e77886517ab362f4a41"


def shown(address):
    return json.loads(parse_qs(urlsplit(address).query)["p"][0])


@pytest.fixture
def failed(stories):
    return stories.failing_checkout().id


@pytest.fixture(autouse=True)
def browser(monkeypatch):
    """No display, and a browser that notes what it is to open."""
    opened = []
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    return opened


def test_a_request_is_found_by_a_part_of_its_id_and_looked_at_in_its_hours(run, checkouts, failed):
    for given in (failed, failed[:14], f"..{failed[-8:]}", f"X-Request-ID: {failed}"):
        result = run("open", given, *KIBANA)
        assert (result.code, result.err, len(result.lines)) == (0, "", 1)
        told = shown(result.lines[0])
        assert told["query"]["query"] == f'http.request.id: "{failed}"'
        assert told["timeRange"] == {"from": "2026-11-03T11:00:00.000Z", "to": "2026-11-03T14:00:00.000Z"}
        assert told["dataViewId"] == "clusterlog-events.ops"


def test_an_id_that_fits_several_is_told_as_trace_tells_it(run, checkouts):
    result = run("open", "healthy", *KIBANA)
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("3 requests fit healthy: give the whole id of one, or more of it\n")


def test_an_id_that_is_not_here_is_taken_as_it_is_where_kibana_sees_another_store(run, checkouts):
    result = run("open", UNKNOWN, *KIBANA)
    told = shown(result.lines[0])
    assert told["query"]["query"] == f'http.request.id: "{UNKNOWN}" or trace.id: "{UNKNOWN}"'
    assert told["timeRange"] == {"from": "2026-11-21T16:00:00.000Z", "to": "2026-11-21T19:00:00.000Z"}


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ("order-17", 'http.request.id: "order-17" or http.request.id: order-17*'),
        ("..d31ad1d3", "http.request.id: *d31ad1d3"),
        ("01a1ff24…", "http.request.id: 01a1ff24*"),
        (f"00-{'4b' * 16}-00f067aa0ba902b7-01", f'trace.id: "{"4b" * 16}"'),
        (f"{'0a' * 16}-0000000002f", f'event.id: "{"0a" * 16}-0000000002f"'),
    ],
)
def test_without_a_home_what_was_pasted_says_what_to_look_for(run, given, query):
    result = run("open", given, *KIBANA)
    assert result.code == 0
    assert shown(result.lines[0])["query"]["query"] == query
    assert shown(result.lines[0])["timeRange"] == {"from": "now-30d", "to": "now"}


def test_a_store_at_a_url_that_does_not_answer_hinders_nobody(run):
    result = run("open", UNKNOWN, *KIBANA, "--store", "http://127.0.0.1:9")
    assert result.code == 0 and UNKNOWN in result.out
    told = "clusterlog: http://127.0.0.1:9: nothing listens there (connection refused): the id is taken as it is\n"
    assert result.err == told


def test_a_store_that_cannot_be_read_here_hinders_nobody(run, checkouts, monkeypatch):
    from clusterlog.errors import MissingExtra

    def lacks(settings):
        raise MissingExtra("an embedded store", "server")

    monkeypatch.setattr("clusterlog.cli.home.stored.open_store", lacks)
    result = run("open", UNKNOWN, *KIBANA)
    assert result.code == 0 and UNKNOWN in result.out
    assert result.err.endswith('pip install "clusterlog[server]": the id is taken as it is\n')


def test_a_store_at_a_url_says_what_is_meant_and_that_there_is_no_such_request(run, stories, elasticsearch):
    """Kibana shows what is there: an address that leads to nothing would help nobody."""
    request = secrets.token_hex(16)
    with place_on(elasticsearch) as place:
        batch = []
        for each in stories.healthy_checkout(id=request).documents:
            instance, sequence = secrets.token_hex(16), each["event"]["sequence"]
            each["event"]["id"] = f"{instance}-{sequence:011x}"
            each["service"]["environment"] = place.environment
            batch.append(Delivery(each["event"]["id"], instance, sequence, json.dumps(each).encode()))
        assert {outcome.status for outcome in place.deliver(batch)} == {"stored"}
        place.flush()
    found = run("open", request[:20], *KIBANA, "--store", elasticsearch.url)
    assert found.code == 0
    assert shown(found.lines[0])["query"]["query"] == f'http.request.id: "{request}"'
    assert shown(found.lines[0])["timeRange"]["from"] == "2026-11-03T11:00:00.000Z"
    absent = run("open", UNKNOWN, *KIBANA, "--store", elasticsearch.url)
    assert (absent.code, absent.out) == (1, "")
    assert absent.err.startswith(f"clusterlog: no request {UNKNOWN}: stored are events from ")


def test_on_the_dashboard(run, checkouts, failed):
    result = run("open", failed, "--dashboard", *KIBANA)
    assert result.lines[0].startswith("https://kibana:5601/s/ops/app/dashboards#/view/clusterlog-requests.ops?_g=")
    assert failed in result.lines[0]


def test_a_password_is_not_in_the_address(run):
    assert "secret" not in run("open", UNKNOWN, *KIBANA).out


def test_the_browser_is_opened_where_there_is_a_display_and_the_address_told_even_so(run, monkeypatch, browser):
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    result = run("open", UNKNOWN, *KIBANA)
    assert browser == result.lines
    assert result.err == "opened in the browser\n"


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":0"}])
def test_print_opens_nothing(run, monkeypatch, browser, display):
    for name, value in display.items():
        monkeypatch.setenv(name, value)
    result = run("open", UNKNOWN, *KIBANA, "--print")
    assert (result.code, result.err, browser) == (0, "", [])


def test_a_browser_that_cannot_be_opened_leaves_the_address(run, monkeypatch, on_terminal):
    monkeypatch.setenv("DISPLAY", ":0")

    def fails(address):
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fails)
    result = run("open", UNKNOWN, *KIBANA)
    assert result.code == 0 and result.out.startswith("https://kibana:5601/")
    assert result.err == "no browser could be opened here: the address leads there from anywhere\n"


def test_json_tells_all_of_it(run, checkouts, failed):
    told = json.loads(run("open", failed, *KIBANA, "--json").out)
    assert told["schema"] == "clusterlog.open/1"
    assert (told["requests"], told["opened"]) == ([failed], False)
    assert shown(told["address"])["query"]["query"] == told["query"]


def test_a_kibana_has_to_be_named(run, checkouts, failed):
    result = run("open", failed)
    assert (result.code, result.out) == (2, "")
    assert result.err == "clusterlog: no Kibana is named: --kibana https://host:5601, or the setting kibana\n"


def test_what_is_no_id_is_told_as_trace_tells_it(run):
    result = run("open", "alice@example.com", *KIBANA)
    assert (result.code, result.out) == (2, "")
    assert "it looks like a user" in result.err


def test_the_id_in_a_trace_leads_to_kibana_where_the_terminal_follows_links(
    run, checkouts, failed, monkeypatch, on_terminal
):
    monkeypatch.setenv("CLUSTERLOG_KIBANA", KIBANA[1])
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    monkeypatch.setenv("COLUMNS", "140")
    result = run("trace", failed, "--no-pager")
    ((address, text),) = re.findall(r"\x1b\]8;;(https[^\x1b]+)\x1b\\(.*?)\x1b\]8;;\x1b\\", result.out)
    assert text == failed and shown(address)["query"]["query"] == f'http.request.id: "{failed}"'
    monkeypatch.setenv("FORCE_HYPERLINK", "0")
    plain = run("trace", failed, "--no-pager")
    assert plain.out == re.sub(r"\x1b\]8;;[^\x1b]*\x1b\\", "", result.out)


def test_in_a_pipe_a_trace_has_no_links(run, checkouts, failed, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_KIBANA", KIBANA[1])
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    assert "\x1b" not in run("trace", failed).out
