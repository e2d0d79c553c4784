"""A plan for a search server as people read it: what server it is, each change as a unified diff, a sum at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

from clusterlog.cli.drawing.pen import Row, Segment, row_of
from clusterlog.cli.line import escaped
from clusterlog.store.elasticsearch.provision.plan import Plan, Step
from clusterlog.store.elasticsearch.provision.server import Server

_CONTEXT = 2
_WIDEST = 100
_INK = {"+": "good", "-": "bad", "@": "dim"}
DONE = {"create": "created", "update": "updated", "change": "changed", "roll over": "rolled over", "remove": "removed"}


def server(told: Server, url: str) -> Iterator[Row]:
    """What server it is, and what our templates do without there."""
    yield row_of(Segment(f"{told.title} at {escaped(url)}, {told.profile} profile"))
    for feature, reason in told.left_out():
        yield row_of(Segment(f"  without {feature.what}: {feature.without}"))
        yield row_of(Segment(f"    {escaped(reason)}", "dim"))


def plan(told: Plan) -> Iterator[Row]:
    """Every step with its diff, what somebody should know, and the sum."""
    for note in told.notes:
        yield row_of(Segment("  note: ", "W"), Segment(escaped(note)))
    for step in told.steps:
        yield row_of(Segment(""))
        yield row_of(Segment(f"{step.action} {step.kind} {escaped(step.name)}", "id"), Segment(_aside(step)))
        yield from diff(step.before, step.after, escaped(f"{step.kind} {step.name}"))
    for refusal in told.refused:
        yield row_of(Segment("  refused: ", "bad"), Segment(escaped(refusal)))
    yield row_of(Segment(""))
    yield row_of(Segment(summary(told)))


def _aside(step: Step) -> str:
    where = f"into {step.file}" if step.file and step.action == "create" else f"and {step.file}" if step.file else ""
    told = ", ".join(filter(None, (step.why, where)))
    return f"  {escaped(told)}" if told else ""


def summary(told: Plan) -> str:
    """One line: how many of what, or that there is nothing to do."""
    if not told.steps:
        return "nothing to do" + (f": {len(told.kept)} as they should be" if told.kept else "")
    counted = Counter(step.action for step in told.steps)
    sums = ", ".join(f"{number} to {action}" for action, number in counted.items())
    return f"{sums}; {len(told.kept)} as they should be" if told.kept else sums


def diff(before: dict[str, Any] | None, after: dict[str, Any] | None, name: str) -> Iterator[Row]:
    """A unified diff of two bodies, either of which may not be there."""
    old, new = (lines(body) if body is not None else [] for body in (before, after))
    titles = (name if old else "nothing", name if new else "nothing")
    for line in unified_diff(old, new, *titles, n=_CONTEXT, lineterm=""):
        yield row_of(Segment(escaped(line), _INK.get(line[:1], "")))


def lines(value: Any, before: str = "", after: str = "") -> list[str]:
    """JSON for people: what has no objects in it stands on one line if it fits, so that of a mapping each field does.

    ``before`` is what stands on the first line before it, with the indent of them all, ``after`` what ends the last.
    """
    whole = f"{before}{json.dumps(value, ensure_ascii=False)}{after}"
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not inside or (len(whole) <= _WIDEST and not any(isinstance(each, dict) for each in inside)):
        return [whole]
    of_object = isinstance(value, dict)
    names = [f"{json.dumps(name, ensure_ascii=False)}: " if of_object else "" for name in value]
    indent = " " * (len(before) - len(before.lstrip()))
    opening, closing = "{}" if of_object else "[]"
    told = [before + opening]
    for name, inner in zip(names, inside, strict=True):
        told += lines(inner, f"{indent}  {name}", ",")
    told[-1] = told[-1].removesuffix(",")
    return [*told, indent + closing + after]
