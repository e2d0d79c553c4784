"""An audit for people: the verdict first, then a row for each process, trouble first, then the numbers in question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.search.accounts import Account, Fate, Stretch, Tail, by_reason, total
from clusterlog.search.audit import Audited, Origin
from clusterlog.search.instant import rfc3339

LISTED = 20
"""How many complete processes are listed, and how many stretches of numbers of one fate, where not everything is."""

_HEADINGS = ("STATE", "INSTANCE", "SERVICE", "NODE", "NUMBERS", "STORED", "LOST", "WAITING", "UNEXPLAINED", "KNOWN")
_RIGHT = "NUMBERS STORED LOST WAITING UNEXPLAINED"
_TAILS: dict[Tail, str] = {
    "closed": "to its end",
    "killed": "to its death",
    "alive": "runs here",
    "heartbeat": "to a heartbeat",
    "unknown": "as stored",
}
_FATES: tuple[tuple[Fate, str, str], ...] = (
    ("unexplained", "unexplained", "bad"),
    ("explained", "lost", "W"),
    ("pending", "waiting", ""),
    ("duplicates", "stored twice", "W"),
)


def shown(found: Audited, *, everything: bool) -> Iterator[str]:
    """The lines, inked. Without ``everything`` complete processes and long lists are told by their number."""
    yield _verdict(found.accounts)
    yield ""
    accounts = sorted(found.accounts, key=_urgency)
    troubled = sum(_state(each) != "complete" for each in accounts)
    listed = accounts if everything else accounts[: troubled + LISTED]
    yield from _table(listed, found.origins)
    if len(listed) < len(accounts):
        yield paint.inked(f"and {paint.amount(len(accounts) - len(listed))} more, complete", "dim")
    for fate, name, ink in _FATES:
        stretches = [stretch for each in accounts for stretch in getattr(each, fate)]
        yield from _stretches(stretches, name, ink, None if everything else LISTED)
    yield from _doubts(found)


def _verdict(accounts: Sequence[Account]) -> str:
    lost, waits = total(accounts, "explained"), total(accounts, "pending")
    unexplained, twice = total(accounts, "unexplained"), total(accounts, "duplicates")
    parts = [f"{paint.amount(sum(each.stored for each in accounts))} stored"]
    if lost:
        reasons = by_reason(stretch for each in accounts for stretch in each.explained)
        parts.append(f"{paint.amount(lost)} lost ({_reasons(reasons)})")
    if waits:
        parts.append(f"{paint.amount(waits)} still in a spool")
    if twice:
        parts.append(f"{paint.amount(twice)} stored twice")
    told = ", ".join(parts)
    of = f"{paint.counted(sum(each.last_seq for each in accounts), 'event')} of {_processes(len(accounts))}"
    if unexplained:
        return paint.inked(f"incomplete: {paint.amount(unexplained)} of {of} cannot be explained; {told}", "bad")
    if lost or waits:
        return paint.inked(f"accounted for: {of}: {told}", "W" if lost else "good")
    return paint.inked(f"complete: {of}: {told}", "good")


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{paint.amount(count)} {escaped(reason)}" for reason, count in reasons.items())


def _processes(count: int) -> str:
    return f"{paint.amount(count)} {'process' if count == 1 else 'processes'}"


def _urgency(each: Account) -> tuple[int, int, int, int, str]:
    unexplained, lost, waits, twice = (
        -sum(stretch.count for stretch in fate)
        for fate in (each.unexplained, each.explained, each.pending, each.duplicates)
    )
    return unexplained, lost, waits, twice, each.instance


def _state(each: Account) -> str:
    if each.unexplained:
        return "incomplete"
    if each.explained:
        return "lost some"
    if each.pending:
        return "waiting"
    return "twice" if each.duplicates else "complete"


def _table(accounts: Sequence[Account], origins: Mapping[str, Origin]) -> Iterator[str]:
    rows = []
    for each in accounts:
        origin = origins[each.instance]
        counts = (sum(s.count for s in fate) for fate in (each.explained, each.pending, each.unexplained))
        numbers = (
            paint.amount(each.last_seq),
            paint.amount(each.stored),
            *(paint.amount(n) if n else "-" for n in counts),
        )
        known = _TAILS[each.tail] + (f" {_clock(each.heard_ns)}" if each.tail == "heartbeat" else "")
        named = (each.instance, escaped(origin.service) or "-", escaped(origin.node) or "-")
        rows.append((_state(each), *named, *numbers, known))
    lines = paint.table(_HEADINGS, rows, _RIGHT)
    yield next(lines)
    inks = {"incomplete": "bad", "lost some": "W"}
    for text, each in zip(lines, accounts, strict=True):
        yield paint.inked(text, inks.get(_state(each), ""))


def _stretches(stretches: Iterable[Stretch], name: str, ink: str, most: int | None) -> Iterator[str]:
    stretches = list(stretches)
    if not stretches:
        return
    yield ""
    rows = [
        (each.instance, _numbers(each), paint.counted(each.count, "event"), escaped(each.reason) or "-")
        for each in islice(stretches, most)
    ]
    lines = paint.table((name.upper(), "NUMBERS", "HOW MANY", "REASON"), rows, "")
    yield next(lines)
    yield from (paint.inked(text, ink) for text in lines)
    if len(rows) < len(stretches):
        yield paint.inked(f"and {paint.amount(len(stretches) - len(rows))} more: --json lists all", "dim")


def _numbers(stretch: Stretch) -> str:
    return f"{stretch.first_seq}" if stretch.count == 1 else f"{stretch.first_seq}-{stretch.last_seq}"


def _doubts(found: Audited) -> Iterator[str]:
    """What this audit cannot know."""
    tails = Counter(each.tail for each in found.accounts)
    told = [escaped(found.damage)] if found.damage else []
    if tails["heartbeat"]:
        told.append(
            f"{_processes(tails['heartbeat'])} known to a heartbeat: what was said since is not known here, "
            "a minute or 10,000 events at most while somebody ships"
        )
    if tails["unknown"]:
        told.append(f"{_processes(tails['unknown'])} known as stored: nobody told how far it was, so its end may lack")
    if found.begun_meanwhile:
        told.append(f"{_processes(found.begun_meanwhile)} began while this was read, and will be in the next audit")
    if told:
        yield ""
        yield from (paint.inked(each, "dim") for each in told)


def _clock(ns: int | None) -> str:
    try:
        return f"{rfc3339(ns or 0)[:19]}Z"
    except OverflowError:
        return "?"
