"""What every HTTP client has in common: each request really sent is one call, in a span that the callee is told."""

from __future__ import annotations

import asyncio
import http.server
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
import urllib3

import clusterlog
from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.integrations.clients.call import Call

REFUSED = "http://127.0.0.1:1"
CARRIED = ("x-request-id", "traceparent", "tracestate")


class Callee(http.server.BaseHTTPRequestHandler):
    """Notes the headers it gets; ``/to?HOST/PATH`` redirects there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, {name: headers[name] for name in CARRIED if name in headers}))
        path, _, query = self.path.partition("?")
        status = int(path[1:]) if path[1:].isdecimal() else 302 if path == "/to" else 200
        self.send_response(status)
        if path == "/to":
            self.send_header("Location", query)
        if path == "/401" and "authorization" not in headers:
            self.send_header("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *given):
        """Nothing on the console of the tests."""


@pytest.fixture(scope="module")
def callee():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callee)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _seen(callee):
    callee.seen.clear()


@pytest.fixture(autouse=True)
def working():
    """Each test works for a request."""
    request = Request("working", "ab" * 16, "cd" * 8, tracestate="vendor=1")
    context.enter(request)
    yield request
    context.leave()


def by_httpx(url, **headers):
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        return client.get(url, headers=headers).status_code


def by_httpx_asynchronously(url, **headers):
    async def get():
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            return (await client.get(url, headers=headers)).status_code

    return asyncio.run(get())


def by_requests(url, **headers):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers).status_code


def by_urllib3(url, **headers):
    with urllib3.PoolManager(retries=urllib3.Retry(3, connect=0)) as manager:
        return manager.request("GET", url, headers=headers or None).status


CLIENTS = {
    "httpx": ("httpx", by_httpx),
    "httpx-async": ("httpx", by_httpx_asynchronously),
    "requests": ("requests", by_requests),
    "urllib3": ("urllib3", by_urllib3),
}


@pytest.fixture(params=list(CLIENTS))
def get(request, started):
    library, function = CLIENTS[request.param]
    done = clusterlog.instrument(library)
    yield function
    done.remove()


def test_a_call_is_one_event_in_a_span_of_its_own_that_the_callee_is_told(started, callee, get):
    assert get(f"{callee.url}/reserve?secret=1") == 200
    (event,) = started()["call"]
    ((path, seen),) = callee.seen
    assert path == "/reserve?secret=1"
    assert seen == {
        "x-request-id": "working",
        "traceparent": f"00-{'ab' * 16}-{event['span']['id']}-01",
        "tracestate": "vendor=1",
    }
    assert event["message"] == f"GET {callee.url}/reserve 200"
    assert event["http"]["request"] == {"id": "working", "method": "GET"}
    assert event["trace"]["id"] == "ab" * 16
    assert event["span"]["id"] != "cd" * 8
    assert event["clusterlog"]["parent"] == {"span_id": "cd" * 8}
    assert event["clusterlog"]["call"] == {"status_code": 200}
    assert event["url"] == {"scheme": "http", "domain": "127.0.0.1", "port": callee.server_port, "path": "/reserve"}
    assert event["event"]["outcome"] == "success"
    assert 0 < event["event"]["duration"] < 60e9
    assert event["log"] == {"level": "info", "logger": "clusterlog.call"}
    assert "response" not in event["http"]


@pytest.mark.parametrize(("status", "outcome"), [(404, "success"), (500, "failure"), (503, "failure")])
def test_the_other_sides_failure_is_an_error_and_ours_is_not(started, callee, get, status, outcome):
    get(f"{callee.url}/{status}")
    events = started()["call"]
    assert len(events) == 1
    assert events[0]["clusterlog"]["call"]["status_code"] == status
    assert events[0]["event"]["outcome"] == outcome
    assert events[0]["log"]["level"] == ("error" if outcome == "failure" else "info")


def test_a_call_that_raises_has_the_exception_and_no_status(started, get):
    with pytest.raises(Exception, match=r"refused|Max retries|attempts failed"):
        get(f"{REFUSED}/x")
    (event,) = started()["call"]
    assert event["event"]["outcome"] == "failure"
    assert "call" not in event["clusterlog"]
    assert event["error"]["type"]
    assert event["message"] == f"GET {REFUSED}/x {event['error']['type'].rpartition('.')[2]}"


def test_each_hop_of_a_redirect_is_a_call_of_its_own(started, callee, get):
    assert get(f"{callee.url}/to?/there") == 200
    events = started()["call"]
    assert [event["url"]["path"] for event in events] == ["/to", "/there"]
    assert [event["clusterlog"]["call"]["status_code"] for event in events] == [302, 200]
    told = [seen["traceparent"].split("-")[2] for _, seen in callee.seen]
    assert told == [event["span"]["id"] for event in events]
    assert len(set(told)) == 2


def test_a_host_that_may_not_know_is_told_nothing_not_even_after_a_redirect(started, callee, get):
    """The same server by another name."""
    started.again(propagate_to="127.0.0.1")
    foreign = f"http://localhost:{callee.server_port}"
    get(f"{callee.url}/to?{foreign}/there")
    assert [path for path, seen in callee.seen if seen] == [f"/to?{foreign}/there"]
    assert [path for path, seen in callee.seen if not seen] == ["/there"]
    assert len(started()["call"]) == 2
    context.leave()
    get(f"{foreign}/outside")
    assert callee.seen[-1] == ("/outside", {})


def test_a_traceparent_of_somebody_else_is_left_alone_and_its_span_is_the_calls(started, callee, get):
    """This span could be a credit card's number, and is not taken for one."""
    theirs = f"00-{'12' * 16}-{'34' * 8}-00"
    get(f"{callee.url}/x", traceparent=theirs)
    assert callee.seen == [("/x", {"x-request-id": "working", "traceparent": theirs})]
    assert started()["call"][0]["span"]["id"] == "34" * 8


def test_a_request_id_of_somebody_else_is_left_alone(started, callee, get):
    get(f"{callee.url}/x", **{"X-Request-Id": "theirs"})
    assert callee.seen[0][1]["x-request-id"] == "theirs"


def test_the_enclosing_span_is_the_calls_parent(started, callee, get):
    with clusterlog.step("charge"):
        get(f"{callee.url}/x")
    (event,) = started()["call"]
    (span,) = started()["span"]
    assert event["clusterlog"]["parent"]["span_id"] == span["span"]["id"] != "cd" * 8


def test_an_application_that_is_called_in_the_same_task_works_for_itself(started, callee):
    """As httpx does it for tests, with a transport that is no network."""

    async def send(send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def inner(scope, receive, answer):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{callee.url}/far")
        await send(answer)

    async def outer(scope, receive, answer):
        transport = httpx.ASGITransport(clusterlog.instrument(inner))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://inner/near")
        logging.getLogger("outer").warning("afterwards")
        await send(answer)

    async def main():
        transport = httpx.ASGITransport(clusterlog.instrument(outer))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://outer/")

    context.leave()
    done = clusterlog.instrument("httpx")
    asyncio.run(main())
    done.remove()
    events = started()
    calls = {event["url"]["path"]: event for event in events["call"]}
    access = {event["url"]["path"]: event for event in events["access"]}
    assert sorted(calls) == ["/", "/far", "/near"]
    assert access["/near"]["clusterlog"]["parent"]["span_id"] == calls["/near"]["span"]["id"]
    assert calls["/near"]["clusterlog"]["parent"]["span_id"] == access["/"]["span"]["id"]
    assert calls["/far"]["clusterlog"]["parent"]["span_id"] == access["/near"]["span"]["id"]
    assert events["app"][0]["span"] == access["/"]["span"]
    assert context.request() is None


def test_what_is_bound_is_on_the_call(started, callee, get):
    clusterlog.bind(order=7)
    get(f"{callee.url}/x")
    assert started()["call"][0]["labels"] == {"order": 7}


def test_outside_of_a_request_a_call_has_a_trace_of_its_own_and_no_request(started, callee, get):
    context.leave()
    get(f"{callee.url}/x")
    (event,) = started()["call"]
    assert event["http"] == {"request": {"method": "GET"}}
    assert "parent" not in event["clusterlog"]
    assert callee.seen == [("/x", {"traceparent": f"00-{event['trace']['id']}-{event['span']['id']}-01"})]


def test_user_and_password_are_nowhere(started, callee, get):
    get(f"http://ann:sesame@127.0.0.1:{callee.server_port}/x")
    assert "sesame" not in repr(started())
    assert started()["call"][0]["url"]["domain"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("scheme", "host", "port", "path", "url"),
    [
        ("http", "orders", 80, "/a", "http://orders/a"),
        ("https", "orders", 443, "", "https://orders/"),
        ("https", "orders", 80, "/a", "https://orders:80/a"),
        ("http", "::1", 8000, "/a", "http://[::1]:8000/a"),
        ("http", "orders", None, "/a", "http://orders/a"),
    ],
)
def test_a_port_is_told_where_it_is_not_the_usual_one(started, scheme, host, port, path, url):
    with Call("GET", scheme, host, port, path) as call:
        call.status = 204
    (event,) = started()["call"]
    assert event["message"] == f"GET {url} 204"
    assert event["url"].get("port") == (port if f":{port}/" in url else None)
    assert event["url"]["domain"] == host


def test_a_call_from_a_thread_of_a_pool_belongs_to_the_request_that_submitted_it(started, callee, get):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(get, f"{callee.url}/x").result()
    assert started()["call"][0]["http"]["request"]["id"] == "working"


def test_the_clients_own_lines_are_capped(started, callee, get):
    get(f"{callee.url}/x")
    assert not [
        event for event in started()["app"] if event["log"]["logger"].startswith(("http", "urllib", "requests"))
    ]


def test_after_remove_the_library_is_as_it_was(started, callee):
    pristine = [httpx.Client._send_single_request, httpx.AsyncClient._send_single_request]
    pristine += [requests.adapters.HTTPAdapter.send, urllib3.HTTPConnectionPool._make_request]
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "requests", "urllib3")}
    done = [clusterlog.instrument(name) for name in ("httpx", "requests", "urllib3")]
    assert all(logging.getLogger(name).level == logging.WARNING for name in levels)
    for each in done:
        each.remove()
        each.remove()
    assert pristine == [
        httpx.Client._send_single_request,
        httpx.AsyncClient._send_single_request,
        requests.adapters.HTTPAdapter.send,
        urllib3.HTTPConnectionPool._make_request,
    ]
    assert {name: logging.getLogger(name).level for name in levels} == levels
    for _, get in CLIENTS.values():
        get(f"{callee.url}/x")
    assert not any(seen for _, seen in callee.seen)
    assert not started()["call"]


def test_what_somebody_has_put_on_top_stays_and_ours_beneath_falls_silent(started, callee, monkeypatch):
    done = clusterlog.instrument("httpx")
    ours = httpx.Client._send_single_request
    calls = []
    monkeypatch.setattr(httpx.Client, "_send_single_request", lambda self, r: calls.append(r) or ours(self, r))
    done.remove()
    by_httpx(f"{callee.url}/x")
    assert len(calls) == 1
    assert not started()["call"]


def test_a_client_on_top_of_another_makes_one_call_of_it(started, callee):
    done = [clusterlog.instrument(name) for name in ("requests", "urllib3")]
    by_requests(f"{callee.url}/x")
    by_urllib3(f"{callee.url}/y")
    for each in done:
        each.remove()
    assert [event["url"]["path"] for event in started()["call"]] == ["/x", "/y"]


def test_each_attempt_of_urllib3_is_a_call(started):
    done = clusterlog.instrument("urllib3")
    with urllib3.PoolManager() as manager, pytest.raises(urllib3.exceptions.MaxRetryError):
        manager.request("GET", f"{REFUSED}/x", retries=urllib3.Retry(2, backoff_factor=0))
    done.remove()
    assert len(started()["call"]) == 3


def test_each_attempt_tells_the_callee_its_own_span(started, callee):
    done = clusterlog.instrument("urllib3")
    retry = urllib3.Retry(2, status_forcelist=[503], backoff_factor=0, raise_on_status=False)
    with urllib3.PoolManager() as manager:
        manager.request("GET", f"{callee.url}/503", headers={"X-Own": "1"}, retries=retry)
    done.remove()
    told = [seen["traceparent"].split("-")[2] for _, seen in callee.seen]
    assert told == [event["span"]["id"] for event in started()["call"]]
    assert len(set(told)) == 3


def test_the_callers_own_headers_are_not_changed(started, callee):
    done = clusterlog.instrument("urllib3")
    headers = {"X-Own": "1"}
    with urllib3.PoolManager(headers=headers) as manager:
        manager.request("GET", f"{callee.url}/x", headers=headers)
    done.remove()
    assert headers == {"X-Own": "1"}
    assert callee.seen[0][1]


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_request_that_is_sent_again_is_another_call(started, callee, library):
    """And it comes back as it was given."""
    done = clusterlog.instrument(library)
    if library == "httpx":
        with httpx.Client(trust_env=False) as client:
            request = client.build_request("GET", f"{callee.url}/x")
            for _ in range(2):
                assert client.send(request).request is request
    else:
        with requests.Session() as session:
            request = session.prepare_request(requests.Request("GET", f"{callee.url}/x"))
            for _ in range(2):
                assert session.send(request).request is request
    done.remove()
    assert not [name for name in request.headers if name.lower() in CARRIED]
    told = [seen["traceparent"].split("-")[2] for _, seen in callee.seen]
    assert told == [event["span"]["id"] for event in started()["call"]]
    assert len(set(told)) == 2


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_the_answer_to_a_challenge_is_another_call(started, callee, library):
    done = clusterlog.instrument(library)
    if library == "httpx":
        with httpx.Client(auth=httpx.DigestAuth("ann", "sesame"), trust_env=False) as client:
            client.get(f"{callee.url}/401")
    else:
        with requests.Session() as session:
            session.get(f"{callee.url}/401", auth=requests.auth.HTTPDigestAuth("ann", "sesame"))
    done.remove()
    told = [seen["traceparent"].split("-")[2] for _, seen in callee.seen]
    assert told == [event["span"]["id"] for event in started()["call"]]
    assert len(set(told)) == 2


def test_a_call_ends_when_the_headers_are_there_and_not_when_a_streamed_body_is_read(started, callee):
    done = clusterlog.instrument("httpx")
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{callee.url}/x") as response:
        assert len(started()["call"]) == 1
        assert response.read() == b"ok"
    done.remove()
    assert len(started()["call"]) == 1


def test_a_call_that_is_cancelled_is_a_failure(started):
    async def never(reader, writer):
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(never, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(trust_env=False) as client:
            task = asyncio.create_task(client.post(f"http://127.0.0.1:{port}/charge"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        server.close()

    done = clusterlog.instrument("httpx")
    asyncio.run(main())
    done.remove()
    (event,) = started()["call"]
    assert event["message"].endswith("/charge CancelledError")
    assert event["event"]["outcome"] == "failure"


class TestOneClient:
    """Instrumented alone, others of its kind are left as they are; with the whole library there is still one call."""

    def test_httpx(self, started, callee):
        with httpx.Client(trust_env=False) as one, httpx.Client(trust_env=False) as other:
            assert clusterlog.instrument(one) is one
            assert clusterlog.instrument(one) is one
            one.get(f"{callee.url}/one")
            other.get(f"{callee.url}/other")
            self.only_one(started, callee)
            self.still_one(started, "httpx", lambda: one.get(f"{callee.url}/one"))

    def test_httpx_asynchronously(self, started, callee):
        async def get():
            async with httpx.AsyncClient(trust_env=False) as one, httpx.AsyncClient(trust_env=False) as other:
                assert clusterlog.instrument(one) is one
                await one.get(f"{callee.url}/one")
                await other.get(f"{callee.url}/other")

        asyncio.run(get())
        self.only_one(started, callee)

    def test_requests(self, started, callee):
        with requests.Session() as one, requests.Session() as other:
            assert clusterlog.instrument(one) is one
            assert clusterlog.instrument(one) is one
            one.get(f"{callee.url}/one")
            other.get(f"{callee.url}/other")
            self.only_one(started, callee)
            self.still_one(started, "requests", lambda: one.get(f"{callee.url}/one"))

    def test_an_adapter_that_is_mounted_later(self, started, callee):
        with requests.Session() as one:
            clusterlog.instrument(one)
            one.mount("http://127.0.0.1", requests.adapters.HTTPAdapter())
            one.get(f"{callee.url}/one")
        assert len(started()["call"]) == 1

    def test_urllib3(self, started, callee):
        with urllib3.PoolManager() as one, urllib3.PoolManager() as other:
            assert clusterlog.instrument(one) is one
            assert clusterlog.instrument(one) is one
            one.request("GET", f"{callee.url}/one")
            other.request("GET", f"{callee.url}/other")
            self.only_one(started, callee)
            self.still_one(started, "urllib3", lambda: one.request("GET", f"{callee.url}/one"))

    def only_one(self, started, callee):
        assert [event["url"]["path"] for event in started()["call"]] == ["/one"]
        assert [path for path, seen in callee.seen if seen] == ["/one"]

    def still_one(self, started, library, again):
        before = len(started()["call"])
        done = clusterlog.instrument(library)
        again()
        done.remove()
        again()
        assert len(started()["call"]) == before + 2
