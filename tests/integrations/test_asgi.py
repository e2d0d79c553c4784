"""The ASGI middleware by itself: every message of the specification, and what servers and peers may do."""

from __future__ import annotations

import asyncio
import logging

import pytest

import clusterlog
from clusterlog.context import request as context
from clusterlog.context.request import Request

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"hello"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None}
CLOSE = {"type": "websocket.close", "code": 1000}
log = logging.getLogger("shop")


def http(path="/a", **changes):
    """A scope as a server on this machine makes it."""
    return {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("127.0.0.1", 5), **changes}


def websocket(**changes):
    return {**http(type="websocket"), "extensions": {"websocket.http.response": {}}, **changes}


class Server:
    """Runs one scope through an instrumented application; ``sent`` is what arrived, ``raised`` what came out."""

    def __init__(self, app, scope, received=(), fails=None):
        self.sent, self.raised = [], None
        self._received, self._fails = list(received), fails
        asyncio.run(self._run(clusterlog.instrument(app), scope))

    async def _run(self, app, scope):
        try:
            await app(scope, self._receive, self._send)
        except BaseException as error:
            self.raised = error

    async def _receive(self):
        return self._received.pop(0) if self._received else {"type": "http.disconnect"}

    async def _send(self, message):
        if self._fails is not None and message["type"] == self._fails:
            raise OSError("the peer has gone")
        self.sent.append(message)

    @property
    def id(self):
        headers = dict(self.sent[0]["headers"])
        return headers[b"x-request-id"].decode()


def sending(*messages, then=None):
    """An application that sends these."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app


def test_messages_pass_unchanged_but_for_the_header_and_the_applications_own_are_not_touched(started):
    start = {**START, "headers": [(b"content-type", b"text/plain")], "trailers": False}
    server = Server(sending(start, BODY), http())
    assert start["headers"] == [(b"content-type", b"text/plain")]
    assert server.sent[0] == {**start, "headers": [*start["headers"], (b"x-request-id", server.id.encode())]}
    assert server.sent[1] is BODY


@pytest.mark.parametrize("headers", [(), None, iter(()), [[b"x-request-id", b"theirs"], (b"X-Request-Id", b"other")]])
def test_whatever_form_the_headers_have_there_is_one_id(started, headers):
    server = Server(sending({**START, "headers": headers}, BODY), http())
    assert [name for name, _ in server.sent[0]["headers"]] == [b"x-request-id"]
    assert server.id == started()["access"][0]["http"]["request"]["id"]


def test_a_response_may_come_without_headers_at_all(started):
    server = Server(sending({"type": "http.response.start", "status": 204}, {"type": "http.response.body"}), http())
    assert server.id
    assert started()["access"][0]["http"]["response"] == {"status_code": 204, "body": {"bytes": 0}}


def test_an_informational_response_is_not_the_answer(started):
    early = {"type": "http.response.start", "status": 103, "headers": [(b"link", b"</a.css>")]}
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>"]}
    server = Server(sending(early, hint, {**START, "status": 201}, BODY), http())
    assert server.sent[:2] == [early, hint]
    event = started()["access"]
    assert len(event) == 1
    assert event[0]["http"]["response"]["status_code"] == 201


def test_a_file_that_the_server_sends_by_its_path_ends_the_answer(started, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1234)
    sent = {"type": "http.response.pathsend", "path": str(tmp_path / "file")}
    server = Server(sending(START, sent), http())
    assert server.sent[1] is sent
    assert started()["access"][0]["http"]["response"]["body"]["bytes"] == 1234
    Server(sending(START, {**sent, "path": "/nowhere"}), http())
    assert "body" not in started()["access"][1]["http"]["response"]


def test_a_file_that_is_sent_by_its_number_is_counted_where_its_length_is_told(started):
    piece = {"type": "http.response.zerocopysend", "file": 3, "count": 40, "more_body": True}
    Server(sending(START, piece, {**piece, "more_body": False}), http())
    Server(sending(START, {"type": "http.response.zerocopysend", "file": 3}, BODY), http())
    told = [event["http"]["response"] for event in started()["access"]]
    assert told == [{"status_code": 200, "body": {"bytes": 80}}, {"status_code": 200}]


def test_an_answer_with_trailers_ends_with_them(started):
    order = []

    async def app(scope, receive, send):
        for message in ({**START, "trailers": True}, BODY, {"type": "http.response.trailers", "headers": []}):
            await send(message)
            order.append(len(started()["access"]))

    Server(app, http())
    assert order == [0, 0, 1]


def test_a_head_request_counts_no_body_though_the_application_makes_one(started):
    Server(sending(START, BODY), http(method="HEAD"))
    assert started()["access"][0]["http"]["response"]["body"]["bytes"] == 0


def test_lifespan_is_none_of_our_business(started):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))
        raise RuntimeError("no lifespan here")

    scope = {"type": "lifespan"}
    server = Server(app, scope)
    assert isinstance(server.raised, RuntimeError)
    assert seen[0][0] is scope
    assert scope == {"type": "lifespan"}
    assert not server.sent
    assert not started()["access"]


def test_two_middlewares_are_one(started):
    inner = clusterlog.instrument(sending(START, BODY))

    async def between(scope, receive, send):
        await inner(dict(scope), receive, send)

    server = Server(between, http())
    assert len(started()["access"]) == 1
    assert server.id == started()["access"][0]["http"]["request"]["id"]


def test_a_task_that_inherits_the_context_of_the_last_request_begins_a_new_one(started):
    """python/cpython#140947: on a kept-alive connection."""
    ids = []

    async def app(scope, receive, send):
        ids.append(clusterlog.request_id())
        clusterlog.bind(left="over")
        await sending(START, BODY)(scope, receive, send)

    context.enter(Request("the-last-one", "ab" * 16, "cd" * 8), left="over")
    for _ in range(2):
        Server(app, http())
    assert len({*ids, "the-last-one"}) == 3
    assert [event.get("labels") for event in started()["access"]] == [None, None]


def test_the_context_stays_for_what_the_server_says_afterwards(started):
    async def run():
        await clusterlog.instrument(sending(START, BODY))(http(), None, _nothing)
        log.warning("after the application")

    asyncio.run(run())
    access, line = started()["access"][0], started()["app"][0]
    assert line["http"]["request"]["id"] == access["http"]["request"]["id"]


async def _nothing(message):
    return None


def test_an_application_that_raises_before_its_answer_gets_a_500_with_the_id_and_the_server_the_exception(started):
    error = LookupError("nobody")
    server = Server(sending(then=error), http())
    assert server.raised is error
    assert [message["type"] for message in server.sent] == ["http.response.start", "http.response.body"]
    assert server.sent[0]["status"] == 500
    event = started()["access"][0]
    assert server.id == event["http"]["request"]["id"]
    assert event["http"]["response"] == {"status_code": 500, "body": {"bytes": len(server.sent[1]["body"])}}
    assert event["error"]["message"] == "nobody"


def test_a_client_that_is_gone_when_the_500_is_sent_does_not_hide_the_exception(started):
    error = LookupError("nobody")
    server = Server(sending(then=error), http(), fails="http.response.start")
    assert server.raised is error
    event = started()["access"][0]
    assert event["event"]["reason"] == "client disconnected"
    assert event["error"]["message"] == "nobody"


def test_an_exception_while_the_body_is_sent_goes_on_and_adds_nothing_to_it(started):
    server = Server(sending(START, {**BODY, "more_body": True}, then=LookupError("half")), http())
    assert len(server.sent) == 2
    event = started()["access"][0]
    assert event["http"]["response"] == {"status_code": 200, "body": {"bytes": 5}}
    assert event["event"]["outcome"] == "failure"
    assert event["error"]["type"] == "LookupError"


def test_an_exception_after_the_answer_belongs_to_the_servers_line_alone(started):
    server = Server(sending(START, BODY, then=LookupError("in a background task")), http())
    assert isinstance(server.raised, LookupError)
    assert [event["event"]["outcome"] for event in started()["access"]] == ["success"]


def test_a_5xx_that_is_sent_while_an_exception_is_handled_has_it_for_its_cause(started):
    async def app(scope, receive, send):
        try:
            raise TimeoutError("payments")
        except TimeoutError:
            await sending({**START, "status": 503}, BODY)(scope, receive, send)

    Server(app, http())
    assert started()["access"][0]["error"]["message"] == "payments"


def test_a_4xx_is_the_callers_failure_and_not_ours(started):
    async def app(scope, receive, send):
        try:
            raise KeyError("unknown")
        except KeyError:
            await sending({**START, "status": 404}, BODY)(scope, receive, send)

    Server(app, http())
    event = started()["access"][0]
    assert event["event"]["outcome"] == "success"
    assert "error" not in event


@pytest.mark.parametrize("first", [[], [START], [START, {**BODY, "more_body": True}]])
def test_a_client_that_leaves_before_the_end_has_no_status(started, first):
    async def app(scope, receive, send):
        await sending(*first)(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    Server(app, http())
    event = started()["access"][0]
    assert "status_code" not in event["http"].get("response", {})
    assert event["event"]["outcome"] == "failure"
    assert event["event"]["reason"] == "client disconnected"
    assert event["message"] == "GET /a aborted"
    assert event["log"]["level"] == "error"


def test_a_disconnect_after_the_answer_is_the_usual_end(started):
    async def app(scope, receive, send):
        await sending(START, BODY)(scope, receive, send)
        await receive()

    Server(app, http())
    assert started()["access"][0]["event"]["outcome"] == "success"


def test_a_server_that_raises_when_the_client_has_gone_is_understood(started):
    server = Server(sending(START, BODY), http(), fails="http.response.body")
    assert isinstance(server.raised, OSError)
    event = started()["access"][0]
    assert event["event"]["reason"] == "client disconnected"
    assert "error" not in event


def test_a_server_that_drops_what_is_sent_without_a_word_is_asked(started):
    """uvicorn: its request cycle knows that the client has gone."""

    class Cycle:
        disconnected = True

        async def send(self, message):
            return None

    asyncio.run(clusterlog.instrument(sending(START, BODY))(http(), None, Cycle().send))
    assert started()["access"][0]["event"]["reason"] == "client disconnected"


def test_a_cancelled_application_is_told_once_and_stays_cancelled(started):
    async def app(scope, receive, send):
        await sending(START)(scope, receive, send)
        raise asyncio.CancelledError

    server = Server(app, http())
    assert isinstance(server.raised, asyncio.CancelledError)
    event = started()["access"]
    assert len(event) == 1
    assert event[0]["event"]["reason"] == "cancelled"
    assert event[0]["message"] == "GET /a 200"


def test_an_application_that_returns_without_an_answer_or_a_whole_one_is_told_so(started):
    server = Server(sending(), http())
    assert server.sent[0]["status"] == 500
    Server(sending(START), http())
    assert [event["event"]["reason"] for event in started()["access"]] == ["no response", "response incomplete"]


def test_what_is_annotated_after_the_event_is_late_and_counted(started):
    before = clusterlog.dropped().get("late_annotation", 0)

    async def app(scope, receive, send):
        clusterlog.annotate(early=1)
        await sending(START, BODY)(scope, receive, send)
        clusterlog.annotate(late=1)

    Server(app, http())
    assert started()["access"][0]["labels"] == {"early": 1}
    assert clusterlog.dropped()["late_annotation"] == before + 1


def test_the_request_ends_when_the_application_returns(started):
    requests = []

    async def app(scope, receive, send):
        requests.append(context.request())
        await sending(START, BODY)(scope, receive, send)
        assert requests[0].ended is None

    Server(app, http())
    assert requests[0].ended is not None


def test_what_a_task_binds_is_its_own_and_not_on_the_access_event(started):
    async def app(scope, receive, send):
        clusterlog.bind(mine=1)
        log.info("bound")
        await sending(START, BODY)(scope, receive, send)

    logging.getLogger("shop").setLevel(logging.INFO)
    Server(app, http())
    assert started()["app"][0]["labels"] == {"mine": 1}
    assert "labels" not in started()["access"][0]


@pytest.mark.parametrize(
    ("peer", "believed"), [("127.0.0.1", True), ("10.1.2.3", True), ("203.0.113.9", False), (None, True)]
)
def test_the_ids_of_a_peer_are_believed_as_far_as_it_is_trusted(started, peer, believed):
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = [(b"x-request-id", b"theirs"), (b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())]
    Server(sending(START, BODY), http(headers=headers, client=None if peer is None else (peer, 5)))
    event = started()["access"][0]
    own = event["clusterlog"]
    assert (event["http"]["request"]["id"] == "theirs") is believed
    assert (event["trace"]["id"] == trace) is believed
    assert own.get("client") == (None if believed else {"request_id": "theirs", "trace_id": trace})
    assert own.get("parent") == ({"span_id": "b7ad6b7169203331"} if believed else None)


@pytest.mark.parametrize("value", [b"two words", b"a\nb", b"x" * 65, b"\xff", b"", b'<script>"'])
def test_a_request_id_that_is_none_is_replaced_and_never_sent_back(started, value):
    server = Server(sending(START, BODY), http(headers=[(b"x-request-id", value)]))
    assert len(server.id) == 32
    if value:
        assert value not in repr(started()["access"][0]).encode("latin-1", "replace")


def test_a_strange_scope_is_served_all_the_same(started):
    scope = {"type": "http", "path": None}
    server = Server(sending(START, BODY), scope)
    assert server.raised is None
    assert started()["access"][0]["http"]["response"]["status_code"] == 200


def test_without_start_there_is_an_id_and_no_event():
    server = Server(sending(START, BODY), http())
    assert len(server.id) == 32


class TestWebSocket:
    def told(self, started):
        (event,) = started()["access"]
        return event, event["http"].get("response", {}).get("status_code"), event["clusterlog"].get("websocket")

    def test_it_is_told_once_at_its_end_with_101_and_the_code_it_was_closed_with(self, started):
        async def app(scope, receive, send):
            await send(ACCEPT)
            await send({"type": "websocket.send", "text": "hello"})
            assert not started()["access"]
            await send({**CLOSE, "code": 4001})
            clusterlog.annotate(said=1)

        server = Server(app, websocket())
        event, status, closed = self.told(started)
        assert (status, closed) == (101, {"close_code": 4001})
        assert event["message"] == "GET /a 101"
        assert event["event"]["outcome"] == "success"
        assert event["labels"] == {"said": 1}
        assert server.id == event["http"]["request"]["id"]

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [(1000, "success"), (1001, "success"), (1005, "success"), (1006, "failure"), (1011, "failure")],
    )
    def test_the_clients_closing_says_whether_it_went_well(self, started, code, outcome):
        async def app(scope, receive, send):
            await send(ACCEPT)
            await receive()

        Server(app, websocket(), received=[{"type": "websocket.disconnect", "code": code}])
        event, status, closed = self.told(started)
        assert (status, closed) == (101, {"close_code": code})
        assert event["event"]["outcome"] == outcome

    def test_one_that_is_left_open_is_the_servers_to_close_and_no_code_is_known(self, started):
        Server(sending(ACCEPT), websocket())
        event, *found = self.told(started)
        assert found == [101, None]
        assert event["event"]["outcome"] == "success"

    def test_a_server_that_raises_when_the_client_has_gone_is_understood(self, started):
        server = Server(sending(ACCEPT, {"type": "websocket.send", "text": "x"}), websocket(), fails="websocket.send")
        assert isinstance(server.raised, OSError)
        event, *found = self.told(started)
        assert found == [101, {"close_code": 1006}]
        assert event["event"]["reason"] == "client disconnected"
        assert "error" not in event

    def test_an_exception_is_told_with_it(self, started):
        server = Server(sending(ACCEPT, then=LookupError("in the middle")), websocket())
        assert isinstance(server.raised, LookupError)
        event, status, closed = self.told(started)
        assert (status, closed) == (101, None)
        assert event["error"]["message"] == "in the middle"
        assert event["event"]["outcome"] == "failure"

    def test_its_duration_ends_with_its_closing(self, started, monkeypatch):
        clock = iter([100, 10_000])
        monkeypatch.setattr("clusterlog.integrations.access.perf_counter_ns", lambda: next(clock))
        monkeypatch.setattr("clusterlog.integrations.frameworks.asgi.perf_counter_ns", lambda: 500)
        Server(sending(ACCEPT, CLOSE), websocket())
        assert self.told(started)[0]["event"]["duration"] == 400

    def test_a_refusal_is_a_403_with_the_id_where_the_server_can_send_one(self, started):
        server = Server(sending(CLOSE), websocket())
        assert [m["type"] for m in server.sent] == ["websocket.http.response.start", "websocket.http.response.body"]
        assert server.sent[0]["status"] == 403
        event, status, closed = self.told(started)
        assert (status, closed) == (403, None)
        assert server.id == event["http"]["request"]["id"]
        assert event["event"]["outcome"] == "success"

    def test_a_refusal_is_left_to_a_server_that_cannot(self, started):
        server = Server(sending(CLOSE), websocket(extensions={}))
        assert server.sent == [CLOSE]
        assert self.told(started)[1] == 403

    def test_a_denial_of_the_applications_own_carries_the_id(self, started):
        start = {"type": "websocket.http.response.start", "status": 401, "headers": []}
        server = Server(sending(start, {"type": "websocket.http.response.body", "body": b"no"}), websocket())
        assert self.told(started)[1] == 401
        assert server.id

    @pytest.mark.parametrize("error", [None, LookupError("before")])
    def test_one_that_is_never_answered_is_a_500(self, started, error):
        server = Server(sending(then=error), websocket())
        assert server.raised is error
        assert server.sent[0]["status"] == 500
        event, status, _ = self.told(started)
        assert status == 500
        assert event.get("error", {}).get("message") == (None if error is None else "before")

    def test_a_client_that_leaves_before_the_handshake_has_no_status(self, started):
        async def app(scope, receive, send):
            await receive()

        server = Server(app, websocket(), received=[{"type": "websocket.disconnect", "code": 1006}])
        assert not server.sent
        event, status, _ = self.told(started)
        assert status is None
        assert event["event"]["reason"] == "client disconnected"
