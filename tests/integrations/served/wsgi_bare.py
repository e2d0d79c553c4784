"""The endpoints of the contract as a bare WSGI application."""

import os

import clusterlog

clusterlog.start("bare")
log = clusterlog.get_logger("shop.bare")
FILE = os.environ["SERVED_FILE"]


def serve(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    log.info("in " + name)
    clusterlog.annotate(endpoint=name)
    return ENDPOINTS[name](environ, start_response)


def answer(start_response, body, status="200 OK", headers=()):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]


def plain(environ, start_response):
    return answer(start_response, b"hello")


def unhandled(environ, start_response):
    raise LookupError("nobody handles this")


def handled(environ, start_response):
    return answer(start_response, b"bad gateway", "502 Bad Gateway")


def missing(environ, start_response):
    return answer(start_response, b"not found", "404 Not Found")


def own(environ, start_response):
    return answer(start_response, b"own", "200 OK", [("X-Request-ID", "the-applications-own")])


def streamed(environ, start_response):
    # A generator: nothing of it runs before the server asks, not even this.
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(3):
        log.info("streaming")
        yield b"%d" % number * 10


def broken(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"half"
    raise LookupError("after the half")


def begun(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    raise LookupError("after start_response")


def late(environ, start_response):
    log.info("the server asks")
    raise LookupError("before the first piece")
    yield b""


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(os.path.getsize(FILE)))])
    return environ["wsgi.file_wrapper"](open(FILE, "rb"))


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    write(b"writ")
    return [b"ten"]


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"x" * 65536 for _ in range(10_000))


ENDPOINTS = {
    each.__name__: each
    for each in (plain, unhandled, handled, missing, own, streamed, broken, begun, late, file, written, endless)
}
app = clusterlog.instrument(serve)
assert clusterlog.instrument(app) is app
