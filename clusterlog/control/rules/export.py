"""Rules as a file that people read, keep and put back: the same rules are the same bytes, whenever they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable

from clusterlog.control.canonical import plain
from clusterlog.control.rules.document import MOST_BYTES, within
from clusterlog.control.rules.rule import Rule
from clusterlog.control.rules.wire import Refused, read_rule, written
from clusterlog.errors import Rejected

SCHEMA = "clusterlog.rules/1"
_MOST_BYTES = 8 * MOST_BYTES
"""A file has spaces and lines, which the document does without."""


def exported(rules: Iterable[Rule], refused: Iterable[Refused] = ()) -> bytes:
    """The rules as a file: by id, with times, revisions and authors, so that nothing is lost when it is put back."""
    found = [*(written(rule) for rule in rules), *(dict(each.raw) for each in refused)]
    found.sort(key=lambda raw: str(raw["id"]))
    text = json.dumps({"schema": SCHEMA, "rules": found}, ensure_ascii=False, indent=2, sort_keys=True)
    return (text + "\n").encode()


def imported(content: bytes) -> tuple[Rule, ...]:
    """The rules of a file.

    Raises ``Rejected``, naming the rule, for one that cannot be followed, for two of one id and for too many; nothing
    is half imported.
    """
    fields = plain(content, _MOST_BYTES)
    if fields.get("schema") != SCHEMA or not isinstance(fields.get("rules"), list):
        raise Rejected(f"it has no rules of {SCHEMA}, as `clusterlog control export` writes them", "schema")
    within(len(fields["rules"]))
    found: dict[str, Rule] = {}
    for number, raw in enumerate(fields["rules"], 1):
        named = raw.get("id") if isinstance(raw, dict) else None
        if not isinstance(named, str) or not named:
            raise Rejected(f"rule {number} has no id", "id")
        if named in found:
            raise Rejected(f"there are two rules {named}", "duplicate")
        try:
            found[named] = read_rule(raw)
        except Rejected as error:
            raise Rejected(f"rule {named}: {error}", error.reason) from None
    return tuple(found.values())
