"""The endpoints of the contract as a bare ASGI application."""

import asyncio
import os
from urllib.parse import parse_qs

import clusterlog

clusterlog.start("bare")
log = clusterlog.get_logger("shop.bare")
FILE = os.environ["SERVED_FILE"]


async def serve(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    name = scope["path"].strip("/").split("/")[0]
    log.info("in " + name)
    clusterlog.annotate(endpoint=name)
    await ENDPOINTS[name](scope, receive, send)


async def start(send, status=200, headers=()):
    head = [(b"content-type", b"text/plain"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})


async def answer(send, body, status=200, headers=()):
    await start(send, status, [(b"content-length", b"%d" % len(body)), *headers])
    await send({"type": "http.response.body", "body": body})


async def plain(scope, receive, send):
    await answer(send, b"hello")


async def unhandled(scope, receive, send):
    raise LookupError("nobody handles this")


async def handled(scope, receive, send):
    await answer(send, b"bad gateway", 502)


async def missing(scope, receive, send):
    await answer(send, b"not found", 404)


async def own(scope, receive, send):
    await answer(send, b"own", 200, [(b"X-Request-ID", b"the-applications-own")])


async def streamed(scope, receive, send):
    await start(send)
    for number in range(3):
        log.info("streaming")
        await send({"type": "http.response.body", "body": b"%d" % number * 10, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def broken(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise LookupError("after the half")


async def file(scope, receive, send):
    with open(FILE, "rb") as opened:
        await answer(send, opened.read())


async def endless(scope, receive, send):
    await start(send)
    for _ in range(10_000):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def silent(scope, receive, send):
    log.info("returns without an answer")


async def after(scope, receive, send):
    await answer(send, b"first")
    clusterlog.annotate(late=parse_qs(scope["query_string"].decode()).get("q"))
    log.info("after the answer")


ENDPOINTS = {
    each.__name__: each
    for each in (plain, unhandled, handled, missing, own, streamed, broken, file, endless, silent, after)
}
app = clusterlog.instrument(serve)
assert clusterlog.instrument(app) is app
