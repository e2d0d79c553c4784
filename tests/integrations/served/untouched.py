"""Two applications that know nothing of clusterlog, and a program around one of them that does."""

import logging


def wsgi(environ, start_response):
    logging.getLogger("shop").warning("in wsgi")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    logging.getLogger("shop").warning("in asgi")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


if __name__ == "__main__":
    import sys

    import clusterlog
    from clusterlog.integrations import everything

    clusterlog.start("untouched")
    everything()
    import uvicorn

    uvicorn.run("untouched:asgi", port=int(sys.argv[1]))
