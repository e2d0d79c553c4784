"""Levels and nodes as people read them: the exceptions first, and everything alike in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from clusterlog.cli import paint
from clusterlog.cli.control.documents import counts, has_all, named
from clusterlog.cli.line import escaped
from clusterlog.control.members import Node, Worker
from clusterlog.control.operator.change import Look
from clusterlog.control.operator.proof import NodeProof, Proof, Told
from clusterlog.control.rules.document import Version
from clusterlog.control.rules.plan import Planned
from clusterlog.control.rules.rule import Rule, Selector, level_name
from clusterlog.search.instant import spoken

_INK = {"up": "good", "applied": "good", "late": "W", "pending": "W", "partial": "W", "left": "dim", "silent": "bad"}
_TROUBLE = ("silent", "late", "up", "left")
_IN_WORDS = {
    "no-effect": "without effect",
    "pending": "no answer",
    "lost": "lost",
    "rejected": "refused",
    "tripped": "stopped by the volume guard",
    "expired": "over",
}


def meant(rule: Rule) -> str:
    """Whom a rule means, in the words of the options that say so."""
    terms = [*_terms(rule.selector)]
    predicate = rule.predicate
    if predicate is not None:
        terms += [
            f"{name}={value[:12] if name == 'user' else value}"
            for name in ("request", "user", "tenant", "route")
            if (value := getattr(predicate, name))
        ]
    return " ".join(terms) or "all"


def _terms(selector: Selector) -> Iterator[str]:
    for name in ("service", "node", "host", "role", "version", "worker"):
        values = getattr(selector, name)
        if values:
            yield f"{name}={','.join(map(str, values))}"
    if selector.percent is not None:
        yield f"percent={selector.percent:g}"


def rules(found: Iterable[Rule], now_ns: int) -> Iterator[str]:
    """A table of rules, with how long each has been there and has left."""
    rows = [
        (
            rule.id,
            level_name(rule.level) if rule.kind == "set" else f"at most {level_name(rule.level)}",
            escaped(named(rule.logger)),
            escaped(meant(rule)),
            _ago(now_ns - rule.created_ns),
            _ago(rule.expires_ns - now_ns) if rule.expires_ns else "stays",
            escaped(rule.actor) or "-",
            escaped(rule.reason) or "-",
        )
        for rule in found
    ]
    yield from paint.table(
        ("RULE", "LEVEL", "LOGGER", "WHOM", "AGE", "LEFT", "BY", "REASON"), rows, "AGE LEFT", spare="AGE BY REASON WHOM"
    )


def state(look: Look, nodes: Sequence[Node]) -> Iterator[str]:
    """The rules, and under them the levels of every node."""
    if look.rules():
        yield from rules(look.rules(), look.now_ns)
    else:
        yield "no rule is in force: every level is what the application has configured"
    if nodes:
        yield ""
        yield from levels(look, nodes)


def changed(found: Sequence[Rule], now_ns: int, put: bool) -> Iterator[str]:
    """What was put in force, or taken back."""
    for rule in found:
        level = level_name(rule.level) if rule.kind == "set" else f"at most {level_name(rule.level)}"
        told = f"rule {rule.id}: {level} on {named(rule.logger)}, {meant(rule)}"
        if put:
            told += f", for {_ago(rule.expires_ns - now_ns)}" if rule.expires_ns else ", until it is reset"
        yield escaped(told if put else f"{told}: taken back")
    if not found:
        yield "there was no rule to take back" if not put else "no rule"


def levels(look: Look, nodes: Iterable[Node]) -> Iterator[str]:
    """A table of the levels in force, a line for workers that are alike."""
    version = look.document.version if look.document else None
    ruled = ruled_of(look)
    rows = [row for node in _troubled(nodes) for row in _of_node(node, version, ruled)]
    yield from paint.table(("NODE", "SERVICE", "STATE", "WORKERS", "ROOT", "LOGGERS"), rows, "WORKERS")


def ruled_of(look: Look) -> frozenset[str]:
    """The loggers that rules in force speak of; what else workers tell of is for programs."""
    return frozenset(rule.logger for rule in look.rules())


def _of_node(node: Node, version: Version | None, ruled: Collection[str]) -> Iterator[tuple[str, ...]]:
    alike: Counter[tuple[str, str, str]] = Counter()
    for worker in node.workers:
        state: str = worker.state if not counts(worker) or has_all(worker, version) else "pending"
        told = sorted(worker.status.loggers.items())
        loggers = " ".join(f"{name}={level}" for name, level in told if name in ruled)
        alike[state, worker.status.level, loggers] += 1
    for (state, root, loggers), count in alike.items() or (((node.state, "", ""), 0),):
        yield (
            escaped(node.node),
            escaped(node.service),
            paint.inked(state, _INK.get(state, "bad")),
            str(count),
            root or "-",
            escaped(loggers) or "-",
        )


def proof(found: Proof, everything: bool = True) -> Iterator[str]:
    """The nodes of a change, the exceptions first, and why they are; without ``everything`` those alone."""
    rows = []
    for node in sorted(found.nodes, key=lambda each: each.state == "applied"):
        if node.state == "applied" and not everything:
            continue
        told = [each for each in node.workers if each.counted] or list(node.workers)
        for level in dict.fromkeys(each.effective for each in told):
            alike = [each for each in told if each.effective == level]
            rows.append(_row(node, alike, level))
    if rows:
        yield from paint.table(("NODE", "SERVICE", "STATE", "WORKERS", "LEVEL", "WHY"), rows, "WORKERS")


def _row(node: NodeProof, alike: Sequence[Told], level: str) -> tuple[str, ...]:
    applied = sum(each.state == "applied" for each in alike)
    reason = next((each.reason for each in alike if each.state != "applied"), alike[0].reason)
    return (
        escaped(node.node),
        escaped(node.service),
        paint.inked(node.state, _INK.get(node.state, "bad")),
        f"{applied}/{len(alike)}",
        level or "-",
        escaped(reason) or "-",
    )


def summary(found: Proof) -> str:
    """``35 of 37 workers: 1 no answer, 1 refused``, and who is not counted."""
    told = [each for node in found.nodes for each in node.workers]
    others = Counter(each.state for each in told if each.counted and each.state != "applied")
    parts = [f"{paint.amount(count)} {_IN_WORDS.get(state, state)}" for state, count in others.most_common()]
    text = f"applied by {paint.amount(found.applied)} of {paint.counted(found.expected, 'worker')}"
    text += f": {', '.join(parts)}" if parts else ""
    aside = Counter(_aside(each) for each in told if not each.counted)
    aside_told = [f"{paint.counted(count, 'worker')} {how}" for how, count in aside.items()]
    return f"{text} ({', '.join(aside_told)})" if aside_told else text


def _aside(told: Told) -> str:
    return {"silent": "silent before", "left": "left", "rejected": "that only receive"}.get(told.state, "came since")


def plan(planned: Iterable[Planned]) -> Iterator[str]:
    """What a change would do."""
    rows = [
        (
            escaped(each.node),
            escaped(each.service),
            str(each.workers),
            escaped(named(each.logger)),
            level_name(each.before) if each.before else "as configured",
            ("in some requests " if each.some_requests else "")
            + (level_name(each.after) if each.after else "as configured"),
        )
        for each in planned
    ]
    yield from paint.table(("NODE", "SERVICE", "WORKERS", "LOGGER", "NOW", "THEN"), rows, "WORKERS")


def nodes(found: Iterable[Node], ruled: Collection[str]) -> Iterator[str]:
    """The roster, trouble first, with the levels of ``ruled`` loggers."""
    rows = [
        (
            escaped(node.node),
            escaped(node.service),
            escaped(node.host),
            paint.inked(node.state, _INK[node.state]) + (" twice" if node.conflict else ""),
            f"{_ago(node.seen_s * 1e9)} ago" if node.seen_s >= 1 else "now",
            _workers(node),
            _of_all(node.workers, lambda worker: worker.status.level) or "-",
            _loggers(node.workers, ruled),
            escaped(node.version) or "-",
            escaped(" ".join((node.role, *node.tags))),
            "-" if node.lag_s is None else _ago(node.lag_s * 1e9),
            paint.inked(paint.amount(node.dropped), "bad") if node.dropped else "-",
        )
        for node in _troubled(found)
    ]
    headings = (
        *("NODE", "SERVICE", "HOST", "STATE", "SEEN", "WORKERS", "LEVEL", "LOGGERS", "VERSION", "ROLE", "LAG"),
        "DROPPED",
    )
    yield from paint.table(headings, rows, "SEEN WORKERS LAG DROPPED", spare="ROLE VERSION HOST LAG LOGGERS")


def _workers(node: Node) -> str:
    living = sum(map(counts, node.workers))
    return str(living) if living == len(node.workers) else f"{living}/{len(node.workers)}"


def _of_all(workers: Sequence[Worker], of: Callable[[Worker], str]) -> str:
    """What all of them say, or the different answers joined."""
    return "|".join(dict.fromkeys(filter(None, map(of, workers))))


def _loggers(workers: Sequence[Worker], ruled: Collection[str]) -> str:
    told: dict[str, dict[str, None]] = {}
    for worker in workers:
        loggers: Mapping[str, str] = worker.status.loggers
        for name, level in sorted(loggers.items()):
            if name in ruled:
                told.setdefault(name, {})[level] = None
    return escaped(" ".join(f"{name}={'|'.join(levels)}" for name, levels in told.items())) or "-"


def _troubled(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (_TROUBLE.index(node.state), not node.conflict, node.service, node.node))


def _ago(ns: float) -> str:
    return spoken(max(0, int(ns)))


def conflicts(found: Iterable[Node]) -> Iterator[str]:
    """Names that two machines bear, and how to mend it."""
    twice: dict[tuple[str, str], list[str]] = {}
    for node in found:
        if node.conflict:
            twice.setdefault((node.service, node.node), []).append(node.host)
        if node.node == "localhost":
            yield "a node is called localhost, as every machine is to itself: give it a name with the setting node"
    for (service, name), hosts in twice.items():
        told = " and ".join(sorted(hosts))
        yield f"{service} runs as node {name} twice, on {told}: rules mean both; the setting node tells them apart"
