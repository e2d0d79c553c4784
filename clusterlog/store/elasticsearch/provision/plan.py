"""What would have to be done for a server to be as we want it, step by step, each with why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusterlog import __version__
from clusterlog.store.elasticsearch.provision.changes import Change, changes
from clusterlog.store.elasticsearch.provision.comparison import Body, canonical
from clusterlog.store.elasticsearch.provision.found import Found, Rival
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    CUSTOM,
    FOREVER,
    INDEX,
    OWNER,
    PRIORITY,
    SETTINGS,
    Choice,
    component_templates,
    generation,
    index_template,
)

OfKibana = Literal["data view", "Discover session", "dashboard"]
Kind = Literal["component template", "index template", "data stream", "role", "API key"] | OfKibana
Action = Literal["create", "update", "change", "roll over", "remove"]

PATHS: Mapping[str, str] = {
    "component template": "/_component_template/",
    "index template": "/_index_template/",
    "role": "/_security/role/",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the server. ``before`` and ``after`` are what it changes, in the form in which they are shown.

    ``right`` is the privilege it needs. ``file`` holds the secret of a key, or will.
    """

    action: Action
    kind: Kind
    name: str
    method: str
    path: str
    body: Body | None = field(default=None, repr=False)
    before: Body | None = field(default=None, repr=False)
    after: Body | None = field(default=None, repr=False)
    why: str = ""
    right: str = "manage_index_templates"
    file: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order.

    ``refused`` says what forbids all of it, ``notes`` what somebody should know, ``kept`` what is as it should be.
    """

    steps: tuple[Step, ...] = ()
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __add__(self, other: Plan) -> Plan:
        return Plan(
            self.steps + other.steps,
            self.refused + other.refused,
            self.notes + other.notes,
            self.kept + other.kept,
        )


def completed(retention: str | None, replicas: int | Literal["auto"] | None, found: Found) -> Choice:
    """A choice in which what was left open (``None``) is as it is on the server, or else the default."""
    before = chosen(found)
    return Choice(
        before.retention if retention is None else retention,
        before.replicas if replicas is None else None if replicas == "auto" else replicas,
    )


def chosen(found: Found) -> Choice:
    """The choice our templates on a server were made by; the default where there are none."""
    choice = Choice()
    if found.index is not None and is_ours(found.index) and (found.index.get("template") or {}).get("lifecycle"):
        choice = Choice(found.index["template"]["lifecycle"].get("data_retention", FOREVER))
    settings = found.components.get(SETTINGS)
    if settings is None or not is_ours(settings):
        return choice
    number = canonical(settings)["template"].get("settings", {}).get("index.number_of_replicas")
    return Choice(choice.retention, int(number)) if number else choice


def templates(present: frozenset[str], choice: Choice, found: Found) -> Plan:
    """The plan for templates and for the streams that are made by them."""
    wanted = component_templates(present, choice)
    index = index_template(present, choice, custom=CUSTOM in found.components)
    plan = Plan(refused=tuple(_in_the_way(found.rivals)), notes=tuple(_above(found.rivals)))
    for name, body in wanted.items():
        plan += put("component template", name, body, found.components.get(name))
    plan += put("index template", INDEX, index, found.index)
    told = changes(found, generation(wanted), choice, chosen(found), present)
    # What the old templates tell of streams is needed as long as some stream is as they made it.
    first, last = (tuple(_of_stream(each) for each in part) for part in (told.before, told.after))
    return Plan(first) + plan + Plan(last, notes=told.notes)


def put(kind: Kind, name: str, wanted: Body, present: Body | None, right: str = "manage_index_templates") -> Plan:
    """The plan for one thing that is put under a name of ours: made, changed, left, or refused as it is not ours."""
    title = f"{kind} {name}"
    after = canonical(wanted)
    put = Step("create", kind, name, "PUT", f"{PATHS[kind]}{name}", wanted, None, after, right=right)
    if present is None:
        return Plan((put,))
    if not is_ours(present):
        return Plan(refused=(f"{title} is there, and clusterlog did not make it: remove it, or give it another name",))
    version = marks(present).get("version", "")
    if _number(version) > _number(__version__):
        told = f"{title} is of clusterlog {version}, and this is {__version__}: set up with the newer one"
        return Plan(refused=(told,))
    before = canonical(present)
    if before == after:
        return Plan(kept=(title,))
    return Plan((Step("update", kind, name, "PUT", put.path, wanted, before, after, right=right),))


def marks(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where it stands who made something: ``_meta`` of a template, ``metadata`` of a role or key."""
    told = body.get("_meta") or body.get("metadata")
    return told if isinstance(told, dict) else {}


def is_ours(body: Mapping[str, Any]) -> bool:
    """Whether clusterlog made it."""
    return marks(body).get("managed_by") == OWNER


def _number(version: object) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", str(version))[:3])


def _of_stream(change: Change) -> Step:
    return Step(
        "roll over" if change.rolls_over else "change",
        "data stream",
        change.stream,
        change.method,
        change.path,
        change.body,
        change.before,
        change.after,
        change.why,
        "manage",
    )


def _in_the_way(rivals: Iterable[Rival]) -> Iterator[str]:
    for each in rivals:
        if each.fits and each.priority == PRIORITY:
            yield (
                f"index template {each.name} has the priority of ours, {PRIORITY}, and fits streams of ours "
                f"({', '.join(each.patterns)}): give it another"
            )


def _above(rivals: Iterable[Rival]) -> Iterator[str]:
    for each in rivals:
        if each.fits and each.priority > PRIORITY:
            told = ", ".join(each.patterns)
            yield f"index template {each.name} (priority {each.priority}) stands over ours for streams that fit {told}"
