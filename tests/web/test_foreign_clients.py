"""Clients of Elasticsearch in other languages send here: each thinks it has met what it knows, and loses nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_servers import needed
from fetch import CACHE, HERE
from programs import installed
from syslog_server import Rsyslog, SyslogNg, free_port

from clusterlog.errors import StoreUnavailable
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.embedded.raw import live

pytestmark = pytest.mark.engines

EVENTS = 1000
PATIENCE_S = 240.0


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The disk fails at the second and the third request, and bears all others; counted is what came."""
    whole, came = EmbeddedStore.deliver, Counter[str]()

    def deliver(self: EmbeddedStore, batch: Any) -> Any:
        came["requests"] += 1
        if came["requests"] in (2, 3):
            raise StoreUnavailable("the disk is busy")
        return whole(self, batch)

    monkeypatch.setattr(EmbeddedStore, "deliver", deliver)
    return came


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until the answer is true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def said(command: list[Any], token: str, directory: Path) -> Any:
    """What a program says of itself, in its one line."""
    own = {**os.environ, "TOKEN": token, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=directory, env=own, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def node(program: str, directory: Path) -> list[Any]:
    """The command for a program for Node, with the clients that were fetched beside it."""
    needed("clients-node")
    shutil.copy(HERE / "clients" / "node" / program, directory)
    (directory / "node_modules").symlink_to(CACHE / "clients-node" / "node_modules")
    return [shutil.which("node"), program]


def found(ask: Any, request: str) -> list[str]:
    """The messages of a request, as often as they are stored."""
    documents = [each for each in ask.found() if each["http"]["request"]["id"] == request]
    assert {each["service"]["name"] for each in documents} == {"shop"}
    return [each["message"] for each in documents]


def test_go_elasticsearch_sends_again_what_was_not_taken_and_knows_what_was(ask, busy, tmp_path):
    needed("clients-go")
    told = said([CACHE / "clients-go" / "bulk", ask.url], ask.tokens.write, tmp_path)
    assert told["info"] == 200
    assert told["first"] == {"stored": EVENTS, "failed": {}, "errors": []}
    assert told["again"] == {"stored": 0, "failed": {"409 version_conflict_engine_exception": EVENTS}, "errors": []}
    assert told["never"]["failed"] == {"400 invalid_index_name_exception": 1}
    (stranger,) = told["stranger"]["errors"]
    assert "401" in stranger or "security_exception" in stranger
    assert busy["requests"] > 8
    assert sorted(found(ask, "r-go")) == sorted(f"go {number}" for number in range(1, EVENTS + 1))


def test_elasticsearch_js_sends_again_what_was_not_taken_and_knows_what_was(ask, busy, tmp_path):
    told = said([*node("bulk.mjs", tmp_path), ask.url], ask.tokens.write, tmp_path)
    assert told["info"].startswith("8.")
    assert (told["first"]["stored"], told["first"]["failed"]) == (EVENTS, {})
    assert (told["again"]["stored"], told["again"]["failed"]) == (0, {"409 version_conflict_engine_exception": EVENTS})
    assert told["never"]["failed"] == {"400 invalid_index_name_exception": 1}
    assert told["stranger"] == "ResponseError 401"
    assert busy["requests"] > 8
    assert sorted(found(ask, "r-js")) == sorted(f"js {number}" for number in range(1, EVENTS + 1))


def test_pino_s_lines_are_all_there_with_their_levels(ask, busy, tmp_path):
    assert said([*node("pino.mjs", tmp_path), ask.url], ask.tokens.write, tmp_path) == {"failed": []}
    assert busy["requests"] > 4
    assert sorted(found(ask, "r-pino")) == sorted(f"pino {number}" for number in range(1, EVENTS + 1))
    levels = Counter(each["log"]["level"] for each in ask.found())
    assert levels == {"info": 900, "error": 100}


RSYSLOG = """
module(load="imtcp")
module(load="omelasticsearch")
template(name="time" type="list") {{ property(name="timereported" dateFormat="rfc3339") }}
template(name="number" type="string" string="rsyslog-%msg:F,32:2%")
template(name="event" type="list") {{ property(name="$!all-json-plain") }}
template(name="id" type="list") {{ property(name="$.id") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="ship")
ruleset(name="ship") {{
  if strlen($.omes!status) > 0 then {{
    if $.omes!status != 429 then stop
    set $.id = $.omes!_id;
  }} else {{
    set $!timestamp = exec_template("time");
    set $!hostname = $hostname;
    set $!message = $msg;
    set $!request_id = "r-rsyslog";
    set $.id = exec_template("number");
  }}
  action(
    type="omelasticsearch" server="127.0.0.1" serverport="{to}" uid="any" pwd="{token}"
    bulkmode="on" searchIndex="shop" searchType="" writeoperation="create" bulkid="id" dynbulkid="on" template="event"
    retryfailures="on" retryruleset="ship" queue.type="linkedList" queue.size="5000" queue.dequeueBatchSize="200"
    action.resumeRetryCount="-1" action.resumeInterval="1"
  )
}}
"""


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The disk has no room at the second and the third request, and all others are taken; counted is what came."""
    whole, came = live.write_at, Counter[str]()

    def write(fd: int, data: bytes, at: int) -> None:
        came["requests"] += 1
        if came["requests"] in (2, 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(fd, data, at)

    monkeypatch.setattr(live, "write_at", write)
    return came


def test_rsyslog_s_elasticsearch_output_loses_nothing_and_doubles_nothing(ask, full, tmp_path):
    """Its own setting says what is sent again; of a request that fails as a whole it knows nothing."""
    installed("rsyslog-elasticsearch", Rsyslog.speaks("omelasticsearch"))
    port = free_port()
    with Rsyslog(tmp_path, RSYSLOG.format(port=port, to=ask.port, token=ask.tokens.write)) as server:
        server.wait_for_port(port)
        for first in (1, EVENTS // 2 + 1):
            send(port, "rsyslog", first, EVENTS)
            wait_until(lambda: len(ask.found()) >= EVENTS, "1,000 events")
        send(port, "rsyslog", EVENTS + 1, EVENTS + 1)
        wait_until(lambda: len(ask.found()) > EVENTS, "one more")
    assert full["requests"] > 7
    assert sorted(found(ask, "r-rsyslog")) == sorted(f"rsyslog {number}" for number in range(1, EVENTS + 2))
    assert {each["host"]["name"] for each in ask.found()} == {"web-1"}


SYSLOG_NG = """
source s {{ network(ip("127.0.0.1") port({port}) transport("tcp") flags(syslog-protocol)); }};
destination d {{
  http(
    url("{to}/_bulk") method("POST") headers("Content-Type: application/x-ndjson") user("any") password("{token}")
    body("{{\\"create\\":{{\\"_index\\":\\"shop\\",\\"_id\\":\\"syslog-ng-${{PID}}\\"}}}}\\n$(format-json --scope none
      timestamp=${{ISODATE}} hostname=${{HOST}} message=${{MESSAGE}} request_id=r-syslog-ng)")
    delimiter("\\n") body-suffix("\\n") batch-lines(200) batch-timeout(200) workers(2) retries(10) time-reopen(1)
  );
}};
log {{ source(s); destination(d); flags(flow-control); }};
"""


def test_syslog_ng_s_http_output_loses_nothing_and_doubles_nothing(ask, busy, tmp_path):
    installed("syslog-ng-mod-http", SyslogNg.speaks("http"))
    port = free_port()
    with SyslogNg(tmp_path, SYSLOG_NG.format(port=port, to=ask.url, token=ask.tokens.write)) as server:
        server.wait_for_port(port)
        for first in (1, EVENTS // 2 + 1):
            send(port, "syslog-ng", first, EVENTS)
            wait_until(lambda: len(ask.found()) >= EVENTS, "1,000 events")
        send(port, "syslog-ng", EVENTS + 1, EVENTS + 1)
        wait_until(lambda: len(ask.found()) > EVENTS, "one more")
    assert busy["requests"] > 7
    assert sorted(found(ask, "r-syslog-ng")) == sorted(f"syslog-ng {number}" for number in range(1, EVENTS + 2))


def send(port: int, what: str, first: int, last: int) -> None:
    """Syslog messages with these numbers over TCP."""
    head = "<13>1 2026-11-03T12:00:00Z web-1 shop"
    lines = [f"{head} {number} - - {what} {number}\n" for number in range(first, last + 1)]
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall("".join(lines).encode())
