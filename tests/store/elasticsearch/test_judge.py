"""What each answer a server can give means for each event that was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterlog.errors import NotAllowed, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.judge import judge, trouble


def item(status, type=None, reason="because", **more):
    """One item of an answer."""
    error = {} if type is None else {"error": {"type": type, "reason": reason}}
    return {"create": {"status": status, **error, **more}}


@pytest.fixture
def outcome(answered):
    """The outcome of one item."""

    def judged(*told, **more):
        (found,) = judge(answered({"errors": True, "items": [item(*told, **more)]}), 1)
        return found

    return judged


@pytest.fixture
def refusal(answered):
    """What an answer that judges nothing is taken for."""

    def raised(body=None, status=200, sent=2, **more):
        with pytest.raises(StoreUnavailable) as told:
            judge(answered(body, status, **more), sent)
        assert "\n" not in str(told.value) and str(told.value).startswith("http://es:9200: ")
        return told.value

    return raised


@pytest.mark.parametrize("status", [200, 201])
def test_an_event_that_was_created_is_stored(outcome, status):
    assert outcome(status).status == "stored"


def test_an_event_in_the_failure_store_is_not_stored(outcome):
    found = outcome(201, failure_store="used")
    assert found.status == "failure_store" and "failure store" in found.reason


@pytest.mark.parametrize("said", ["not_applicable_or_unknown", "not_enabled"])
def test_an_event_is_stored_where_a_failure_store_was_not_used(outcome, said):
    assert outcome(201, failure_store=said).status == "stored"


def test_an_event_that_is_there_already_is_a_duplicate_whose_place_is_known(answered):
    error = {"type": "version_conflict_engine_exception", "reason": "exists", "index": ".ds-logs-000001"}
    (found,) = judge(answered({"items": [{"create": {"status": 409, "error": error}}]}), 1)
    assert (found.status, found.place) == ("duplicate", ".ds-logs-000001")


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (429, "es_rejected_execution_exception"),
        (429, "rejected_execution_exception"),  # OpenSearch's name for it
        (429, "circuit_breaking_exception"),
        (429, "cluster_block_exception"),  # flood stage
        (500, "illegal_state_exception"),
        (502, None),
        (503, "unavailable_shards_exception"),
        (504, "process_cluster_event_timeout_exception"),
    ],
)
def test_what_passes_by_itself_is_sent_again(outcome, status, type):
    assert outcome(status, type).status == "retry"


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (403, "cluster_block_exception"),
        (403, "security_exception"),
        (401, "security_exception"),
        (404, "index_not_found_exception"),
        (400, "index_closed_exception"),
        (400, "invalid_index_name_exception"),
        (400, "validation_exception"),
    ],
)
def test_what_a_person_can_mend_is_never_the_events_fault(outcome, status, type):
    found = outcome(status, type)
    assert found.status == "blocked" and type in found.reason


def test_a_pipeline_that_is_missing_is_not_the_events_fault(outcome):
    assert outcome(400, "illegal_argument_exception", "pipeline with id [p] does not exist").status == "blocked"


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        ("document_parsing_exception", "failed to parse field [count] of type [long]"),
        ("mapper_parsing_exception", "failed to parse field [count] of type [long]"),  # OpenSearch's name for it
        ("illegal_argument_exception", "Limit of total fields [1000] has been exceeded"),
        ("document_parsing_exception", "data stream timestamp field [@timestamp] is missing"),
        ("illegal_argument_exception", "if _id is specified it must not be empty"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(outcome, type, reason):
    found = outcome(400, type, reason)
    assert found.status == "refused" and found.reason == f"{type}: {reason}"


@pytest.mark.parametrize("said", ["not_enabled", "failed"])
def test_what_does_not_fit_is_refused_where_the_failure_store_did_not_take_it(outcome, said):
    assert outcome(400, "document_parsing_exception", failure_store=said).status == "refused"


def test_a_document_that_is_no_object_is_refused_although_the_server_calls_it_its_own_fault(outcome):
    assert outcome(500, "not_x_content_exception").status == "refused"


def test_a_reason_is_one_line_with_what_caused_it_and_no_longer_than_a_screen(answered):
    error = {"type": "t", "reason": "first\nline " + "x" * 1000, "caused_by": {"reason": "the cause"}}
    (long,) = judge(answered({"items": [{"create": {"status": 400, "error": error}}]}), 1)
    (short,) = judge(answered({"items": [{"create": {"status": 400, "error": {**error, "reason": "r"}}}]}), 1)
    assert long.reason.startswith("t: first line xxx") and len(long.reason) == 400
    assert short.reason == "t: r: the cause"


def test_each_event_is_judged_by_its_own_item(answered):
    items = [item(201), item(429, "t"), item(400, "t"), item(409), item(403, "t"), item(201, failure_store="used")]
    found = [each.status for each in judge(answered({"errors": True, "items": items}), 6)]
    assert found == ["stored", "retry", "refused", "duplicate", "blocked", "failure_store"]


@pytest.mark.parametrize(
    "items", [[item(201)], [item(201)] * 3, [], [item(201), {"create": {}}], [item(201), None], [item(201), {}]]
)
def test_an_answer_that_does_not_account_for_each_event_judges_none(refusal, items):
    assert refusal({"errors": False, "items": items}).advice == "again"


@pytest.mark.parametrize(
    "body", [None, [], "text", 5, {}, {"errors": False}, {"items": {}}, {"took": 1, "errors": True}]
)
def test_status_200_without_items_is_no_answer(refusal, body):
    assert refusal(body).advice == "again"


def test_a_page_of_a_proxy_is_named_as_what_it_is(refusal):
    page = {"content": b"<html>Please log in</html>", "content-type": "text/html; charset=utf-8"}
    told = str(refusal(None, **page))
    assert "text/html" in told and "proxy or a log-in page" in told


def test_status_200_with_nothing_in_it_is_no_success(refusal):
    assert "nothing in it" in str(refusal(None, content=b""))


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_do_not_suffice_are_shouted_about_and_not_the_events_fault(refusal, status):
    found = refusal({"error": {"type": "security_exception", "reason": "no"}, "status": status}, status)
    assert isinstance(found, StoreDenied) and isinstance(found, NotAllowed)
    assert (found.advice, found.exit_code) == ("wait", 4) and str(status) in str(found)


LACKING = {
    "Elasticsearch": "action [indices:data/write/bulk] is unauthorized for API key id [a] of user [b], this action is "
    "granted by the index privileges [create_doc,write,all]",
    "OpenSearch": "no permissions for [indices:data/write/bulk] and User [name=b]",
}
NEED = (
    "; shipping needs the rights create_doc and auto_configure on logs-clusterlog.*-*: "
    "`clusterlog setup elasticsearch --keys ship` makes a key with them"
)


@pytest.mark.parametrize("said", LACKING.values(), ids=LACKING)
def test_who_lacks_a_right_is_told_which_and_what_mends_it_and_not_all_that_would_do(refusal, outcome, said):
    error = {"type": "security_exception", "reason": said}
    whole = str(refusal({"error": error, "status": 403}, 403))
    one = outcome(403, **error)
    assert one.status == "blocked"
    for told in (whole, one.reason):
        assert told.endswith(f"{said.partition(', this action')[0]}{NEED}")


def test_what_a_serve_says_of_a_token_says_all(refusal):
    """It knows nothing of such rights."""
    said = "the token may read, and this needs one that may write"
    told = str(refusal({"error": {"type": "security_exception", "reason": said}, "status": 403}, 403))
    assert told.endswith(said)


@pytest.mark.parametrize("status", [404, 405, 406, 410, 415, 407, 301, 302, 308, 204])
def test_an_answer_of_something_that_is_no_store_waits_for_a_person(refusal, status):
    assert refusal({"error": "no handler"}, status).advice == "wait"


def test_where_another_place_is_named_it_is_told(refusal):
    assert "use https://es:9200/" in str(refusal(None, 301, location="https://es:9200/", content=b""))


def test_too_large_a_request_is_halved(refusal):
    assert refusal(None, 413, content=b"").advice == "halve"


@pytest.mark.parametrize(
    "type",
    [
        "illegal_argument_exception",
        "action_request_validation_exception",
        "x_content_parse_exception",
        "json_parse_exception",
        "parse_exception",
        "unexpected_end_of_input_exception",
    ],
)
def test_a_body_that_cannot_be_read_is_bisected(refusal, type):
    assert refusal({"error": {"type": type, "reason": "Malformed action/metadata line [1]"}}, 400).advice == "bisect"


@pytest.mark.parametrize(
    "error",
    [
        {"type": "media_type_header_exception", "reason": "Invalid media-type value"},
        {"type": "illegal_argument_exception", "reason": "request [/_bulk] contains unrecognized parameter: [x]"},
        "no handler found for uri [/x/y/_bulk] and method [POST]",
    ],
)
def test_a_request_that_is_refused_whatever_it_holds_is_not_bisected(refusal, error):
    assert refusal({"error": error}, 400).advice == "wait"


def test_a_proxys_own_400_is_not_bisected(refusal):
    assert refusal(None, 400, content=b"<html>Bad Request</html>").advice == "wait"


@pytest.mark.parametrize("status", [429, 503, 504, 408])
def test_a_server_with_too_much_to_do_gets_less_at_a_time(refusal, status):
    assert refusal({"error": {"type": "es_rejected_execution_exception", "reason": "busy"}}, status).advice == "slower"


@pytest.mark.parametrize("status", [500, 502, 599])
def test_a_server_that_fails_is_asked_again(refusal, status):
    assert refusal(None, status, content=b"").advice == "again"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_what_a_server_asks_to_wait_is_told_in_seconds_by_its_own_clock(refusal, said, seconds):
    headers = {"retry-after": said, "date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    assert refusal({}, 503, **headers).retry_after == seconds


_ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_TOLD = some.fixed_dictionaries(
    {},
    optional={
        "status": some.sampled_from([200, 201, 400, 403, 404, 409, 429, 500]) | _ANYTHING,
        "error": some.fixed_dictionaries(
            {}, optional=dict.fromkeys(["type", "reason", "caused_by", "index"], _ANYTHING)
        )
        | _ANYTHING,
        "failure_store": some.just("used") | _ANYTHING,
    },
)
_ITEMS = some.lists(some.fixed_dictionaries({"create": _TOLD}) | _ANYTHING, max_size=3)
_BODIES = some.fixed_dictionaries({}, optional={"items": _ITEMS | _ANYTHING, "error": _ANYTHING}) | _ANYTHING


@given(status=some.just(200) | some.integers(100, 599), body=_BODIES, sent=some.integers(1, 3))
def test_whatever_a_server_says_each_event_has_one_outcome_or_none_has(answered, status, body, sent):
    try:
        found = judge(answered(body, status), sent)
    except StoreUnavailable as told:
        found, text = [], str(told)
    else:
        text = " ".join(each.reason for each in found)
    assert "\n" not in text
    assert len(found) == (sent if found else 0)
    assert status == 200 or not found


def test_trouble_is_one_line_whatever_a_server_says(answered):
    told = trouble(answered({"error": {"type": "a", "reason": "b\nc\x1b[31m"}}, 500))
    assert "\n" not in str(told)
