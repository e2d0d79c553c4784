"""The lines of a bulk request: as Elasticsearch reads them, and as its many senders write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.web.faults import Fault
from clusterlog.web.intake.bulk import Item, items


def read(body, target=""):
    return list(items(body, target))


def test_an_action_and_a_document_are_an_item():
    body = b'{"create":{"_index":"shop","_id":"1"}}\n{"a":1}\n{"index":{}}\n{"b":2}\n'
    assert read(body, "path") == [Item("create", "shop", "1", b'{"a":1}'), Item("index", "path", None, b'{"b":2}')]


def test_a_document_is_taken_byte_for_byte_whatever_it_is():
    assert read(b'{"index":{}}\n{ "a" : 1.0 ,"a":\xff\n') == [Item("index", "", None, b'{ "a" : 1.0 ,"a":\xff')]


@pytest.mark.parametrize(
    "body",
    [
        b'{"index":{}}\n{"a":1}\n\n{"index":{}}\n{"a":1}\n\n',  # rsyslog
        b'\n\n{"index":{}}\n{"a":1}\n \t\n{"index":{}}\n{"a":1}\n',
        b'{"index":{}}\r\n{"a":1}\r\n{"index":{}}\r\n{"a":1}\r\n\r\n',
    ],
)
def test_lines_with_nothing_in_them_are_read_over_and_so_are_carriage_returns(body):
    assert read(body) == [Item("index", "", None, b'{"a":1}')] * 2


def test_a_line_with_nothing_in_it_is_a_document_where_one_is_expected():
    assert read(b'{"index":{}}\n\n{"index":{}}\n{"a":1}\n') == [
        Item("index", "", None, b""),
        Item("index", "", None, b'{"a":1}'),
    ]


def test_an_action_without_a_document_at_the_end_has_an_empty_one():
    assert read(b'{"create":{}}\n') == [Item("create", "", None, b"")]


def test_what_is_neither_created_nor_indexed_is_refused_for_itself():
    body = b'{"delete":{"_id":"1"}}\n{"update":{"_id":"2"}}\n{"doc":{}}\n{"create":{}}\n{}\n'
    delete, update, create = read(body)
    assert (delete.action, delete.id, delete.document) == ("delete", "1", b"")
    assert (update.action, update.document) == ("update", b'{"doc":{}}')
    assert "delete is not taken" in delete.refusal and "update is not taken" in update.refusal
    assert create == Item("create", "", None, b"{}")


@pytest.mark.parametrize(
    ("about", "refusal"),
    [
        ({"_id": ""}, "must not be empty"),
        ({"_id": ["a"]}, "_id must be a text"),
        ({"_id": 1.5}, "_id must be a text"),
        ({"_id": True}, "_id must be a text"),
        ({"_index": 5}, "_index must be a text"),
        ({"_index": None}, "_index must be a text"),
    ],
)
def test_what_is_said_about_an_item_in_vain_is_the_item_s_own_failure(about, refusal):
    one, other = read(json.dumps({"index": about}).encode() + b'\n{}\n{"index":{}}\n{}\n')
    assert refusal in one.refusal
    assert not other.refusal


def test_a_number_is_an_id_as_its_text_and_null_is_none():
    assert [each.id for each in read(b'{"index":{"_id":7}}\n{}\n{"index":{"_id":null}}\n{}\n')] == ["7", None]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"nonsense\n{}\n", 1),
        (b'{"create":{}}\n{}\n{"create":{}\n{}\n', 3),
        (b"\n\n[]\n{}\n", 3),
        (b"{}\n{}\n", 1),
        (b'{"create":{},"index":{}}\n{}\n', 1),
        (b'{"create":[]}\n{}\n', 1),
        (b'{"upsert":{}}\n{}\n', 1),
        (b'{"create":{}}\n{}\n"create"\n{}\n', 3),
    ],
)
def test_a_line_that_does_not_say_what_to_do_breaks_the_whole_request_and_is_named(body, line):
    with pytest.raises(Fault) as caught:
        read(body)
    assert (caught.value.status, f"in line {line}:" in caught.value.reason) == (400, True)


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n\t"])
def test_an_empty_request_is_told_what_it_takes(body):
    with pytest.raises(Fault, match="the request is empty"):
        read(body)


def test_a_request_without_its_last_newline_may_have_been_cut_and_is_not_taken():
    with pytest.raises(Fault, match="must end with a newline"):
        read(b'{"create":{}}\n{"a":1}\n{"create":{}}\n{"a":')


@given(st.binary(max_size=300) | st.lists(st.sampled_from([b'{"index":{}}', b"{}", b"", b"x", b"\r"])).map(b"\n".join))
def test_whatever_comes_is_items_or_one_refusal(body):
    try:
        found, refusal = read(body + b"\n"), None
    except Fault as fault:
        found, refusal = [], fault
    assert refusal is None or (refusal.status == 400 and "\n" not in refusal.reason)
    assert all(b"\n" not in each.document for each in found)
