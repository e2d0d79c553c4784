"""The fields of the search index, its analyser, and how an index directory is opened.

The index holds no event, only what finds one: ``ts`` (µs) and ``seq`` lead from a hit to its frame.

- Ids of many different values have a field of their own (``IDS``).
- Every other value, the caller's ``labels`` included, is a token ``path DEL value`` in the one field ``leaf``, as
  Elasticsearch's ``flattened`` does it: any number of keys costs terms, never fields. A column for each would cost a
  tenth of the intake and say no more: the values of a path and how often each occurs stand in the dictionary of terms
  (``terms_with_prefix``).
- Numbers have columns: those of ECS their own (``NUMBERS``), others a path in the JSON field ``number``. The caller's
  ``labels`` have none: ranges are asked of ``clusterlog.metrics``. A range over what has no column is judged by the
  events.
- ``unsure`` names the paths whose values could not be indexed as they are (too long, of another type than the field;
  ``*``: the whole event). Such events are judged by their raw bytes, so that answers stay exact.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import tantivy

from clusterlog.store.document import TEXT_FIELDS

VERSION = 2
"""Of the index's layout and of what was right in it: a view of another version is built again from the frames.

Until 2 the second process of a node could be indexed under the id of the first.
"""

IDS = ("http.request.id", "trace.id", "span.id", "user.hash", "process.entity_id")
NUMBERS = ("event.sequence", "event.duration", "http.response.status_code")

ANALYSER = "words"
LONGEST_WORD = 255
"""Bytes; the analyser leaves longer words out, and the event is unsure in that field."""

WRITER_HEAP = 50_000_000


@cache
def schema() -> tantivy.Schema:
    """The schema every partition's index has."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("ts", fast=True)
    builder.add_unsigned_field("seq", fast=True)
    for name in (*IDS, "leaf", "unsure"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in TEXT_FIELDS:
        builder.add_text_field(name, tokenizer_name=ANALYSER, index_option="position")
    for name in NUMBERS:
        builder.add_integer_field(name, fast=True, indexed=name == "http.response.status_code")
    builder.add_json_field("number", fast=True, tokenizer_name="raw", index_option="basic", expand_dots_enabled=True)
    return builder.build()


@cache
def analyser() -> tantivy.TextAnalyzer:
    """Words as ``document.words`` cuts them. tantivy's own ``default`` drops words of 40 bytes and more."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.remove_long(LONGEST_WORD + 1)).filter(tantivy.Filter.lowercase()).build()


def open_index(directory: Path, *, create: bool = False) -> tantivy.Index:
    """The index in ``directory``. Raises ``ValueError`` for a damaged or foreign one.

    An analyser is not part of what tantivy saves: it is registered on every opening, before anything else is done. The
    reader is a manual one, else every open index has a watcher thread.
    """
    if not create and not tantivy.Index.exists(str(directory)):
        raise ValueError(f"{directory} holds no index")
    index = tantivy.Index(schema(), path=str(directory), reuse=True)
    index.register_tokenizer(ANALYSER, analyser())
    index.config_reader("manual")
    return index
