"""Requests made up for tests: processes with clocks of their own that log lines, answers, calls and steps.

The test rooms load this file in their own conftest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from clusterlog.search.instant import rfc3339

NOON_NS = 1_793_707_200_000_000_000  # 2026-11-03T12:00:00Z
MS = 1_000_000


@dataclass
class Process:
    """One process of a story; times are true milliseconds from its begin, its clock is ``skew_ms`` ahead."""

    story: Story
    node: str
    service: str
    instance: str
    host: str
    skew_ms: float = 0
    sequence: int = 0

    def emit(self, at: float, dataset: str, message: str, *, level: str, logger: str, span: str, **body: Any) -> str:
        self.sequence += 1
        event_id = f"{self.instance}-{self.sequence:011x}"
        document: dict[str, Any] = {
            "@timestamp": rfc3339(NOON_NS + round((at + self.skew_ms) * MS)),
            "event": {"id": event_id, "kind": "event", "dataset": f"clusterlog.{dataset}", "sequence": self.sequence},
            "process": {"entity_id": self.instance, "pid": 7},
            "service": {"name": self.service, "node": {"name": self.node}},
            "host": {"name": self.host},
            "log": {"level": level, "logger": logger},
            "message": message,
            "http": {"request": {"id": self.story.id}},
            "trace": {"id": "7" * 32},
        }
        if span:
            document["span"] = {"id": span}
        _merge(document, body)
        self.story.documents.append(document)
        return event_id

    def log(
        self, at: float, message: str, *, level: str = "info", span: str = "", logger: str = "", **body: Any
    ) -> str:
        return self.emit(at, "app", message, level=level, logger=logger or f"{self.service}.api", span=span, **body)

    def access(
        self, at: float, took: float, what: str, status: int | None, *, span: str = "", parent: str = "", **body: Any
    ) -> str:
        method, _, route = what.partition(" ")
        failed = status is None or status >= 500
        told: dict[str, Any] = {
            "http": {"request": {"method": method}, "response": {} if status is None else {"status_code": status}},
            "event": {"duration": round(took * MS), "outcome": "failure" if failed else "success"},
            "clusterlog": {"route": route, **({"parent": {"span_id": parent}} if parent else {})},
            "url": {"path": route},
        }
        _merge(told, body)
        level = "error" if failed else "info"
        return self.emit(at, "access", what, level=level, logger="clusterlog.access", span=span, **told)

    def call(
        self, at: float, took: float, what: str, status: int | None, *, span: str, parent: str = "", **body: Any
    ) -> str:
        method, _, url = what.partition(" ")
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        domain, _, port = authority.partition(":")
        failed = status is None or status >= 500
        told: dict[str, Any] = {
            "http": {"request": {"method": method}},
            "url": {"scheme": scheme, "domain": domain, "path": slash + path, **({"port": int(port)} if port else {})},
            "event": {"duration": round(took * MS), "outcome": "failure" if failed else "success"},
            "clusterlog": {
                "call": {} if status is None else {"status_code": status},
                **({"parent": {"span_id": parent}} if parent else {}),
            },
        }
        _merge(told, body)
        level = "error" if failed else "info"
        return self.emit(at, "call", what, level=level, logger="clusterlog.call", span=span, **told)

    def step(self, at: float, took: float, name: str, *, span: str, parent: str = "") -> str:
        told = {"event": {"duration": round(took * MS), "outcome": "success"}}
        parents = {"clusterlog": {"parent": {"span_id": parent}}} if parent else {}
        return self.emit(at, "span", name, level="info", logger=f"{self.service}.api", span=span, **told, **parents)


@dataclass
class Story:
    """One request; ``documents`` are its events in the order in which they were told.

    Processes are numbered from ``first`` on: those of two stories in one store must not be the same.
    """

    id: str = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
    first: int = 1
    documents: list[dict[str, Any]] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def process(self, node: str, *, host: str = "", skew_ms: float = 0) -> Process:
        service = node.rpartition("-")[0] or node
        instance = f"{self.first + len(self.processes):032x}"
        self.processes.append(Process(self, node, service, instance, host or f"host-of-{node}", skew_ms))
        return self.processes[-1]


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def failing_checkout(*, skews: tuple[float, float, float] = (0, 0, 0), host: str = "") -> Story:
    """A checkout that fails because payments waits for its bank in vain; each node has a clock of its own."""
    told = Story()
    shop, orders, payments = (
        told.process(node, host=host, skew_ms=skew)
        for node, skew in zip(("shop-1", "orders-2", "payments-1"), skews, strict=True)
    )
    shop.log(0.2, "checkout begins", span="s1", labels={"cart": 3})
    orders.log(6, "reserve stock", span="s2", logger="orders.stock", labels={"sku": 9, "qty": 1})
    payments.log(19, "charge 12.90 EUR", span="s3", logger="payments.client", labels={"attempt": 1})
    timeout = {"type": "ConnectTimeout", "message": "bank.example:443"}
    payments.call(1421, 1401, "POST https://bank.example/charge", None, span="c3", parent="s3", error=timeout)
    payments.log(1422, "charge failed", level="error", span="s3", logger="payments.client", error=timeout)
    payments.access(1423, 1405, "POST /charge", 504, span="s3", parent="c2")
    orders.call(1424, 1407, "POST http://payments:8003/charge", 504, span="c2", parent="s2")
    orders.log(1425, "payment failed, releasing stock", level="error", span="s2", logger="orders.stock")
    orders.access(1430, 1425, "POST /orders", 502, span="s2", parent="c1")
    shop.call(1832, 1829, "POST http://orders:8002/orders", 502, span="c1", parent="s1")
    shop.access(1836, 1836, "POST /checkout", 502, span="s1")
    return told


def healthy_checkout(*, id: str = "0193f0c2b5c67c3d8e4f5a6b7c8d9e0f", first: int = 0x11, at: float = 0) -> Story:
    """A checkout as the failing one, on other nodes, whose bank answers; ``at`` is when it begins (ms)."""
    told = Story(id, first)
    shop, orders, payments = (told.process(node) for node in ("shop-2", "orders-1", "payments-1"))
    shop.log(at + 0.2, "checkout begins", span="s1", labels={"cart": 4})
    orders.log(at + 6, "reserve stock", span="s2", logger="orders.stock", labels={"sku": 12, "qty": 1})
    payments.log(at + 19, "charge 8.50 EUR", span="s3", logger="payments.client", labels={"attempt": 1})
    payments.call(at + 40, 20, "POST https://bank.example/charge", 200, span="c3", parent="s3")
    payments.log(at + 41, "charged", span="s3", logger="payments.client")
    payments.access(at + 42, 24, "POST /charge", 200, span="s3", parent="c2")
    orders.call(at + 43, 26, "POST http://payments:8003/charge", 200, span="c2", parent="s2")
    orders.access(at + 50, 45, "POST /orders", 201, span="s2", parent="c1")
    shop.call(at + 54, 51, "POST http://orders:8002/orders", 201, span="c1", parent="s1")
    shop.access(at + 58, 58, "POST /checkout", 201, span="s1")
    shop.log(at + 90, "receipt mailed", span="s1", logger="shop.mail")
    return told


class _Teller:
    """Draws a request: visits that log, call each other one by one or side by side, and leave work behind."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.told: list[tuple[float, str, Process, tuple[Any, ...], dict[str, Any]]] = []
        self.causes: list[tuple[int, int]] = []  # numbers in `told`: the first happened before the second
        self.spans = 0
        self.story = Story()
        shared = draw(st.booleans())
        for number in range(draw(st.integers(2, 4))):
            skew = draw(st.sampled_from([0, 0, -5000, 5000, 38, -3]))
            host = "one-host" if shared else ""
            self.story.process(f"node-{number}", host=host, skew_ms=0 if shared else skew)

    def span(self) -> str:
        self.spans += 1
        return f"{self.spans:016x}"

    def tell(self, at: float, kind: str, process: Process, *args: Any, **options: Any) -> int:
        self.told.append((at, kind, process, args, options))
        return len(self.told) - 1

    def visit(self, process: Process, at: float, parent: str, depth: int) -> tuple[float, list[int], int]:
        """When it ended, all it told until its answer, and its access event."""
        span, began, own, everything = self.span(), at, [], []
        for _ in range(self.draw(st.integers(0, 3 if depth else 1))):
            at += self.draw(st.floats(0.01, 30))
            if depth == 0 or self.draw(st.booleans()):
                own.append(self.tell(at, "log", process, f"line at {at:.3f}", span=span))
                everything.append(own[-1])
                continue
            before, ends = list(own), []
            for _ in range(self.draw(st.sampled_from([1, 1, 2]))):
                callee = self.draw(st.sampled_from([p for p in self.story.processes if p is not process]))
                call_span, start = self.span(), at + self.draw(st.floats(0.01, 1))
                ended, inside, access = self.visit(callee, start + self.draw(st.floats(0.01, 2)), call_span, depth - 1)
                ended += self.draw(st.floats(0.01, 2))
                call = self.tell(
                    ended, "call", process, ended - start, "GET http://x/", 200, span=call_span, parent=span
                )
                self.causes += [(one, other) for one in before for other in inside]
                self.causes += [(one, call) for one in [*inside, access]]
                everything += [*inside, access, call]
                own.append(call)
                ends.append(ended)
            at = max(ends)
        at += self.draw(st.floats(0.01, 5))
        access = self.tell(at, "access", process, at - began, "GET /", 200, span=span, parent=parent)
        if self.draw(st.integers(0, 3)) == 0:
            self.tell(at + self.draw(st.floats(1, 80)), "log", process, "left behind", span=span)
        return at, everything, access


@st.composite
def requests(draw: st.DrawFn) -> tuple[Story, list[tuple[str, str]]]:
    """A request of several processes with their own clocks, and pairs of event ids of which the first is a cause."""
    teller = _Teller(draw)
    teller.visit(teller.story.processes[0], 0, "", 3)
    ids: dict[int, str] = {}
    for number, (at, kind, process, args, options) in sorted(enumerate(teller.told), key=lambda told: told[1][0]):
        ids[number] = getattr(process, kind)(at, *args, **options)
    return teller.story, [(ids[one], ids[other]) for one, other in teller.causes]
