"""Events one by one, each as a line whose columns stand under those of the others."""

from __future__ import annotations

from collections.abc import Iterable

from clusterlog.cli.drawing.message import failure, message, where
from clusterlog.cli.drawing.pen import ASCII, Ink, Pen
from clusterlog.cli.line import columns, fields, letter, moment, padded, short
from clusterlog.search.story.event import Document, Event, read, text

_WIDEST = 36
ALIGNED = 200
"""So many events of a long list are looked at before the first of them is shown."""


class Columns:
    """Events as lines: each column is as wide as the widest seen so far.

    ``whole_ids`` is for pipes; people get the short end of a request id, which ``clusterlog trace`` takes as well.
    """

    def __init__(self, *, whole_ids: bool, ascii_only: bool = False) -> None:
        self._whole_ids = whole_ids
        self._pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
        self._widths = [24, 6, 1, 32 if whole_ids else columns(short("0" * 32)), 10]

    def see(self, events: Iterable[Document]) -> None:
        """Make room for these events, whose lines come next."""
        for event in events:
            self._cells(read(event))

    def line(self, event: Document) -> str:
        """Time, node, level's letter, request, logger, and what happened with exception and fields; escaped."""
        told = read(event)
        said = (message(told, self._pen.ink).whole, failure(told), *fields(event))
        cells = self._cells(told)
        aligned = (padded(cell, width) for cell, width in zip(cells, self._widths, strict=True))
        return "  ".join((*aligned, self._pen.clean("  ".join(filter(None, said))))).rstrip()

    def _cells(self, told: Event) -> list[str]:
        event = told.document
        request = text(event, "http.request.id")
        words = (
            moment(text(event, "@timestamp")),
            text(event, "service.node.name"),
            letter(event),
            request if self._whole_ids else short(request),
            where(told),
        )
        cells = [self._pen.clean(cell or "-") for cell in words]
        taken = (min(columns(cell), _WIDEST) for cell in cells)
        self._widths = [max(known, width) for known, width in zip(self._widths, taken, strict=True)]
        return cells
