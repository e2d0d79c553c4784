"""What the stack's one-shot does as the administrator, on a real server: a password for Kibana, a key for Logstash."""

from __future__ import annotations

import base64
import importlib.util
import os
import secrets
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

pytestmark = pytest.mark.engines

SHOP = Path(__file__).parents[3] / "examples/shop"
PASSWORD = "only-for-tests"  # that of the server's administrator, as in conftest.py
_spec = importlib.util.spec_from_file_location("shop_provision", SHOP / "provision.py")
provision = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(provision)


def run(url, key, password="a-password-of-kibana"):
    environ = {**os.environ, "CLUSTERLOG_STORE": url, "KIBANA_PASSWORD": password}
    environ.pop("CLUSTERLOG_CA_FILE", None)
    command = [sys.executable, SHOP / "provision.py", str(key)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def url(secured):
    return secured.url.replace("//", f"//admin:{PASSWORD}@")


@pytest.fixture
def somebody_with(secured):
    """A user of the server, by name and password."""

    def called(user, password, method="GET", path="/_security/_authenticate", body=None):
        server = provision.Elasticsearch(secured.url.replace("//", f"//{user}:{password}@"), "")
        return server.call(method, path, body)

    return called


def test_kibana_gets_its_password_and_logstash_a_key_that_can_only_create(url, secured, tmp_path, somebody_with):
    password, key = secrets.token_hex(16), tmp_path / "logstash.key"
    told = run(url, key, password)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "kibana_system has its password, a key for Logstash was made\n"
    assert somebody_with("kibana_system", password)["username"] == "kibana_system"
    server = provision.Elasticsearch(url, "")
    authorization = f"ApiKey {base64.b64encode(key.read_text().strip().encode()).decode()}"
    stream = f"logs-clusterlog.app-p{secrets.token_hex(4)}"
    event = {"@timestamp": "2026-01-01T00:00:00Z"}
    assert server.call("PUT", f"/{stream}/_create/1", event, authorization)["result"] == "created"
    assert server.call("GET", "/", authorization=authorization)["version"]
    for method, path, body in (("GET", f"/{stream}/_search", None), ("PUT", "/other/_create/1", event)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.call(method, path, body, authorization)
        with refused.value as answer:
            assert answer.code == 403
    assert key.stat().st_mode & 0o777 == 0o640


def test_a_second_time_the_key_stays_and_the_password_is_set_anew(url, tmp_path, somebody_with):
    key = tmp_path / "logstash.key"
    run(url, key)
    before = key.read_text()
    told = run(url, key, "another-password")
    assert told.stdout == "kibana_system has its password, the key for Logstash is good\n"
    assert key.read_text() == before
    assert somebody_with("kibana_system", "another-password")["username"] == "kibana_system"


@pytest.mark.parametrize("content", ["", "nonsense", "an-id:that-is-nobodys", "-----BEGIN"])
def test_a_key_that_the_server_does_not_know_is_replaced(url, tmp_path, content):
    key = tmp_path / "logstash.key"
    key.write_text(content)
    told = run(url, key)
    assert (told.returncode, told.stdout.endswith("a key for Logstash was made\n")) == (0, True), told.stderr
    assert key.read_text() != content


def test_a_volume_that_was_made_with_another_password_is_told_in_a_line(secured, tmp_path):
    told = run(secured.url.replace("//", "//admin:not-this@"), tmp_path / "logstash.key")
    assert told.returncode == 1
    assert told.stderr == (
        f"{secured.url} refuses the password: its volume was made with another .env (clusterlog stack down --volumes)\n"
    )
    assert not (tmp_path / "logstash.key").exists()


def test_a_server_that_does_not_answer_is_told_in_a_line(tmp_path):
    told = run("http://elastic:x@127.0.0.1:9", tmp_path / "logstash.key")
    assert told.returncode == 1
    assert told.stderr.startswith("http://127.0.0.1:9 does not answer: ")
    assert told.stderr.count("\n") == 1
