"""The WSGI middleware by itself: what PEP 3333 allows applications and servers, and what becomes of the request."""

from __future__ import annotations

import asyncio
import io
import logging
from concurrent.futures import ThreadPoolExecutor
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

import clusterlog
from clusterlog.context import request as context

PLAIN = [("Content-Type", "text/plain")]
log = logging.getLogger("shop")


def environ(path="/a", **changes):
    """An environ as a server on this machine makes it."""
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **changes}


class Server:
    """Does with one request what gunicorn does; the pieces it has sent, and what came out of the application."""

    def __init__(self, app, given=None, *, fails_after=None, takes=None, asks_for_close=True):
        self.answers, self.sent, self.raised, self.returned = [], [], None, None
        self._headers_sent = False
        given = environ() if given is None else given
        try:
            self.returned = clusterlog.instrument(app)(given, self.start_response)
            try:
                self._deliver(fails_after, takes)
            finally:
                if asks_for_close and hasattr(self.returned, "close"):
                    self.returned.close()
        except Exception as error:
            self.raised = error

    def _deliver(self, fails_after, takes):
        for number, piece in enumerate(self.returned):
            self.write(piece)
            if number + 1 == fails_after:
                raise BrokenPipeError("the client has gone")
            if number + 1 == takes:
                break

    def start_response(self, status, headers, exc_info=None):
        if exc_info and self._headers_sent:
            raise exc_info[1]
        self.answers.append((status, headers))
        return self.write

    def write(self, data):
        assert self.answers
        self._headers_sent = True
        self.sent.append(data)

    @property
    def ids(self):
        return [value for name, value in self.answers[-1][1] if name == "X-Request-ID"]


def answering(*pieces, status="200 OK", headers=PLAIN):
    """An application that returns these pieces as a list."""

    def app(environ, start_response):
        start_response(status, headers)
        return list(pieces)

    return app


def test_the_header_is_added_to_a_list_of_our_own(started):
    headers = list(PLAIN)
    server = Server(answering(b"hello", headers=headers))
    assert headers == PLAIN
    ((status, sent),) = server.answers
    assert (status, sent[:-1]) == ("200 OK", PLAIN)
    assert server.ids == [started()["access"][0]["http"]["request"]["id"]]


def test_the_applications_own_header_gives_way(started):
    assert len(Server(answering(b"", headers=[("x-request-id", "theirs")])).ids) == 1


def test_a_correct_application_behind_a_correct_server_stays_correct(started):
    """Judged by the standard library's validator, on both sides of the middleware."""
    inner = clusterlog.instrument(validator(answering(b"hello")))
    given = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/a", "QUERY_STRING": "", "SERVER_NAME": "here",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.multithread": False,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    returned = validator(inner)(given, lambda status, headers, exc_info=None: lambda data: None)
    assert list(returned) == [b"hello"]
    returned.close()
    assert len(started()["access"]) == 1


def test_the_event_is_told_when_the_body_is_closed(started):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"one"
        log.warning("between")
        yield b"two"

    returned = clusterlog.instrument(app)(environ(), lambda *given: None)
    assert list(returned) == [b"one", b"two"]
    assert not started()["access"]
    returned.close()
    assert started()["access"][0]["http"]["response"]["body"]["bytes"] == 6
    assert started()["app"][0]["http"] == {"request": {"id": started()["access"][0]["http"]["request"]["id"]}}


def test_after_the_close_the_thread_works_for_nobody(started):
    Server(answering(b"hello"))
    assert clusterlog.request_id() is None


def test_after_the_close_whoever_called_it_in_the_same_thread_is_himself_again(started):
    """A test, or an application that calls another one."""
    clusterlog.bind(mine=1)
    Server(answering(b"hello"))
    log.warning("afterwards")
    assert started()["app"][0]["labels"] == {"mine": 1}

    def outer(environ, start_response):
        before = clusterlog.request_id()
        Server(answering(b"hello"))
        assert clusterlog.request_id() == before
        return answering(b"")(environ, start_response)

    assert Server(outer).raised is None


def test_the_body_that_was_returned_is_closed_once(started):
    closed = []

    class Body(list):
        def close(self):
            closed.append(clusterlog.request_id())

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return Body([b"hello"])

    Server(app)
    assert closed == [started()["access"][0]["http"]["request"]["id"]]


def test_a_failing_close_is_the_servers_to_see_and_the_event_is_told(started):
    class Body(list):
        def close(self):
            raise LookupError("while closing")

    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return Body([b"hello"])

    assert isinstance(Server(app).raised, LookupError)
    event = started()["access"][0]
    assert event["error"]["message"] == "while closing"
    assert event["event"]["outcome"] == "failure"


def test_a_server_that_asks_for_the_length_of_a_list_is_told_it(started):
    """wsgiref makes a Content-Length of it."""
    returned = clusterlog.instrument(answering(b"hello"))(environ(), lambda *given: None)
    assert len(returned) == 1
    returned.close()
    returned = clusterlog.instrument(lambda environ, start: (start("200 OK", PLAIN), iter(()))[1])(
        environ(), lambda *given: None
    )
    assert returned
    with pytest.raises(TypeError):
        len(returned)
    returned.close()


class TestFileWrapper:
    def app(self, environ, start_response):
        start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    def test_it_goes_to_the_server_as_it_is_and_ends_when_it_is_closed(self, started):
        given = environ(**{"wsgi.file_wrapper": FileWrapper})
        server = Server(self.app, given)
        assert type(server.returned) is FileWrapper
        assert server.returned.filelike.closed
        (event,) = started()["access"]
        assert event["http"]["response"] == {"status_code": 200, "body": {"bytes": 4}}
        assert clusterlog.request_id() is None

    def test_one_that_takes_no_attribute_is_told_at_once(self, started):
        class Native:
            __slots__ = ("filelike",)

            def __init__(self, filelike):
                self.filelike = filelike

            def __iter__(self):
                return iter([self.filelike.read()])

        Server(self.app, environ(**{"wsgi.file_wrapper": Native}))
        assert len(started()["access"]) == 1

    def test_a_client_that_leaves_it_has_no_status(self, started):
        Server(self.app, environ(**{"wsgi.file_wrapper": FileWrapper}), fails_after=1)
        assert started()["access"][0]["event"]["reason"] == "client disconnected"


class TestRaising:
    def test_the_client_gets_a_500_with_the_id_and_then_the_server_the_exception(self, started):
        error = LookupError("nobody")

        def app(environ, start_response):
            raise error

        server = Server(app)
        assert server.raised is error
        assert server.answers[0][0] == "500 Internal Server Error"
        (event,) = started()["access"]
        assert server.ids == [event["http"]["request"]["id"]]
        assert event["http"]["response"]["body"]["bytes"] == len(b"".join(server.sent))
        assert event["error"]["message"] == "nobody"

    def test_an_answer_that_was_begun_is_replaced_before_the_server_knows_of_it(self, started):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            raise LookupError("nobody")

        server = Server(app)
        assert [status for status, _ in server.answers] == ["500 Internal Server Error"]

    def test_a_generator_that_raises_before_its_first_piece_is_no_different(self, started):
        def app(environ, start_response):
            start_response("200 OK", PLAIN)
            raise LookupError("nobody")
            yield b""

        server = Server(app)
        assert [status for status, _ in server.answers] == ["500 Internal Server Error"]
        assert isinstance(server.raised, LookupError)
        assert len(started()["access"]) == 1

    def test_the_event_is_told_at_once_and_the_id_stays_for_the_servers_line(self, started):
        def app(environ, start_response):
            raise LookupError("nobody")

        server = Server(app)
        (event,) = started()["access"]
        assert clusterlog.request_id() == event["http"]["request"]["id"]
        assert server.ids[0] == event["http"]["request"]["id"]
        Server(answering(b"the next one"))
        assert clusterlog.request_id() is None

    def test_the_request_is_over(self, started):
        requests = []

        def app(environ, start_response):
            requests.append(context.request())
            raise LookupError("nobody")

        Server(app)
        assert requests[0].ended is not None

    def test_in_the_middle_of_a_body_nothing_is_added(self, started):
        def app(environ, start_response):
            start_response("200 OK", PLAIN)
            yield b"half"
            raise LookupError("nobody")

        server = Server(app)
        assert server.sent == [b"half"]
        (event,) = started()["access"]
        assert event["http"]["response"] == {"status_code": 200, "body": {"bytes": 4}}
        assert event["event"]["outcome"] == "failure"
        assert clusterlog.request_id() == event["http"]["request"]["id"]

    def test_a_worker_that_is_told_to_stop_stops(self, started):
        def app(environ, start_response):
            raise SystemExit(1)

        with pytest.raises(SystemExit):
            clusterlog.instrument(app)(environ(), lambda *given: None)
        assert started()["access"][0]["http"]["response"]["status_code"] == 500

    def test_headers_that_the_server_refuses_are_its_to_complain_about(self, started):
        closed = []

        class Body(list):
            def close(self):
                closed.append(True)

        def app(environ, start_response):
            start_response("200 OK", [("Bad Header", "x")])
            return Body([b"hello"])

        def refuse(status, headers, exc_info=None):
            raise ValueError("bad header")

        with pytest.raises(ValueError, match="bad header"):
            clusterlog.instrument(app)(environ(), refuse)
        assert closed
        assert len(started()["access"]) == 1

    def test_head_gets_no_body_with_its_500(self, started):
        def app(environ, start_response):
            raise LookupError("nobody")

        assert b"".join(Server(app, environ(REQUEST_METHOD="HEAD")).sent) == b""


class TestLeaving:
    def test_a_client_that_leaves_in_the_middle_has_no_status(self, started):
        server = Server(answering(b"one", b"two", b"three"), fails_after=2)
        assert isinstance(server.raised, BrokenPipeError)
        (event,) = started()["access"]
        assert event["message"] == "GET /a aborted"
        assert event["event"]["reason"] == "client disconnected"
        assert event["http"]["response"] == {"body": {"bytes": 6}}
        assert clusterlog.request_id() is None

    def test_the_last_piece_counts_as_well(self, started):
        Server(answering(b"hello", headers=[*PLAIN, ("Content-Length", "5")]), fails_after=1)
        assert started()["access"][0]["event"]["reason"] == "client disconnected"

    def test_a_server_that_has_all_it_was_promised_need_not_ask_for_the_end(self, started):
        Server(answering(b"hello", headers=[*PLAIN, ("Content-Length", "5")]), takes=1)
        assert started()["access"][0]["event"]["outcome"] == "success"

    def test_a_server_that_stops_asking_has_lost_its_client(self, started):
        Server(answering(b"one", b"two"), takes=1)
        assert started()["access"][0]["event"]["reason"] == "client disconnected"


def test_write_sends_before_the_body_and_is_counted(started):
    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"writ")
        return [b"ten"]

    server = Server(app)
    assert server.sent == [b"writ", b"ten"]
    assert len(server.answers) == 1
    assert started()["access"][0]["http"]["response"]["body"]["bytes"] == 7


def test_an_answer_may_be_replaced_with_exc_info_until_it_has_begun(started):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        try:
            raise LookupError("nobody")
        except LookupError as error:
            start_response("503 Service Unavailable", PLAIN, (type(error), error, error.__traceback__))
        return [b"sorry"]

    assert [status for status, _ in Server(app).answers] == ["503 Service Unavailable"]
    assert started()["access"][0]["http"]["response"]["status_code"] == 503


def test_a_second_answer_without_exc_info_is_the_applications_mistake(started):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        with pytest.raises(AssertionError, match="second time"):
            start_response("200 OK", PLAIN)
        return []

    assert Server(app).raised is None


def test_two_middlewares_are_one(started):
    inner = clusterlog.instrument(answering(b"hello"))

    def between(environ, start_response):
        return inner(dict(environ), start_response)

    Server(between)
    assert len(started()["access"]) == 1


def test_a_wsgi_application_inside_an_asgi_one_answers_the_same_request(started):
    """Mounted in FastAPI, say, in a thread that the context was carried to."""
    inner = clusterlog.instrument(answering(b"hello"))

    def mounted():
        returned = inner(environ(), lambda *given: None)
        body = b"".join(returned)
        getattr(returned, "close", list)()
        return body

    async def app(scope, receive, send):
        with ThreadPoolExecutor(1) as pool:
            body = await asyncio.get_running_loop().run_in_executor(pool, mounted)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def send(message):
        return None

    scope = {"type": "http", "method": "GET", "path": "/outer", "headers": [], "client": None}
    asyncio.run(clusterlog.instrument(app)(scope, None, send))
    assert started()["access"].messages == ["GET /outer 200"]


def test_a_request_that_was_never_closed_does_not_swallow_the_next_one(started):
    Server(answering(b"never closed"), asks_for_close=False)
    Server(answering(b"hello"), environ("/b"))
    assert started()["access"].messages == ["GET /b 200"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"PATH_INFO": "/caf\xc3\xa9"}, "/café"),
        ({"SCRIPT_NAME": "/shop", "PATH_INFO": "/a"}, "/shop/a"),
        ({"PATH_INFO": "/\xff"}, "/\ufffd"),
        ({"PATH_INFO": ""}, ""),
        ({"PATH_INFO": "/\u20ac"}, "/€"),
    ],
)
def test_the_path_is_read_as_the_bytes_it_was(started, given, path):
    Server(answering(b""), environ(**given))
    assert started()["access"][0]["url"]["path"] == path


@pytest.mark.parametrize(("peer", "believed"), [("127.0.0.1", True), ("", True), ("203.0.113.9", False)])
def test_the_ids_of_a_peer_are_believed_as_far_as_it_is_trusted(started, peer, believed):
    given = environ(REMOTE_ADDR=peer, HTTP_X_REQUEST_ID="theirs", HTTP_TRACEPARENT=f"00-{'ab' * 16}-{'cd' * 8}-01")
    server = Server(answering(b""), given)
    event = started()["access"][0]
    assert (server.ids == ["theirs"]) is believed
    assert (event["trace"]["id"] == "ab" * 16) is believed
    assert ("client" in event["clusterlog"]) is not believed


def test_two_traceparents_that_a_server_has_joined_are_none(started):
    one = f"00-{'ab' * 16}-{'cd' * 8}-01"
    Server(answering(b""), environ(HTTP_TRACEPARENT=f"{one},{one}"))
    assert started()["access"][0]["trace"]["id"] != "ab" * 16


def test_an_environ_without_anything_is_served_all_the_same(started):
    server = Server(answering(b"hello"), {})
    assert server.raised is None
    assert len(started()["access"]) == 1


def test_without_start_there_is_an_id_and_no_event():
    context.leave()
    assert len(Server(answering(b"hello")).ids[0]) == 32
