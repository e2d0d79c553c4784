"""Who is in the cluster: what each worker says of itself, and the roster that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, cast

from clusterlog.control.bus.base import Lease
from clusterlog.control.rules.rule import Member
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

SCHEMA = "clusterlog.member/1"
HEARTBEAT_S = 10.0
UP, LATE = 1.5, 3.0
"""Heartbeats after which a node is late, and after which it is silent."""

State = Literal["up", "late", "silent", "left"]
RuleState = Literal["applied", "no-effect", "rejected", "tripped", "expired", "pending"]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What a worker says of a rule that means it; ``reason`` is a line, empty where there is nothing to explain."""

    state: RuleState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """One worker: a process of a service. ``applied`` is the version it has in force (``epoch/rev``), empty for none.

    ``level`` is the level of the root logger, ``loggers`` those of loggers that rules speak of: in force, upper case.
    ``number`` is the worker's among those of its node, 0 where it is not known; ``dropped`` are events lost since it
    began.
    """

    pid: int
    instance: str
    number: int = 0
    started_ns: int = 0
    applied: str = ""
    level: str = ""
    loggers: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, RuleReport] = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a lease says: a node of a service on a host, and its workers. ``lag_s``: how far the shipper is behind."""

    node: str
    service: str
    host: str
    role: str = "apply"
    tags: tuple[str, ...] = ()
    version: str = ""
    boot: str = ""
    lag_s: float | None = None
    workers: tuple[Status, ...] = ()

    def member(self, worker: Status) -> Member:
        """What a selector asks of one of the workers."""
        return Member(self.service, self.node, self.host, self.role, self.tags, self.version, worker.number)


def fields_of(report: Report) -> dict[str, Any]:
    """The report as plain data, to be sealed into a lease."""
    found: dict[str, Any] = {each.name: getattr(report, each.name) for each in fields(Report)}
    found |= {"schema": SCHEMA, "tags": list(report.tags), "workers": [_written(worker) for worker in report.workers]}
    return found


def _written(worker: Status) -> dict[str, Any]:
    found: dict[str, Any] = {each.name: getattr(worker, each.name) for each in fields(Status)}
    found["loggers"] = dict(worker.loggers)
    found["rules"] = {id_: {"state": said.state, "reason": said.reason} for id_, said in worker.rules.items()}
    return found


def report_of(opened: Mapping[str, Any]) -> Report:
    """The report that an opened lease is; what it does not know is passed over. Raises ``Rejected`` (``garbage``)."""
    try:
        return Report(
            **_checked(opened, {"node": str, "service": str, "host": str}),
            **_checked(opened, {"role": str, "version": str, "boot": str}, needed=False),
            tags=tuple(str(tag) for tag in opened.get("tags", ())),
            lag_s=None if opened.get("lag_s") is None else float(opened["lag_s"]),
            workers=tuple(_worker(worker) for worker in opened.get("workers", ())),
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Rejected(f"this lease is no report: {error!r}", "garbage") from None


def _worker(raw: Mapping[str, Any]) -> Status:
    numbers = {"number": int, "started_ns": int, "dropped": int}
    return Status(
        **_checked(raw, {"pid": int, "instance": str}),
        **_checked(raw, numbers | {"applied": str, "level": str}, needed=False),
        loggers={str(logger): str(level) for logger, level in raw.get("loggers", {}).items()},
        rules={
            str(id_): RuleReport(cast(RuleState, str(said["state"])), str(said.get("reason", "")))
            for id_, said in raw.get("rules", {}).items()
        },
    )


def _checked(raw: Mapping[str, Any], kinds: Mapping[str, type], needed: bool = True) -> dict[str, Any]:
    found = {}
    for name, kind in kinds.items():
        if name not in raw and not needed:
            continue
        if type(raw[name]) is not kind:
            raise ValueError(f"{name} is {raw[name]!r}")
        found[name] = raw[name]
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """A report, and how long ago it was made by the bus's clock."""

    report: Report
    age_s: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker in the roster; ``silent`` as soon as its process is known to be dead."""

    status: Status
    state: State
    seen_s: float


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a service. ``conflict``: another one, on another host or boot, bears the same names."""

    node: str
    service: str
    host: str
    state: State
    seen_s: float
    workers: tuple[Worker, ...] = ()
    role: str = "apply"
    tags: tuple[str, ...] = ()
    version: str = ""
    boot: str = ""
    lag_s: float | None = None
    conflict: bool = False

    @property
    def dropped(self) -> int:
        """Events that its workers have lost since they began."""
        return sum(worker.status.dropped for worker in self.workers)

    def member(self, worker: Worker) -> Member:
        """What a selector asks of one of its workers."""
        return Member(self.service, self.node, self.host, self.role, self.tags, self.version, worker.status.number)


def opened(leases: Iterable[Lease], sealer: Sealer) -> tuple[tuple[Seen, ...], dict[str, int]]:
    """The reports of leases that can be believed, and by reason how many cannot."""
    found, faults = [], dict[str, int]()
    for lease in leases:
        try:
            found.append(Seen(report_of(sealer.opened(lease.body, SCHEMA)), lease.age_s))
        except Rejected as error:
            faults[error.reason] = faults.get(error.reason, 0) + 1
    return tuple(found), faults


def alive(_report: Report, _worker: Status) -> bool:
    """What is believed of the workers of other hosts: only their silence says that they are gone."""
    return True


def state_after(age_s: float, heartbeat_s: float = HEARTBEAT_S) -> State:
    """What an age makes of a node; ``left`` is nothing that an age could tell."""
    if age_s <= UP * heartbeat_s:
        return "up"
    return "late" if age_s <= LATE * heartbeat_s else "silent"


def roster(
    seen: Iterable[Seen],
    heartbeat_s: float = HEARTBEAT_S,
    lives: Callable[[Report, Status], bool] = alive,
    before: Iterable[Node] = (),
) -> tuple[Node, ...]:
    """The nodes of the cluster, each once per host and boot, by service and name.

    Reports of one node are folded: its workers are all of theirs, its state is that of the youngest. ``lives`` says of
    a worker whether its process can be alive. What a machine said before it was started anew is dropped when it has
    gone silent. Nodes of ``before`` that are no longer there have ``left``.
    """
    lives_of: dict[tuple[str, str, str, str], list[Seen]] = {}
    for each in seen:
        report = each.report
        lives_of.setdefault((report.service, report.node, report.host, report.boot), []).append(each)
    nodes = [_folded(reports, heartbeat_s, lives) for reports in lives_of.values()]
    names: dict[tuple[str, str], list[Node]] = {}
    for node in nodes:
        names.setdefault((node.service, node.node), []).append(node)
    found = [node for same in names.values() for node in _told_apart(same)]
    found += [replace(gone, state="left") for gone in before if (gone.service, gone.node) not in names]
    return tuple(sorted(found, key=lambda node: (node.service, node.node, node.host, node.boot)))


def _folded(reports: list[Seen], heartbeat_s: float, lives: Callable[[Report, Status], bool]) -> Node:
    reports.sort(key=lambda seen: seen.age_s)
    report = reports[0].report
    workers: dict[str, Worker] = {}
    for each in reports:
        for worker in each.report.workers:
            state = state_after(each.age_s, heartbeat_s) if lives(each.report, worker) else "silent"
            workers.setdefault(worker.instance, Worker(worker, state, each.age_s))
    ordered = tuple(sorted(workers.values(), key=lambda w: (w.status.number, w.status.started_ns, w.status.pid)))
    states = {worker.state for worker in ordered} or {state_after(reports[0].age_s, heartbeat_s)}
    best = next(state for state in ("up", "late", "silent") if state in states)
    return Node(
        report.node, report.service, report.host, cast(State, best), reports[0].age_s, ordered,
        report.role, report.tags, report.version, report.boot, report.lag_s,
    )  # fmt: skip


def _told_apart(same: list[Node]) -> list[Node]:
    """Nodes of one name: a host's former boot is no second node, unless it still speaks."""
    speaking = {node.host for node in same if node.state != "silent"}
    kept = [node for node in same if node.state != "silent" or node.host not in speaking]
    others = sum(node.state != "silent" for node in kept) > 1
    return [replace(node, conflict=others and node.state != "silent") for node in kept]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a node between two rosters."""

    what: Literal["join", "leave", "silence"]
    node: Node


def changes(before: Iterable[Node], after: Iterable[Node]) -> tuple[Change, ...]:
    """What happened from one roster to the next; a node that spoke again after a silence has joined.

    A machine that was started anew is the same node.
    """
    gone = ("left", "silent")
    was = {_key(node): node for node in before if node.state not in gone}
    is_ = {_key(node): node for node in sorted(after, key=lambda node: node.state not in gone)}
    found = [Change("join", node) for key, node in is_.items() if node.state not in gone and key not in was]
    for key, node in was.items():
        now = is_.get(key)
        if now is None or now.state == "left":
            found.append(Change("leave", replace(now or node, state="left")))
        elif now.state == "silent":
            found.append(Change("silence", now))
    return tuple(found)


def _key(node: Node) -> tuple[str, str, str]:
    return (node.service, node.node, node.host)


def near(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Names that somebody who wrote ``name`` may have meant, the likeliest first."""
    by_folded: dict[str, str] = {}
    for each in known:
        by_folded.setdefault(each.lower(), each)
    found = get_close_matches(name.lower(), by_folded, most, 0.7)
    found += [each for each in by_folded if name.lower() in each and each not in found]
    return [by_folded[each] for each in found[:most]]
