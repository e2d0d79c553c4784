"""Requests made up for tests: processes with clocks of their own that log lines, answers, calls and steps.

The test rooms load this file in their own conftest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
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

    def span(
        self, at: float, took: float, name: str, kind: str, well: bool = True, *, span: str, parent: str, **body: Any
    ) -> str:
        """A finished span of OpenTelemetry."""
        told: dict[str, Any] = {
            "event": {"duration": round(took * MS), "outcome": "success" if well else "failure"},
            "clusterlog": {"span": {"kind": kind}, "parent": {"span_id": parent}},
        }
        _merge(told, body)
        level = "info" if well else "error"
        return self.emit(at, "span", name, level=level, logger="clusterlog.span", span=span, **told)


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


def clocks_apart(*, orders_ms: float, payments_ms: float) -> Story:
    """The failing checkout by clocks that are seconds apart, with lines of two nodes that only clocks can order."""
    told = failing_checkout(skews=(0, orders_ms, payments_ms))
    shop, orders, _ = told.processes
    orders.log(1700, "stock released", span="s2", logger="orders.stock")
    shop.log(1850, "cart kept", span="s1")
    return told


def clock_set_meanwhile() -> Story:
    """Between two calls to it the clock of orders is set back by a minute."""
    told = Story()
    shop, orders = told.process("shop-1"), told.process("orders-1")
    for number, skew in enumerate((0, -60_000)):
        at, orders.skew_ms = number * 20, skew
        orders.log(at + 4, f"looking up order {number}", span=f"s2{number}")
        orders.access(at + 8, 6, "GET /orders/{id}", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 9, 8, f"GET http://orders:8002/orders/{number}", 200, span=f"c{number}", parent="s1")
    shop.access(40, 40, "GET /orders", 200, span="s1")
    return told


def clock_known_from_one_side() -> Story:
    """A call that gave up proves that the callee's clock is behind, and does not measure by how much."""
    told = Story()
    shop, orders = told.process("shop-1"), told.process("orders-1", skew_ms=-5000)
    orders.log(40, "asking the warehouse", span="s2")
    timeout = {"type": "ReadTimeout", "message": "orders:8002"}
    shop.call(1010, 1000, "GET http://orders:8002/stock", None, span="c1", parent="s1", error=timeout)
    shop.access(1012, 1012, "GET /cart", 504, span="s1")
    orders.access(2500, 2470, "GET /stock", 200, span="s2", parent="c1")
    return told


def lost_hop() -> Story:
    """Stock answered, and nothing of it has arrived."""
    told = Story()
    shop, orders = told.process("shop-1"), told.process("orders-1")
    shop.log(1, "checkout begins", span="s1")
    orders.call(80, 70, "GET http://stock:8005/stock/9", 200, span="c2", parent="s2")
    orders.log(81, "stock known", span="s2")
    orders.access(82, 79, "POST /orders", 201, span="s2", parent="c1")
    shop.call(84, 82, "POST http://orders:8002/orders", 201, span="c1", parent="s1")
    shop.access(85, 85, "POST /checkout", 201, span="s1")
    return told


def unknown_caller() -> Story:
    """A visit within the request whose caller has told of no call, as when a process is killed."""
    told = Story()
    shop, payments = told.process("shop-1"), told.process("payments-1")
    shop.log(1, "checkout begins", span="s1")
    payments.log(20, "charging", span="s3")
    payments.access(30, 15, "POST /charge", 200, span="s3", parent="gone")
    shop.call(60, 55, "POST http://orders.example/orders", None, span="c1", parent="s1", error={"type": "ReadError"})
    shop.access(61, 61, "POST /checkout", 502, span="s1")
    return told


def retry_storm() -> Story:
    """Shop tries orders three times, which tries payments three times at each."""
    told = Story()
    shop, orders = told.process("shop-1"), told.process("orders-1")
    refused = {"type": "ConnectError", "message": "connection refused"}
    for outer in range(3):
        begin, span = outer * 400 + 5, f"s2{outer}"
        for inner in range(3):
            at, call = begin + 100 * inner + 90, f"c2{outer}{inner}"
            orders.call(at, 80, "POST http://payments.example:8003/charge", None, span=call, parent=span, error=refused)
        orders.access(begin + 300, 298, "POST /orders", 502, span=span, parent=f"c1{outer}")
        shop.call(begin + 302, 301, "POST http://orders:8002/orders", 502, span=f"c1{outer}", parent="s1")
    shop.log(1110, "gave up", level="error", span="s1")
    shop.access(1112, 1112, "POST /checkout", 502, span="s1")
    return told


def retry_made_good() -> Story:
    """The third attempt succeeds."""
    told = Story()
    shop, payments = told.process("shop-1"), told.process("payments-1")
    for number, status in enumerate((503, 503, 200)):
        at = 300 * number + 10
        payments.access(at + 190, 180, "POST /charge", status, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 195, 190, "POST http://payments:8003/charge", status, span=f"c{number}", parent="s1")
    shop.access(820, 820, "POST /checkout", 201, span="s1")
    return told


def fan_out(*, at_once: int = 50) -> Story:
    """Fifty calls, the slowest of which determines the time; ``at_once`` of them at a time."""
    told = Story()
    shop, stock = told.process("shop-1"), told.process("stock-1", skew_ms=12)
    calls = []
    for number in range(50):
        begin = 5 + number // at_once * 30 + number % at_once * 0.5
        calls.append((begin + (1200 if number == 31 and at_once == 50 else 25), begin, number))
    for end, begin, number in sorted(calls):
        stock.access(end - 2, end - begin - 4, "GET /stock/{sku}", 200, span=f"s2{number}", parent=f"c{number}")
        what = f"GET http://stock:8005/stock/{number}"
        shop.call(end, end - begin, what, 200, span=f"c{number}", parent="s1")
    done = max(calls)[0] + 10
    shop.access(done, done, "GET /catalog", 200, span="s1")
    return told


def still_running() -> Story:
    """What is there of the failing checkout before the first answer, and nothing of shop's beginning."""
    told = failing_checkout()
    told.documents = told.documents[1:5]
    return told


def background_work() -> Story:
    """A mail in the process that answered, and a task that a worker took from a queue, which fails."""
    told = Story()
    shop, worker = told.process("shop-1"), told.process("worker-1", host="host-of-shop-1")
    shop.log(20, "order received", span="s1")
    shop.access(30, 30, "POST /orders", 202, span="s1")
    shop.log(2130, "receipt mailed", span="s1", logger="shop.mail")
    worker.log(5000, "invoicing", span="w1")
    worker.log(5100, "no such customer", level="error", span="w1", logger="billing.invoice")
    worker.access(5101, 102, "TASK invoice", None, span="w1", parent="s1", event={"reason": "failed"})
    return told


def two_requests_of_one_id() -> Story:
    """A client that sends the same X-Request-ID a minute later, to another node."""
    told = Story()
    one, two = told.process("shop-1"), told.process("shop-2")
    one.log(2, "cart shown", span="s1", trace={"id": "1" * 32})
    one.access(12, 12, "GET /cart", 200, span="s1", trace={"id": "1" * 32})
    two.log(61_005, "no such cart", level="error", span="s2", trace={"id": "2" * 32})
    two.access(61_008, 8, "GET /cart", 500, span="s2", trace={"id": "2" * 32})
    return told


def cyclic_parents() -> Story:
    """Two visits that each say the other called them."""
    told = Story()
    a, b = told.process("shop-1"), told.process("orders-1")
    a.log(1, "first", span="s1")
    b.log(2, "second", span="s2")
    a.call(4, 2.5, "GET http://orders:8002/b", 200, span="c1", parent="s1")
    b.call(5, 2.5, "GET http://shop:8001/a", 200, span="c2", parent="s2")
    a.access(6, 6, "GET /a", 200, span="s1", parent="c2")
    b.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    return told


def absurd_times() -> Story:
    """Times of other millennia, times that are none, and none."""
    told = Story()
    shop = told.process("shop-1")
    shop.log(1, "begin", span="s1")
    shop.log(2, "in the year 9999", span="s1", **{"@timestamp": "9999-12-31T23:59:59.999999999Z"})
    shop.log(3, "in 1970", span="s1", **{"@timestamp": "1970-01-01T00:00:00Z"})
    shop.log(4, "at noon", span="s1", **{"@timestamp": "noon"})
    shop.log(5, "at no time", span="s1", **{"@timestamp": None})
    shop.access(90, 90, "GET /cart", 200, span="s1")
    return told


def handled_error() -> Story:
    """Recommendations fail and the page does without; then the order fails for another reason."""
    told = Story()
    shop, hints, orders = told.process("shop-1"), told.process("hints-1"), told.process("orders-1")
    hints.log(5, "model gone", level="error", span="s2", error={"type": "FileNotFoundError", "message": "model.bin"})
    hints.access(6, 4, "GET /hints", 200, span="s2", parent="c1")
    shop.call(8, 7, "GET http://hints:8009/hints", 200, span="c1", parent="s1")
    orders.log(40, "stock is negative", level="error", span="s3", logger="orders.stock")
    orders.access(41, 30, "POST /orders", 500, span="s3", parent="c2")
    shop.call(43, 33, "POST http://orders:8002/orders", 500, span="c2", parent="s1")
    shop.access(45, 45, "POST /checkout", 502, span="s1")
    return told


def through_another_tracer() -> Story:
    """Orders has spans of OpenTelemetry around its answer and its call, billing nothing else; the others have ours."""
    told = Story()
    shop, orders = told.process("shop-1"), told.process("orders-1", skew_ms=5000)
    billing, payments = told.process("billing-1", skew_ms=-5000), told.process("payments-1")
    shop.log(1, "checkout begins", span="s1")
    orders.log(12, "placing", span="o2")
    billing.log(25, "billing", span="b1")
    payments.log(41, "declined", level="error", span="s4", logger="payments.client")
    payments.access(44, 10, "POST /charge", 500, span="s4", parent="b2")
    billing.span(46, 16, "POST", "client", False, span="b2", parent="b1", clusterlog={"call": {"status_code": 500}})
    billing.span(48, 24, "POST /bills", "server", False, span="b1", parent="o3")
    orders.span(52, 32, "POST", "client", False, span="o3", parent="o2", clusterlog={"call": {"status_code": 500}})
    orders.span(54, 43, "place", "internal", False, span="o2", parent="s2")
    orders.access(55, 45, "POST /orders", 502, span="s2", parent="o1")
    orders.span(56, 48, "POST /orders", "server", False, span="o1", parent="c1")
    shop.call(60, 57, "POST http://orders:8002/orders", 502, span="c1", parent="s1")
    shop.access(62, 62, "POST /checkout", 502, span="s1")
    return told


def client_left() -> Story:
    """The client goes before it has its answer, and the work it asked for goes on."""
    told = Story()
    shop = told.process("shop-1")
    shop.log(3, "building the report", span="s1")
    shop.access(1500, 1500, "GET /report", None, span="s1", event={"reason": "client disconnected"})
    shop.step(4200, 4195, "build report", span="p1", parent="s1")
    return told


def many_events(count: int = 10_000) -> Story:
    """About ``count`` events of ten nodes: visits one after another with lines, steps and calls of their own."""
    told = Story()
    shop, bank = told.process("shop-1"), told.process("bank-1")
    nodes = [told.process(f"orders-{number}", skew_ms=number * 1000) for number in range(8)]
    shop.log(0.5, "begin", span="s1")
    begin = 1.0
    for number in range((count - 2) * 5 // 27):
        node, visit, call = nodes[number % 8], f"v{number}", f"c{number}"
        node.log(begin + 0.2, "reserving", span=visit)
        node.step(begin + 0.5, 0.3, "reserve", span=f"p{number}", parent=visit)
        if number % 5 == 0:
            bank.access(begin + 0.8, 0.2, "POST /charge", 200, span=f"b{number}", parent=f"d{number}")
            node.call(begin + 0.9, 0.4, "POST http://bank:80/charge", 200, span=f"d{number}", parent=visit)
        node.log(begin + 1, "reserved", span=visit)
        node.access(begin + 1.2, 1.1, "PUT /stock/{sku}", 200, span=visit, parent=call)
        shop.call(begin + 1.3, 1.3, f"PUT http://orders:80/stock/{number}", 200, span=call, parent="s1")
        begin += 1.4
    shop.access(begin + 1, begin + 1, "POST /import", 200, span="s1")
    return told


PLANTED = {
    "clock-ahead": partial(clocks_apart, orders_ms=5000, payments_ms=0),
    "clock-behind": partial(clocks_apart, orders_ms=0, payments_ms=-7000),
    "clock-set-meanwhile": clock_set_meanwhile,
    "clock-known-from-one-side": clock_known_from_one_side,
    "lost-hop": lost_hop,
    "unknown-caller": unknown_caller,
    "retry-storm": retry_storm,
    "retry-made-good": retry_made_good,
    "fan-out-of-50": fan_out,
    "fan-out-of-50-one-after-another": partial(fan_out, at_once=1),
    "still-running": still_running,
    "background-work": background_work,
    "two-requests-of-one-id": two_requests_of_one_id,
    "cyclic-parents": cyclic_parents,
    "absurd-times": absurd_times,
    "handled-error": handled_error,
    "through-another-tracer": through_another_tracer,
    "client-left": client_left,
}
"""Requests with one trouble each, or several of one kind."""
