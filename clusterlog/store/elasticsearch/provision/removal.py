"""Taking back what was made: our templates, roles and keys, and nothing that anybody else made or wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusterlog.store.elasticsearch.provision.comparison import Body, canonical
from clusterlog.store.elasticsearch.provision.found import Found, matching
from clusterlog.store.elasticsearch.provision.keys import PATH, TokenFile
from clusterlog.store.elasticsearch.provision.plan import PATHS, Kind, Plan, Step, is_ours
from clusterlog.store.elasticsearch.provision.rights import Security
from clusterlog.store.elasticsearch.provision.templates.bodies import CUSTOM, INDEX, MAPPINGS, SETTINGS


def removal(found: Found, security: Security, files: Iterable[TokenFile] = ()) -> Plan:
    """The plan for taking everything of ours back; ``files`` are where keys may lie on this machine.

    Events stay where they are. Templates without which their streams cannot be are not taken from under them.
    """
    plan = _gone("index template", INDEX, found.index)
    for name in (SETTINGS, MAPPINGS):
        plan += _gone("component template", name, found.components.get(name))
    if plan.steps:
        plan += Plan(refused=(*_in_use(found), *_composed(found)))
    if CUSTOM in found.components:
        plan += Plan(notes=(f"component template {CUSTOM} is yours, and stays",))
    for name, body in security.roles.items():
        plan += _gone("role", name, body, "manage_security")
    return plan + Plan(tuple(_keys(security, tuple(files))))


def _gone(kind: Kind, name: str, present: Body | None, right: str = "manage_index_templates") -> Plan:
    if present is None:
        return Plan()
    if not is_ours(present):
        return Plan(notes=(f"{kind} {name} was not made by clusterlog, and stays",))
    path = f"{PATHS[kind]}{name}"
    return Plan((Step("remove", kind, name, "DELETE", path, before=canonical(present), right=right),))


def _in_use(found: Found) -> Iterator[str]:
    """Streams that no other template makes: a server does not let go of the last one."""
    alone = [
        each.name
        for each in found.streams
        if each.template == INDEX and not any(rival.makes_streams for rival in matching(each.name, found.rivals))
    ]
    if alone and found.index is not None and is_ours(found.index):
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        yield (
            f"index template {INDEX} is what {', '.join(alone[:3])}{more} stand on: delete those data streams first, "
            "and with them their events"
        )


def _composed(found: Found) -> Iterator[str]:
    for rival in found.rivals:
        used = [name for name in rival.composed_of if name in (SETTINGS, MAPPINGS)]
        if used:
            yield f"index template {rival.name} is composed of {', '.join(used)}: change it first"


def _keys(security: Security, files: tuple[TokenFile, ...]) -> Iterator[Step]:
    """The one we come with last: behind it nothing could be asked for."""
    own = {} if "manage_api_key" in security.rights else {"owner": True}
    for key in sorted(security.keys, key=lambda key: (key.id == security.as_key, key.name, key.id)):
        file = next((each.path for each in files if each.holds == key.id), "")
        before = {"id": key.id, "for": list(key.patterns)}
        body: Body = {"ids": [key.id], **own}
        yield Step("remove", "API key", key.name, "DELETE", PATH, body, before, right="manage_api_key", file=file)
