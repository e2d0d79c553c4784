"""The shop of the example: sessions that go on when another node answers, customers, and the edge before them."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from programs import program
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop"


def _module(name):
    spec = importlib.util.spec_from_file_location(f"shop_{name}", SHOP / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sessions = _module("sessions")
customers = _module("customers")


class Redis:
    """What a Redis keeps; ``away`` makes it fail."""

    def __init__(self):
        self.kept, self.ends, self.away = {}, {}, False

    async def get(self, name):
        self._try()
        return self.kept.get(name)

    async def set(self, name, value, *, ex):
        self._try()
        self.kept[name], self.ends[name] = value.encode(), ex

    def _try(self):
        if self.away:
            raise ConnectionError("connection refused")


@pytest.fixture
def redis():
    return Redis()


@pytest.fixture
def log(monkeypatch):
    """What the sessions log."""
    said = []

    class Log:
        def warning(self, message, **fields):
            said.append((message, fields))

    monkeypatch.setattr(sessions.clusterlog, "get_logger", lambda name: Log())
    return said


def visited(redis, node):
    """A node of the shop: what it answers is the session."""

    async def session(request: Request):
        if "fails" in request.query_params:
            raise RuntimeError("no answer")
        return JSONResponse(request.scope["session"])

    app = Starlette(routes=[Route("/session", session)])
    app.add_middleware(sessions.Sessions, kept=redis, node=node)
    return app


class Visitor:
    """Somebody with a cookie jar."""

    def __init__(self):
        self.cookies = httpx.Cookies()

    def asks(self, app, path="/session", **headers):
        async def asked():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop", cookies=self.cookies) as client:
                answer = await client.get(path, headers=headers)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())


def test_a_session_goes_on_when_another_node_answers_and_that_is_told(redis, log):
    visitor = Visitor()
    first, second = visited(redis, "shop-1"), visited(redis, "shop-2")
    assert visitor.asks(first).json() == {"visits": 1, "node": "shop-1"}
    assert visitor.asks(first).json() == {"visits": 2, "node": "shop-1"}
    assert log == []
    assert visitor.asks(second).json() == {"visits": 3, "node": "shop-2"}
    assert log == [("session taken over", {"before": "shop-1", "visits": 3})]


def test_two_visitors_have_two_sessions(redis, log):
    shop = visited(redis, "shop-1")
    one, other = Visitor(), Visitor()
    one.asks(shop)
    assert other.asks(shop).json()["visits"] == 1
    assert len(redis.kept) == 2


def test_the_cookie_is_for_the_shop_alone_and_set_once(redis, log):
    visitor = Visitor()
    shop = visited(redis, "shop-1")
    (cookie,) = visitor.asks(shop).headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    assert name == sessions.COOKIE
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(rest.split("; "))
    assert "set-cookie" not in visitor.asks(shop).headers


@pytest.mark.parametrize(
    "cookie", ["shop_session=*", "shop_session=../../etc/passwd", "shop_session=", "a=b; ;;=", "\x80=x"]
)
def test_a_cookie_that_cannot_be_ours_begins_a_session_of_its_own(redis, log, cookie):
    answer = Visitor().asks(visited(redis, "shop-1"), cookie=cookie.encode("latin-1"))
    assert answer.json()["visits"] == 1
    assert "set-cookie" in answer.headers
    assert all(len(name) == len("session:") + 32 for name in redis.kept)


def test_without_redis_the_shop_answers_and_says_so(redis, log):
    visitor = Visitor()
    shop = visited(redis, "shop-1")
    visitor.asks(shop)
    redis.away = True
    assert visitor.asks(shop).json() == {"visits": 1, "node": "shop-1"}
    assert [message for message, _ in log] == ["sessions cannot be read", "sessions cannot be kept"]


def test_a_session_is_kept_before_its_answer_leaves_so_that_the_next_node_finds_it(redis):
    shop, kept = visited(redis, "shop-1"), []

    async def answered(message):
        kept.append((message["type"], len(redis.kept)))

    scope = {"type": "http", "method": "GET", "path": "/session", "headers": [], "query_string": b""}
    asyncio.run(shop(scope, None, answered))
    assert kept == [("http.response.start", 1), ("http.response.body", 1)]


def test_sessions_end_a_day_after_the_last_visit(redis, log):
    Visitor().asks(visited(redis, "shop-1"))
    assert set(redis.ends.values()) == {24 * 3600}


def test_the_cookie_is_the_one_whose_hash_the_stack_has_stored(written):
    for name in ("shop-1", "shop-2"):
        assert written["services"][name]["environment"]["CLUSTERLOG_SESSION_COOKIE"] == sessions.COOKIE


def test_customers_are_those_of_the_demo_each_with_a_session(redis, log):
    """Every user has a jar of his own: a balancer that knows sessions by cookies spreads them."""
    from clusterlog.cli.demo.plan import USERS, endless

    made = customers.Customers("http://haproxy:8080")
    planned = next(iter(endless(customers.SEED, 0)))
    assert made._clients.keys() == set(USERS)
    assert len({id(each.cookies.jar) for each in made._clients.values()}) == len(USERS)
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, headers={"set-cookie": "SERVED_BY=shop-1"})

    made._clients[planned.user] = httpx.Client(transport=httpx.MockTransport(answer))
    assert [made.request(planned), made.request(planned)] == [200, 200]
    assert asked[0].url == f"http://haproxy:8080{planned.path}"
    assert asked[1].headers["cookie"] == "SERVED_BY=shop-1" and asked[0].headers["X-User"] == planned.user


def test_a_customer_who_gets_no_answer_goes_on(capsys):
    from clusterlog.cli.demo.plan import endless

    made = customers.Customers("http://127.0.0.1:9")
    assert made.request(next(iter(endless(1, 0)))) == 0
    assert "ConnectError" in capsys.readouterr().err


def test_everybody_the_edge_sends_to_is_a_node_of_the_shop(written):
    config = (SHOP / "haproxy.cfg").read_text()
    servers = [line.split()[1:] for line in config.splitlines() if line.strip().startswith("server ")]
    assert [name for name, *_ in servers] == ["shop-1", "shop-2"]
    for name, address, *more in servers:
        assert address == f"{name}:8001" and more == ["cookie", name]
        assert name in written["services"]


def test_haproxy_reads_its_file():
    command = [program("haproxy"), "-c", "-f", SHOP / "haproxy.cfg"]
    told = subprocess.run(command, env={"EDGE_LOG": "stdout"}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_what_goes_into_the_image_is_listed_and_the_rest_stays_out():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / each).exists() for each in allowed)
    assert not any(each.startswith((".env", ".git", ".stack", "tests")) for each in allowed)


def test_the_image_holds_what_a_wheel_is_made_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "LICENSE", "pyproject.toml"}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {each for each in needed if each not in allowed and each.split("/")[0] not in allowed} == set()
