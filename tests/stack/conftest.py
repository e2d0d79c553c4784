"""The compose file as compose sees it: with variables put in, and the services that profiles choose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plain_yaml
import pytest

from clusterlog.cli.stack import environment

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?)([-?+])([^}]*))?\}|(\w+)|(.))")


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """A value of the file with variables put in. Raises KeyError for one that must be set and is not.

    As the Compose Specification says: ``${A}``, ``${A:-else}``, ``${A-else}``, ``${A:?why}``, ``${A:+then}``, ``$$``.
    """

    def put(found: re.Match[str]) -> str:
        dollar, braced, colon, sign, more, bare, wrong = found.groups()
        if dollar:
            return "$"
        if wrong:
            raise ValueError(f"{found[0]!r} is no variable")
        name = braced or bare
        there = bool(variables.get(name)) if colon else name in variables
        if sign == "?" and not there:
            raise KeyError(name)
        if sign == "-":
            return variables[name] if there else more
        if sign == "+":
            return more if there else ""
        return variables.get(name, "")

    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    return _VARIABLE.sub(put, value) if isinstance(value, str) else value


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    """The file as it is written."""
    found: dict[str, Any] = plain_yaml.document((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def stack(written):
    """The stack of some profiles, with the ``.env`` that `stack init` would write for them."""

    def made(*profiles: str, **values: str) -> dict[str, Any]:
        variables = environment.made("clusterlog", environment.chosen(profiles), "0.1.0") | values
        whole = interpolated(written, variables)
        whole["services"] = {
            name: each
            for name, each in whole["services"].items()
            if not each.get("profiles") or set(each["profiles"]) & set(profiles)
        }
        return whole

    return made
