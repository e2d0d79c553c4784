"""Who may do what: roles with as little as shipping, reading and setting up need, and what is known of a server's own.

Each right is here because a request of ours is refused without it: ``create_doc`` and ``auto_configure`` for events and
the streams they make, ``read`` and ``view_index_metadata`` for questions and what they are asked of,
``read_failure_store`` for what did not fit the mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusterlog.store.elasticsearch.provision.comparison import Body
from clusterlog.store.elasticsearch.provision.plan import Plan, is_ours, put
from clusterlog.store.elasticsearch.provision.server import check
from clusterlog.store.elasticsearch.provision.templates.bodies import OWNER, meta
from clusterlog.store.elasticsearch.streams import PATTERN, PREFIX, data_stream
from clusterlog.store.elasticsearch.transport import Client

Use = Literal["ship", "read", "setup"]

USES: Mapping[Use, str] = {
    "ship": "Ship events into the data streams of clusterlog",
    "read": "Read the events of clusterlog",
    "setup": "Set up templates for the events of clusterlog",
}
_INDEX: Mapping[Use, tuple[str, ...]] = {
    "ship": ("create_doc", "auto_configure"),
    "read": ("read", "view_index_metadata"),
    "setup": ("manage",),
}
_CLUSTER: Mapping[Use, tuple[str, ...]] = {"setup": ("monitor", "manage_index_templates")}
FAILURE_STORE = "read_failure_store"
_ASKED = ("manage_security", "manage_api_key", "manage_own_api_key")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key of ours that is in force; ``patterns`` are the streams it is for."""

    id: str
    name: str
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Security:
    """What a server knows of rights, and which of them whoever asks it has.

    ``on``: it asks who is there, by an interface we know. ``rights`` are those of ``_ASKED`` that we have. ``as_key``
    is the id of the API key we come with, empty for a user. ``failure_store``: it has a right for that.
    """

    on: bool = False
    rights: frozenset[str] = frozenset()
    as_key: str = ""
    failure_store: bool = False
    roles: Mapping[str, Body] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()


def role_name(use: Use) -> str:
    """The name of the role, and of the keys, for one use."""
    return f"{OWNER}_{use}"


def patterns(environments: Iterable[str]) -> tuple[str, ...]:
    """The streams of some environments; without any, those of all."""
    found = (data_stream(PREFIX, each).rpartition("-")[2] for each in environments)
    return tuple(f"logs-{PREFIX}*-{each}" for each in found) or (PATTERN,)


def privileges(use: Use, *, failure_store: bool, patterns: Iterable[str] = (PATTERN,)) -> Body:
    """What a role or key for one use may do, on the streams that fit the patterns."""
    index = [*_INDEX[use], *([FAILURE_STORE] if use == "read" and failure_store else [])]
    return {
        "cluster": list(_CLUSTER.get(use, ())),
        "indices": [{"names": list(patterns), "privileges": index}],
    }


def look(client: Client) -> Security:
    """Ask what there is. Raises StoreUnavailable, and StoreDenied where the credentials are refused."""
    answer = client.call("GET", "/_security/_authenticate")
    if answer.status in (400, 404, 405):  # nobody knows the question: security is off, or it is another engine's
        return Security()
    check(answer, "authentication")
    told = answer.body if isinstance(answer.body, dict) else {}
    key = told.get("api_key")
    asked = client.call("POST", "/_security/user/_has_privileges", {"cluster": list(_ASKED)})
    check(asked, "authentication")
    rights = frozenset(name for name, has in asked.body["cluster"].items() if has)
    known = client.call(
        "POST", "/_security/user/_has_privileges", {"index": [{"names": [PATTERN], "privileges": [FAILURE_STORE]}]}
    )
    if known.status != 400:  # what is said to a right that nobody knows
        check(known, "authentication")
    return Security(
        True,
        rights,
        str(key.get("id") or "") if isinstance(key, dict) else "",
        known.status == 200,
        _roles(client) if "manage_security" in rights else {},
        _keys(client, rights),
    )


def _roles(client: Client) -> dict[str, Body]:
    answer = client.call("GET", f"/_security/role/{','.join(map(role_name, USES))}")
    if answer.status == 404:
        return {}
    check(answer, "manage_security")
    return dict(answer.body)


def _keys(client: Client, rights: frozenset[str]) -> tuple[Key, ...]:
    if not rights & {"manage_api_key", "manage_own_api_key"}:
        return ()
    params = {"name": f"{OWNER}_*"} | ({} if "manage_api_key" in rights else {"owner": "true"})
    answer = client.call("GET", "/_security/api_key", params=params)
    check(answer, "manage_own_api_key")
    return tuple(_key(each) for each in answer.body["api_keys"] if is_ours(each) and not each.get("invalidated"))


def _key(told: Mapping[str, Any]) -> Key:
    roles = (told.get("role_descriptors") or {}).values()
    names = [name for role in roles for index in role.get("indices", ()) for name in index.get("names", ())]
    return Key(told["id"], told["name"], tuple(names))


def roles(security: Security) -> Plan:
    """The plan for the roles. Without the right to make them there are none, and that is told."""
    if not security.on:
        told = "no roles are made: this server does not ask who is there, or not as Elasticsearch does"
        return Plan(notes=(told,))
    if "manage_security" not in security.rights:
        return Plan(notes=("roles are left as they are: the right manage_security is lacking",))
    plan = Plan()
    for use, about in USES.items():
        body = {**privileges(use, failure_store=security.failure_store), "metadata": meta(about)}
        name = role_name(use)
        plan += put("role", name, body, security.roles.get(name), "manage_security")
    return plan
