"""The shop of `clusterlog demo`, as it stands behind a balancer: its sessions are kept in Redis."""

from __future__ import annotations

import os

from redis.asyncio import Redis
from sessions import Sessions
from starlette.requests import Request
from starlette.responses import JSONResponse

from clusterlog.cli.demo.services.shop import HERE, app


async def session(request: Request) -> JSONResponse:
    """What is known of the visitor: how often they came, and who answered last."""
    return JSONResponse(request.scope["session"])


app.add_route("/session", session)
app.add_middleware(
    Sessions,
    kept=Redis.from_url(os.environ["REDIS_URL"], socket_timeout=1.0, socket_connect_timeout=1.0),
    node=HERE.node,
)
