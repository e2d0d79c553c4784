"""The commands on a server that asks who is there: who ships, who reads and who sets up can do that and no more."""

from __future__ import annotations

import json
import secrets
import signal

import pytest
from faults import FaultProxy

pytestmark = pytest.mark.engines

REQUEST = "0193f0c2000000000000000000000abc"
SHIPPING = (
    "shipping needs the rights create_doc and auto_configure on logs-clusterlog.*-*: "
    "`clusterlog setup elasticsearch --keys ship` makes a key with them"
)
READING = (
    "reading needs the rights read and view_index_metadata on logs-clusterlog.*-*: "
    "`clusterlog setup elasticsearch --keys read` makes a key with them"
)
SETTING_UP = "setting up needs the cluster rights monitor and manage_index_templates, and manage on logs-clusterlog.*-*"
QUESTIONS = (
    ("trace", REQUEST),
    ("search", "order"),
    ("search", "--count"),
    ("search", "--group", "request"),
    ("errors",),
    ("export", REQUEST),
    ("verify",),
)


@pytest.fixture
def told(home):
    """A home in which a process has told of a request and ended; how many events that makes with its own."""
    speaker = home.speaker()
    speaker.say("order placed", request=REQUEST)
    speaker.say("order failed", "error", request=REQUEST, sku="lantern")
    speaker.answer(REQUEST, 502)
    speaker.end()
    return home


@pytest.fixture
def by(run, secured):
    """A command with the key of a file."""

    def called(token, *words):
        return run(*words, "--store", secured.url, "--token-file", token)

    return called


@pytest.fixture
def shipped(told, keys, by, secured):
    """What was told, shipped with the key for that; the three keys."""
    tokens = keys("ship", "read", "setup")
    result = by(tokens["ship"], "ship", "--once")
    assert result.code == 0, result.err
    secured.call("POST", "/logs-clusterlog.*-development/_refresh")
    return tokens


def denied(result):
    """The one line in which a right is told to be lacking."""
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1), result
    return result.err


def test_the_key_for_shipping_is_enough_to_ship_and_nothing_else_is_asked(told, keys, run, secured):
    """Neither what the server is nor what it knows: that would need the right ``monitor``."""
    asked = []

    def script(path):
        asked.append(path.partition("?")[0])
        return "none"

    with FaultProxy(secured.url, script) as proxy:
        result = run("ship", "--once", "--store", proxy.url, "--token-file", keys("ship")["ship"])
    assert result.code == 0, result.err
    assert set(asked) == {"/_bulk"}
    assert run("status", "--store", secured.url, "--json").out.count('"shipped": 5') == 1


@pytest.mark.parametrize("use", ["read", "setup"])
def test_who_may_not_ship_is_told_what_that_needs_and_loses_nothing(told, keys, by, use):
    tokens = keys("ship", use)
    refused = denied(by(tokens[use], "ship", "--once", "--timeout", "20"))
    assert f"our token_file {tokens[use]} may not do this (403)" in refused
    assert refused.endswith(f"; {SHIPPING}\n")
    assert "this action is granted by" not in refused
    state = json.loads(by(tokens[use], "status", "--json").out)
    assert (state["backlog"]["events"], state["dropped"], state["dead"]) == (5, {}, 0)
    assert by(tokens["ship"], "ship", "--once").code == 0


def test_the_key_for_reading_answers_every_question(shipped, by):
    for words in QUESTIONS:
        result = by(shipped["read"], *words)
        # Of what other tests told of on this server, not all is to be explained.
        assert result.code in ((0, 5) if words == ("verify",) else (0,)) and result.out, (words, result)
    assert json.loads(by(shipped["read"], "trace", REQUEST, "--json").out)["request"]["status"] == 502
    assert json.loads(by(shipped["read"], "verify", "--json").out)["stored"] >= 5


def test_the_key_for_reading_looks_on_and_another_is_told_what_it_lacks(shipped, process, secured, home):
    def looking(use):
        return process(
            "tail",
            "-n",
            "3",
            "--request",
            REQUEST,
            "--store",
            secured.url,
            "--token-file",
            shipped[use],
            "--home",
            home,
        )

    tail = looking("read")
    seen = [tail.stdout.readline() for _ in range(3)]
    assert b"order failed" in b"".join(seen)
    refused = looking("ship")
    said = next(line for line in refused.stderr if b"cannot be asked" in line)
    assert said.decode().endswith(f"; {READING}\n")
    for each in (tail, refused):
        each.send_signal(signal.SIGINT)
        each.communicate(timeout=30)


@pytest.mark.parametrize("use", ["ship", "setup"])
def test_who_may_not_read_is_told_what_that_needs_whatever_is_asked(shipped, by, use):
    for words in QUESTIONS:
        refused = denied(by(shipped[use], *words))
        assert f"our token_file {shipped[use]} may not do this (403)" in refused
        assert refused.endswith(f"; {READING}\n")
        assert "this action is granted by" not in refused


@pytest.mark.parametrize("use", ["ship", "read"])
def test_who_may_not_set_up_is_told_what_that_needs(keys, by, use):
    refused = denied(by(keys(use)[use], "setup", "elasticsearch"))
    assert "the right monitor is lacking" in refused
    assert refused.endswith(f"; {SETTING_UP}\n")
    assert "this action is granted by" not in refused


def test_an_environment_that_a_key_is_not_for_waits_and_is_told(told, run, keys, secured):
    mine = f"c{secrets.token_hex(4)}"
    key = keys("ship", environments=[mine])["ship"]
    result = run("ship", "--once", "--timeout", "20", "--store", secured.url, "--token-file", key)
    assert result.code != 0
    assert "logs-clusterlog.app-development" in result.err
    assert SHIPPING in result.err
    state = json.loads(run("status", "--store", secured.url, "--token-file", key, "--json").out)
    assert (state["backlog"]["events"], state["dropped"], state["dead"]) == (5, {}, 0)
