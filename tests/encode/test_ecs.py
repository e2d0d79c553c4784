"""The documents of the road, exactly as the contract tells them; the fast way and the careful way are one."""

import json
import logging
import os
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterlog.context import request as context
from clusterlog.context.request import Request, Scope, annotate, bind, bound, current, enter, leave
from clusterlog.encode import ecs
from clusterlog.encode.ecs import EVENT_LIMIT, Encoder
from clusterlog.encode.facts import Origin
from clusterlog.record.redact import Redactor
from clusterlog.spool.segment import numbered

ORIGIN = Origin("shop", "shop-1", "production", "vm-7")
INSTANCE = "0198f0c2a7b47c6e9a3d2f1e5b8c4d60"
TRACE, SPAN = "ab" * 16, "cd" * 8
INFO = logging.INFO


def hashed(identity):
    return f"hash-of-{len(identity)}", "key1"


def make(*, metrics=(), words=()):
    return Encoder(ORIGIN, redactor=Redactor(words), metrics=frozenset(metrics), identity_hash=hashed)


@pytest.fixture(autouse=True)
def _nobody(monkeypatch):
    """Each test begins and ends outside of any request; scopes are rendered by no one but the encoder at hand."""
    monkeypatch.setattr(context, "renderer", None)
    leave()
    yield
    leave()


@pytest.fixture
def encoder():
    return make()


@pytest.fixture
def said(encoder, judge):
    """A line of the encoder as the document it is."""

    def said(
        event="ready", /, *args, encoder=encoder, level=INFO, logger="shop.api", failure=None, stack=None, **fields
    ):
        own = fields.pop("own", None)
        rest = encoder.line(level, logger, event, args, fields, failure, stack, own)
        return judge(numbered(encoder.head(INSTANCE), 1_790_000_000_000_000_001, 7) + rest)

    return said


def failed(message="refused"):
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_a_line_is_exactly_this_document(said):
    enter(Request("r-1", TRACE, SPAN, session="abc"))
    annotate(tenant=3, user="alice")
    bind(cart="c-9")
    assert said("order placed", amount=12.5, gift=False, note=None, n=4711, city="Espoo") == {
        "@timestamp": "2026-09-21T14:13:20.000000001Z",
        "process": {"pid": os.getpid(), "entity_id": INSTANCE},
        "event": {"id": f"{INSTANCE}-00000000007", "sequence": 7, "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "shop.api"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": "production"},
        "host": {"name": "vm-7"},
        "message": "order placed",
        "clusterlog": {"template": "order placed", "session": {"hash": "hash-of-3"}, "user": {"key_id": "key1"}},
        "http": {"request": {"id": "r-1"}},
        "trace": {"id": TRACE},
        "span": {"id": SPAN},
        "user": {"hash": "hash-of-5"},
        "labels": {"tenant": 3, "cart": "c-9", "amount": 12.5, "gift": False, "note": None, "n": 4711, "city": "Espoo"},
    }


def test_a_line_without_request_and_fields_has_neither_ids_nor_labels(said):
    told = said()
    assert told.keys() == {
        "@timestamp", "process", "event", "log", "ecs", "service", "host", "message", "clusterlog"
    }  # fmt: skip
    assert told["clusterlog"] == {"template": "ready"}


@given(st.integers(0, 4_102_444_800), st.integers(0, 999_999_999), st.integers(1, 1 << 44))
@example(0, 0, 1)
@example(1, 999_999_999, 0xFFFFFFFFFFF)
def test_the_head_tells_every_nanosecond_and_number(second, fraction, sequence):
    head = make().head(INSTANCE)
    told = json.loads(numbered(head, second * 1_000_000_000 + fraction, sequence) + b'"kind":"event"}}')
    seen = time.strptime(told["@timestamp"][:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
    assert told["@timestamp"][19:] == f".{fraction:09}Z"
    assert time.strftime("%s", time.gmtime(second)) == time.strftime("%s", seen)
    assert told["event"]["sequence"] == sequence
    assert told["event"]["id"] == f"{INSTANCE}-{sequence:011x}"


@pytest.mark.parametrize(
    ("level", "name"),
    [(10, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "critical"), (25, "level 25"), (35, "notice")],
)
def test_levels_have_pythons_names_in_lower_case(said, monkeypatch, level, name):
    monkeypatch.setitem(logging._levelToName, 35, "NOTICE")
    assert said(level=level)["log"]["level"] == name


def test_the_template_is_kept_beside_the_rendered_message(said):
    told = said("order %d from %s", 7, "Espoo")
    assert (told["message"], told["clusterlog"]["template"]) == ("order 7 from Espoo", "order %d from %s")
    assert said("order %d from %s", 8, "Turku")["message"] == "order 8 from Turku"
    assert said("100 %")["message"] == "100 %"


def test_own_fields_are_labels_and_nothing_else_whatever_their_names(said):
    names = ("message", "@timestamp", "log", "event", "host", "service", "error", "user", "trace", "clusterlog", "a.b")
    plain = said()
    for fields in (dict.fromkeys(names, 1), {name: {"id": 1} for name in names}):
        told = said(**fields)
        assert told.pop("labels") == fields
        assert told == plain


def test_one_message_may_come_from_several_loggers_at_several_levels(said):
    for _ in range(2):
        for level, logger in ((20, "a"), (40, "a"), (20, "b")):
            told = said("ready", level=level, logger=logger)
            assert told["log"] == {"level": "info" if level == 20 else "error", "logger": logger}


@pytest.mark.parametrize(
    ("name", "legal"), [("[x]", "(x)"), ("", "_"), ("a\0b", "a\\x00b"), (" ", "_"), ("a..b", "a._.b")]
)
def test_a_name_a_store_would_stumble_over_is_changed(said, name, legal):
    assert said(**{name: 1})["labels"] == {legal: 1}
    assert said(**{"x" * 300: 1})["labels"].keys() == said(**{"x" * 300: 2})["labels"].keys() != {"x" * 300}


def test_a_logger_may_have_any_name(said):
    assert said(logger='a"b\n\ud800')["log"]["logger"] == 'a"b\n\\ud800'
    assert len(said(logger="x" * 10_000)["log"]["logger"]) <= 256


# Who is asking


def test_of_a_user_only_a_hash_and_its_key_are_told(encoder, said):
    enter(Request("r-1", TRACE, SPAN, session="session-cookie"))
    annotate(user="alice@example.org")
    assert said()["user"] == {"hash": "hash-of-17"}
    with bound(user="bob"):
        told = said()
        assert (told["user"], told["clusterlog"]["user"]) == ({"hash": "hash-of-3"}, {"key_id": "key1"})
        assert "labels" not in told
    text = encoder.line(INFO, "shop", "ready", (), {}).decode()
    assert "alice" not in text and "session-cookie" not in text


def test_a_span_without_request_and_a_step_within_one_are_told(said):
    current.set(Scope(None, span_id="ef" * 8))
    assert said()["span"] == {"id": "ef" * 8} and "trace" not in said()
    current.set(Scope(Request("r-1", TRACE, SPAN), span_id="ef" * 8))
    assert (said()["span"], said()["trace"]) == ({"id": "ef" * 8}, {"id": TRACE})


def test_facts_told_later_are_on_every_later_line_of_the_request(said):
    enter(Request("r-1", TRACE, SPAN))
    bind(cart=1)
    first = current.get()
    with bound(item=2):
        said()
        annotate(tenant="t1")
        assert said()["labels"] == {"tenant": "t1", "cart": 1, "item": 2}
    assert current.get() is first
    assert said()["labels"] == {"tenant": "t1", "cart": 1}


def test_what_lingers_behind_a_request_loses_its_id_in_the_end(said, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(context.time, "monotonic", lambda: now[0])
    request = Request("r-1", TRACE, SPAN)
    enter(request)
    bind(cart=1)
    request.end()
    now[0] += context.linger
    assert said()["http"]["request"]["id"] == "r-1"
    now[0] += 1
    told = said(own_field=1)
    assert "http" not in told and told["labels"] == {"own_field": 1}
    current.set(current.get().handed(True))
    assert said()["http"]["request"]["id"] == "r-1"


def test_what_is_bound_is_what_it_was_when_it_was_bound(encoder, said, monkeypatch):
    monkeypatch.setattr(context, "renderer", encoder.render)
    items, own = [1], {"parts": [1]}
    bind(items=items)
    kept = encoder.bound(own)
    items.append(2)
    own["parts"].append(2)
    assert said(own=kept)["labels"] == {"items": [1], "parts": [1]}


def test_a_scope_rendered_by_one_encoder_is_not_taken_by_another(said):
    bind(password="x", iban="FI21 1234")
    assert said()["labels"] == {"password": "[redacted]", "iban": "FI21 1234"}
    assert said(encoder=make(words=["iban"]))["labels"] == {"password": "[redacted]", "iban": "[redacted]"}


def test_a_loggers_own_fields_follow_it_from_scope_to_scope(encoder, said):
    own = encoder.bound({"component": "api", "version": 3})
    assert said(own=own)["labels"] == {"component": "api", "version": 3}
    enter(Request("r-1", TRACE, SPAN), cart=1)
    assert said(own=own, n=1)["labels"] == {"cart": 1, "component": "api", "version": 3, "n": 1}
    assert said(own=own, n=1)["http"]["request"]["id"] == "r-1"
    leave()
    told = said(own=own)
    assert told["labels"] == {"component": "api", "version": 3} and "http" not in told


NAMES = st.sampled_from(["a", "b", "c", "user id", "a.b", "password", "n", "[x]", "", "x" * 300])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
SECRETS = ["password=hunter2", "4111 1111 1111 1111", "https://u:p@h/", "Bearer abcdefgh1", "x" * 40_000]
ATOM = st.one_of(PLAIN, st.floats(), st.integers(-(1 << 65), 1 << 65), st.text(max_size=40), st.sampled_from(SECRETS))
ANY = st.recursive(
    ATOM | st.binary(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(NAMES, ANY, max_size=4)
# Half of the lines have few fields without containers, or hardly any would go the fast way.
OFTEN_PLAIN = FIELDS | st.dictionaries(NAMES, ATOM, min_size=1, max_size=2)
INNOCENT = st.dictionaries(st.sampled_from(["a", "b", "c", "n"]), PLAIN, max_size=3)


@given(facts=INNOCENT, labels=INNOCENT, own=INNOCENT, fields=INNOCENT)
def test_the_nearest_has_the_last_word_and_no_name_stands_twice(judge, facts, labels, own, fields):
    encoder = make(metrics=["n"])
    request = Request("r-1", TRACE, SPAN)
    request.facts = facts
    current.set(Scope(request, labels))
    for _ in range(2):
        told = judge(b'{"event":{' + encoder.line(INFO, "x", "y", (), fields, None, None, encoder.bound(own)))
        expected = {**facts, **labels, **own, **fields}
        assert told.get("labels", {}) == expected
        numbers = {name: expected[name] for name in expected if name == "n" and type(expected[name]) in (int, float)}
        assert told["clusterlog"].get("metrics", {}) == numbers
        assert told["http"]["request"]["id"] == "r-1"


@given(labels=FIELDS | st.just({}), own=FIELDS | st.just({}), fields=OFTEN_PLAIN, event=st.text(max_size=30))
def test_the_fast_way_says_byte_for_byte_what_the_careful_way_says(judge, labels, own, fields, event):
    current.set(Scope(Request("r-1", TRACE, SPAN), labels))
    fast, careful = make(metrics=["n"]), make(metrics=["n"])
    careful._plain = lambda fields, rendered: b""
    for _ in range(2):  # the second time everything is remembered
        line = fast.line(INFO, "x", event, (), fields, None, None, fast.bound(own))
        assert line == careful.line(INFO, "x", event, (), fields, None, None, careful.bound(own))
    judge(b'{"event":{' + line)


def test_plain_values_do_go_the_fast_way(said, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the careful way")

    monkeypatch.setattr(Encoder, "_careful", refuse)
    enter(Request("r-1", TRACE, SPAN), cart=1)
    fields = {"a": "text", "b": 1, "c": 1.5, "d": True, "e": None}
    assert said(**fields)["labels"] == {"cart": 1, **fields}


# What is not plain


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1 << 63, str(1 << 63)),
        (-(1 << 63) - 1, str(-(1 << 63) - 1)),
        (1e308, 1e308),
        ("\ud800", "\\ud800"),
        ("a\0\x1b\u202e", "a\0\x1b\u202e"),
        ((1, {2}), [1, [2]]),
        ({1: "a", "1": "b"}, {"1": "a", "1_2": "b"}),
    ],
)
def test_a_value_json_has_no_form_for_is_told_in_another(said, value, told):
    assert said(value=value)["labels"]["value"] == told


@pytest.mark.parametrize("name", ["password", "apiKey", "X-Auth-Token", "db_pwd"])
def test_secrets_are_withheld_wherever_they_stand(said, name):
    own = {name: "s3cr3t-value"}
    with bound(**own):
        assert said()["labels"] == {name: "[redacted]"}
    assert said(**own)["labels"] == {name: "[redacted]"}
    assert said(own=make().bound(own))["labels"] == {name: "[redacted]"}
    assert said(below=own)["labels"] == {"below": {name: "[redacted]"}}
    assert said(**{name: 12})["labels"] == {name: 12}
    told = said(f"login with {name}=s3cr3t-value")
    assert "s3cr3t" not in told["message"] + told["clusterlog"]["template"]
    assert "s3cr3t" not in said("login with %s", f"{name}=s3cr3t-value")["message"]
    assert "s3cr3t" not in json.dumps(said(failure=failed(f"{name}=s3cr3t-value")))
    for _ in range(2):
        assert said(text=f"{name}=s3cr3t-value", city="Espoo")["labels"] == {
            "text": f"{name}=[redacted]",
            "city": "Espoo",
        }


class Lying(str):
    """Passes for ``city`` with everybody who asks."""

    __slots__ = ()

    def __eq__(self, other):
        return other == "city" or str.__eq__(self, other)

    def __hash__(self):
        return hash("city")


def test_a_name_or_text_that_passes_for_an_innocent_one_is_judged_by_what_it_is(said):
    said(city="city")
    said(city="city")
    assert said(city=Lying("password=hunter2"))["labels"] == {"city": "password=[redacted]"}
    assert said(**{Lying("password"): "hunter2"})["labels"] == {"password": "[redacted]"}


def test_a_text_too_long_is_cut_and_its_whole_can_be_recognised(said):
    told = said(body="é" * 100_000)["labels"]["body"]
    assert len(told.encode()) <= 32_000
    assert re.search(r"\[cut, 100000 characters, sha256 [0-9a-f]{64}\]$", told)
    assert len(said("m" * 1_000_000)["message"]) <= 256 << 10


@pytest.mark.parametrize("bad", ["x", "\0", "\u2028", "é", '"'])
def test_no_document_is_larger_than_a_record_may_be_and_its_ids_survive(encoder, said, bad):
    enter(Request("r-1", TRACE, SPAN))
    bind(**{f"bound{n}": bad * 30_000 for n in range(20)})
    fields = {f"own{n}": bad * 30_000 for n in range(60)}
    own = encoder.bound(fields)
    told = said(bad * 500_000, failure=failed(bad * 500_000), stack=bad * 500_000, own=own, **fields)
    assert told["http"]["request"]["id"] == "r-1" and told["log"]["level"] == "info"
    assert said(own=own)["trace"]["id"] == TRACE
    assert len(encoder.line(INFO, "x", bad * 500_000, (), fields, None, None, own)) <= EVENT_LIMIT + 512
    assert said(n=1)["http"]["request"]["id"] == "r-1"


def test_named_numbers_are_metrics_too(judge, said):
    encoder = make(metrics=["ms", "n"])
    enter(Request("r-1", TRACE, SPAN), n=1)
    told = said(encoder=encoder, ms=2.5, other=3)
    assert told["clusterlog"]["metrics"] == {"n": 1, "ms": 2.5}
    assert told["labels"] == {"n": 1, "ms": 2.5, "other": 3}
    assert said(encoder=encoder, n=True, ms="2")["clusterlog"] == {"template": "ready"}
    assert said(encoder=encoder, own=encoder.bound({"ms": 7}))["clusterlog"]["metrics"] == {"n": 1, "ms": 7}
    assert said(encoder=encoder, own=encoder.bound({"x": 7}), ms=8)["clusterlog"]["metrics"] == {"n": 1, "ms": 8}


def test_an_exception_is_told_as_data_beside_everything_else(said):
    enter(Request("r-1", TRACE, SPAN), cart=1)
    try:
        try:
            raise KeyError("sku")
        except KeyError as inner:
            raise RuntimeError("no stock") from inner
    except RuntimeError as error:
        told = said("failed", failure=error, n=1)
    assert (told["error"]["type"], told["error"]["message"]) == ("RuntimeError", "no stock")
    assert told["error"]["stack_trace"].endswith("RuntimeError: no stock\n")
    assert re.fullmatch(r"[0-9a-f]{16}", told["clusterlog"]["error"]["fingerprint"])
    assert told["clusterlog"]["error"]["chain"] == [{"type": "KeyError", "message": "'sku'", "relation": "cause"}]
    assert told["clusterlog"]["template"] == "failed" and told["labels"] == {"cart": 1, "n": 1}
    assert said("here", stack="Stack:\n  File")["clusterlog"]["stack"] == "Stack:\n  File"


def test_any_value_comes_out_of_every_way_in(said, hostile):
    said(hostile())
    said("%s", hostile())
    said("%d %s", hostile(), hostile(), value=hostile())
    said(value=hostile(), list=[hostile()], dict={"k": hostile()})
    with bound(value=hostile()):
        said(own=make().bound({"value2": hostile()}))


def test_an_event_is_told_even_where_all_of_this_fails(encoder, said, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(encoder, "_plain", fail)
    told = said("order placed\ud800", level=40, n=1)
    assert (told["message"], told["log"]) == ("order placed\\ud800", {"level": "error", "logger": "shop.api"})
    assert told["error"] == {"type": "clusterlog.EncodeError", "message": "MemoryError: not encodable"}
    assert told["service"]["name"] == "shop"


def test_nothing_is_remembered_without_end(encoder):
    for n in range(3 * ecs.CACHE_SIZE // 2):
        for _ in range(2):
            encoder.line(INFO, f"logger{n}", f"event {n}", (), {f"name{n}": f"text {n}"})
        encoder.line(INFO, "logger", f"event {n} %s", (n,), {})
    kept = (encoder._heads, encoder._prefixes, encoder._templates, encoder._innocent_names, encoder._innocent_texts)
    assert all(0 < len(each) <= ecs.CACHE_SIZE for each in (*kept, encoder._seen))
    for _ in range(3):
        encoder.line(INFO, "logger", "e" * 5000, (), {"name": "t" * 5000})
    assert not any("e" * 5000 in key for key in encoder._prefixes) and "t" * 5000 not in encoder._innocent_texts


def test_a_message_said_once_is_not_remembered_and_one_said_twice_is(encoder):
    for n in (1, 2, 2, 2):
        encoder.line(INFO, "logger", f"event {n}", (), {})
    assert [key[2] for key in encoder._prefixes] == ["event 2"]


# Access, call, span and state events


def document(encoder, judge, body, **options):
    rest = encoder.document("clusterlog.access", INFO, "clusterlog.access", "GET / 200", body, **options)
    return judge(b'{"event":{' + rest)


def test_an_access_event_is_its_body_over_the_ids_of_its_request(encoder, judge):
    enter(Request("r-1", TRACE, SPAN), cart=1)
    annotate(tenant=3)
    body = {
        "http": {"request": {"method": "GET"}, "response": {"status_code": 200}},
        "event": {"duration": 12, "outcome": "success"},
        "clusterlog": {"route": "/"},
        "span": {"id": "ef" * 8},
    }
    assert document(encoder, judge, body, labels={"n": 1}) == {
        "event": {"kind": "event", "dataset": "clusterlog.access", "duration": 12, "outcome": "success"},
        "log": {"level": "info", "logger": "clusterlog.access"},
        **ORIGIN.document(),
        "message": "GET / 200",
        "http": {"request": {"id": "r-1", "method": "GET"}, "response": {"status_code": 200}},
        "trace": {"id": TRACE},
        "span": {"id": "ef" * 8},
        "clusterlog": {"route": "/"},
        "labels": {"tenant": 3, "cart": 1, "n": 1},
    }
    assert body["http"] == {"request": {"method": "GET"}, "response": {"status_code": 200}}


def test_what_one_event_says_of_the_service_is_not_said_by_the_next(encoder, judge):
    document(encoder, judge, {"service": {"node": {"role": "canary"}}})
    assert document(encoder, judge, {})["service"] == ORIGIN.document()["service"]


def test_a_scope_handed_in_stands_for_the_current_one_however_long_its_request_is_over(encoder, judge, monkeypatch):
    monkeypatch.setattr(context, "linger", -1.0)
    request = Request("r-1", TRACE, SPAN)
    scope = Scope(request, {"cart": 1})
    request.annotate({"tenant": 3})
    request.end()
    told = document(encoder, judge, {}, scope=scope)
    assert told["http"]["request"]["id"] == "r-1" and told["labels"] == {"tenant": 3, "cart": 1}


def test_the_failure_behind_an_event_and_metrics_join_what_the_body_says_of_clusterlog(judge):
    told = document(make(metrics=["n"]), judge, {"clusterlog": {"route": "/"}}, labels={"n": 5}, failure=failed())
    assert told["clusterlog"]["route"] == "/" and told["clusterlog"]["metrics"] == {"n": 5}
    assert told["error"]["type"] == "ValueError" and told["clusterlog"]["error"]["fingerprint"]


def test_a_body_with_any_value_comes_out_legal(encoder, judge, hostile):
    document(encoder, judge, {"url": {"path": hostile()}, "x": [hostile()]}, labels={"value": hostile()})


@pytest.mark.parametrize(
    ("action", "level"),
    [("open", "info"), ("close", "info"), ("drop", "warning"), ("dead-letter", "warning"), ("crash-close", "warning")],
)
def test_a_state_event_says_what_became_of_an_instance(encoder, judge, action, level):
    enter(Request("r-1", TRACE, SPAN))
    facts = {"instance": INSTANCE, "last_seq": 7}
    assert judge(b'{"event":{' + encoder.state(action, facts)) == {
        "event": {"kind": "state", "dataset": "clusterlog.state", "action": action},
        "log": {"level": level, "logger": "clusterlog"},
        **ORIGIN.document(),
        "message": f"{action} {INSTANCE}",
        "clusterlog": {"state": facts},
    }
