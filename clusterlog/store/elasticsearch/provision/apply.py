"""Doing what is planned, one step after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusterlog.errors import SettingError, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.judge import trouble
from clusterlog.store.elasticsearch.provision.found import look
from clusterlog.store.elasticsearch.provision.keys import SHOWN, encoded, reserved
from clusterlog.store.elasticsearch.provision.plan import Plan, Step, completed, templates
from clusterlog.store.elasticsearch.provision.server import TO_SET_UP, Server, ask, reason
from clusterlog.store.elasticsearch.provision.templates.bodies import Choice
from clusterlog.store.elasticsearch.transport import Client

TIMEOUT_S = 60.0
"""A template waits for the whole cluster to know it."""

Done = Callable[[Step, Any], None]
"""Told of each step when it is done, with what the server answered."""


def provision(client: Client, choice: Choice | None = None) -> Server:
    """Make our templates on a server, or make them as they should be; returns what server it is.

    Without a choice, retention and replicas stay as they are there. Raises StoreUnavailable, StoreDenied, and
    SettingError where something that is not ours is in the way.
    """
    server, found = ask(client), look(client)
    plan = templates(server.present, choice or completed(None, None, found), found)
    if plan.refused:
        raise SettingError(plan.refused[0])
    perform(client, plan)
    return server


def perform(client: Client, plan: Plan, done: Done = lambda step, answer: None) -> None:
    """Do the steps in their order. Raises StoreUnavailable or StoreDenied at the first that fails.

    Every step is harmless when it is done again, and a plan that is made afterwards has the rest.
    """
    for step in plan.steps:
        done(step, _performed(client, step))


def _performed(client: Client, step: Step) -> Any:
    if step.kind != "API key":
        return _answered(client, step)
    if step.action == "remove":
        told = _answered(client, step)
        if told.get("error_count"):
            raise StoreUnavailable(
                f"cannot remove API key {step.name}: {told['error_details'][0].get('reason')}", "wait"
            )
        if step.file:
            Path(step.file).unlink(missing_ok=True)
        return told
    if step.file == SHOWN:
        return _answered(client, step)
    with reserved(step.file) as file:
        told = _answered(client, step)
        file.write(f"{encoded(told)}\n".encode())
    return told


def _answered(client: Client, step: Step) -> Any:
    # What is not the same when it is done twice is not sent to another host where it may have reached one.
    once = step.method == "POST"
    answer = client.call(step.method, step.path, step.body, timeout=TIMEOUT_S, again=not once)
    if answer.status in (200, 201):
        return answer.body
    what = f"{answer.node}: cannot {step.action} {step.kind} {step.name}"
    if answer.status == 403:
        raise StoreDenied(f"{what}: the right {step.right} is lacking; {TO_SET_UP}")
    if answer.status == 400:
        raise StoreUnavailable(f"{what}: {reason(answer)}", "wait")
    raise trouble(answer)
