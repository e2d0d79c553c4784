"""Changes of the desired state: rules put in force or taken back, whoever else is at it at the same time.

A change is a look at what is kept, a new document that follows it, and a compare-and-set write. Where somebody else
was faster, all of it is done anew, so that nobody's rule is lost. Clocks decide nothing but when a rule ends, and that
clock is the bus's.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from clusterlog.control.bus.base import Lease, Link
from clusterlog.control.rules.document import MOST_BYTES, SCHEMA, Document, Version, document_of, fields_of, successor
from clusterlog.control.rules.rule import Kind, Limits, Predicate, Rule, Selector
from clusterlog.control.rules.wire import Refused
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Ambiguous, Conflict, NotAllowed, NotFound, Rejected

PATIENCE_S = 10.0
"""How long a change is tried again and again while others are faster."""
_PAUSE_S = 0.002
_MOST_PAUSE_S = 0.1
_LETTERS = "bcdfghjkmnpqrstvwxz"
_SIGNS = _LETTERS + "23456789"
ID_SIGNS = 5
"""Of a rule's id: a letter, then letters and digits, none that is taken for another when it is read aloud."""

OPERATORS = ("send", "")
"""Roles from which levels may be changed: a node's that may send, and none: a person who holds the cluster's key."""

EVERYBODY = Selector()
UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants: a rule without all that is known only when it is written. ``life_s`` 0: it stays."""

    logger: str
    level: int
    life_s: float
    kind: Kind = "set"
    selector: Selector = EVERYBODY
    predicate: Predicate | None = None
    limits: Limits = UNLIMITED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What the bus keeps: ``raw`` as it is, ``document`` as it reads, and what all workers last said of themselves.

    ``doubt`` is why ``raw`` is not to be believed, ``document`` being ``None`` then. ``now_ns`` is the bus's clock.
    """

    raw: bytes | None
    document: Document | None
    now_ns: int
    leases: tuple[Lease, ...]
    doubt: Rejected | None = None

    def rules(self) -> tuple[Rule, ...]:
        """Rules that are not over by the bus's clock."""
        found = self.document.rules if self.document else ()
        return tuple(rule for rule in found if not rule.expires_ns or rule.expires_ns > self.now_ns)

    def refused(self) -> tuple[Refused, ...]:
        """Rules that this version of clusterlog cannot follow."""
        return self.document.refused if self.document else ()

    def ids(self) -> tuple[str, ...]:
        """Of every rule that is not over, also of those that cannot be followed."""
        return (*(rule.id for rule in self.rules()), *(rule.id for rule in self.refused()))


@dataclass(frozen=True, slots=True)
class Change:
    """What was written: ``rules`` are those put in force, or those taken back; ``seen`` what was there before."""

    document: Document
    rules: tuple[Rule, ...]
    seen: Look


Acknowledged = Callable[[Iterable[Lease]], Iterable[Version]]
"""Which versions leases say are applied; those that nobody can believe say none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The rules that shall be, those of them or of the old ones that the change is about, and what cannot be read.

    ``refused``: rules of other versions of clusterlog, kept for those that can follow them.
    """

    rules: tuple[Rule, ...]
    about: tuple[Rule, ...]
    refused: tuple[Refused, ...] = ()


Decide = Callable[[Look], Decision]


@dataclass(slots=True)
class Operator:
    """Somebody who changes levels over ``link``, as ``actor``, from where the role is ``role``."""

    link: Link
    sealer: Sealer
    actor: str
    acknowledged: Acknowledged
    role: str = ""
    clock: Callable[[], float] = field(default=time.monotonic)
    pause: Callable[[float], None] = field(default=time.sleep)

    def look(self) -> Look:
        """What is kept now. Raises BusUnreachable."""
        leases = self.link.leases()
        found = self.link.read()
        document, doubt = None, None
        if found.document is not None:
            try:
                document = document_of(self.sealer.opened(found.document, SCHEMA, MOST_BYTES))
            except Rejected as error:
                doubt = error
        return Look(found.document, document, found.now_ns, leases, doubt)

    def put(self, wish: Wish, narrowed: Callable[[Look], Selector] | None = None) -> Change:
        """Put a rule in force. ``narrowed`` may choose a selector by who is there, in place of the wish's own.

        Raises NotAllowed where this role may not, Rejected where it would be a rule too many or what is kept is not to
        be believed, Conflict where others were faster for ``PATIENCE_S``, BusUnreachable.
        """

        def decide(look: Look) -> Decision:
            rules = look.rules()
            selector = narrowed(look) if narrowed else wish.selector
            rule = self._made(wish, selector, look.now_ns, look.ids())
            return Decision((*rules, rule), (rule,), look.refused())

        return self._change(decide)

    def _made(self, wish: Wish, selector: Selector, now_ns: int, taken: Iterable[str]) -> Rule:
        return Rule(
            id=fresh_id(taken),
            logger=wish.logger,
            level=wish.level,
            kind=wish.kind,
            selector=selector,
            predicate=wish.predicate,
            limits=wish.limits,
            created_ns=now_ns,
            expires_ns=now_ns + round(wish.life_s * 1e9) if wish.life_s else 0,
            actor=self.actor,
            reason=wish.reason,
        )

    def reset(self, which: str | None = None) -> Change:
        """Take a rule back, named by its id or the beginning of it, or all with ``None``, also what nobody believes.

        Raises NotFound where no rule is called that, or several are, and else as ``put``.
        """

        def decide(look: Look) -> Decision:
            rules, refused = look.rules(), look.refused()
            if which is None:
                return Decision((), rules)
            gone = named(which, look.ids())
            return Decision(
                tuple(rule for rule in rules if rule.id != gone),
                tuple(rule for rule in rules if rule.id == gone),
                tuple(rule for rule in refused if rule.id != gone),
            )

        return self._change(decide, distrust=which is not None)

    def replace(self, rules: Iterable[Rule]) -> Change:
        """Put these rules in force and no others, exactly as they are. Raises as ``put``.

        Times of theirs are kept: who takes back a state that was saved an hour ago takes back its ends as well.
        """
        wanted = Decision(tuple(rules), tuple(rules))
        return self._change(lambda look: wanted, distrust=False)

    def _change(self, decide: Decide, distrust: bool = True) -> Change:
        if self.role not in OPERATORS:
            raise NotAllowed(f"a node whose role is {self.role} may not change levels: the setting role has to be send")
        end = self.clock() + PATIENCE_S
        pause = _PAUSE_S
        while True:
            look = self.look()
            if look.doubt and distrust:
                raise Rejected(
                    f"what the bus keeps is not to be believed: {look.doubt};"
                    " `clusterlog level reset --all` puts an empty state in its place",
                    look.doubt.reason,
                )
            decided = decide(look)
            written = self._following(look, decided)
            try:
                self.link.write(self._sealed(written), look.raw)
            except Conflict:
                if self.clock() > end:
                    raise
                self.pause(random.uniform(0, pause))
                pause = min(2 * pause, _MOST_PAUSE_S)
                continue
            ids = {rule.id for rule in decided.about}
            return Change(written, tuple(rule for rule in written.rules if rule.id in ids) or decided.about, look)

    def _following(self, look: Look, decided: Decision) -> Document:
        seen = tuple(self.acknowledged(look.leases))
        epoch = secrets.token_hex(8)
        if look.document is None and seen:  # the store has lost what it had: go on where the nodes are
            epoch = max(seen, key=lambda version: version.rev).epoch
        after = successor(look.document, self.sealer.cluster, decided.rules, look.now_ns, epoch, seen)
        return replace(after, refused=decided.refused)

    def _sealed(self, document: Document) -> bytes:
        body = self.sealer.seal(fields_of(document))
        if len(body) > MOST_BYTES:
            raise Rejected(
                f"the rules would take {len(body)} bytes, and a cluster may have {MOST_BYTES}: reset some", "limit"
            )
        return body


def fresh_id(taken: Iterable[str], choose: Callable[[str], str] = secrets.choice) -> str:
    """An id that no rule of ``taken`` has: short, and typed without looking twice."""
    known = set(taken)
    while True:
        made = choose(_LETTERS) + "".join(choose(_SIGNS) for _ in range(ID_SIGNS - 1))
        if made not in known:
            return made


def named(which: str, ids: Iterable[str]) -> str:
    """The id that ``which`` is, or the one that begins so. Raises NotFound."""
    ids = tuple(ids)
    found = [which] if which in ids else [each for each in ids if which and each.startswith(which)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Ambiguous(f"several rules begin with {which}: {', '.join(found)}")
    raise NotFound(f"no rule {which}: " + (f"there are {', '.join(ids)}" if ids else "none is in force"))
