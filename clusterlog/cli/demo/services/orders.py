"""The orders: stock, and whether a customer's money came. Flask on gunicorn; calls the payments by requests.

It logs by the standard library, as most applications do.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

import clusterlog
from clusterlog.cli.demo.services.hop import TICKET, Counted, Hop, surroundings

TIMEOUT_S = 15.0
WAREHOUSES = {"near": 0.002, "far": 0.4}
"""How long each of them takes to answer, in seconds."""

STATES = ("packed", "on its way", "delivered")

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
        with hop.step("reserve stock", order=number):
            _reserve(log, order)
        node, url = next(iter(HERE.peers.items()))
        charge = {key: order[key] for key in ("number", "customer", "total", "card")}
        answer = requests.post(f"{url}/charges", json=charge, timeout=TIMEOUT_S, headers=hop.calling(node))
        if not answer.ok:
            log.error("payment of order %d failed, stock released", number, extra={"status": answer.status_code})
            return jsonify(error="not paid", order=number), 502
        log.info("order %d paid", number, extra={"order": number})
        return jsonify(order=number, receipt=answer.json()["receipt"]), 201


def _reserve(log: Counted, order: dict[str, Any]) -> None:
    """The warehouses are asked at once, each in a thread of the pool."""
    asked = [POOL.submit(_count, log, name, order["sku"]) for name in sorted({"near", order["warehouse"]})]
    stock = sum(each.result() for each in asked)
    log.info("%d of %d %s reserved", order["quantity"], stock, order["sku"], extra={"warehouse": order["warehouse"]})


def _count(log: Counted, warehouse: str, sku: str) -> int:
    """Runs in a thread of the pool."""
    log.debug("asking the %s warehouse", warehouse)
    began = time.perf_counter()
    time.sleep(WAREHOUSES[warehouse])
    waited_ms = round((time.perf_counter() - began) * 1000)
    say = log.warning if waited_ms > 300 else log.info
    say("the %s warehouse counted %s in %d ms", warehouse, sku, waited_ms)
    return 40
