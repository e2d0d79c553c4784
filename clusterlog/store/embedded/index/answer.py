"""A query put to one index: which event numbers answer it, in what order, and which of them need judging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tantivy
from tantivy import DocAddress, FieldType, Order
from tantivy import Query as IndexQuery

from clusterlog.store.embedded.index.failure import mended
from clusterlog.store.embedded.index.plan import Plan, Window, all_of, any_of, between, except_for, term
from clusterlog.store.embedded.index.schema import schema

LARGEST_PAGE = 16_384
_GROWTH = 4


class Answer:
    """What one index says to a plan within a window.

    ``judged``: its hits are candidates, and the raw event decides. The events the index is unsure of are always among
    the candidates, so that nothing is missed and nothing is taken on trust.
    """

    def __init__(self, searcher: tantivy.Searcher, plan: Plan, window: Window, span: tuple[int, int]) -> None:
        self._searcher = searcher
        self._plan = plan
        self._window = None if window.holds(*span) else window
        unsure = [term("unsure", path) for path in plan.fields if searcher.doc_freq("unsure", path)]
        self._unsure = any_of(*unsure) if unsure else None
        self.judged = not plan.exact or self._unsure is not None

    def _candidates(self) -> IndexQuery | None:
        found = self._plan.query
        if found is not None and self._unsure is not None:
            found = any_of(found, self._unsure)
        return self._within(found)

    def _within(self, query: IndexQuery | None) -> IndexQuery | None:
        return _both(query, None if self._window is None else self._window.query())

    def groups(self, page: int, *, newest: bool) -> Iterator[list[int]]:
        """Event numbers by time, those of one microsecond together in no order.

        Pages grow while somebody reads on, and each begins behind the last whole group of the one before.
        """
        everything = _or_all(self._candidates())
        rest: IndexQuery = everything
        order = Order.Desc if newest else Order.Asc
        while True:
            with mended():
                hits = self._searcher.search(rest, limit=page, count=False, order_by_field="ts", order=order).hits
                numbers = self._numbers([address for _, address in hits])
            whole = len(hits) if len(hits) < page else _last_group(hits)
            yield from _grouped(hits[:whole], numbers)
            if len(hits) < page:
                return
            page = page * _GROWTH if not whole else min(page * _GROWTH, LARGEST_PAGE)
            edge = int(hits[-1][0])
            rest = _or_all(_both(everything, between(None, edge) if newest else between(edge, None)))

    def _numbers(self, addresses: list[DocAddress]) -> list[int]:
        return [int(number or 0) for number in self._searcher.fast_field_values("seq", addresses)]

    def count(self) -> tuple[int, Iterator[int]]:
        """How many events surely match, and the numbers of those to judge besides."""
        if not self._plan.exact:
            return 0, self._all_numbers(_or_all(self._candidates()))
        edges = None if self._window is None else self._window.edge_query()
        doubt = _either(self._unsure, edges)
        if doubt is None:
            return self._size(self._within(self._plan.query)), iter(())
        sure = self._size(except_for(self._within(self._plan.query), doubt))
        return sure, self._all_numbers(_or_all(self._within(doubt)))

    def _size(self, query: IndexQuery | None) -> int:
        if query is None:
            return self._searcher.num_docs
        with mended():
            counted = self._searcher.aggregate(query, {"events": {"value_count": {"field": "seq"}}})
        return int(counted["events"]["value"])

    def _all_numbers(self, query: IndexQuery) -> Iterator[int]:
        """The numbers of everything that matches, ascending, so that frames are read one after the other."""
        rest = query
        while True:
            with mended():
                hits = self._searcher.search(
                    rest, limit=LARGEST_PAGE, count=False, order_by_field="seq", order=Order.Asc
                ).hits
            yield from (int(seq) for seq, _ in hits)
            if len(hits) < LARGEST_PAGE:
                return
            after = IndexQuery.range_query(schema(), "seq", FieldType.Unsigned, int(hits[-1][0]) + 1, None)
            rest = _or_all(_both(query, after))


def _both(first: IndexQuery | None, second: IndexQuery | None) -> IndexQuery | None:
    if first is None or second is None:
        return second if first is None else first
    return all_of(first, second)


def _either(first: IndexQuery | None, second: IndexQuery | None) -> IndexQuery | None:
    if first is None or second is None:
        return second if first is None else first
    return any_of(first, second)


def _or_all(query: IndexQuery | None) -> IndexQuery:
    return IndexQuery.all_query() if query is None else query


_Hits = Sequence[tuple[object, DocAddress]]


def _last_group(hits: _Hits) -> int:
    """Where the last group of equal times begins: the page may have cut it."""
    at = len(hits) - 1
    while at and hits[at - 1][0] == hits[at][0]:
        at -= 1
    return at


def _grouped(hits: _Hits, numbers: list[int]) -> Iterator[list[int]]:
    group: list[int] = []
    time: object = None
    for (at, _), number in zip(hits, numbers, strict=False):
        if group and at != time:
            yield group
            group = []
        time = at
        group.append(number)
    if group:
        yield group
