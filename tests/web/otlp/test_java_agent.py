"""A request crosses a node in Java of which nobody but OpenTelemetry's agent knows, and is one request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_servers import needed
from fetch import CACHE, java

NAME = "java-agent-2.33"
PATIENCE_S = 300.0

SERVICE = """
import os
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import urllib3

import clusterlog

name, home, to = sys.argv[1:]
clusterlog.start(name, home=home, node=f"{name}-1")
clusterlog.instrument("urllib3")
log = clusterlog.get_logger(f"{name}.api")


class Quiet(WSGIRequestHandler):
    def log_message(self, *told):
        return


def app(environ, begin):
    log.info("asked")
    status = urllib3.request("GET", to, retries=False, timeout=300).status if to else 200
    begin(f"{status} said", [("Content-Length", "0")])
    return [b""]


server = make_server("127.0.0.1", 0, clusterlog.instrument(app), handler_class=Quiet)
os.write(1, f"port {server.server_port}\\n".encode())
server.handle_request()
clusterlog.stop()
"""


@contextmanager
def started(command: list[Any], directory: Path, **own: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A program that says its port, by its URL; it is ended with the block."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "JAVA_TOOL"))}
    with (directory / "told.log").open("ab") as told:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, env={**known, **own}, cwd=directory
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(b"port "), (directory / "told.log").read_text()
        yield f"http://127.0.0.1:{int(line.split()[1])}", process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()


@pytest.mark.engines
def test_a_request_through_a_java_node_is_one_request(serve: Callable[..., Any], tmp_path: Path) -> None:
    needed(NAME)
    server = serve()
    (tmp_path / "service.py").write_text(SERVICE)
    python = [sys.executable, tmp_path / "service.py"]
    ours = {"PYTHONPATH": str(Path(__file__).parents[3])}
    agent = CACHE / NAME
    watched = [java(17), f"-javaagent:{agent}/agent.jar", "-cp", agent, "Node"]
    settings = {
        "OTEL_SERVICE_NAME": "stock",
        "OTEL_RESOURCE_ATTRIBUTES": "host.name=stock-1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {server.ask.tokens.write}",
        "OTEL_METRICS_EXPORTER": "none",
        **dict.fromkeys(("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"), "200"),
        **dict.fromkeys(("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT"), "60000"),
        "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS": "X-Request-ID",
    }
    with ExitStack() as stack:
        pricing, asked = stack.enter_context(started([*python, "pricing", server.home, ""], tmp_path, **ours))
        stock, process = stack.enter_context(started([*watched, pricing], tmp_path, **settings))
        shop, first = stack.enter_context(started([*python, "shop", server.home, f"{stock}/stock"], tmp_path, **ours))
        with pytest.raises(urllib.error.HTTPError) as answered:
            urllib.request.urlopen(f"{shop}/buy", timeout=PATIENCE_S)
        with answered.value as answer:
            assert answer.status == 503
            request = answer.headers["X-Request-ID"]
        for each in (first, asked):
            assert each.wait(PATIENCE_S) == 0
        _wait_for(server, 9)
        assert process.poll() is None, (tmp_path / "told.log").read_text()
    told = _traced(server, request, tmp_path, ours)
    assert told["request"]["nodes"] == ["shop-1", "stock-1", "pricing-1"]
    assert (told["request"]["route"], told["request"]["status"]) == ("/buy", 503)
    by_node: dict[str, list[str]] = {}
    for event in told["events"]:
        by_node.setdefault(event["service"]["node"]["name"], []).append(event["message"])
    assert sorted(by_node["stock-1"]) == ["GET", "GET /stock", "cannot say what it costs", "stock is low: 3 left"]
    assert {"asked", "GET /price 200"} <= set(by_node["pricing-1"])
    assert "no price for it" in told["verdict"][0]["text"]
    spans = {event["message"]: event for event in told["events"] if event["event"]["dataset"] == "clusterlog.span"}
    assert spans["GET /stock"]["http"]["request"]["id"] == request
    assert len({event["trace"]["id"] for event in told["events"]}) == 1
    order = [event["message"] for event in told["events"]]
    assert order.index("stock is low: 3 left") < order.index("GET /price 200") < order.index("GET /stock")


def _wait_for(server: Any, events: int) -> None:
    """Until so many events of requests are stored."""
    end = time.monotonic() + PATIENCE_S
    while len(found := [each for each in server.ask.found() if each["event"]["kind"] == "event"]) < events:
        assert time.monotonic() < end, found
        time.sleep(0.1)


def _traced(server: Any, request: str, directory: Path, ours: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "clusterlog", "trace", request, "--home", server.home, "--json"]
    told = subprocess.run(
        command, capture_output=True, env={**os.environ, **ours}, cwd=directory, timeout=PATIENCE_S, check=False
    )
    assert told.returncode == 0, told.stderr.decode()
    return json.loads(told.stdout)
