"""The demo knows what it has planted in each request; the verdict on that request has to name it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import Sentence, verdict

Event = Mapping[str, Any]


def told_by(home: Path, requests: int, seed: int) -> dict[str, Any]:
    """What a demo of so many requests says of itself."""
    command = [sys.executable, "-m", "clusterlog", "demo", "--requests", str(requests), "--seed", str(seed), "--json"]
    done = subprocess.run([*command, "--home", str(home)], stdout=subprocess.PIPE, timeout=300, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def wrong(events_of, by_request) -> Callable[[Mapping[str, Any]], list[str]]:
    """The requests of a demo whose verdict does not name what was planted, or names something where nothing was."""

    def compare(told: Mapping[str, Any]) -> list[str]:
        stored = by_request(events_of(Path(told["home"])))
        found = []
        for request in told["requests"]:
            events = stored[request["id"]]
            sentences = verdict(journey(events))
            if not names(request["planted"], sentences, {event["event"]["id"]: event for event in events}):
                found.append(f"{request}: {[sentence.text for sentence in sentences]}")
        return found

    return compare


def names(planted: Mapping[str, str] | None, sentences: tuple[Sentence, ...], events: Mapping[str, Event]) -> bool:
    """Whether the verdict is right, by the facts of the events it links and by what a person reads."""
    failures = [sentence for sentence in sentences if sentence.kind == "failure"]
    where = next((sentence for sentence in sentences if sentence.kind == "time"), None)
    if planted is None:
        return not failures
    said = failures[0] if planted["kind"] == "failure" and failures else where
    if said is None or (planted["kind"] == "time" and failures):
        return False
    linked = [events[id] for id in said.events]
    on_its_node = [each for each in linked if each["service"]["node"]["name"] == planted["node"]]
    if planted["kind"] == "time":
        return any(each["message"] == planted["span"] for each in on_its_node) and says(said, planted, "span", "node")
    first = linked[0]
    asked = f"{first['url']['domain']}:{first['url']['port']}" if "url" in first else ""
    return (
        first in on_its_node
        and (asked, first["error"]["type"]) == (planted["target"], planted["error"])
        and says(said, planted, "target", "error", "node")
        # What the bank kept waiting is also where the time went.
        and where is not None
        and says(where, planted, "target", "node")
    )


def says(sentence: Sentence, planted: Mapping[str, str], *facts: str) -> bool:
    return all(planted[fact] in sentence.text for fact in facts)


def test_the_verdict_on_every_request_of_a_run_names_what_was_planted_in_it(tmp_path, wrong):
    told = told_by(tmp_path / "home", 60, 11)
    planted = [request["planted"] for request in told["requests"]]
    assert len([each for each in planted if each]) >= 12
    assert not wrong(told)


def test_a_verdict_that_names_another_cause_would_be_noticed(told, wrong):
    assert not wrong(told)
    changes = {"failure": ("target", "127.0.0.1:1"), "time": ("span", "ask the near warehouse")}
    for request in told["requests"]:
        altered = {"home": told["home"], "requests": [dict(request)]}
        planted = request["planted"]
        if planted is None:
            altered["requests"][0]["planted"] = {"kind": "time", "span": "nothing", "node": "shop-1"}
        else:
            name, value = changes[planted["kind"]]
            altered["requests"][0]["planted"] = {**planted, name: value}
        assert wrong(altered)


def test_trace_prints_what_was_planted_in_the_failing_and_the_slow(told):
    for request in told["requests"]:
        planted = request["planted"]
        if planted is not None:
            command = [sys.executable, "-m", "clusterlog", "trace", request["id"], "--home", told["home"]]
            screen = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
            label = {"failure": "why", "time": "time"}[planted["kind"]]
            (line,) = [line for line in screen if line.startswith(f"{label} ") and planted["node"] in line][:1]
            assert (planted["target"] or planted["span"]) in line


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2])
def test_the_verdicts_on_three_hundred_requests_name_what_was_planted_in_each(tmp_path, wrong, seed):
    told = told_by(tmp_path / "home", 300, seed)
    assert len(told["requests"]) == 300
    assert not wrong(told)
