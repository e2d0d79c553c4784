"""Whom a rule means: workers by their selector, requests by their predicate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache

from clusterlog.control.rules.rule import Member, Predicate, RequestFacts, Selector

_SHARES = 1 << 64
_GLOB = re.compile(r"[*?[]")
_LITERAL = re.compile(r"\[[*?[]\]")
"""A sign that a glob would take for its own, written so that it is itself."""


def meant(selector: Selector, member: Member) -> bool:
    """Whether ``member`` is among those that ``selector`` means: each of its terms by any of that term's values."""
    return (
        _any(selector.service, member.service)
        and (not selector.node or any(fnmatchcase(member.node, glob) for glob in selector.node))
        and _any(selector.host, member.host)
        and (not selector.role or member.role in selector.role or any(tag in selector.role for tag in member.tags))
        and _any(selector.version, member.version)
        and (not selector.worker or member.number in selector.worker)
        and (selector.percent is None or share(member.service, member.node) < selector.percent)
    )


def _any(values: tuple[str, ...], value: str) -> bool:
    return not values or value in values


@lru_cache(1024)
def share(service: str, node: str) -> float:
    """Where a node stands among all, from 0 to below 100, for ever: who is meant at 5 % is meant at 10 %, too."""
    digest = hashlib.sha256(f"{service}\0{node}".encode("utf-8", "surrogatepass")).digest()
    # One bit less than a float holds, so that the largest is still below 100.
    return (int.from_bytes(digest[:8], "big") >> 12) / (_SHARES >> 12) * 100


def asked(predicate: Predicate, request: RequestFacts) -> bool:
    """Whether ``request`` is one that ``predicate`` means; without a term it means none."""
    terms = (
        (predicate.request, request.request),
        (predicate.user, request.user),
        (predicate.tenant, request.tenant),
    )
    if predicate.route and not (request.route and fnmatchcase(request.route, predicate.route)):
        return False
    return any((predicate.route, *(term for term, _ in terms))) and all(not term or term == is_ for term, is_ in terms)


def specificity(selector: Selector) -> tuple[int, ...]:
    """How narrow a selector is, to be compared: the narrowest term it has decides, then the next one.

    From narrow to wide: worker, node by name, node by glob, host, version, role, service, percent.
    """
    glob = any(_GLOB.search(_LITERAL.sub("", node)) for node in selector.node)
    return (
        bool(selector.worker),
        (1 if glob else 2) if selector.node else 0,
        bool(selector.host),
        bool(selector.version),
        bool(selector.role),
        bool(selector.service),
        selector.percent is not None,
    )


def some_of(selector: Selector, members: Iterable[Member], most: int) -> Selector:
    """``selector`` narrowed to at most ``most`` nodes of ``members`` that it means, by name: always the same ones.

    Where there is none, it means nobody.
    """
    shares = {member.node: share("", member.node) for member in members if meant(selector, member)}
    chosen = sorted(shares, key=lambda node: (shares[node], node))[:most]
    if not chosen:
        return replace(selector, percent=0)  # no name at all would mean every node
    return replace(selector, node=tuple(sorted(_GLOB.sub(lambda sign: f"[{sign[0]}]", node) for node in chosen)))
