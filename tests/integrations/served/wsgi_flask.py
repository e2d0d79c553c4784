"""The endpoints of the contract in Flask."""

import os

from flask import Flask, Response, send_file

import clusterlog

clusterlog.start("orders")
log = clusterlog.get_logger("orders.stock")
app = Flask("orders.app")


def said(name):
    log.info("in " + name)
    clusterlog.annotate(endpoint=name)


@app.get("/plain")
def plain():
    said("plain")
    return "hello"


@app.get("/unhandled")
def unhandled():
    said("unhandled")
    raise LookupError("nobody handles this")


@app.get("/handled")
def handled():
    said("handled")
    raise TimeoutError("the other side")


@app.errorhandler(TimeoutError)
def bad_gateway(error):
    return "bad gateway", 502


@app.get("/missing")
def missing():
    said("missing")
    return "not found", 404


@app.get("/own")
def own():
    said("own")
    return "own", 200, {"X-Request-ID": "the-applications-own"}


@app.get("/streamed")
def streamed():
    said("streamed")

    def body():
        for number in range(3):
            log.info("streaming")
            yield b"%d" % number * 10

    return Response(body())


@app.get("/broken")
def broken():
    said("broken")

    def body():
        yield b"half"
        raise LookupError("after the half")

    return Response(body())


@app.get("/file")
def file():
    said("file")
    return send_file(os.environ["SERVED_FILE"])


@app.get("/endless")
def endless():
    said("endless")
    return Response(b"x" * 65536 for _ in range(10_000))


@app.get("/items/<int:number>")
def item(number):
    said("item")
    return str(number)


assert clusterlog.instrument(app) is app
assert clusterlog.instrument(app) is app
