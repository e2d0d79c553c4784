"""What would have to be done for a Kibana to have what our sources say, object by object; and doing it.

An object says of itself who made it, and from which source: one that is not ours forbids all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clusterlog import __version__
from clusterlog.errors import StoreUnavailable
from clusterlog.store.elasticsearch.provision.plan import OfKibana, Plan, Step
from clusterlog.store.kibana.objects import DASHBOARD, DATA_VIEW, SESSION, Object, is_ours, mark_of
from clusterlog.store.kibana.outline import outline
from clusterlog.store.kibana.server import Key, Kibana, number_of

RIGHT = "Saved Objects Management: All"
_KINDS: Mapping[str, OfKibana] = {DATA_VIEW: "data view", SESSION: "Discover session", DASHBOARD: "dashboard"}
_IMPORT = "/api/saved_objects/_import"

Done = Callable[[Step], None]
"""Told of each step when it is done."""


def key_of(made: Mapping[str, Any]) -> Key:
    """Type and id of an object."""
    return str(made["type"]), str(made["id"])


def planned(wanted: Iterable[Object], found: Mapping[Key, Object]) -> Plan:
    """The plan for a Kibana that has ``found`` of these objects."""
    plan = Plan()
    for each in wanted:
        plan += _one(each, found.get(key_of(each)))
    return plan


def removal(wanted: Iterable[Object], found: Mapping[Key, Object]) -> Plan:
    """The plan for taking back what of these objects is there and ours, what refers to others first."""
    plan = Plan()
    for each in reversed(list(wanted)):
        present = found.get(key_of(each))
        if present is None:
            continue
        if not is_ours(present):
            plan += Plan(notes=(f"{_title(each)} was not made by clusterlog, and stays",))
            continue
        kind, id = key_of(each)
        path = f"/api/saved_objects/{kind}/{id}"
        plan += Plan((Step("remove", _KINDS[kind], id, "DELETE", path, before=outline(present), right=RIGHT),))
    if any(step.kind == "data view" for step in plan.steps):
        plan += Plan(notes=("what you made yourself with this data view in Kibana will not find it any more",))
    return plan


def perform(kibana: Kibana, plan: Plan, done: Done = lambda step: None) -> None:
    """Do what is planned: removals one by one, everything else in one import.

    Raises StoreUnavailable or StoreDenied with what was not done; a plan that is made afterwards has the rest.
    """
    put = [step for step in plan.steps if step.action != "remove" and step.body is not None]
    for step in plan.steps:
        if step.action == "remove":
            kind = next(name for name, spoken in _KINDS.items() if spoken == step.kind)
            kibana.remove((kind, step.name))
            done(step)
    if not put:
        return
    failed = kibana.put([step.body for step in put if step.body is not None])
    for step in put:
        if step.name not in failed:
            done(step)
    if failed:
        first, *others = dict.fromkeys(failed.values())
        more = f" (and {len(others)} more)" if others else ""
        raise StoreUnavailable(f"{kibana.url}: {first}{more}", "wait")


def _one(wanted: Object, present: Object | None) -> Plan:
    kind, id = key_of(wanted)
    create = Step("create", _KINDS[kind], id, "POST", _IMPORT, wanted, None, outline(wanted), right=RIGHT)
    if present is None:
        return Plan((create,))
    version, generation = mark_of(present)
    if not is_ours(present):
        return Plan(refused=(f"{_title(wanted)} is there, and clusterlog did not make it: remove it first",))
    if number_of(version) > number_of(__version__):
        told = f"{_title(wanted)} is of clusterlog {version}, and this is {__version__}: set up with the newer one"
        return Plan(refused=(told,))
    if generation == mark_of(wanted)[1]:
        return Plan(kept=(_title(wanted),))
    before, after = outline(present), outline(wanted)
    why = "how it looks has changed, not what it shows" if before == after else ""
    return Plan((Step("update", _KINDS[kind], id, "POST", _IMPORT, wanted, before, after, why, RIGHT),))


def _title(made: Object) -> str:
    kind, id = key_of(made)
    return f"{_KINDS[kind]} {id}"
