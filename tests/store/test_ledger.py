"""The ledger knows which ids are stored, however they came."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.store.embedded.raw.ledger import (
    Ledger,
    Ranges,
    place_of,
    ranges_of,
    read_records,
    write_records,
)

A, B = bytes(16), bytes(15) + b"\1"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5))))
def test_ranges_hold_what_was_put_in_joined_as_far_as_can_be(added):
    ranges, model = Ranges(), set()
    for first, more in added:
        ranges.add(first, first + more)
        model |= set(range(first, first + more + 1))
    assert {number for number in range(60) if number in ranges} == model
    gaps = list(ranges)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(gaps))


@given(st.sets(st.tuples(st.sampled_from([A, B]), st.integers(0, 30))))
def test_some_ids_as_ranges_are_those_ids(places):
    ledger = Ledger()
    ranges = ranges_of({instance: {n for i, n in places if i == instance} for instance in (A, B)})
    ledger.add(ranges)
    assert {(i, n) for i in (A, B) for n in range(32) if n in ledger.of(i)} == places
    assert ranges == list(ledger.ids())


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 2**44 - 1), st.integers(0, 2**44 - 1))))
def test_records_come_back_as_they_were_written(ids):
    assert read_records(write_records(ids)) == ids


def test_a_record_with_a_flipped_bit_gives_no_answer_at_all():
    data = write_records([(A, 1, 5), (B, 2, 2)])
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 4
        assert read_records(bytes(broken)) is None, at


def test_only_ids_of_our_own_form_have_a_place():
    assert place_of("0190aaaa0000700080000000000000a1-0000000001f") == (
        bytes.fromhex("0190aaaa0000700080000000000000a1"),
        31,
    )
    strange = ("", "x", "0190AAAA0000700080000000000000A1-0000000001f", "0190aaaa0000700080000000000000a1-1f")
    assert [place_of(id) for id in (*strange, "0190aaaa0000700080000000000000a1-0000000001f\n")] == [None] * 5
