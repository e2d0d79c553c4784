"""What `ship`, `status` and `doctor` say of Logstash: what was promised, what is wrong, and nothing secret."""

from __future__ import annotations

import json
import socket

import pytest
from certificates import Certificates
from logstash_http import HttpInput
from logstash_inputs import BeatsInput, LinesInput

SECRET = "hidden-password"
EVENTS = 5


@pytest.fixture
def unused_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def delivered(server):
    """The events that an application said, without the shipper's own."""
    return [event for event in server.queue.events if event["log"]["logger"] != "clusterlog"]


def findings(run, *arguments):
    told = json.loads(run("doctor", "--json", *arguments).out)["findings"]
    return {each["check"]: each for each in told}


@pytest.mark.parametrize(
    ("start", "scheme", "promise"),
    [
        (BeatsInput, "lumberjack+tcp", "acknowledged once the far end has queued them"),
        (HttpInput, "logstash+http", "acknowledged once the far end has queued them"),
        (LinesInput, "jsonlines+tcp", "best effort"),
    ],
)
def test_everything_is_delivered_once_and_told_with_what_that_means(run, said, until, start, scheme, promise):
    with start() as server:
        url = f"{scheme}://127.0.0.1:{server.port}"
        result = run("ship", "--once", "--sink", url)
        assert result.code == 0 and f"to {url} ({promise}" in result.err
        until(lambda: len(delivered(server)) >= 3, "all lines are there")
        assert sorted(event["message"] for event in delivered(server)) == ["line 0", "line 1", "line 2"]
        (said.path / "clusterlog.toml").write_text(f'sink = "{url}"\n')
        told = json.loads(run("status", "--json").out)
        assert told["store"]["url"] == url and told["backlog"]["events"] == 0
        assert told["store"]["promise"] == ("sent" if "best" in promise else "queued")
        assert promise in run("status").out


def test_best_effort_is_said_when_shipping_begins(process, said, until):
    with LinesInput() as server:
        started = process("ship", "--sink", f"jsonlines+tcp://127.0.0.1:{server.port}", "--home", said)
        first = started.stderr.readline().decode()
        assert "best effort" in first and "Ctrl-C ends it" in first
        until(lambda: len(delivered(server)) >= 3, "all lines are there")


@pytest.mark.parametrize("scheme", ["lumberjack+tcp", "logstash+http", "jsonlines+tcp"])
def test_where_nobody_listens_nothing_is_lost_and_the_address_is_told(run, said, unused_port, scheme):
    result = run("ship", "--once", "--sink", f"{scheme}://127.0.0.1:{unused_port}")
    assert result.code == 3 and "nothing listens there (connection refused)" in result.err
    told = json.loads(run("status", "--json").out)
    assert told["backlog"]["events"] >= EVENTS and (told["shipped"], told["dead"]) == (0, 0)


def test_a_wrong_password_is_a_matter_of_credentials_and_is_not_shown(run, said):
    with HttpInput(login=("clusterlog", "another")) as server:
        result = run("ship", "--once", "--sink", f"logstash+http://clusterlog:{SECRET}@127.0.0.1:{server.port}")
    assert result.code == 4 and "does not accept our user and password in the URL (401)" in result.err
    assert SECRET not in result.err


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"lumberjack+tls://u:{SECRET}@h:5044", "takes no user and password: write cert_file"),
        ("lumberjack+tls://h/path", "a path means nothing there: leave out /path"),
        ("jsonlines+tcp://", "is no URL of an input for lines of JSON"),
        ("logstash+https://h:0", "0 is no port"),
        ("logstash+https://h,lumberjack+tls://h", "begins with logstash+http:// or logstash+https://"),
        ("lumberjak+tls://h", "did you mean lumberjack+tls:?"),
    ],
)
def test_a_url_that_cannot_be_is_told_in_one_line(run, said, url, told):
    result = run("ship", "--once", "--sink", url)
    assert result.code == 2 and told in result.err and result.err.count("\n") == 1
    assert SECRET not in result.err


def test_doctor_connects_and_sends_nothing(run, said, unused_port):
    for start, scheme, state in (
        (BeatsInput, "lumberjack+tcp", "ok"),
        (HttpInput, "logstash+http", "ok"),
        (LinesInput, "jsonlines+tcp", "warning"),
    ):
        with start() as server:
            found = findings(run, "--sink", f"{scheme}://127.0.0.1:{server.port}")["sink"]
            assert found["state"] == state and "lets itself be connected to" in found["text"]
            assert server.queue.events == []
    assert "best effort" in found["text"] and "logstash+https://" in found["mend"]
    found = findings(run, "--sink", f"logstash+https://127.0.0.1:{unused_port}")["sink"]
    assert found["state"] == "problem" and "nothing listens there" in found["text"]


def test_doctor_meets_certificates_that_are_not_believed(run, said, tmp_path):
    certificates = Certificates(tmp_path)
    with HttpInput(tls=certificates.context(certificates.server())) as server:
        url = f"logstash+https://localhost:{server.port}"
        found = findings(run, "--sink", url)["sink"]
        assert found["state"] == "problem" and "signed by nobody this machine trusts" in found["text"]
        (said.path / "clusterlog.toml").write_text(f'ca_file = "{certificates.authority()}"\n')
        assert findings(run, "--sink", url)["sink"]["state"] == "ok"
