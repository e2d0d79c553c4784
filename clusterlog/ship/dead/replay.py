"""Dead letters sent again by the ordinary road, or thrown away; both are told, so that a store can explain its gaps.

A letter's event goes back into the spool byte for byte under its own id, in a segment that is no process's. It is
durable there before it leaves ``dead/``: whoever is killed in between finds it in both places, and the store knows ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterlog.context import ids
from clusterlog.ship.dead.letters import Letter, take_out
from clusterlog.ship.ingest import segments
from clusterlog.spool.budget import Budget
from clusterlog.spool.segment import OF_A_FILE, OWN_ID, PRIORITY
from clusterlog.store.document import Event, id_of, parse, values
from clusterlog.store.ranges import merged

PURGED = "dead_letter_purged"
_HIGH = frozenset({"warning", "error", "critical", "fatal"})

Choice = Callable[[Letter], bool]
Say = Callable[[str, Mapping[str, Any]], None]
"""Says a state event: its action and its facts."""


def event_of(letter: Letter) -> Event | None:
    """The event of a letter; ``None`` if it is none, or not the one it was sent as: no store would take that."""
    try:
        event = parse(letter.body)
    except ValueError:
        return None
    return event if id_of(event) == letter.id else None


def replay(home: Path, chosen: Choice, say: Say, budget: Budget) -> int:
    """Put the events of the chosen letters back into the spool of ``home``; returns how many.

    Those that are no events stay. Raises OSError, and ``segments.Full`` where the spool may not grow.
    """
    sent: set[str] = set()

    def spool(taken: Sequence[Letter]) -> None:
        numbered: list[segments.Numbered] = []
        for letter in taken:
            event = event_of(letter)
            if event is not None and letter.id not in sent:
                sent.add(letter.id)
                numbered.append((_flags(event), len(numbered) + 1, letter.body))
        segments.write(home / "spool", ids.new_entity_id(), 1, numbered, budget)
        _tell(taken, "replay", {}, say)

    take_out(home / "dead", lambda letter: chosen(letter) and event_of(letter) is not None, spool)
    return len(sent)


def purge(home: Path, chosen: Choice, say: Say) -> int:
    """Throw the chosen letters away; returns how many events that were. Raises OSError."""
    gone: set[str] = set()

    def tell(taken: Sequence[Letter]) -> None:
        gone.update(letter.id for letter in taken)
        _tell(taken, "drop", {"reason": PURGED}, say)

    take_out(home / "dead", chosen, tell)
    return len(gone)


def _flags(event: Event) -> int:
    level = next(iter(values(event, "log.level")), "")
    return OWN_ID | OF_A_FILE | (PRIORITY if level in _HIGH else 0)


def _tell(taken: Sequence[Letter], action: str, facts: Mapping[str, Any], say: Say) -> None:
    numbers: dict[str, list[int]] = {}
    for letter in taken:
        numbers.setdefault(letter.instance, []).append(letter.sequence)
    for instance, found in numbers.items():
        for first, last in merged((number, number) for number in found):
            told = {"instance": instance, "first_seq": first, "last_seq": last, "count": last - first + 1}
            say(action, {**told, **facts})
