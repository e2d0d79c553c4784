"""A set-up that breaks off, however it does: the same command again makes the rest."""

from __future__ import annotations

import os
import signal

import pytest
from faults import FaultProxy

pytestmark = pytest.mark.engines

MAPPINGS = "/_component_template/clusterlog@mappings"
INDEX = "/_index_template/clusterlog"
ROLE = "/_security/role/clusterlog_read"
KEY = "/_security/api_key"


@pytest.fixture
def proxy(secured):
    """Before the server; what a request meets is set by path and by how often that was asked for."""
    with FaultProxy(secured.url, seconds=60) as made:
        yield made


@pytest.fixture
def through(setup, secured, proxy):
    """The words of the command as the administrator, on a server that was cleared."""
    assert setup("--remove", "--yes").code == 0
    login = f"//{secured.user}:{secured.password}@"
    return ("setup", "elasticsearch", "--store", proxy.url.replace("//", login))


def at(path, fault, occurrence=1):
    """This fault where a path is asked for that often."""
    seen = []

    def script(asked):
        seen.append(asked)
        return fault if asked == path and seen.count(path) == occurrence else "none"

    return script


@pytest.mark.parametrize(("fault", "why"), [("503", "has too much to do"), ("cut", "without an answer")])
@pytest.mark.parametrize(("path", "occurrence", "made"), [(MAPPINGS, 1, 1), (INDEX, 2, 2)], ids=["second", "third"])
def test_a_step_that_fails_says_how_far_it_came_and_the_rest_is_made_next(
    run, through, setup, proxy, path, occurrence, made, fault, why
):
    """The index template is looked at before it is written."""
    proxy.script = at(path, fault, occurrence)
    broken = run(*through)
    assert broken.code == 3
    *done, how_far, told = broken.err.splitlines()
    assert len(done) == made and all(line.startswith("created ") for line in done)
    counted = f"{made} change{'s' if made > 1 else ''}"
    assert how_far == f"clusterlog: {counted} of 6 made: the same command again makes the rest"
    assert why in told
    proxy.script = at("", "none")
    assert run(*through).err.splitlines()[-1] == f"{6 - made} changes made"
    assert setup("--dry-run").lines[-1] == "nothing to do: 6 as they should be"


def test_a_step_that_was_done_without_an_answer_is_not_done_again(run, through, setup, proxy):
    proxy.script = at(INDEX, "lost", 2)
    assert run(*through).code == 3
    assert run(*through).err.splitlines()[-1] == "3 changes made"
    assert setup("--dry-run").lines[-1] == "nothing to do: 6 as they should be"


@pytest.mark.parametrize("path", [MAPPINGS, ROLE])
def test_whoever_is_killed_within_it_finishes_it_next_time(run, process, through, setup, proxy, until, path):
    proxy.script = at(path, "hang")
    killed = process(*through)
    until(lambda: proxy.counts["hang"], "the command waits for an answer")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert run(*through).code == 0
    assert setup("--dry-run").lines[-1] == "nothing to do: 6 as they should be"


def test_a_key_whose_secret_never_came_is_made_anew(run, process, through, setup, proxy, until, tmp_path, secured):
    """The server may have made it: then nobody knows its secret, and taking back takes that one too."""
    keys = ("--keys", "ship", "--keys-to", tmp_path / "keys")
    file = tmp_path / "keys" / "ship.token"
    proxy.script = at(KEY, "hang")
    killed = process(*through, *keys)
    until(lambda: proxy.counts["hang"], "the command waits for its key")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert file.read_bytes() == b""
    assert run(*through, *keys).err.splitlines()[-2:] == [f"created API key clusterlog_ship in {file}", "1 change made"]
    asked = {"Authorization": f"ApiKey {file.read_text().strip()}"}
    secured.user, user = "", secured.user
    try:
        assert secured.call("GET", "/_security/_authenticate", **asked)[0] == 200
    finally:
        secured.user = user
    assert setup("--dry-run", *keys).lines[-1] == "nothing to do: 7 as they should be"
