"""The endpoints of the contract in Starlette, with a middleware of the kind that moves requests into other tasks."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

import clusterlog

clusterlog.start("shop")
log = clusterlog.get_logger("shop.api")


def said(name):
    log.info("in " + name)
    clusterlog.annotate(endpoint=name)


async def plain(request):
    said("plain")
    return PlainTextResponse("hello")


def unhandled(request):
    said("unhandled")
    raise LookupError("nobody handles this")


async def handled(request):
    said("handled")
    raise TimeoutError("the other side")


async def missing(request):
    said("missing")
    return PlainTextResponse("not found", 404)


async def own(request):
    said("own")
    return PlainTextResponse("own", headers={"X-Request-ID": "the-applications-own"})


async def streamed(request):
    said("streamed")

    async def body():
        for number in range(3):
            log.info("streaming")
            yield b"%d" % number * 10

    return StreamingResponse(body())


async def broken(request):
    said("broken")

    async def body():
        yield b"half"
        raise LookupError("after the half")

    return StreamingResponse(body())


async def file(request):
    said("file")
    return FileResponse(os.environ["SERVED_FILE"])


async def endless(request):
    said("endless")

    async def body():
        for _ in range(10_000):
            yield b"x" * 65536
            await asyncio.sleep(0)

    return StreamingResponse(body())


async def after(request):
    said("after")

    async def later():
        clusterlog.annotate(late=True)
        log.info("after the answer")

    return PlainTextResponse("first", background=BackgroundTask(later))


async def item(request):
    said("item")
    return PlainTextResponse(str(request.path_params["number"]))


async def socket(websocket):
    log.info("in socket")
    way = websocket.query_params.get("way", "")
    if way == "refused":
        await websocket.close()
        return
    if way == "unhandled":
        raise LookupError("before the handshake")
    await websocket.accept()
    clusterlog.annotate(said=await websocket.receive_text())
    if way == "broken":
        raise LookupError("after the handshake")
    if way == "waits":
        await websocket.receive_text()
    await websocket.close(4001 if way == "own" else 1000)


async def bad_gateway(request, error):
    return PlainTextResponse("bad gateway", 502)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


endpoints = [plain, unhandled, handled, missing, own, streamed, broken, file, endless, after]
app = Starlette(
    routes=[
        *[Route(f"/{each.__name__}", each) for each in endpoints],
        Mount("/shop", routes=[Route("/items/{number:int}", item)]),
        WebSocketRoute("/socket", socket),
    ],
    exception_handlers={TimeoutError: bad_gateway},
    middleware=[Middleware(Passing)] if os.environ.get("SERVED_PASSING") else [],
)
assert clusterlog.instrument(app) is app
assert clusterlog.instrument(app) is app
