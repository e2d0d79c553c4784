"""The shop: what customers talk to. Starlette on uvicorn; calls the orders by httpx.

Work for a request runs in the event loop, in a pool of threads and, after the response, in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import clusterlog
from clusterlog.cli.demo.services.hop import TICKET, Counted, Hop, surroundings

PRICES = {"canoe": 489.0, "kayak": 319.5, "paddle": 39.9, "tent": 149.0, "lantern": 24.5}
TIMEOUT_S = 20.0

clusterlog.start("shop")
clusterlog.instrument("httpx")
LOG = clusterlog.get_logger("shop.api")
HERE = surroundings()
POOL = ThreadPoolExecutor(4, "pricing")
CLIENT = httpx.AsyncClient(timeout=TIMEOUT_S, limits=httpx.Limits(max_keepalive_connections=0))


async def catalog(request: Request) -> Response:
    """What there is to buy."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        _identify(request)
        log.debug("reading the catalog", source="memory")
        prices = await asyncio.get_running_loop().run_in_executor(POOL, _price_list, log)
        log.info("catalog shown", items=len(prices))
        return JSONResponse(prices)


async def status(request: Request) -> Response:
    """How far an order is: the orders know."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        _identify(request)
        number = request.path_params["number"]
        log.debug("asking for an order", order=number)
        node = _responsible(number)
        answer = await CLIENT.get(f"{HERE.peers[node]}/orders/{number}", headers=hop.calling(node))
        log.info("order status shown", order=number, status=answer.status_code)
        return JSONResponse(answer.json(), answer.status_code)


async def checkout(request: Request) -> Response:
    """Take an order: price it, place it, and write to the customer afterwards."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        customer = _identify(request)
        order = await request.json()
        number, sku, quantity = order["number"], order["sku"], order["quantity"]
        log.info("order received", order=number, sku=sku, quantity=quantity)
        total = await asyncio.get_running_loop().run_in_executor(POOL, _price, log, sku, quantity)
        node = _responsible(number)
        with hop.step("place order", order=number, on=node):
            answer = await CLIENT.post(
                f"{HERE.peers[node]}/orders",
                json={**order, "customer": customer, "total": total},
                headers=hop.calling(node),
            )
        if answer.is_success:
            log.info("order %s confirmed", number, total=total)
            return JSONResponse(answer.json(), 201, background=BackgroundTask(hop.later(_mail_receipt), log, number))
        log.error("order %s failed, cart kept", number, status=answer.status_code)
        told = {"error": "the order could not be placed", "order": number}
        return JSONResponse(told, 502, background=BackgroundTask(hop.later(_keep_cart), log, number))


def _identify(request: Request) -> str:
    """Who asks: known to every line of the request, and stored as a hash only."""
    customer = request.headers.get("X-User", "")
    if customer:
        clusterlog.annotate(user=customer)
    return customer


def _responsible(number: int) -> str:
    """The orders node that keeps an order: they are spread by number."""
    nodes = sorted(HERE.peers)
    return nodes[number % len(nodes)]


def _price_list(log: Counted) -> dict[str, float]:
    log.debug("pricing everything", items=len(PRICES))
    return dict(PRICES)


def _price(log: Counted, sku: str, quantity: int) -> float:
    """Runs in a thread of the pool."""
    total = round(PRICES[sku] * quantity, 2)
    log.debug("priced", sku=sku, unit=PRICES[sku])
    log.info("cart priced", total=total)
    return total


def _mail_receipt(log: Counted, number: int) -> None:
    """Runs after the response."""
    log.debug("rendering the receipt", order=number)
    log.info("receipt mailed", order=number)


def _keep_cart(log: Counted, number: int) -> None:
    log.info("cart kept for later", order=number)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """uvicorn ends by the very signal it was sent, and so without exit handlers: the log is ended here."""
    yield
    clusterlog.stop()


ROUTES = [
    Route("/catalog", catalog),
    Route("/orders/{number:int}", status),
    Route("/orders", checkout, methods=["POST"]),
]
app = Starlette(routes=ROUTES, lifespan=lifespan)
clusterlog.instrument(app)
