"""A program that starts its own uvicorn, which configures logging after the application was instrumented."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import clusterlog

clusterlog.start("own")


async def plain(request):
    clusterlog.get_logger("shop").info("in plain")
    return PlainTextResponse("hello")


def unhandled(request):
    raise LookupError("nobody")


app = clusterlog.instrument(Starlette(routes=[Route("/plain", plain), Route("/unhandled", unhandled)]))
if __name__ == "__main__":
    named = {"lifespan": sys.argv[2]} if len(sys.argv) > 2 else {}
    uvicorn.run(app, port=int(sys.argv[1]), **named)
