"""Starlette, FastAPI and Flask: outside of all that is theirs, and in nobody's way."""

from __future__ import annotations

import io
import logging
import warnings

import fastapi
import flask
import pytest
import werkzeug._internal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ

import clusterlog
from clusterlog.context import request as context
from clusterlog.integrations.frameworks import flask as instrumented

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette wants its client to stand on another library than httpx
    from starlette.testclient import TestClient
    from uvicorn.middleware.wsgi import WSGIMiddleware


async def plain(request):
    return PlainTextResponse("hello")


def starlette(*routes, **named):
    return clusterlog.instrument(Starlette(routes=[Route("/plain", plain), *routes], **named))


def only(started):
    (event,) = started()["access"]
    return event


class TestStarlette:
    def test_its_own_500_carries_the_id_and_the_client_of_a_test_sees_the_exception(self, started):
        def boom(request):
            raise LookupError("nobody")

        app = starlette(Route("/boom", boom))
        answer = TestClient(app, raise_server_exceptions=False).get("/boom")
        assert answer.status_code == 500
        assert answer.headers["x-request-id"] == only(started)["http"]["request"]["id"]
        assert only(started)["error"]["message"] == "nobody"
        with pytest.raises(LookupError):
            TestClient(app).get("/boom")

    def test_middlewares_added_after_it_are_inside(self, started):
        seen = []

        class Late:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                seen.append(clusterlog.request_id())
                await self.app(scope, receive, send)

        app = starlette()
        app.add_middleware(Late)
        TestClient(app).get("/plain")
        assert seen == [only(started)["http"]["request"]["id"]]

    def test_an_application_that_has_run_already_is_instrumented_all_the_same(self, started):
        app = Starlette(routes=[Route("/plain", plain)])
        TestClient(app).get("/plain")
        assert not started()["access"]
        clusterlog.instrument(app)
        clusterlog.instrument(app)
        TestClient(app).get("/plain")
        assert only(started)["message"] == "GET /plain 200"

    def test_every_application_by_its_name(self, started):
        before, alone = Starlette(routes=[Route("/plain", plain)]), starlette()
        done = clusterlog.instrument("starlette")
        after = fastapi.FastAPI(routes=[Route("/plain", plain)])
        for app in (before, alone, after):
            TestClient(app).get("/plain")
        done.remove()
        for app in (before, after):
            TestClient(app).get("/plain")
        assert len(started()["access"]) == 3

    def test_a_mounted_application_that_is_instrumented_as_well_is_no_second_request(self, started):
        TestClient(starlette(Mount("/inner", app=starlette()))).get("/inner/plain")
        assert only(started)["clusterlog"]["route"] == "/inner/plain"

    @pytest.mark.parametrize(
        ("path", "route"),
        [
            ("/items/7", "/items/{number}"),
            ("/shop/items/7", "/shop/items/{number}"),
            ("/shop/north/items/7", "/shop/north/items/{number}"),
            ("/files/a/b", "/files"),
            ("/nowhere", None),
            ("/shop/north/nowhere", "/shop/north"),
        ],
    )
    def test_a_route_is_its_template_with_the_mounts_before_it(self, started, path, route):
        item = Route("/items/{number:int}", plain)

        async def files(scope, receive, send):
            await PlainTextResponse("a file")(scope, receive, send)

        inner = Mount("/shop", routes=[item, Mount("/{side}", routes=[item])])
        TestClient(starlette(item, inner, Mount("/files", app=files))).get(path)
        assert only(started)["clusterlog"].get("route") == route

    def test_a_root_path_of_a_proxy_is_no_part_of_the_route(self, started):
        app = starlette(Mount("/shop", routes=[Route("/items/{number}", plain)]))
        TestClient(app, root_path="/api").get("/api/shop/items/7")
        assert only(started)["clusterlog"]["route"] == "/shop/items/{number}"

    def test_a_route_that_knows_the_path_but_not_the_method_is_named(self, started):
        TestClient(starlette(Route("/items/{number}", plain, methods=["POST"]))).get("/items/7")
        assert only(started)["message"] == "GET /items/7 405"
        assert only(started)["clusterlog"]["route"] == "/items/{number}"

    def test_a_host_is_no_path(self, started):
        app = starlette(Host("{name}.example", Router([Route("/items/{number}", plain)])))
        TestClient(app, base_url="http://shop.example").get("/items/7")
        assert only(started)["clusterlog"]["route"] == "/items/{number}"

    def test_the_lifespan_is_run_as_ever(self, started):
        seen = []

        def lifespan(app):
            from contextlib import asynccontextmanager

            @asynccontextmanager
            async def run(app):
                seen.append(clusterlog.request_id())
                yield {"state": 1}
                seen.append("end")

            return run(app)

        with TestClient(starlette(lifespan=lifespan)) as client:
            client.get("/plain")
        assert seen == [None, "end"]

    def test_what_a_synchronous_endpoint_annotates_is_on_the_event(self, started):
        def endpoint(request):
            clusterlog.annotate(user="ann", cart=3)
            return PlainTextResponse("hello")

        TestClient(starlette(Route("/a", endpoint))).get("/a")
        event = only(started)
        assert event["labels"] == {"cart": 3}
        assert event["user"]["hash"]
        assert "ann" not in repr(event)

    def test_the_session_cookie_is_kept_as_a_hash(self, started):
        started.again(session_cookie="sid")
        for cookie in ("a=1; sid=abc; b=2", "sid=abc", 'sid="abc"', "sid=other", "xsid=abc"):
            TestClient(starlette()).get("/plain", headers={"Cookie": cookie})
        hashes = [each["clusterlog"].get("session", {}).get("hash") for each in started()["access"]]
        assert len(set(hashes[:3])) == 1
        assert len({hashes[0], hashes[3], None}) == 3
        assert hashes[4] is None

    def test_middlewares_of_its_own_kind_see_the_id_and_their_headers_stay(self, started):
        class Own:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                async def with_header(message):
                    if message["type"] == "http.response.start":
                        message["headers"].append((b"x-own", b"1"))
                    await send(message)

                await self.app(scope, receive, with_header)

        answer = TestClient(starlette(middleware=[Middleware(Own)])).get("/plain")
        assert answer.headers["x-own"] == "1"
        assert answer.headers["x-request-id"]


class TestFastAPI:
    def app(self):
        app, inner = fastapi.FastAPI(), fastapi.APIRouter(prefix="/items")

        @inner.get("/{number}")
        def item(number: int):
            return number

        @inner.get("/broken/{number}")
        def broken(number: int):
            raise LookupError("nobody")

        middle = fastapi.APIRouter()
        middle.include_router(inner, prefix="/v1")
        app.include_router(middle, prefix="/shop")
        mounted = fastapi.FastAPI()
        mounted.add_api_route("/things/{number}", item)
        app.mount("/inner", mounted)
        return clusterlog.instrument(app)

    @pytest.mark.parametrize(
        ("method", "path", "status", "route"),
        [
            ("GET", "/shop/v1/items/7", 200, "/shop/v1/items/{number}"),
            ("GET", "/shop/v1/items/seven", 422, "/shop/v1/items/{number}"),
            ("POST", "/shop/v1/items/7", 405, "/shop/v1/items/{number}"),
            ("GET", "/shop/v1/items/broken/7", 500, "/shop/v1/items/broken/{number}"),
            ("GET", "/inner/things/7", 200, "/inner/things/{number}"),
            ("GET", "/nowhere", 404, None),
        ],
    )
    def test_a_route_has_the_prefixes_of_its_routers(self, started, method, path, status, route):
        answer = TestClient(self.app(), raise_server_exceptions=False).request(method, path)
        event = only(started)
        assert answer.headers["x-request-id"] == event["http"]["request"]["id"]
        assert event["message"] == f"{method} {path} {status}"
        assert event["clusterlog"].get("route") == route


class TestConsole:
    """Flask and Werkzeug give their loggers a console handler as long as nobody else is listening."""

    @pytest.fixture(autouse=True)
    def _as_if_no_application_had_been_instrumented(self, started, monkeypatch):
        if instrumented._console is not None:
            instrumented._console.remove()
        monkeypatch.setattr(instrumented, "_console", None)

    def heard(self, monkeypatch, *handlers):
        """Whether they find a handler when these are on the root logger."""
        monkeypatch.setattr(logging.root, "handlers", list(handlers))
        logger = logging.getLogger("console.of.nobody")
        return flask.logging.has_level_handler(logger), werkzeug._internal._has_level_handler(logger)

    def test_a_handler_of_clusterlog_is_nobody_and_another_one_is_somebody(self, started, monkeypatch):
        ours, other = clusterlog.Handler(), logging.StreamHandler()
        assert self.heard(monkeypatch, ours) == (True, True)
        done = clusterlog.instrument("flask")
        assert self.heard(monkeypatch, ours) == (False, False)
        assert self.heard(monkeypatch, ours, other) == (True, True)
        other.setLevel(logging.CRITICAL)
        assert self.heard(monkeypatch, ours, other) == (False, False)
        done.remove()
        assert self.heard(monkeypatch, ours) == (True, True)

    def test_after_the_removal_they_look_as_before(self, started):
        before = flask.logging.has_level_handler
        clusterlog.instrument("flask").remove()
        assert flask.logging.has_level_handler is before


class TestFlask:
    def app(self, **config):
        app = flask.Flask("shop")
        app.config.update(config)

        @app.get("/items/<int:number>")
        def item(number):
            return str(number)

        @app.get("/boom")
        def boom():
            raise LookupError("nobody")

        return clusterlog.instrument(app)

    def test_its_own_500_carries_the_id_and_the_event_the_exception(self, started):
        answer = self.app().test_client().get("/boom")
        answer.close()
        event = only(started)
        assert answer.status_code == 500
        assert answer.headers.getlist("X-Request-ID") == [event["http"]["request"]["id"]]
        assert event["error"]["message"] == "nobody"
        assert event["clusterlog"]["route"] == "/boom"

    def test_its_own_line_about_the_exception_is_on_the_road_once_with_the_id(self, started):
        self.app().test_client().get("/boom").close()
        (line,) = [each for each in started()["app"] if "error" in each]
        assert line["log"]["logger"] == "shop"
        assert line["http"]["request"]["id"] == only(started)["http"]["request"]["id"]

    def test_instrumenting_it_again_puts_nothing_around_it_again(self):
        app = self.app()
        once = app.wsgi_app
        assert clusterlog.instrument(app).wsgi_app is once

    def test_a_route_is_its_rule(self, started):
        for path in ("/items/7", "/nowhere"):
            self.app().test_client().get(path).close()
        assert [each["clusterlog"].get("route") for each in started()["access"]] == ["/items/<int:number>", None]

    def test_a_test_that_waits_for_the_exception_gets_it(self, started):
        with pytest.raises(LookupError):
            self.app(TESTING=True).test_client().get("/boom")
        event = only(started)
        assert event["error"]["message"] == "nobody"
        assert event["http"]["response"]["status_code"] == 500

    def test_a_debugger_around_it_shows_its_page(self, started):
        app = self.app(PROPAGATE_EXCEPTIONS=True)
        debugged = DebuggedApplication(app, pin_security=False)
        answers = []

        def start_response(status, headers, exc_info=None):
            answers.append(status)

        page = b"".join(debugged(create_environ("/boom", errors_stream=io.StringIO()), start_response))
        assert page.startswith(b"<!doctype html>")
        assert b"Werkzeug Debugger" in page
        assert len(answers) == 1
        assert len(started()["access"]) == 1

    def test_the_peer_is_the_proxy_though_a_proxy_fix_further_out_names_the_client(self, started):
        app = self.app()
        app.wsgi_app = ProxyFix(app.wsgi_app)
        app.test_client().get("/items/7", headers={"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "theirs"}).close()
        assert only(started)["http"]["request"]["id"] == "theirs"

    def test_every_application_by_its_name(self, started):
        alone = self.app()
        done = clusterlog.instrument("flask")
        other = flask.Flask("other")
        for app in (alone, other):
            app.test_client().get("/boom").close()
        done.remove()
        other.test_client().get("/boom").close()
        events = started()["access"]
        assert events.messages == ["GET /boom 500", "GET /boom 404"]
        assert events[0]["error"]["message"] == "nobody"

    def test_a_streamed_body_that_is_not_read_to_its_end_is_closed_once(self, started):
        app = self.app()

        @app.get("/streamed")
        def streamed():
            return flask.Response(iter([b"one", b"two"]))

        answer = app.test_client().get("/streamed", buffered=False)
        assert next(iter(answer.response)) == b"one"
        assert not started()["access"]
        answer.close()
        assert only(started)["event"]["reason"] == "client disconnected"
        assert context.request_id() is None


def test_a_flask_application_inside_an_asgi_one_with_both_instrumented_is_one_request(started):
    """As uvicorn runs one with ``--interface wsgi``."""
    app = flask.Flask("inner")
    app.add_url_rule("/inner/a", view_func=lambda: "hello", endpoint="a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mounted = WSGIMiddleware(clusterlog.instrument(app))
    answer = TestClient(clusterlog.instrument(mounted)).get("/inner/a")
    assert answer.text == "hello"
    assert answer.headers.get_list("x-request-id") == [only(started)["http"]["request"]["id"]]
