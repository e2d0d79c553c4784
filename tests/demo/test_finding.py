"""What people ask of the demo's requests: whose they were, what went wrong, what is different about one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DEMO = (sys.executable, "-m", "clusterlog", "demo")


@pytest.fixture(scope="session")
def ask() -> Any:
    """Call a command on the home of a demo; gives the one document it answers with."""

    def asked(told: dict[str, Any], *arguments: str) -> Any:
        command = [sys.executable, "-m", "clusterlog", *arguments, "--json", "--home", told["home"]]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)

    return asked


def rows_of(ask: Any, told: dict[str, Any], *arguments: str) -> dict[str, Any]:
    found = ask(told, "search", *arguments, "--group", "request", "--limit", "0")["requests"]
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row for row in found}


def deviating(ask: Any, told: dict[str, Any]) -> list[str]:
    """The users of whom search lists other requests than they have made, or tells these otherwise."""
    wrong = []
    for user in sorted({request["user"] for request in told["requests"]}):
        made = {request["id"]: request for request in told["requests"] if request["user"] == user}
        rows = rows_of(ask, told, "--user", user)
        facts = {id: (row["status"], row["events"], set(row["nodes"])) for id, row in rows.items()}
        expected = {id: (each["status"], each["events"], set(each["nodes"])) for id, each in made.items()}
        if facts != expected:
            wrong.append(f"{user}: {sorted(facts.items() ^ expected.items())[:3]}")
    return wrong


def test_a_user_s_requests_are_exactly_those_of_the_user_on_all_their_nodes(told, ask):
    assert not deviating(ask, told)


def test_what_went_wrong_is_one_fault_that_began_every_failing_request(told, ask):
    failed = {request["id"] for request in told["requests"] if request["outcome"] == "failed"}
    first, *rest = ask(told, "errors")["errors"]
    assert (first["causes"], first["requests"]) == (len(failed), len(failed))
    assert first["type"].endswith("ReadTimeout")
    assert first["nodes"] == ["payments-1"]
    assert first["example"]["request"] in failed
    assert not [group for group in rest if group["causes"]]


def test_beside_a_healthy_twin_a_failing_request_lacks_its_payment_and_was_slow_at_the_bank(told, ask):
    request = next(each for each in told["requests"] if each["outcome"] == "failed")
    found = ask(told, "diff", request["id"])
    twin = next(each for each in told["requests"] if each["id"] == found["b"]["id"])
    assert twin["outcome"] == "ok"
    lacks = [each["text"] for each in found["only_b"]]
    for step in ("order %d charged in payments", "order %d paid in orders", "order %s confirmed in shop"):
        assert [text for text in lacks if text.startswith(step)], lacks
    slowest = found["slower"][0]
    assert slowest["kind"] == "call"
    assert "/charge from payments: " in slowest["text"]
    first = found["changed"][0]
    assert (first["field"], first["a_value"], first["b_value"]) == ("status", "failed", "200")
    assert first["text"].startswith("status of POST /charge on payments")


def test_beside_a_healthy_twin_a_slow_request_asked_another_warehouse_and_was_slow_there(told, ask):
    request = next(each for each in told["requests"] if each["outcome"] == "slow")
    found = ask(told, "diff", request["id"])
    orders = found["a"]["nodes"][1]
    assert [each["text"] for each in found["only_a"]] == [
        f"the %s warehouse counted %s in %d ms in orders on {orders}",
        f"ask the far warehouse in orders on {orders}",
    ]
    assert found["slower"][0]["text"].startswith("ask the far warehouse on orders: ")
    assert ("labels.warehouse", "far", "near") in {
        (each["field"], each["a_value"], each["b_value"]) for each in found["changed"]
    }


def test_what_is_exported_for_opentelemetry_has_every_event_once(told, ask):
    for request in told["requests"]:
        command = [sys.executable, "-m", "clusterlog", "export", request["id"], "--home", told["home"]]
        found = json.loads(subprocess.run([*command, "--format", "otlp"], stdout=subprocess.PIPE, check=True).stdout)
        spans = [s for group in found["resourceSpans"] for scope in group["scopeSpans"] for s in scope["spans"]]
        lines = [r for group in found["resourceLogs"] for scope in group["scopeLogs"] for r in scope["logRecords"]]
        assert len(spans) + len(lines) == request["events"]
        assert {span["traceId"] for span in spans} == {request["trace_id"]}
        if request["outcome"] == "failed":
            break


@pytest.mark.campaign
def test_among_two_thousand_requests_of_ten_users_each_one_s_are_found_exactly(tmp_path: Path, ask: Any) -> None:
    command = [*DEMO, "--requests", "2000", "--seed", "11", "--json", "--home", str(tmp_path / "home")]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900).stdout)
    assert len(told["requests"]) == 2000
    assert len(Counter(request["user"] for request in told["requests"])) == 10
    assert not deviating(ask, told)
