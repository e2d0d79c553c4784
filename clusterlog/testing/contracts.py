"""What every store must do, as tests: subclass ``StoreContract`` in a test module and say how to make one."""

# ruff: noqa: D102 - a test's name is its sentence

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Literal, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlog.search.language.parsing import parse
from clusterlog.store.base import Delivery, Found, Outcome, Sequences, Sink, Store
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Query, Range, Wildcard
from clusterlog.testing.reference import ReferenceStore
from clusterlog.testing.strategies import BEGIN, deliveries, moments, put, queries, stamp, typed_queries

INSTANCE = "0190aaaa0000700080000000000000f0"


class SearchableSink(Sink, Store, Protocol):
    """Takes events and is asked for them."""


def delivery(sequence: int, instance: str = INSTANCE, /, *, at: int | None = None, **fields: object) -> Delivery:
    """An event of a process, ``at`` nanoseconds after ``BEGIN``, with more ``fields`` by path (``__`` for dots)."""
    time = BEGIN + (sequence * 1_000_000 if at is None else at)
    id = f"{instance}-{sequence:011x}"
    event: dict[str, object] = {"@timestamp": stamp(time)}
    put(event, "event.id", id)
    put(event, "event.sequence", sequence)
    put(event, "process.entity_id", instance)
    for name, value in fields.items():
        put(event, name.replace("__", "."), value)
    return Delivery(id, instance, sequence, json.dumps(event).encode())


def statuses(outcomes: object) -> list[str]:
    """The words of some outcomes."""
    assert isinstance(outcomes, list | tuple)
    return [outcome.status for outcome in outcomes if isinstance(outcome, Outcome)]


class StoreContract:
    """Subclass it as ``TestMyStore`` and implement ``new_store``; every test here must then pass.

    ``stars`` is how many a pattern has here; an engine with a bound of its own may set fewer.
    """

    stars = 1_000

    def new_store(self) -> AbstractContextManager[SearchableSink]:
        """A store of its own, empty; closed when the context ends."""
        raise NotImplementedError

    @pytest.fixture
    def store(self) -> Iterator[SearchableSink]:
        """An empty store."""
        with self.new_store() as store:
            yield store

    def sequences(self, store: SearchableSink, where: Node, **query: object) -> list[int]:
        """The sequences of what is found, oldest first unless said otherwise."""
        asked = Query(where=where, **{"order": "oldest", "limit": None, **query})  # type: ignore[arg-type]
        found = [int(each.key[1][-11:], 16) for each in store.find(asked)]
        assert store.count(asked) == len(found) or asked.limit is not None or asked.after is not None
        return found

    def as_found(self, body: bytes) -> Any:
        """What of a body must come back as it was sent: its bytes, where a store keeps them."""
        return body

    def found(self, found: Iterable[Found]) -> list[tuple[tuple[int, str], Any]]:
        """Keys and bodies, as far as these must be as they were sent."""
        return [(each.key, self.as_found(each.body)) for each in found]

    # delivering

    def test_what_was_stored_is_found_as_it_was_sent_after_a_flush(self, store: SearchableSink) -> None:
        many = {"n": 5, "price": 12.5, "yes": True, "none": None, "empty": "", "tags": ["b", "a", "b"]}
        sent = [delivery(n, message=f"number {n}", labels={**many, "list": [{"y": 2}, {"y": 1}]}) for n in range(1, 4)]
        assert statuses(store.deliver(sent)) == ["stored"] * 3
        store.flush()
        found = [self.as_found(found.body) for found in store.find(Query(order="oldest"))]
        assert found == [self.as_found(each.body) for each in sent]

    def test_a_key_is_the_time_in_nanoseconds_and_the_id(self, store: SearchableSink) -> None:
        sent = delivery(7, at=123_456_789)
        store.deliver([sent])
        store.flush()
        assert [found.key for found in store.find(Query())] == [(BEGIN + 123_456_789, sent.id)]

    def test_a_second_copy_is_a_duplicate_and_found_once(self, store: SearchableSink) -> None:
        sent = delivery(1)
        assert statuses(store.deliver([sent])) == ["stored"]
        assert statuses(store.deliver([sent, delivery(2)])) == ["duplicate", "stored"]
        store.flush()
        assert self.sequences(store, Everything()) == [1, 2]

    def test_a_second_copy_within_one_batch_is_a_duplicate(self, store: SearchableSink) -> None:
        assert statuses(store.deliver([delivery(1), delivery(1), delivery(2)])) == ["stored", "duplicate", "stored"]
        store.flush()
        assert store.count(Query()) == 2

    def test_an_id_of_another_form_is_known_again_too(self, store: SearchableSink) -> None:
        body = json.dumps({"@timestamp": stamp(BEGIN), "event": {"id": "somebody's own/1"}}).encode()
        sent = Delivery("somebody's own/1", INSTANCE, 1, body)
        assert statuses(store.deliver([sent, sent])) == ["stored", "duplicate"]
        assert statuses(store.deliver([sent])) == ["duplicate"]
        store.flush()
        assert statuses(store.deliver([sent])) == ["duplicate"]
        assert store.count(Query(where=Match("event.id", "somebody's own/1"))) == 1

    @pytest.mark.parametrize("body", [b"", b"[1]", b"7", b"{", b"\xff", b'"text"', b"null"])
    def test_what_is_no_json_object_is_refused_alone(self, store: SearchableSink, body: bytes) -> None:
        bad = Delivery(f"{INSTANCE}-{2:011x}", INSTANCE, 2, body)
        outcomes = store.deliver([delivery(1), bad, delivery(3)])
        assert statuses(outcomes) == ["stored", "refused", "stored"]
        assert outcomes[1].reason
        store.flush()
        assert self.sequences(store, Everything()) == [1, 3]

    @pytest.mark.parametrize("event", [{}, {"event": {}}, {"event": {"id": 5}}, {"event": {"id": "another"}}])
    def test_an_event_without_the_id_it_was_delivered_under_is_refused(
        self, store: SearchableSink, event: dict[str, object]
    ) -> None:
        body = json.dumps({"@timestamp": stamp(BEGIN), **event}).encode()
        outcomes = store.deliver([Delivery(f"{INSTANCE}-{1:011x}", INSTANCE, 1, body)])
        assert statuses(outcomes) == ["refused"]
        assert "event.id" in outcomes[0].reason

    def test_an_empty_batch_and_an_empty_store_are_nothing_special(self, store: SearchableSink) -> None:
        assert statuses(store.deliver([])) == []
        store.flush()
        assert list(store.find(Query())) == []
        assert store.count(Query()) == 0

    # asking

    def test_keywords_are_whole_values_and_their_case_counts(self, store: SearchableSink) -> None:
        self._fill(store, {"service__name": "shop"}, {"service__name": "Shop"}, {"service__name": "shop api"})
        assert self.sequences(store, Match("service.name", "shop")) == [1]

    def test_a_list_matches_by_any_of_its_values(self, store: SearchableSink) -> None:
        self._fill(store, {"labels__tags": ["a", "b"]}, {"labels__tags": ["c"]})
        assert self.sequences(store, Match("labels.tags", "b")) == [1]

    def test_numbers_and_texts_that_read_alike_are_one_value(self, store: SearchableSink) -> None:
        self._fill(store, {"labels__n": 5}, {"labels__n": "5"}, {"labels__n": 6}, {"labels__n": True})
        assert self.sequences(store, Match("labels.n", "5")) == [1, 2]
        assert self.sequences(store, Match("labels.n", 5)) == [1, 2]
        assert self.sequences(store, Match("labels.n", True)) == [4]

    def test_words_are_found_in_any_order_and_case_and_a_phrase_is_not(self, store: SearchableSink) -> None:
        self._fill(store, {"message": "Connection refused by peer"}, {"message": "refused a connection"})
        assert self.sequences(store, Match("message", "connection REFUSED")) == [1, 2]
        assert self.sequences(store, Match("message", "connection refused", phrase=True)) == [1]
        assert self.sequences(store, Match("message", "connect")) == []
        assert self.sequences(store, Match("message", "?!")) == []

    def test_a_question_without_a_field_asks_message_and_error(self, store: SearchableSink) -> None:
        self._fill(
            store,
            {"message": "out of stock"},
            {"error__message": "out of memory"},
            {"error__stack_trace": 'File "out", line 3'},
            {"labels__a": "out"},
        )
        assert self.sequences(store, Match(None, "out")) == [1, 2, 3]
        assert self.sequences(store, Wildcard(None, ("mem", ""))) == [2]

    def test_a_star_stands_for_any_run_and_nothing_else_is_special(self, store: SearchableSink) -> None:
        self._fill(
            store, {"url__path": "/cart/7"}, {"url__path": "/cart"}, {"url__path": "/Cart/7"}, {"url__path": "/c.rt/7"}
        )
        assert self.sequences(store, Wildcard("url.path", ("/c", "/7"))) == [1, 4]
        assert self.sequences(store, Wildcard("url.path", ("/c.rt", ""))) == [4]
        assert self.sequences(store, Wildcard("url.path", ("", "art", ""))) == [1, 2, 3]

    def test_a_wildcard_on_text_asks_its_words(self, store: SearchableSink) -> None:
        self._fill(store, {"message": "Payment timed out"}, {"message": "on time"}, {"message": "sometimes"})
        assert self.sequences(store, Wildcard("message", ("tim", ""))) == [1, 2]
        assert self.sequences(store, Wildcard("message", ("", "time", ""))) == [1, 2, 3]
        assert self.sequences(store, Wildcard("message", ("", "timed out", ""))) == [1]

    @pytest.mark.parametrize("field", ["labels.x", "message", "http.request.id", "service.name"])
    def test_a_pattern_of_very_many_stars_is_answered_as_any_other(self, store: SearchableSink, field: str) -> None:
        pieces = ("a", "ab", "aab")
        values = [piece * length for piece in pieces for length in (self.stars - 1, self.stars)]
        self._fill(store, *[{field.replace(".", "__"): value} for value in values])
        found = [self.sequences(store, Wildcard(field, ("", *[piece] * self.stars, ""))) for piece in pieces]
        assert found == [[2, 4, 5, 6], [4, 6], [6]]

    def test_levels_are_compared_by_their_names_from_the_lowest_to_the_highest(self, store: SearchableSink) -> None:
        self._fill(
            store, *[{"log__level": level} for level in ("debug", "info", "warning", "error", "critical", "odd")]
        )
        assert self.sequences(store, parse("level >= warning")) == [3, 4, 5]
        assert self.sequences(store, parse("level < warning")) == [1, 2]
        assert self.sequences(store, parse("not level < warning")) == [3, 4, 5, 6]

    def test_times_before_now_are_bounds_like_any_other(self, store: SearchableSink) -> None:
        store.deliver([delivery(n, at=n * 1_000_000_000) for n in range(1, 6)])
        store.flush()
        now = BEGIN + 5_000_000_000
        assert self.sequences(store, parse("since: 3s", now_ns=now)) == [2, 3, 4, 5]
        assert self.sequences(store, parse("since: 3s and until: 1s", now_ns=now)) == [2, 3]
        assert self.sequences(store, parse("not since: 3s or @timestamp >= now", now_ns=now)) == [1, 5]

    def test_ranges_compare_numbers_by_value(self, store: SearchableSink) -> None:
        self._fill(store, *[{"http__response__status_code": status} for status in (99, 200, 404, 500)])
        assert self.sequences(store, Range("http.response.status_code", gte=200, lt=500)) == [2, 3]
        assert self.sequences(store, Range("http.response.status_code", gt=200)) == [3, 4]
        assert self.sequences(store, Range("http.response.status_code", lte=99.5)) == [1]

    def test_ranges_over_metrics_compare_floats_too(self, store: SearchableSink) -> None:
        self._fill(store, *[{"clusterlog__metrics__ms": value} for value in (0.5, 1, 2.25, 30)])
        assert self.sequences(store, Range("clusterlog.metrics.ms", gt=0.5, lt=30)) == [2, 3]

    def test_ranges_compare_times_by_value_whatever_their_zone(self, store: SearchableSink) -> None:
        self._fill(store, {}, {}, {})
        inside = Range("@timestamp", gte="2023-11-14T23:13:20.002+01:00", lt=stamp(BEGIN + 3_000_000))
        assert self.sequences(store, inside) == [2]

    def test_exists_asks_for_a_field_or_anything_below_it_and_null_is_nothing(self, store: SearchableSink) -> None:
        self._fill(store, {"labels__a": 1}, {"labels__a": None}, {"labels__b": ""}, {"labels": {}}, {"trace__id": "t"})
        assert self.sequences(store, Exists("labels.a")) == [1]
        assert self.sequences(store, Exists("labels")) == [1, 3]
        assert self.sequences(store, Exists("trace")) == [5]
        assert self.sequences(store, Exists("event.id")) == [1, 2, 3, 4, 5]

    def test_any_field_can_be_asked_known_or_not(self, store: SearchableSink) -> None:
        self._fill(store, {"cloud__region": "eu-1"}, {"cloud__region": "us-1", "cloud__cost": 7}, {})
        assert self.sequences(store, Match("cloud.region", "eu-1")) == [1]
        assert self.sequences(store, Range("cloud.cost", gte=7)) == [2]
        assert self.sequences(store, Not(Exists("cloud"))) == [3]

    def test_and_or_and_not_mean_what_they_say(self, store: SearchableSink) -> None:
        self._fill(store, {"labels__a": 1}, {"labels__a": 2}, {"labels__a": 1, "labels__b": 1})
        one, two, b = Match("labels.a", 1), Match("labels.a", 2), Exists("labels.b")
        assert self.sequences(store, And((one, b))) == [3]
        assert self.sequences(store, Or((two, b))) == [2, 3]
        assert self.sequences(store, Not(one)) == [2]
        assert self.sequences(store, And((one, Not(b)))) == [1]
        assert self.sequences(store, And(())) == [1, 2, 3]
        assert self.sequences(store, Or(())) == []
        assert self.sequences(store, Not(Everything())) == []

    # order and pages

    def test_order_is_by_nanoseconds_then_by_instance_and_sequence(self, store: SearchableSink) -> None:
        other = "0190aaaa0000700080000000000000a0"
        sent = [
            delivery(1, at=5_001),
            delivery(2, at=5_000),
            delivery(3, at=5_000),
            delivery(9, other, at=5_000),
            delivery(4, at=4_999),
        ]
        store.deliver(sent)
        store.flush()
        assert self.sequences(store, Everything()) == [4, 9, 2, 3, 1]
        assert self.sequences(store, Everything(), order="newest") == [1, 3, 2, 9, 4]

    def test_since_is_inclusive_and_until_is_not_to_the_nanosecond(self, store: SearchableSink) -> None:
        store.deliver([delivery(n, at=n) for n in range(1, 6)])
        store.flush()
        assert self.sequences(store, Everything(), since=BEGIN + 2, until=BEGIN + 4) == [2, 3]

    def test_pages_follow_each_other_without_gap_or_double(self, store: SearchableSink) -> None:
        store.deliver([delivery(n, at=n // 3) for n in range(1, 24)])
        store.flush()
        orders: tuple[Literal["newest", "oldest"], ...] = ("newest", "oldest")
        for order in orders:
            whole = [found.key for found in store.find(Query(order=order, limit=None))]
            pages: list[tuple[int, str]] = []
            while page := list(store.find(Query(order=order, limit=5, after=pages[-1] if pages else None))):
                pages += [found.key for found in page]
            assert pages == whole
            assert len(whole) == 23

    def test_find_is_lazy_and_can_be_left_at_any_time(self, store: SearchableSink) -> None:
        store.deliver([delivery(n) for n in range(1, 50)])
        store.flush()
        assert len(list(islice(store.find(Query(limit=None)), 3))) == 3
        assert list(store.find(Query(limit=0))) == []

    # which numbers are there

    def test_the_numbers_of_an_instance_are_told_as_ranges(self, store: SearchableSink) -> None:
        other = "0190aaaa0000700080000000000000a0"
        store.deliver([delivery(n) for n in (1, 2, 3, 7, 12, 11)])
        store.deliver([delivery(4), delivery(2, other)])
        store.flush()
        assert store.sequences(INSTANCE) == Sequences(INSTANCE, ((1, 4), (7, 7), (11, 12)))
        assert store.sequences(other).stored == ((2, 2),)
        assert [each.instance for each in store.audit()] == [other, INSTANCE]

    @pytest.mark.parametrize("unknown", ["f" * 32, "", "nobody", "0190AAAA0000700080000000000000F0"])
    def test_an_instance_that_is_not_there_has_no_numbers(self, store: SearchableSink, unknown: str) -> None:
        store.deliver([delivery(1)])
        store.flush()
        assert store.sequences(unknown) == Sequences(unknown, ())

    def test_a_second_copy_adds_no_number_and_a_refused_event_has_none(self, store: SearchableSink) -> None:
        bad = Delivery(f"{INSTANCE}-{2:011x}", INSTANCE, 2, b"[]")
        store.deliver([delivery(1), delivery(1), bad])
        store.deliver([delivery(1), delivery(3)])
        store.flush()
        assert store.sequences(INSTANCE) == Sequences(INSTANCE, ((1, 1), (3, 3)))
        assert list(store.audit()) == [Sequences(INSTANCE, ((1, 1), (3, 3)))]

    def test_an_id_of_another_form_has_no_number(self, store: SearchableSink) -> None:
        event = {"event": {"id": "own/1", "sequence": 1}, "process": {"entity_id": INSTANCE}}
        store.deliver([Delivery("own/1", INSTANCE, 1, json.dumps(event).encode())])
        store.flush()
        assert list(store.audit()) == []
        assert store.sequences(INSTANCE).stored == ()

    def test_an_audit_says_how_far_it_is(self, store: SearchableSink) -> None:
        seen: list[tuple[int, int]] = []
        assert list(store.audit(lambda done, total: seen.append((done, total)))) == []
        store.deliver([delivery(n) for n in range(1, 50)])
        store.flush()
        assert len(list(store.audit(lambda done, total: seen.append((done, total))))) == 1
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1] > 0

    def test_close_twice_is_close_once(self, store: SearchableSink) -> None:
        store.deliver([delivery(1)])
        store.close()
        store.close()

    # everything at once

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
    @given(st.lists(deliveries(), max_size=2), st.lists(queries(), min_size=1, max_size=6))
    def test_every_answer_is_that_of_brute_force(self, batches: list[list[Delivery]], asked: list[Query]) -> None:
        reference = ReferenceStore(arrival=BEGIN)
        with self.new_store() as store:
            for batch in batches:
                store.deliver(batch)
                reference.deliver(batch)
            store.flush()
            for query in asked:
                assert self.found(store.find(query)) == self.found(reference.find(query))
                assert store.count(query) == reference.count(query)
            assert list(store.audit()) == reference.audit()
            assert [store.sequences(each.instance) for each in reference.audit()] == reference.audit()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
    @given(deliveries(), st.lists(typed_queries(), min_size=1, max_size=8), moments())
    def test_what_people_type_means_what_the_predicate_says_it_means(
        self, batch: list[Delivery], typed: list[str], now: int
    ) -> None:
        reference = ReferenceStore(arrival=BEGIN)
        with self.new_store() as store:
            store.deliver(batch)
            reference.deliver(batch)
            store.flush()
            for text in typed:
                query = Query(where=parse(text, now_ns=now), limit=None)
                assert self.found(store.find(query)) == self.found(reference.find(query)), text
                assert store.count(query) == reference.count(query), text

    def _fill(self, store: SearchableSink, *events: dict[str, Any]) -> None:
        """Store events, numbered from 1."""
        sent = [delivery(sequence, **fields) for sequence, fields in enumerate(events, 1)]
        assert statuses(store.deliver(sent)) == ["stored"] * len(sent)
        store.flush()
