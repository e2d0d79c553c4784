"""A refused event is changed in one place, says what was done to it, and stays itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.repair import LONGEST_TERM, SMALLEST, moved, shortened

ID = "0190aaaa0000700080000000000000a1-00000000007"


def event(**parts):
    return {
        "@timestamp": "2026-11-03T12:00:00.000000007Z",
        "process": {"pid": 7, "entity_id": ID[:32]},
        "event": {"id": ID, "sequence": 7, "kind": "event", "dataset": "clusterlog.app"},
        "message": "hello",
        **parts,
    }


def mended(reason, **parts):
    made = moved(json.dumps(event(**parts)).encode(), reason)
    return None if made is None else json.loads(made)


PARSE = "document_parsing_exception: [1:204] failed to parse field [{}] of type [long] in document with id 'x'"
OBJECT = "[1:50] object mapping for [{0}] tried to parse field [{0}] as object, but found a concrete value"
STATUS = PARSE.format("http.response.status_code")
DEPTH = "The provided [flattened] field [labels] exceeds the maximum depth limit of [20]."


@pytest.mark.parametrize(
    ("reason", "parts", "name", "value"),
    [
        (STATUS, {"http": {"response": {"status_code": "ok"}}}, None, "ok"),
        (STATUS, {"http": {"response.status_code": "ok", "version": "1"}}, None, "ok"),
        (PARSE.format("a.b"), {"a.b": [1, "x"], "a": {"c": 1}}, "a.b", [1, "x"]),
        (OBJECT.format("user"), {"user": "me"}, "user", "me"),
        ("mapper_parsing_exception: failed to parse field [event.duration] of type [long]", {}, None, None),
        (
            "illegal_argument_exception: mapper [shop.total] cannot be changed from type [long] to [text]",
            {"shop": {"total": "12"}},
            "shop.total",
            "12",
        ),
        (
            "illegal_argument_exception: can't merge a non object mapping [error.code] with an object mapping",
            {"error": {"code": {"n": 1}, "type": "E"}},
            "error.code",
            {"n": 1},
        ),
    ],
)  # fmt: skip
def test_the_field_that_the_refusal_names_is_moved_into_labels_under_its_path(reason, parts, name, value):
    found = mended(reason, **parts)
    if value is None:
        assert found is None
        return
    name = name or "http.response.status_code"
    assert found["labels"] == {name: value}
    assert found["clusterlog"]["repair"]["field"] == name
    kept = event()
    assert {part: found[part] for part in kept} == kept
    assert "status_code" not in json.dumps(found.get("http", {})) and found.get("user") is None


def test_what_stands_beside_the_field_stays_and_empty_objects_go():
    found = mended(PARSE.format("a.b.c"), a={"b": {"c": "x"}, "d": 1}, labels={"own": True}, clusterlog={"route": "/x"})
    assert found["a"] == {"d": 1}
    assert found["labels"] == {"own": True, "a.b.c": "x"}
    assert found["clusterlog"]["route"] == "/x"
    found = mended(PARSE.format("a.b.c"), a={"b": {"c": "x"}})
    assert "a" not in found


def test_a_label_of_the_callers_is_never_overwritten():
    found = mended(PARSE.format("a.b"), a={"b": "x"}, labels={"a": {"b": "own"}, "a.b_": "too"})
    assert found["labels"] == {"a": {"b": "own"}, "a.b_": "too", "a.b__": "x"}


def test_a_label_where_labels_have_types_becomes_text_under_another_name():
    found = mended(PARSE.format("labels.n"), labels={"n": {"deep": 1}, "m": 2})
    assert found["labels"] == {"n_text": '{"deep":1}', "m": 2}


def test_labels_as_a_whole_become_one_text():
    reason = DEPTH
    assert mended(reason, labels={"a": {"b": 1}})["labels"] == {"_text": '{"a":{"b":1}}'}


def test_a_term_that_is_too_long_is_cut_where_it_stands():
    reason = 'illegal_argument_exception: Document contains at least one immense term in field="url.path" (whose UTF8'
    found = mended(reason, url={"path": "/x" * 30_000})
    assert len(found["url"]["path"]) <= LONGEST_TERM and "60000 characters" in found["url"]["path"]
    assert "labels" not in found


def test_a_list_of_objects_is_moved_as_a_whole():
    found = mended(PARSE.format("error.chain.code"), error={"chain": [{"code": "x"}, {"code": 2}], "type": "E"})
    assert found["labels"] == {"error.chain": [{"code": "x"}, {"code": 2}]}
    assert found["error"] == {"type": "E"}


@pytest.mark.parametrize(
    "field", ["@timestamp", "event.id", "event.sequence", "process.entity_id", "nowhere", "message.x"]
)
def test_what_says_which_event_it_is_cannot_be_moved_and_what_is_not_there_neither(field):
    assert mended(PARSE.format(field)) is None


def test_a_reason_without_a_field_and_an_event_that_is_none_cannot_be_mended():
    assert mended("illegal_argument_exception: Limit of total fields [1000] has been exceeded") is None
    assert moved(b"not json", PARSE.format("a")) is None


def test_the_note_quotes_no_value():
    reason = f"{PARSE.format('a')}. Preview of field's value: 'my secret': For input string: \"my secret\""
    assert "secret" not in mended(reason, a="b")["clusterlog"]["repair"]["reason"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc.", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text("ab.", min_size=1, max_size=3), json_values, max_size=4), st.text("ab.", max_size=6))
def test_whatever_is_refused_the_event_stays_itself_or_nothing_is_done(parts, field):
    found = mended(PARSE.format(field), **parts)
    if found is not None:
        assert found["event"] == event()["event"] and found["@timestamp"] == event()["@timestamp"]
        assert found["process"] == event()["process"]
        assert found["clusterlog"]["repair"]


@given(st.integers(0, 40), st.integers(0, 2000), st.integers(0, 60_000))
def test_what_is_too_large_comes_back_as_itself_in_half_or_not_at_all(labels, length, message):
    whole = event(message="m" * message, labels={f"n{n}": "x" * length for n in range(labels)})
    body = json.dumps(whole).encode()
    made = shortened(body)
    if made is None:
        assert len(body) <= 2 * SMALLEST
        return
    assert len(made) <= len(body) // 2 + 600
    found = json.loads(made)
    assert (found["event"], found["@timestamp"], found["process"]) == (
        whole["event"],
        whole["@timestamp"],
        whole["process"],
    )
    assert str(len(body)) in found["clusterlog"]["repair"]["reason"]


def test_what_is_no_event_is_not_cut():
    assert shortened(b"x" * 100_000) is None
