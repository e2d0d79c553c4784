"""All of it as one ASGI application: which path leads where, and which right it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from clusterlog.control.bus.hub.protocol import ROOT
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web.api import Api
from clusterlog.web.courtesies import Courtesies
from clusterlog.web.faults import ILLEGAL, UNAVAILABLE, Fault, complain, internal
from clusterlog.web.guard import Guard, needs
from clusterlog.web.hub.endpoint import Hub
from clusterlog.web.intake.endpoint import Bulk
from clusterlog.web.intake.events import Strangers
from clusterlog.web.intake.fates import Intake
from clusterlog.web.otlp.endpoint import Otlp
from clusterlog.web.tokens import RIGHTS, Right, Tokens

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of. ``names`` are the hosts it is asked by, see ``Guard``; ``node`` is its own.

    Without a ``hub`` there is none to be asked.
    """

    store: EmbeddedStore
    strangers: Strangers
    tokens: Tokens
    node: str
    names: Collection[str] = ()
    hub: Hub | None = None


def application(parts: Parts) -> ASGIApp:
    """The application."""
    intake = Intake(parts.store, parts.strangers)
    bulk, otlp, api = Bulk(intake), Otlp(intake), Api(parts.store)
    courtesies = Courtesies(parts.node, parts.store)
    both: tuple[Right, ...] = ("write", "read")

    def route(path: str, methods: str, endpoint: Endpoint, *rights: Right) -> Route:
        return Route(path, _answering(endpoint, rights), methods=methods.split())

    routes = [
        route("/_bulk", "POST PUT", bulk.answer, "write"),
        route("/{target}/_bulk", "POST PUT", bulk.answer, "write"),
        route("/v1/logs", "POST", otlp.logs, "write"),
        route("/v1/traces", "POST", otlp.traces, "write"),
        route("/_refresh", "GET POST", courtesies.refresh, *both),
        route("/{target}/_refresh", "GET POST", courtesies.refresh, *both),
        route("/api/v1/search", "POST", api.search, "read"),
        route("/api/v1/count", "POST", api.count, "read"),
        route("/api/v1/sequences/{instance}", "GET", api.sequences, "read"),
        route("/api/v1/audit", "GET", api.audit, "read"),
        route("/", "GET", courtesies.root, *RIGHTS),
        route("/_license", "GET", courtesies.license, *RIGHTS),
        route("/_cluster/health", "GET", courtesies.health, *RIGHTS),
        route("/_nodes/_local", "GET", courtesies.node, *RIGHTS),
    ]
    if (hub := parts.hub) is not None:
        routes += [
            route(f"{ROOT}/document", "GET", hub.document, "control"),
            route(f"{ROOT}/document", "PUT", hub.write, "control"),
            route(f"{ROOT}/leases", "GET", hub.leases, "control"),
            route(f"{ROOT}/leases", "PUT", hub.lease, "control"),
            route(f"{ROOT}/leases", "DELETE", hub.release, "control"),
            route(f"{ROOT}/leased", "GET", hub.leased, "control"),
            route(f"{ROOT}/messages", "POST", hub.send, "control"),
            route(f"{ROOT}/notices", "GET", hub.notices, "control"),
        ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_thing})
    app.router.redirect_slashes = False
    return Guard(app, parts.tokens, parts.names)


def _answering(endpoint: Endpoint, rights: tuple[Right, ...]) -> Endpoint:
    """The endpoint behind its right; what it raises is an answer."""

    async def answered(request: Request) -> Response:
        try:
            needs(request.scope, *rights)
            return await endpoint(request)
        except Fault as fault:
            return fault.response()
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            complain(error)
            return Fault(500, UNAVAILABLE, internal()).response()

    return answered


def _no_such_thing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    where = f"{request.method} {request.url.path[:100]!a}"
    reason = f"no {where} here: clusterlog serve takes _bulk and answers /api/v1/search"
    headers = error.headers if isinstance(error, HTTPException) else None
    return Fault(status, ILLEGAL, reason, headers).response()
