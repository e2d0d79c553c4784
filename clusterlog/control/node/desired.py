"""What a process knows of the desired state: the newest document it believes, and when each of its rules ends here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clusterlog.control.bus.base import Snapshot
from clusterlog.control.rules.document import MOST_BYTES, SCHEMA, Document, Version, document_of
from clusterlog.control.rules.expiry import Deadlines, Saved, boot_id, boot_ns, deadline_boot_ns
from clusterlog.control.rules.rule import Rule
from clusterlog.control.signing.replay import judged
from clusterlog.control.signing.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a machine, in nanoseconds, and which run of it this is."""

    wall_ns: Callable[[], int] = time.time_ns
    boot_ns: Callable[[], int] = boot_ns
    boot: str = field(default_factory=boot_id)


class Desired:
    """Follows documents. Used under its worker's lock.

    Every method that takes bytes may raise ``Rejected``; what was known before then stays as it was.
    """

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock
        self.document: Document | None = None
        self.body = b""
        self.deadlines = Deadlines(clock.boot)
        self.ahead = False
        """Whether the store holds less than this node has seen."""
        self._handed_over: frozenset[str] = frozenset()
        """Rules whose deadline was made without a look at the store, which may still make it earlier, once."""

    def resumed(self, body: bytes, saved: Saved) -> None:
        """Begin with what was saved: by this process's own forerunner, or by a neighbour in the same home."""
        document = document_of(self._sealer.opened(body, SCHEMA, MOST_BYTES))
        self.body, self.document = body, document
        found = saved.resumed(self._clock.boot, self._clock.boot_ns(), self._clock.wall_ns())
        # A rule without a saved deadline was never begun by anybody here: the store will say when it ends.
        known = {rule.id: found.by_rule[rule.id] for rule in document.rules if rule.id in found.by_rule}
        self.deadlines = Deadlines(self._clock.boot, known)

    def looked(self, snapshot: Snapshot, boot_before_ns: int, neighbours: Deadlines | None = None) -> bool:
        """A look at the store; whether it changed anything.

        ``boot_before_ns`` is the boot clock from before the look. ``neighbours``: what others of this home have made of
        the same rules, which holds for all of them.
        """
        if snapshot.document is None:
            self.ahead = judged(self._version, None, True, self._clock.wall_ns()) == "ahead"
            return False
        if snapshot.document == self.body and not self._handed_over:
            self.ahead = False
            known = self.document
            return known is not None and self._arm(known.rules, snapshot.now_ns, boot_before_ns, neighbours)
        document = document_of(self._sealer.opened(snapshot.document, SCHEMA, MOST_BYTES))
        verdict = judged(self._version, document, True, self._clock.wall_ns())
        self.ahead = verdict == "ahead"
        if self.ahead:
            return False
        # Not by its number alone: a store that lost its last change gives that number to the next one.
        other = self.document is None or self.document.rules != document.rules
        self.body, self.document = snapshot.document, document
        shortened = self._shorten(document, snapshot.now_ns, boot_before_ns)
        armed = self._arm(document.rules, snapshot.now_ns, boot_before_ns, neighbours)
        return verdict == "newer" or other or shortened or armed

    def handed(self, body: bytes) -> bool:
        """A document that came along with a notice; whether it changed anything."""
        if body == self.body:
            return False
        document = document_of(self._sealer.opened(body, SCHEMA, MOST_BYTES))
        if judged(self._version, document, False, self._clock.wall_ns()) != "newer":
            return False
        self.body, self.document = body, document
        new = {rule.id for rule in document.rules} - self.deadlines.by_rule.keys()
        self._arm(document.rules, document.issued_ns, self._clock.boot_ns(), None)
        self._handed_over |= new
        return True

    def in_force(self) -> tuple[Rule, ...]:
        """The rules that are not over."""
        if self.document is None:
            return ()
        return self.deadlines.in_force(self.document.rules, self._clock.boot_ns())

    def ended(self, rule: str) -> bool:
        """Whether the time of a rule is over, by its id."""
        due = self.deadlines.by_rule.get(rule)
        return due is not None and self._clock.boot_ns() >= due

    def over(self) -> tuple[Rule, ...]:
        """The rules of the document that have ended here."""
        known = () if self.document is None else self.document.rules
        return tuple(rule for rule in known if self.deadlines.ended(rule, self._clock.boot_ns()))

    def next_end_s(self, rules: Iterable[Rule]) -> float | None:
        """Seconds until the first of ``rules``, those that were put in force, ends; None for never."""
        due = self.deadlines.first(rules)
        return None if due is None else max(0, due - self._clock.boot_ns()) / 1e9

    def saved(self) -> Saved:
        """What is to be written down of now."""
        return Saved(self.deadlines, self._clock.boot_ns(), self._clock.wall_ns())

    @property
    def version(self) -> str:
        """``epoch/rev`` of the document; empty without one."""
        return "" if self.document is None else str(self.document.version)

    @property
    def _version(self) -> Version | None:
        return None if self.document is None else self.document.version

    def _arm(self, rules: tuple[Rule, ...], now_ns: int, boot_before_ns: int, neighbours: Deadlines | None) -> bool:
        known = dict(self.deadlines.by_rule)
        if neighbours is not None and neighbours.boot == self._clock.boot:
            for rule, due in neighbours.by_rule.items():
                known.setdefault(rule, due)
        armed = Deadlines(self._clock.boot, known).armed(rules, now_ns, boot_before_ns)
        changed = armed.by_rule != self.deadlines.by_rule
        self.deadlines = armed
        return changed

    def _shorten(self, document: Document, now_ns: int, boot_before_ns: int) -> bool:
        """The store's word on deadlines that were made without it: earlier, never later."""
        known = dict(self.deadlines.by_rule)
        for rule in document.rules:
            due = known.get(rule.id)
            if rule.id in self._handed_over and due is not None:
                found = deadline_boot_ns(rule, now_ns, boot_before_ns)
                known[rule.id] = due if found is None else min(due, found)
        self._handed_over = frozenset()
        changed = known != self.deadlines.by_rule
        self.deadlines = Deadlines(self._clock.boot, known)
        return changed
