"""The payments: charges cards at the bank, which is not ours and does not always answer. Starlette on uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import clusterlog
from clusterlog.cli.demo.services.hop import TICKET, Hop, surroundings

PATIENCE_S = 1.5
"""How long the bank may take. It answers at once, or never."""

clusterlog.start("payments")
clusterlog.instrument("httpx")
LOG = clusterlog.get_logger("payments.client")
HERE = surroundings()
CLIENT = httpx.AsyncClient(timeout=PATIENCE_S, limits=httpx.Limits(max_keepalive_connections=0))


async def charge(request: Request) -> Response:
    """Charge a card."""
    with Hop(HERE, request.headers.get(TICKET)) as hop:
        log = hop.logger(LOG)
        asked = await request.json()
        if asked["customer"]:
            clusterlog.annotate(user=asked["customer"])
        number, total = asked["number"], asked["total"]
        log.info("charging %.2f", total, order=number)
        try:
            with hop.step("charge card", order=number):
                log.debug("connecting to the bank", url=HERE.peers["bank"], patience_s=PATIENCE_S)
                answer = await CLIENT.post(
                    f"{HERE.peers['bank']}/charge", json={"card": asked["card"]}, headers=hop.calling()
                )
        except httpx.TimeoutException:
            log.exception("the bank did not answer within %.1f s", PATIENCE_S, order=number)
            return JSONResponse({"error": "the bank did not answer"}, 504)
        log.debug("the bank answered", status=answer.status_code)
        log.info("order %d charged", number, total=total)
        return JSONResponse({"receipt": f"R-{number}"})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """uvicorn ends by the very signal it was sent, and so without exit handlers: the log is ended here."""
    yield
    clusterlog.stop()


app = Starlette(routes=[Route("/charges", charge, methods=["POST"])], lifespan=lifespan)
clusterlog.instrument(app)
