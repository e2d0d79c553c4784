"""The desired state of a cluster: one versioned document of rules, signed as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from clusterlog.control.rules.rule import Rule
from clusterlog.control.rules.wire import Refused, read_rules, written
from clusterlog.errors import Rejected

SCHEMA = "clusterlog.control/1"
MOST_RULES = 100
MOST_BYTES = 32 << 10


class Version(NamedTuple):
    """``epoch`` is made once with a cluster's name space, ``rev`` counts its changes; clocks decide nothing."""

    epoch: str
    rev: int

    def __str__(self) -> str:
        return f"{self.epoch}/{self.rev}"

    @classmethod
    def read(cls, text: str) -> Version:
        """What ``str`` wrote. Raises ValueError for anything else."""
        epoch, separator, rev = text.rpartition("/")
        if not (separator and epoch and rev.isascii() and rev.isdecimal() and len(rev) < 20):
            raise ValueError("a version such as 5f1c/12")
        return cls(epoch, int(rev))


@dataclass(frozen=True, slots=True)
class Document:
    """All rules of ``cluster`` at ``version``; ``issued_ns`` is the bus's clock when it was written.

    ``refused`` are rules that this version of clusterlog cannot follow; they are kept, for those that can.
    """

    cluster: str
    version: Version
    rules: tuple[Rule, ...] = ()
    issued_ns: int = 0
    refused: tuple[Refused, ...] = ()


def fields_of(document: Document) -> dict[str, Any]:
    """The document as plain data, to be sealed. Raises ``Rejected`` (``limit``) for more than ``MOST_RULES``."""
    rules = [*(written(rule) for rule in document.rules), *(dict(refused.raw) for refused in document.refused)]
    within(len(rules))
    return {
        "schema": SCHEMA,
        "cluster": document.cluster,
        "epoch": document.version.epoch,
        "rev": document.version.rev,
        "issued_ns": document.issued_ns,
        "rules": rules,
    }


def document_of(fields: Mapping[str, Any]) -> Document:
    """The document that opened ``fields`` are; names it does not know are passed over.

    Raises ``Rejected``: ``garbage`` where it is none, ``limit`` for too many rules. A single rule that cannot be
    followed is put among ``refused``, and the others hold.
    """
    cluster, epoch, rev, issued_ns, rules = (
        fields.get(name) for name in ("cluster", "epoch", "rev", "issued_ns", "rules")
    )
    if not (isinstance(cluster, str) and isinstance(epoch, str) and epoch and isinstance(rules, list)):
        raise Rejected("a document has a cluster, an epoch and rules", "garbage")
    if type(rev) is not int or type(issued_ns) is not int or not 0 <= rev < 1 << 63:
        raise Rejected("a document has a revision and a time, both whole numbers", "garbage")
    within(len(rules))
    followed, refused = read_rules(rules)
    return Document(cluster, Version(epoch, rev), followed, issued_ns, refused)


def within(rules: int) -> None:
    """Raises ``Rejected`` (``limit``) for more rules than a document may hold."""
    if rules > MOST_RULES:
        raise Rejected(f"{rules} rules, and a cluster may have {MOST_RULES}: reset some", "limit")


def successor(
    before: Document | None,
    cluster: str,
    rules: Iterable[Rule],
    now_ns: int,
    epoch: str,
    acknowledged: Iterable[Version] = (),
) -> Document:
    """The document with ``rules`` that follows ``before``, in the new ``epoch`` where there is none.

    Its revision is above that of ``before``, of every rule and of whatever a node of that epoch has ``acknowledged``:
    a store that went backwards is so put right by the next change (control-plane.md 4.7). Rules whose ``rev`` is 0 are
    new and get this revision.
    """
    rules = tuple(rules)
    epoch = before.version.epoch if before else epoch
    seen = [version.rev for version in acknowledged if version.epoch == epoch]
    rev = 1 + max([before.version.rev if before else 0, *seen, *(rule.rev for rule in rules)])
    return Document(
        cluster,
        Version(epoch, rev),
        tuple(rule if rule.rev else replace(rule, rev=rev) for rule in rules),
        now_ns,
        before.refused if before else (),
    )
