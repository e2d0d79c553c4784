"""What a worker answers when an operator asks why a logger says what it says, and what stops a line of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from clusterlog.control.applying import blocked
from clusterlog.control.applying.bases import base_level, nearest, own_base
from clusterlog.control.applying.levels import InForce, exists
from clusterlog.control.rules.effective import Effective, lineage
from clusterlog.control.rules.rule import ROOT, level_name

EXPLAIN = "explain"
"""The topic: ``{"logger", "level"}`` → what ``explained`` gives."""


def explained(force: InForce, asked: Mapping[str, Any], throttle: str = "off") -> dict[str, Any]:
    """How the level of ``asked["logger"]`` came about here, and what stops a line of ``asked["level"]``, a number.

    Without a level it is the one in force. ``throttle`` is this process's setting.
    """
    name = str(asked.get("logger", ROOT))
    logger = nearest(name)
    found = force.effective(name)
    line = asked.get("level")
    level = line if isinstance(line, int) else found.level
    stops = [*_by_level(name, found, level), *_layers(logger, level), *_gate(throttle)]
    return {
        "exists": exists(name),
        "base": level_name(base_level(logger)),
        "effective": level_name(found.level),
        "steps": [{"source": each.source, "rule": each.rule, "level": level_name(each.level)} for each in found.steps],
        "stops": stops,
        "requests": [
            rule.id
            for rule in force.levels.for_requests()
            if rule.logger in lineage(name) and rule.kind == "set" and rule.level <= level
        ],
    }


def _by_level(name: str, found: Effective, level: int) -> Iterator[dict[str, Any]]:
    """The level in force, where it is above that of the line: by whom it was set."""
    if level >= found.level:
        return
    least = level_name(found.level)
    before = (None, *(step.level for step in found.steps))
    decided = [step for step, level in zip(found.steps, before, strict=False) if step.level != level][-1]
    if decided.source == "base":
        setter = _configured(name)
        where = "it" if setter == name else f"{setter or 'root'}, from which it has its level,"
        yield _stop("logger", f"{where} was set to {least} by the application")
    elif decided.rule:
        yield _stop("rule", f"rule {decided.rule} sets it to {least}")
    else:
        yield _stop("rule", f"this node allows {least} at most (the setting ceiling)")


def _configured(name: str) -> str:
    """The nearest logger that the application gave a level of its own."""
    for each in lineage(name):
        logger = nearest(each)
        if logger.name == each and own_base(logger):
            return each
    return ROOT


def _layers(logger: logging.Logger, level: int) -> Iterator[dict[str, Any]]:
    for each in blocked.layers(logger, level):
        yield _stop("logger" if each.layer == "disable" else each.layer, each.text, each.certain)


def _gate(throttle: str) -> Iterator[dict[str, Any]]:
    if throttle != "off":
        yield _stop("gate", f"of lines alike {throttle} pass, the rest is counted (the setting throttle)", False)


def _stop(layer: str, text: str, certain: bool = True) -> dict[str, Any]:
    return {"layer": layer, "text": text, "certain": certain}
