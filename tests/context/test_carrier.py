"""Ids on carriers: what is believed on the way in, and what is written on the way out."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.context import request
from clusterlog.context.carrier import admit, call_span, extract, inject, outgoing
from clusterlog.context.ids import describe_rejected, judge_request_id
from clusterlog.context.peers import parse_propagate_to, parse_trust
from clusterlog.context.request import Request, Scope, bind, current, enter, leave, request_id

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
THEIRS = f"00-{TRACE}-{PARENT}-01"
EVERYBODY, NOBODY, PRIVATE = parse_trust("*"), parse_trust("none"), parse_trust("private")


def caller(**more: Any) -> Request:
    return Request("r1", TRACE, SPAN, **more)


def got(headers: dict[str, Sequence[str]]) -> Callable[[str], Sequence[str]]:
    return lambda name: headers.get(name, ())


# On the way in


def test_a_believed_peer_continues_its_request_and_its_trace_in_a_new_span() -> None:
    found = admit(
        got({"x-request-id": ["r1"], "traceparent": [THEIRS], "tracestate": ["a=1", "b=2"]}),
        "10.0.0.1",
        PRIVATE,
        session="s",
    )
    assert (found.id, found.trace_id, found.parent_span_id, found.tracestate) == ("r1", TRACE, PARENT, "a=1,b=2")
    assert found.span_id not in ("", PARENT)
    assert (found.session, found.client_request_id, found.client_trace_id) == ("s", "", "")
    assert found.started_ns > 0


@pytest.mark.parametrize("flags", [("00", False), ("01", True)])
def test_whether_the_caller_may_have_recorded_the_trace_is_kept(flags: tuple[str, bool]) -> None:
    found = admit(got({"traceparent": [f"00-{TRACE}-{PARENT}-{flags[0]}"]}), "10.0.0.1", EVERYBODY)
    assert found.sampled is flags[1]


def test_from_a_peer_that_is_not_believed_the_trace_is_restarted_and_the_foreign_ids_kept_beside() -> None:
    headers = {"x-request-id": ["r1"], "traceparent": [f"00-{TRACE}-{PARENT}-00"], "tracestate": ["a=1"]}
    found = admit(got(headers), "203.0.113.9", PRIVATE)
    assert judge_request_id(found.id)
    assert found.id != "r1"
    assert found.trace_id != TRACE
    assert (found.parent_span_id, found.tracestate, found.sampled) == ("", "", True)
    assert (found.client_request_id, found.client_trace_id) == ("r1", TRACE)


@pytest.mark.parametrize("trust", [EVERYBODY, NOBODY])
def test_of_an_id_that_is_not_legal_only_length_and_hash_are_kept(trust: Any) -> None:
    found = admit(got({"x-request-id": ["bad id\n"]}), "10.0.0.1", trust)
    assert found.client_request_id == describe_rejected("bad id\n")
    assert "bad" not in found.client_request_id
    assert judge_request_id(found.id)


def test_two_different_request_ids_are_none() -> None:
    found = admit(got({"x-request-id": ["r1", "r2"]}), "10.0.0.1", EVERYBODY)
    assert found.id not in ("r1", "r2")
    assert found.client_request_id == describe_rejected("r1, r2")
    assert admit(got({"x-request-id": ["r1", "r1"]}), "10.0.0.1", EVERYBODY).id == "r1"


def test_a_malformed_trace_does_not_harm_the_request_id_nor_the_other_way_round() -> None:
    found = admit(got({"x-request-id": ["r1"], "traceparent": [THEIRS, THEIRS]}), "10.0.0.1", EVERYBODY)
    assert (found.id, found.parent_span_id) == ("r1", "")
    found = admit(got({"x-request-id": ["r 1"], "traceparent": [THEIRS]}), "10.0.0.1", EVERYBODY)
    assert found.trace_id == TRACE


def test_without_headers_everything_is_new_and_sampled() -> None:
    first, second = admit(got({}), None, PRIVATE), admit(got({}), None, PRIVATE)
    assert first.id != second.id
    assert first.trace_id != second.trace_id
    assert (first.sampled, first.client_request_id, first.parent_span_id) == (True, "", "")


def test_headers_that_cannot_be_read_make_a_new_request() -> None:
    def broken(name: str) -> Sequence[str]:
        raise RuntimeError(name)

    assert judge_request_id(admit(broken, "10.0.0.1", PRIVATE, session="s").id)


# On the way out


def test_a_call_to_a_host_that_may_know_carries_the_ids_and_its_own_span() -> None:
    enter(caller(tracestate="a=1", sampled=False))
    assert outgoing("orders", parse_propagate_to("private"), {}, span_id=PARENT) == [
        ("X-Request-ID", "r1"),
        ("traceparent", f"00-{TRACE}-{PARENT}-00"),
        ("tracestate", "a=1"),
    ]


def test_a_call_elsewhere_or_outside_of_any_request_carries_nothing() -> None:
    private = parse_propagate_to("private")
    assert outgoing("orders", private, {}) == []
    enter(caller())
    assert outgoing("example.com", private, {}) == []
    entered = caller()
    enter(entered)
    entered.ended = float("-inf")
    assert outgoing("orders", private, {}) == []


def test_a_trace_that_is_on_the_call_already_is_left_alone_with_its_state() -> None:
    enter(caller(tracestate="a=1"))
    everywhere = parse_propagate_to("*")
    assert outgoing("orders", everywhere, {"traceparent"}) == [("X-Request-ID", "r1")]
    assert outgoing("orders", everywhere, {"x-request-id", "tracestate"}) == [("traceparent", f"00-{TRACE}-{SPAN}-01")]


def test_the_span_of_a_call_is_the_one_its_callee_is_told() -> None:
    assert call_span(THEIRS) == PARENT
    first, second = call_span(), call_span("malformed")
    assert len(first) == len(second) == 16
    assert first != second


def test_inject_writes_what_extract_reads() -> None:
    enter(caller(tracestate="a=1"))
    carrier = inject()
    leave()
    with extract(carrier) as found:
        assert request_id() == "r1"
    assert (found.trace_id, found.parent_span_id, found.tracestate) == (TRACE, SPAN, "a=1")


def test_inject_gives_the_span_of_the_step_that_calls() -> None:
    current.set(Scope(caller(), span_id=PARENT))
    assert inject()["traceparent"] == f"00-{TRACE}-{PARENT}-01"


def test_inject_fills_the_carrier_it_is_given_and_changes_nothing_in_it() -> None:
    enter(caller())
    carrier = {"x-REQUEST-id": "mine", "Traceparent": THEIRS, "other": "1"}
    assert inject(carrier) is carrier
    assert carrier == {"x-REQUEST-id": "mine", "Traceparent": THEIRS, "other": "1"}


def test_inject_appends_bytes_for_kafka() -> None:
    assert inject(kind="kafka") == []
    enter(caller())
    ids = [("X-Request-ID", b"r1"), ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
    headers = [("other", b"1")]
    assert inject(headers, kind="kafka") is headers
    assert headers == [("other", b"1"), *ids]
    assert inject((("other", b"1"),), kind="kafka") == headers
    assert inject([("TRACEPARENT", b"theirs")], kind="kafka") == [("TRACEPARENT", b"theirs"), ids[0]]


def test_outside_of_any_request_inject_writes_nothing() -> None:
    carrier = {"other": "1"}
    assert inject(carrier) is carrier
    assert carrier == {"other": "1"}
    assert inject() == {}
    bind(order=7)
    assert inject() == {}


def test_a_carrier_that_takes_nothing_comes_back_as_it_is() -> None:
    enter(caller())
    carrier: Any = MappingProxyType({"other": "1"})
    assert inject(carrier) is carrier


def test_a_kind_that_does_not_exist_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="kind is 'http' or 'kafka', not 'kafak'"):
        inject(kind="kafak")  # type: ignore[call-overload]


# A message's way in


@pytest.mark.parametrize(
    "carrier",
    [
        {"X-Request-ID": "r1", "TraceParent": THEIRS},
        {b"x-request-id": b"r1", b"traceparent": THEIRS.encode()},
        [("x-request-id", b"r1"), ("traceparent", bytearray(THEIRS.encode()))],
        (("X-REQUEST-ID", "r1"), ("TRACEPARENT", THEIRS)),
        {"x-request-id": ["r1"], "traceparent": (THEIRS,)},
        {"x-request-id": "r1", "traceparent": THEIRS, 7: None, "tracestate": 7, "other": object()},
    ],
)
def test_extract_reads_mappings_and_pairs_of_texts_and_bytes_in_any_case(carrier: Any) -> None:
    with extract(carrier) as found:
        assert request.request() is found
    assert (found.id, found.trace_id, found.parent_span_id) == ("r1", TRACE, PARENT)


@pytest.mark.parametrize("carrier", [None, {}, [], 7, "text", object(), [("one",)], [None], {"x-request-id": None}])
def test_extract_from_a_carrier_without_ids_makes_a_new_request(carrier: Any) -> None:
    with extract(carrier) as found:
        assert judge_request_id(found.id)
        assert request_id() == found.id
    assert found.client_request_id == ""


def test_extract_believes_nothing_where_it_is_told_not_to() -> None:
    with extract({"x-request-id": "r1", "traceparent": THEIRS}, trusted=False) as found:
        assert found.id != "r1"
        assert found.trace_id != TRACE
    assert (found.client_request_id, found.client_trace_id) == ("r1", TRACE)


def test_after_the_block_the_request_has_ended_and_what_was_before_is_back() -> None:
    enter(caller())
    bind(order=7)
    before = current.get()
    block = extract({})
    found = block.__enter__()
    assert request.scope().labels == {}
    bind(inner=1)
    assert found.ended is None
    block.__exit__(KeyError, KeyError(), None)
    assert found.ended is not None
    assert current.get() is before


def test_a_block_that_is_left_in_another_context_leaves_its_stranger_alone() -> None:
    """A generator dropped half-way is finished wherever the garbage collector happens to run."""
    block = extract({})
    contextvars.Context().run(block.__enter__)
    enter(caller())
    block.__exit__(None, None, None)
    assert request_id() == "r1"


def test_a_block_that_is_left_in_a_copy_of_its_context_is_left_there_too() -> None:
    """As ``finally`` of a dependency that a framework enters and leaves in two threads."""
    enter(caller())
    block = extract({})
    block.__enter__()

    def leave_it() -> str | None:
        block.__exit__(None, None, None)
        return request_id()

    assert contextvars.copy_context().run(leave_it) == "r1"


def test_blocks_can_be_nested_and_used_by_tasks_side_by_side() -> None:
    async def consume(id: str) -> list[str | None]:
        with extract({"x-request-id": id}):
            await asyncio.sleep(0)
            with extract({"x-request-id": f"{id}.1"}):
                await asyncio.sleep(0)
                inner = request_id()
            return [inner, request_id()]

    async def main() -> Any:
        return await asyncio.gather(consume("a"), consume("b"))

    assert asyncio.run(main()) == [["a.1", "a"], ["b.1", "b"]]


anything = st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.lists(st.text(), max_size=2))
named = st.one_of(
    st.sampled_from(["X-Request-ID", "traceparent", b"tracestate", THEIRS]),
    anything.filter(lambda x: not isinstance(x, list)),
)


@given(st.lists(st.tuples(named, anything), max_size=5), st.booleans())
def test_whatever_a_carrier_holds_the_ids_that_come_out_are_legal(pairs: Any, trusted: bool) -> None:
    with extract(pairs, trusted=trusted) as found:
        assert judge_request_id(found.id)
        assert len(found.trace_id) == 32
        assert len(found.client_request_id) <= 80
        assert found.client_request_id.isprintable()
