"""Whatever is sent is answered item by item in words for people, and what was answered 201 is found."""

from __future__ import annotations

import gzip
import json
from contextlib import closing, suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from clusterlog.encode.foreign.names import load as names
from clusterlog.settings import load
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Exists, Match, Query, Wildcard
from clusterlog.web.faults import Fault
from clusterlog.web.intake.answer import answer
from clusterlog.web.intake.bulk import items
from clusterlog.web.intake.events import Strangers
from clusterlog.web.intake.fates import Intake

OWN = "0190aaaa0000700080000000000000f0-00000000001"
OTHER = OWN[:-1] + "2"
NO_WORDS = ("internal error", "Error", "Exception", "Traceback", "object has no", "codec can't")
STATUSES = {200, 201, 400, 409}

rules = names(None).rules
fields = sorted(
    {rule.name for rule in rules}
    | {rule.field for rule in rules}
    | {"event", "event.id", "event.sequence", "process", "process.entity_id", "log", "labels", "clusterlog", "user"}
    | {"host", "service", "http", "url", "error", "@metadata", "record", "stream", "", ".", "a..b", "\x7f", "x" * 600}
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, -0.0, 5e-324, 1e308]),
    st.sampled_from(["clusterlog.app", "2026-11-03T12:00:00Z", "9999-12-31T23:59:60Z", "info", OWN, "\0", "\ud800"]),
    st.sampled_from(["password=hunter2", 'Traceback (most recent call last):\n  File "x", line 1\nOSError: 1']),
)


def nested(depth):
    value = 1
    for n in range(depth):
        value = {"a": value} if n % 2 else [value]
    return value


values = st.one_of(
    scalars,
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(fields) | st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from([30, 120, 300, 990, 1_100]).map(nested),
)
foreign = st.dictionaries(st.sampled_from(fields) | st.text(max_size=8), values, max_size=8)
like_ours = st.fixed_dictionaries(
    {
        "@timestamp": scalars,
        "event": st.fixed_dictionaries(
            {"dataset": st.sampled_from(["clusterlog.app", "clusterlog.state", "clusterlog.x"])},
            optional=dict.fromkeys(["id", "sequence", "kind", "action"], values),
        ),
    },
    optional=dict.fromkeys(["labels", "log", "process", "message", "clusterlog", "user", "service", "error"], values),
)
wrapped = st.fixed_dictionaries({"log": scalars | foreign.map(json.dumps), "stream": values, "time": values})
record = st.dictionaries(
    st.sampled_from("timeUnixNano severityNumber severityText body attributes traceId spanId name kind status".split()),
    values | st.lists(st.fixed_dictionaries({"key": scalars, "value": values}), max_size=3),
    max_size=5,
)


def under(words, inner):
    return st.dictionaries(st.sampled_from(words), values | st.lists(inner, max_size=2), max_size=2)


scopes = under(["scope", "logRecords", "spans"], record)
exports = under(
    ["resourceLogs", "resourceSpans", "resourceMetrics"], under(["resource", "scopeLogs", "scopeSpans"], scopes)
)
documents = st.one_of(foreign, foreign, like_ours, wrapped, exports)


def like_the_first(batch):
    """Every second document has the names of the first, since what was met before takes a shorter way."""
    first = batch[0]
    return [
        dict(zip(first, each.values(), strict=False)) if place % 2 and first else each
        for place, each in enumerate(batch)
    ]


@st.composite
def requests(draw):
    body = b""
    for each in like_the_first(draw(st.lists(documents, min_size=1, max_size=5))):
        id = draw(st.none() | st.sampled_from(["a", "b", OWN]) | st.text(max_size=6) | scalars)
        index = draw(st.sampled_from([None, "", "logs-a-b", "shop", "..", "a,b", "Shop", "\n", 5]))
        about = {name: value for name, value in (("_id", id), ("_index", index)) if value is not None}
        escaped = draw(st.booleans())
        for line in ({draw(st.sampled_from(["create", "index"])): about}, each):
            body += json.dumps(line, ensure_ascii=escaped).encode("utf-8", "surrogatepass") + b"\n"
    return body


@pytest.fixture(scope="module")
def intake(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with closing(EmbeddedStore.open(home / "store", "write")) as store:
        yield Intake(store, Strangers(load({"home": str(home)})))


def taken(intake, body):
    """The results of a request's items, in the words of the answer."""
    told = json.loads(answer(intake.take(list(items(body, "")), "10.0.0.7"), 1))
    return [result for item in told["items"] for result in item.values()]


def check(intake, results, sent=b""):
    """``sent`` is what may be quoted."""
    words = [word for word in NO_WORDS if word.encode() not in sent]
    intake.store.flush()
    for each in results:
        assert each["status"] in STATUSES, each
        reason = each.get("error", {}).get("reason", "")
        assert not any(word in reason for word in words), reason
        if each["status"] == 201:
            (found,) = intake.store.find(Query(Match("event.id", each["_id"]), limit=None))
            assert json.loads(found.body)["event"]["id"] == each["_id"]


@hypothesis(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests())
def test_whatever_a_document_is_it_is_found_or_refused_for_itself_and_in_words(intake, body):
    with suppress(Fault):  # an action that cannot be read, such as one with half a character in it
        check(intake, taken(intake, body), body)


def test_no_document_that_was_taken_makes_a_question_fail(intake):
    body = b"".join(
        b'{"create":{"_id":"n%d"}}\n{"event":{"id":"n%d"},"x":%b1%b}\n' % (n, n, b"[" * n, b"]" * n)
        for n in (50, 90, 99, 150, 990)
    )
    results = taken(intake, body)
    assert [each["status"] for each in results] == [201, 201, 201, 400, 400]
    assert results[3]["error"]["reason"] == "nested more deeply than 100"
    intake.store.flush()
    for condition in (Exists("x"), Exists("x.a"), Match("x", "1"), Wildcard(None, ("", "1")), Match(None, "1")):
        list(intake.store.find(Query(condition, limit=None)))
        intake.store.count(Query(condition))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b'{"message":"half \\ud800 of a character","n":1}', "half \\ud800 of a character"),
        (b'{"message":"bytes \xff that are no text"}', "bytes � that are no text"),
        (b'{"message":"a number without end","n":1e999}', "a number without end"),
        (b'{"message":"not a number","n":NaN}', "not a number"),
        (b'{"message":"a large number","n":123456789012345678901234567890}', "a large number"),
        (b'\xef\xbb\xbf{"message":"a byte order mark"}', "a byte order mark"),
        (json.dumps({"message": "deep", "x": nested(300)}).encode(), "deep"),
        (b'{"log":"{\\"message\\":\\"from a container\\"}","stream":"stdout","time":"x"}', "from a container"),
    ],
)
def test_what_json_does_not_know_is_mended_under_an_id_as_well_as_without_one(intake, document, message):
    id = f"mended {message}"
    named, numbered, again = taken(
        intake,
        b'{"index":{"_id":"%b"}}\n%b\n{"index":{}}\n%b\n{"index":{"_id":"%b"}}\n%b\n'
        % (dumped := json.dumps(id).encode()[1:-1], document, document, dumped, document),
    )
    assert (named["status"], numbered["status"], again["status"]) == (201, 201, 200)
    assert named["_id"] == id
    intake.store.flush()
    for each in (named, numbered):
        (found,) = intake.store.find(Query(Match("event.id", each["_id"])))
        assert json.loads(found.body)["message"] == message


@pytest.mark.parametrize(
    "wrong",
    [
        b'"labels":{"half":"\\ud800"}',
        b'"labels":{"large":1e999}',
        b'"process":{"large":123456789012345678901234567890,"half":"\\ud800"}',
        b'"labels":' + b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)
@pytest.mark.parametrize("id", ["", "like ours"])
def test_what_looks_like_an_event_of_ours_and_holds_what_we_never_write_is_mended_like_any_other(intake, wrong, id):
    document = b'{"@timestamp":"2026-11-03T12:00:00Z","event":{"dataset":"clusterlog.app"},"message":"m",%b}' % wrong
    about = {"_id": id + str(hash(wrong))} if id else {}
    (told,) = taken(intake, json.dumps({"create": about}).encode() + b"\n" + document + b"\n")
    assert told["status"] == 201
    check(intake, [told])


def test_numbers_that_no_sequence_can_have_stay_labels(intake):
    lines = [
        each
        for number, sequence in enumerate([10**30, -1, "7", 1.5])
        for each in ({"create": {}}, {"message": "m", "event.id": f"numbered {number}", "event.sequence": sequence})
    ]
    results = taken(intake, b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    assert [(each["status"], each["_id"]) for each in results] == [(201, f"numbered {n}") for n in range(4)]
    check(intake, results)


@pytest.mark.parametrize("line", [b"{", b'{"n":1e999}', b"[1]", b"", b"\xff"])
def test_what_is_no_json_is_no_other_version_of_the_event_that_is_there(intake, line):
    event = b'{"event":{"id":"%b"},"message":"there"}' % OTHER.encode()
    action = b'{"index":{"_id":"%b"}}\n' % OTHER.encode()
    first, again, other = taken(intake, action + event + b"\n" + action + event + b"\n" + action + line + b"\n")
    assert (first["status"] in (200, 201), again["status"], other["status"]) == (True, 200, 400)


def test_a_large_number_is_told_exactly_under_an_id_too(intake):
    document = b'{"message":"large","n":123456789012345678901234567890}'
    one, other = taken(intake, b'{"index":{"_id":"large"}}\n%b\n{"index":{}}\n%b\n' % (document, document))
    intake.store.flush()
    labels = [
        json.loads(found.body)["labels"]
        for each in (one, other)
        for found in intake.store.find(Query(Match("event.id", each["_id"])))
    ]
    assert labels[0] == labels[1]


def test_a_document_without_a_time_has_that_of_its_arrival_and_never_that_of_its_neighbour(intake):
    lines = [{"index": {}}, {"message": "a", "@timestamp": "2020-01-01T00:00:00Z"}, {"index": {}}, {"message": "b"}]
    (_, late) = taken(intake, b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    intake.store.flush()
    (found,) = intake.store.find(Query(Match("event.id", late["_id"])))
    told = json.loads(found.body)
    assert told["clusterlog"]["ingest"]["time"] == "arrival"
    assert not told["@timestamp"].startswith("2020")


def test_what_a_document_calls_its_id_and_is_none_is_kept_beside_the_one_it_is_sent_under(intake):
    lines = [{"index": {"_id": "beside"}}, {"message": "m", "event": {"id": 5}, "event.id_2": 6}]
    (told,) = taken(intake, b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    intake.store.flush()
    (found,) = intake.store.find(Query(Match("event.id", told["_id"])))
    assert sorted(json.loads(found.body)["labels"].values()) == [5, 6]


def test_what_is_no_text_in_a_line_like_a_container_s_is_kept_all_the_same(intake):
    lines = [
        each
        for log in ('{"message":"inside"}', 7, None, {"a": 1})
        for each in ({"index": {}}, {"log": log, "stream": "stdout", "time": "2026-11-03T12:00:00Z"})
    ]
    results = taken(intake, b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    assert [each["status"] for each in results] == [201] * 4
    check(intake, results)


def test_an_export_request_sent_under_an_id_keeps_it(intake):
    log = {"timeUnixNano": "1793707200000000000", "body": {"stringValue": "exported"}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}).encode()
    (told,) = taken(intake, b'{"index":{"_id":"otlp"}}\n' + body + b"\n")
    assert (told["_id"], told["status"]) == ("otlp", 201)
    (again,) = taken(intake, b'{"create":{"_id":"otlp"}}\n' + body + b"\n")
    assert again["status"] == 409


@pytest.mark.parametrize("size", [1 << 20, 5 << 20])
def test_a_value_of_megabytes_is_cut_and_says_so_where_it_is_a_stranger_s(intake, size):
    line = json.dumps({"message": "m" * size, "large": "x" * size, "msg": "y"}).encode()
    (told,) = taken(intake, b'{"index":{}}\n' + line + b"\n")
    assert told["status"] == 201
    intake.store.flush()
    (found,) = intake.store.find(Query(Match("event.id", told["_id"])))
    assert len(found.body) < 1 << 20
    assert b"[cut, " in found.body


@pytest.mark.parametrize(
    ("index", "why"),
    [
        ("a,b", "must not contain ','"),
        ("..", "must not be '.' or '..'"),
        ("../x", "must not contain '/'"),
        ("Shop", "must be lowercase"),
        ("_all", "must not start with"),
        ("a b", "must not contain ' '"),
        ("a*", "must not contain '*'"),
        ("x" * 256, "longer than 255 bytes"),
        ("a\x00", "must not contain"),
    ],
)
def test_a_name_that_no_index_can_have_is_refused_as_elasticsearch_does(ask, index, why):
    said = ask.bulk({"create": {"_index": index}}, {"a": 1}, {"create": {"_index": "good"}}, {"a": 1})
    assert said.items == [("create", 400), ("create", 201)]
    error = said.json["items"][0]["create"]["error"]
    assert error["type"] == "invalid_index_name_exception"
    assert error["reason"].startswith(f"Invalid index name [{index[:100]}], {why}")


def test_a_name_in_the_path_is_judged_alike_and_names_by_date_are_taken(ask):
    assert ask.bulk({"create": {}}, {"a": 1}, path="/a,b/_bulk").items == [("create", 400)]
    assert ask.bulk({"create": {"_index": "<logs-{now/d}>"}}, {"a": 1}).items == [("create", 201)]


@pytest.mark.parametrize("query", ["refesh=true", "pipe=x", "refresh=maybe"])
def test_a_parameter_that_nobody_knows_is_named_and_nothing_is_stored(ask, query):
    said = ask.bulk({"create": {}}, {"a": 1}, path=f"/_bulk?{query}")
    assert said.status == 400
    assert query.partition("=")[0] in said.reason
    assert ask.found() == []


def test_what_senders_say_beside_a_request_is_taken(ask):
    query = "timeout=1m&filter_path=errors,items.*.error,items.*.status&pipeline=_none&require_data_stream=true&pretty"
    assert ask.bulk({"create": {}}, {"a": 1}, path=f"/_bulk?{query}").items == [("create", 201)]


pieces = st.sampled_from(
    [
        b'{"create":{}}',
        b'{"index":{"_id":"a"}}',
        b'{"message":"a"}',
        b"{}",
        b"",
        b"[",
        b"\xff",
        b'{"delete":{"_id":"a"}}',
        *[b'{"update":{}}', b"null", b"7", b'{"index":null}', b'"' * 3, b"\r", b"\x00", b'{"index":{"_id":"\\ud800"}}'],
    ]
)
bodies = st.binary(max_size=300) | st.lists(pieces, max_size=10).map(lambda each: b"\n".join([*each, b""]))


@hypothesis(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    bodies, st.sampled_from(["", "plain", "gzip", "half", "wrong"]), st.sampled_from(["application/json", "", "x/\xff"])
)
def test_whatever_a_request_is_it_is_answered_with_what_is_wrong(ask, body, how, kind):
    packed = gzip.compress(body)
    sent = {"gzip": packed, "half": packed[: len(packed) // 2], "wrong": body}.get(how, body)
    headers = {"Content_Encoding": "gzip"} if how in ("gzip", "half", "wrong") else {}
    before = len(ask.found())
    said = ask("POST", "/_bulk", sent, Content_Type=kind, **headers)
    if said.status == 200:
        assert {status for _, status in said.items} <= STATUSES
        stored = sum(status == 201 for _, status in said.items)
    else:
        assert (said.status, said.json["status"]) == (400, 400)
        assert not any(word in said.reason for word in NO_WORDS if word.encode() not in body), said.reason
        stored = 0
    assert len(ask.found()) == before + stored
