"""Levels in force in this process as the desired state asks, each change of them told, the state kept for who comes.

Everything here holds whether or not there is a bus; it is used by two threads, the worker's and its alarm.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

from clusterlog.control.applying.levels import InForce
from clusterlog.control.bus.base import Snapshot
from clusterlog.control.members import RuleReport, Status
from clusterlog.control.node.audit import Audited, Tell, What
from clusterlog.control.node.desired import Desired
from clusterlog.control.node.state import StateFile
from clusterlog.control.rules.effective import Levels, Policy
from clusterlog.control.rules.expiry import Deadlines
from clusterlog.control.rules.rule import Member, Rule, level_name
from clusterlog.control.rules.selecting import meant
from clusterlog.errors import Rejected


class Hand:
    """Follows ``desired`` as ``member`` under ``policy``; ``force`` is this process's own, ``state`` its home's."""

    def __init__(
        self,
        desired: Desired,
        member: Member,
        policy: Policy,
        force: InForce,
        tell: Tell,
        state: StateFile | None = None,
    ) -> None:
        self.desired = desired
        self.member = member
        self.force = force
        self.faults: Counter[str] = Counter()
        """What went wrong, by reason: documents that were not believed, and the like."""
        self.instance = ""
        self._policy = policy
        self._tell = tell
        self._state = state
        self._lock = threading.RLock()
        self._rules: tuple[Rule, ...] = ()
        self._mine: dict[str, Rule] = {}
        self._untold: list[Audited] = []
        self._trips: deque[tuple[str, str]] = deque()
        self.changed: Callable[[], None] = lambda: None
        """Called after every change of levels in force, so that the proof follows at once."""
        self.changes = 0
        self._alarm = Alarm(self.tend)
        self._ended = False

    def resume(self) -> bool:
        """Put in force what the home remembers, before anything else; whether there was something."""
        found = None if self._state is None else self._state.read()
        if found is None:
            return False
        with self._lock:
            try:
                self.desired.resumed(*found)
            except Rejected as error:
                self.faults[error.reason] += 1
                return False
            self._put()
            return True

    def introduced(self, instance: str, number: int) -> None:
        """The worker knows its name and number by now; rules may mean them, and what was done can be told."""
        with self._lock:
            self.member = replace(self.member, number=number)
            self.instance = instance
            self._put()
            untold, self._untold = self._untold, []
            for audited in untold:
                audited.tell(self._tell, instance)

    def looked(self, snapshot: Snapshot, boot_before_ns: int) -> bool:
        """A look at the store; whether it changed anything here."""
        return self._took(lambda: self.desired.looked(snapshot, boot_before_ns, self._neighbours(snapshot)))

    def handed(self, document: bytes) -> bool:
        """A document that came with a notice; whether it changed anything here."""
        return self._took(lambda: self.desired.handed(document))

    def _neighbours(self, snapshot: Snapshot) -> Deadlines | None:
        if self._state is None or snapshot.document == self.desired.body:
            return None
        found = self._state.read()
        return None if found is None else found[1].deadlines

    def _took(self, take: Callable[[], bool]) -> bool:
        with self._lock:
            if self._ended:
                return False
            try:
                changed = take()
            except Rejected as error:
                self.faults[error.reason] += 1
                return False
            if changed:
                self._put()
            return changed

    def tend(self) -> None:
        """End rules whose time has come."""
        with self._lock:
            if self._ended:
                return
            if self.desired.in_force() != self._rules:
                self._put()
            self._alarm.set(self.desired.next_end_s(self._rules))

    def tripped(self, rule: str, reason: str) -> None:
        """A rule has spent what it may; said in the thread whose line was one too many, which must not wait."""
        self._trips.append((rule, reason))
        self.changed()

    def looked_after(self) -> None:
        """Notice what the application has configured and what rules have cost meanwhile, and say each once."""
        with self._lock:
            for logger, base in self.force.drifted().items():
                name = logger or "root"
                self._tell(
                    "audit",
                    f"{name} was set to {level_name(base)} by the application: the rules hold over it",
                    {"levels": {name: level_name(self.force.effective(logger).level)}, "reason": "drift"},
                    {"change": "drift", "logger": name, "before": level_name(base)},
                )
                self.changes += 1
            while self._trips:
                rule, reason = self._trips.popleft()
                if rule in self._mine:
                    self._audit("tripped", self._mine[rule], self._mine[rule].level, reason)
                    self.changes += 1

    def keep(self) -> None:
        """Write down what is known, for workers that start and for this one's next life."""
        with self._lock:
            if self._state is not None and self.desired.body:
                self._state.write(self.desired.body, self.desired.saved())

    def status(self, pid: int, started_ns: int, dropped: int) -> Status:
        """What this worker says of itself."""
        with self._lock:
            report = self.force.report()
            rules = {id_: RuleReport(held.state, held.reason) for id_, held in report.rules.items()}
            for rule in self.desired.over():
                if meant(rule.selector, self.member):
                    rules[rule.id] = RuleReport("expired")
            document = self.desired.document
            for refused in () if document is None else document.refused:
                rules[refused.id] = RuleReport("rejected", refused.text)
            return Status(
                pid,
                self.instance,
                self.member.number,
                started_ns,
                self.desired.version,
                level_name(report.level),
                {name: level_name(level) for name, level in report.loggers.items()},
                rules,
                dropped,
            )

    def end(self) -> None:
        """Put every level back as the application configured it, for good."""
        with self._lock:
            self._ended = True
            self.force.restore()
        self._alarm.end()

    def _put(self) -> None:
        """Put in force what is not over, and tell what that changed for the loggers of rules."""
        self._rules = self.desired.in_force()
        levels = Levels(self._rules, self.member, self._policy)
        mine = {rule.id: rule for rule in self._rules if meant(rule.selector, self.member)}
        gone = [rule for rule in self._mine.values() if rule.id not in mine]
        new = [rule for rule in mine.values() if rule.id not in self._mine]
        before = {rule.logger: self.force.effective(rule.logger).level for rule in (*gone, *new)}
        self.force.apply(levels)
        ended = {rule.id for rule in self.desired.over()}
        for rule in gone:
            self._audit("expired" if rule.id in ended else "reset", rule, before[rule.logger], "")
        for rule in new:
            refused = levels.refusals.get(rule.id)
            kept = refused is None or refused.reason == "ceiling"
            self._audit("set" if kept else "rejected", rule, before[rule.logger], refused.text if refused else "")
        self._mine = mine
        self._alarm.set(self.desired.next_end_s(self._rules))
        self.changes += 1
        self.changed()

    def _audit(self, what: What, rule: Rule, before: int, why: str) -> None:
        after = self.force.effective(rule.logger).level
        audited = Audited(what, rule, before, after, self.desired.version, why)
        if self.instance:
            audited.tell(self._tell, self.instance)
        else:  # nobody has a name yet: a worker that has just been started, and has read what its home remembers
            self._untold.append(audited)


class Alarm:
    """Calls ``due`` when the time has come, on a thread that is there only while something is to end.

    Rules so end on time whatever the bus is at: an answer that does not come, a lock that somebody holds.
    """

    def __init__(self, due: Callable[[], None]) -> None:
        self._due = due
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._wanted: float | None = None
        self._ended = False

    def set(self, seconds: float | None) -> None:
        """Call in ``seconds``; ``None``: not any more. What is called sets the next time."""
        with self._changed:
            self._wanted = seconds
            if seconds is not None and self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="clusterlog-expiry", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self) -> None:
        """Call no more."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _run(self) -> None:
        while self._waited():
            self._due()

    def _waited(self) -> bool:
        """Wait for a while that is never long: a process that was stopped, or a machine that slept, notices soon."""
        with self._changed:
            if self._wanted is not None and not self._ended:
                self._changed.wait(min(self._wanted, _LONGEST_NAP_S))
            if self._wanted is None or self._ended:
                self._thread = None
                return False
            return True


_LONGEST_NAP_S = 1.0
