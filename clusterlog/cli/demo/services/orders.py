"""The orders: stock, and whether a customer's money came. Flask on gunicorn; calls the payments by requests.

It logs by the standard library, as most applications do, and is traced by OpenTelemetry's own SDK: the spans of its
code are spans of that. clusterlog joins it at ``start``.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import clusterlog
from clusterlog.cli.demo.services.hop import TICKET, Counted, Hop, surroundings

TIMEOUT_S = 15.0
WAREHOUSES = {"near": 0.002, "far": 0.7}
"""How long each of them takes to answer, in seconds."""

STATES = ("packed", "on its way", "delivered")

trace.set_tracer_provider(TracerProvider())
TRACER = trace.get_tracer("orders")
clusterlog.start("orders")
clusterlog.instrument("requests")
LOG = logging.getLogger("orders.stock")
HERE = surroundings()
POOL = ThreadPoolExecutor(8, "stock")

app = Flask(__name__)
clusterlog.instrument(app)


@app.get("/orders/<int:number>")
def status(number: int) -> ResponseReturnValue:
    """How far an order is."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        with hop.span(TRACER.start_as_current_span("look up order", attributes={"order": number})):
            log.debug("looking up order %d", number)
            state = STATES[number % len(STATES)]
        log.info("order %d is %s", number, state, extra={"order": number})
        return jsonify(order=number, state=state)


@app.post("/orders")
def place() -> ResponseReturnValue:
    """Reserve what was ordered, and have it paid."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        order: dict[str, Any] = request.get_json()
        if order["customer"]:
            clusterlog.annotate(user=order["customer"])
        number = order["number"]
        with hop.span(TRACER.start_as_current_span("reserve stock", attributes={"order": number})):
            _reserve(hop, log, order)
        with hop.span(TRACER.start_as_current_span("take payment", attributes={"order": number})) as span:
            answer = _charged(hop, order)
            if not answer.ok:
                span.set_status(trace.StatusCode.ERROR, f"the payments answered {answer.status_code}")
        if not answer.ok:
            log.error("payment of order %d failed, stock released", number, extra={"status": answer.status_code})
            return jsonify(error="not paid", order=number), 502
        log.info("order %d paid", number, extra={"order": number})
        return jsonify(order=number, receipt=answer.json()["receipt"]), 201


def _charged(hop: Hop, order: dict[str, Any]) -> requests.Response:
    node, url = next(iter(HERE.peers.items()))
    charge = {key: order[key] for key in ("number", "customer", "total", "card")}
    return requests.post(f"{url}/charges", json=charge, timeout=TIMEOUT_S, headers=hop.calling(node))


def _reserve(hop: Hop, log: Counted, order: dict[str, Any]) -> None:
    """The warehouses are asked at once, each in a thread of the pool and in a span of its own."""
    names = sorted({"near", order["warehouse"]})
    asked = [POOL.submit(_count, hop, log, name, order["sku"]) for name in names]
    stock = sum(each.result() for each in asked)
    log.info("%d of %d %s reserved", order["quantity"], stock, order["sku"], extra={"warehouse": order["warehouse"]})


def _count(hop: Hop, log: Counted, warehouse: str, sku: str) -> int:
    """Runs in a thread of the pool."""
    with hop.span(TRACER.start_as_current_span(f"ask the {warehouse} warehouse", attributes={"sku": sku})):
        log.debug("asking the %s warehouse", warehouse)
        began = time.perf_counter()
        time.sleep(WAREHOUSES[warehouse])
        waited_ms = round((time.perf_counter() - began) * 1000)
        say = log.warning if waited_ms > 300 else log.info
        say("the %s warehouse counted %s in %d ms", warehouse, sku, waited_ms)
    return 40
