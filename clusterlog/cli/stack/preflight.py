"""What is looked at before the stack is started: the engine, memory, the kernel, ports, and volumes of another time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clusterlog.cli import paint
from clusterlog.cli.stack.engine import Facts
from clusterlog.cli.stack.environment import Environment
from clusterlog.errors import ClusterlogError, NodeUnavailable, SettingError

MAPS_AT_LEAST = 262_144
"""Memory mappings a process may have, which Elasticsearch and OpenSearch check as they start (vm.max_map_count)."""
_MAPS = Path("/proc/sys/vm/max_map_count")
_SLACK = 0.95
"""A machine of 4 GiB says of itself that it has a little less."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``state`` is ``unknown`` where it cannot be seen from here."""

    name: Literal["engine", "memory", "vm.max_map_count", "ports", "volumes"]
    state: Literal["ok", "bad", "unknown"]
    told: str
    raises: type[ClusterlogError] = SettingError


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on this machine: ``maps`` is ``None`` where it is not this kernel that counts."""

    facts: Facts
    maps: int | None
    taken: tuple[int, ...]
    volumes: Mapping[str, str]


def checks(environment: Environment, found: Found) -> Iterator[Check]:
    """Every check, in the order in which they would hurt."""
    yield Check("engine", "ok", f"Docker {found.facts.version}, compose {found.facts.compose}")
    yield _memory(environment, found.facts)
    yield _maps(found.maps)
    yield from _ports(environment, found.taken)
    yield _volumes(environment, found.volumes)


def _memory(environment: Environment, facts: Facts) -> Check:
    needed = environment.memory()
    told = f"{paint.size(facts.memory)} of memory, {paint.size(needed)} may be needed"
    if not facts.memory:
        return Check(
            "memory", "unknown", f"the engine does not say how much there is; {paint.size(needed)} may be needed"
        )
    if facts.memory >= needed * _SLACK:
        return Check("memory", "ok", told)
    profiles = ",".join(environment.profiles)
    return Check("memory", "bad", f"too little memory for {profiles}: {told}; less is taken by *_MEMORY in .env")


def _maps(maps: int | None) -> Check:
    if maps is None:
        return Check(
            "vm.max_map_count", "unknown", "the engine runs on another kernel than this; it sees to that itself"
        )
    if maps >= MAPS_AT_LEAST:
        return Check("vm.max_map_count", "ok", f"vm.max_map_count is {maps}")
    mend = f"sysctl -w vm.max_map_count={MAPS_AT_LEAST}"
    return Check(
        "vm.max_map_count", "bad", f"vm.max_map_count is {maps}, search servers need {MAPS_AT_LEAST}: as root, {mend}"
    )


def _ports(environment: Environment, taken: Collection[int]) -> Iterator[Check]:
    wanted = environment.ports()
    bad = [(name, port) for name, port in wanted.items() if port in taken]
    for name, port in bad:
        told = f"port {port} is in use: end what listens there, or choose another {name} in .env"
        yield Check("ports", "bad", told, NodeUnavailable)
    if not bad:
        yield Check("ports", "ok", f"ports {', '.join(map(str, sorted(wanted.values())))} of {environment.address}")


def _volumes(environment: Environment, volumes: Mapping[str, str]) -> Check:
    stale = sorted(name for name, stack in volumes.items() if stack != environment.value("STACK_ID"))
    if stale:
        told = f"volume {stale[0]} keeps" if len(stale) == 1 else f"{len(stale)} volumes ({stale[0]}, …) keep"
        mend = "put that file back, or throw them and all events in them away: clusterlog stack down --volumes"
        return Check("volumes", "bad", f"{told} the passwords of another .env: {mend}")
    return Check("volumes", "ok", paint.counted(len(volumes), "volume") + " of this stack")


def maps(facts: Facts) -> int | None:
    """The kernel's limit, if the engine runs on this one."""
    try:
        return int(_MAPS.read_text()) if facts.native else None
    except (OSError, ValueError):
        return None


def taken(address: str, ports: Collection[int], bound: Callable[[str, int], None] | None = None) -> tuple[int, ...]:
    """Those of the ports on which somebody listens. Raises SettingError for an address that is not of this machine."""
    bind = bound or _bound
    found = []
    for port in sorted(ports):
        try:
            bind(address, port)
        except PermissionError:  # below 1024: the engine may
            continue
        except OSError as error:
            if error.errno is not None and "assign" in str(error).lower():
                raise SettingError(f"BIND_ADDRESS = {address}: this machine has no such address") from None
            if isinstance(error, socket.gaierror):
                raise SettingError(f"BIND_ADDRESS = {address!a}: expected an address such as 127.0.0.1") from None
            found.append(port)
    return tuple(found)


def _bound(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not kept back by connections that have ended
        listener.bind((address.strip("[]"), port))


def refuse(found: Collection[Check]) -> None:
    """Say all that is bad but the first, which is raised."""
    bad = [each for each in found if each.state == "bad"]
    for each in bad[1:]:
        paint.say(f"clusterlog: {each.told}")
    if bad:
        raise bad[0].raises(bad[0].told)
