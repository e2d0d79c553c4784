"""What a panel shows is written in a few words, and a mistake in them is told."""

from __future__ import annotations

import pytest

from clusterlog.store.kibana.measures import Breakdown, Measure, breakdown, measure, order, sorting


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("count", Measure("count")),
        ("count where log.level: (error or critical)", Measure("count", where="log.level: (error or critical)")),
        ("unique http.request.id", Measure("unique", "http.request.id")),
        ("max @timestamp", Measure("max", "@timestamp")),
        ("p95 event.duration", Measure("p", "event.duration", percent=95)),
        ("median event.duration where a: b where", Measure("median", "event.duration", "a: b where")),
    ],
)
def test_a_measure_is_a_function_of_a_field_of_what_a_query_finds(written, read):
    assert measure(written) == read


@pytest.mark.parametrize(
    "written",
    ["", "counts", "count event.duration", "max", "p event.duration", "max5 a.b", "p950 a", "unique a b", "avg a.b"],
)
def test_what_is_no_measure_is_told_with_what_is_expected(written):
    with pytest.raises(ValueError, match="expected count or max, min, sum, median, p, unique"):
        measure(written)


def test_a_breakdown_is_a_field_and_how_many_of_its_values():
    assert breakdown("service.name top 10") == Breakdown("service.name", 10)
    for wrong in ("service.name", "service.name top", "service.name top 0", "service.name top 9999", "top 5"):
        with pytest.raises(ValueError, match=r"expected a field and how many of its values"):
            breakdown(wrong)


def test_a_sort_is_a_field_ascending_unless_said_otherwise():
    assert sorting("@timestamp") == ("@timestamp", "asc")
    assert sorting("event.sequence descending") == ("event.sequence", "desc")
    with pytest.raises(ValueError, match="expected a field, perhaps descending"):
        sorting("@timestamp desc")


def test_rows_are_ordered_by_the_first_measure_the_greatest_first_unless_said_otherwise():
    assert order("", ("events", "errors")) == ("events", "desc")
    assert order("errors", ("events", "errors")) == ("errors", "desc")
    assert order("last heard, longest ago first", ("last heard",)) == ("last heard", "asc")
    with pytest.raises(ValueError, match="expected one of the measures, events"):
        order("took", ("events",))
