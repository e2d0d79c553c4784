"""What a pasted text means: nobody should have to cut an id out of what he has."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.errors import SettingError
from clusterlog.search.pasted import Pasted, read

ID = "01a1fec314da75c7bd9bdb38c31ad1d3"
UUID = "01a1fec3-14da-75c7-bd9b-db38c31ad1d3"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
EVENT = f"{TRACE}-0000000002a"
WHOLE = Pasted(requests=(ID,), traces=(ID,))


@pytest.mark.parametrize("text", [ID, f"  {ID}\n", f'"{ID}"', f"`{ID}`", f"({ID})", f"{ID},", f"<{ID}>"])
def test_an_id_is_found_in_the_quotes_and_blanks_it_was_copied_with(text):
    assert read(text) == WHOLE


def test_a_uuid_means_its_digits_as_well_as_what_it_is():
    assert read(UUID) == Pasted(requests=(UUID, ID), traces=(ID,))
    assert read(ID.upper()) == Pasted(requests=(ID.upper(), ID), traces=(ID,))


@pytest.mark.parametrize(
    "text", [PARENT, PARENT.upper(), f"traceparent: {PARENT}", f"TraceParent={PARENT}", f"< traceparent: {PARENT}\r\n"]
)
def test_a_traceparent_means_its_trace_with_its_header_or_without(text):
    assert read(text) == Pasted(traces=(TRACE,))


@pytest.mark.parametrize(
    "text",
    [
        f"X-Request-ID: {ID}",
        f"< x-request-id: {ID}\r",
        f"x-request-id={ID}",
        f"request_id={ID}",
        f'"http.request.id": "{ID}",',
        f'http.request.id: "{ID}"',
        f"request: {ID}",
        f"X-Correlation-ID: {ID}",
    ],
)
def test_a_header_or_field_with_its_name_means_its_value(text):
    assert read(text) == WHOLE


@pytest.mark.parametrize("name", ["trace.id", "trace_id", "X-B3-TraceId"])
def test_a_field_of_a_trace_means_the_trace_alone(name):
    assert read(f"{name}: {TRACE}") == Pasted(traces=(TRACE,))


@pytest.mark.parametrize(
    ("document", "meant"),
    [
        ({"http": {"request": {"id": "order-7"}}, "trace": {"id": TRACE}}, Pasted(requests=("order-7",))),
        ({"http.request.id": "order-7"}, Pasted(requests=("order-7",))),
        ({"request_id": "order-7"}, Pasted(requests=("order-7",))),
        ({"trace": {"id": TRACE.upper()}}, Pasted(traces=(TRACE,))),
        ({"trace_id": TRACE}, Pasted(traces=(TRACE,))),
        ({"traceparent": PARENT}, Pasted(traces=(TRACE,))),
    ],
)
def test_a_whole_json_line_means_its_request_or_else_its_trace(document, meant):
    assert read(json.dumps({"message": "x", **document})) == meant


def test_a_json_line_that_was_cut_where_it_was_copied_is_searched_for_an_id():
    line = json.dumps({"http": {"request": {"id": ID}}, "message": "x" * 50})[:-10]
    assert read(line) == WHOLE


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f'INFO: 127.0.0.1 "GET /orders" 502 [{ID}]', WHOLE),
        (f"2026-11-03 ERROR shop failed request_id=order-7.x trace={TRACE}",
         Pasted(requests=("order-7.x", TRACE), traces=(TRACE,))),
        ("2026-11-21T16:59:06.309Z  shop-2  I  ..c31ad1d3  shop.api  order received", Pasted(end="c31ad1d3")),
        (f"got {PARENT} from the proxy", Pasted(traces=(TRACE,))),
    ],
)  # fmt: skip
def test_a_line_of_text_means_the_ids_in_it(line, meant):
    assert read(line) == meant


def test_an_events_id_means_the_request_of_that_event():
    assert read(EVENT) == Pasted(event=EVENT)


@pytest.mark.parametrize("text", ["..c31ad1d3", "…c31ad1d3", "...c31ad1d3"])
def test_an_end_is_told_by_its_dots(text):
    assert read(text) == Pasted(end="c31ad1d3")


@pytest.mark.parametrize("text", ["01a1fec3..", "01a1fec3…", "01a1fec3*", "01a1fec3..."])
def test_a_beginning_is_told_by_what_stands_behind_it(text):
    assert read(text) == Pasted(beginning="01a1fec3")


def test_a_part_of_an_id_may_be_its_beginning_and_if_it_is_made_of_hex_digits_its_end():
    assert read("01a1fec3") == Pasted(requests=("01a1fec3",), beginning="01a1fec3", end="01a1fec3")
    assert read("order-77") == Pasted(requests=("order-77",), beginning="order-77")
    assert read("abc") == Pasted(requests=("abc",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing to look for"),
        ("  ''  ", "nothing to look for"),
        ("https://shop.example/orders", "looks like an address"),
        ("alice@shop.example", "looks like a user"),
        ("level: error and node: shop-1", "no request id"),
        ("order received", "looks like a query or a message"),
        ("a" * 65, "has 65 characters"),
        ("übermäßig", "ids are made of"),
        ("\x1b[2J", "ids are made of"),
        ("Content-Type: text/html", "carries no request id"),
        ("traceparent: 00-nonsense", "is no traceparent"),
        ("X-Request-ID: a b", "is no id"),
        ('{"message": "x"}', "belongs to no request"),
        ("{nonsense", "begins like JSON"),
        ("[" * 100_000, "nothing to look for"),
        ("{" + '"a":{' * 100_000, "begins like JSON"),
    ],
)
def test_what_cannot_be_an_id_is_answered_with_what_it_looks_like(text, told):
    with pytest.raises(SettingError) as caught:
        read(text)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@given(st.text(max_size=200) | st.text("{}[]:=.\"'-0123456789abcdef ", max_size=200))
def test_any_text_is_answered(text):
    with suppress(SettingError):
        assert read(text).said


def test_a_megabyte_is_looked_at_once():
    with pytest.raises(SettingError):
        read("x " * (1 << 20))
