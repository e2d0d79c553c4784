"""One stack as it is started, waited for and ended."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Iterator
from typing import Any

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.stack import preflight
from clusterlog.cli.stack.engine import PROGRAM, Container, Engine
from clusterlog.cli.stack.environment import Environment
from clusterlog.cli.stack.preflight import Check, refuse
from clusterlog.errors import NodeUnavailable, TimedOut

BUILT = "certificates"
"""The service that builds the image of all that is ours."""
_BUILD = ("build", BUILT)
_UP = ("up", "--detach", "--no-build", "--remove-orphans")
_POLL_S = 1.0
_END_S = 180.0

__all__ = ["Stack", "described", "refuse", "show", "told"]


class Stack:
    """The stack of one ``.env``. Raises SettingError where there is no engine."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.engine = Engine(environment.directory, environment.values)

    def checks(self) -> tuple[Check, ...]:
        """All that is looked at before a start. Raises what speaks against asking at all."""
        environment, engine = self.environment, self.engine
        wanted = environment.ports().values()
        facts = engine.facts()
        ours = {port for each in engine.containers() if each.state == "running" for port in each.ports}
        taken = preflight.taken(environment.address, set(wanted) - ours)
        volumes = engine.volumes(environment.project)
        return tuple(preflight.checks(environment, preflight.Found(facts, preflight.maps(facts), taken, volumes)))

    def starting(self) -> list[str]:
        """The commands that start it, as somebody would type them."""
        return [shlex.join((PROGRAM, *self.engine.compose(*each))) for each in (_BUILD, _UP)]

    def ending(self, volumes: bool) -> str:
        """The command that ends it."""
        return shlex.join((PROGRAM, *self._down(volumes)))

    def start(self, patience_s: float, *, quiet: bool) -> None:
        """Build, start and wait until every service is up, and every one-shot done.

        Raises NodeUnavailable with the service that is not, TimedOut after ``patience_s`` seconds.
        """
        deadline = time.monotonic() + patience_s
        looks = ("--progress", "quiet") if quiet else ()
        commands = [self.engine.compose(*looks, *arguments) for arguments in (_BUILD, _UP)]
        if left := self._left_over():
            commands.insert(0, self.engine.compose("rm", "--stop", "--force", *left, everything=True))
        for command in commands:
            code = self.engine.carry_out(*command, patience_s=max(0.1, deadline - time.monotonic()))
            if code:
                raise NodeUnavailable(self._why(next(each for each in ("rm", "build", "up") if each in command), code))
        self._settle(deadline)

    def _left_over(self) -> list[str]:
        """Services of profiles that are not chosen any more, which compose leaves running: two would ship one home."""
        wanted = self.engine.services()
        return sorted({each.service for each in self.engine.containers()} - set(wanted))

    def _settle(self, deadline: float) -> None:
        wanted = self.engine.services()
        with paint.progress("waiting", "services") as advance:
            while True:
                found = {each.service: each for each in self.engine.containers()}
                if failed := [each for each in found.values() if each.condition == "failed"]:
                    raise NodeUnavailable(_lost(failed[0], self.environment))
                open_ = [name for name in wanted if name not in found or found[name].condition == "starting"]
                if not open_:
                    return
                advance(len(wanted) - len(open_), len(wanted))
                if time.monotonic() > deadline:
                    raise TimedOut(f"not up in time: {', '.join(open_)}; clusterlog stack status tells how far it is")
                time.sleep(_POLL_S)

    def _why(self, verb: str, code: int) -> str:
        """In one line what came of a start that failed: the first service that did, or what compose said above."""
        if verb == "up":
            failed = [each for each in self.engine.containers() if each.condition == "failed"]
            if failed:
                return _lost(failed[0], self.environment)
        return f"docker compose {verb} ended with exit code {code}; why is what it said above"

    def end(self, volumes: bool) -> None:
        """End every service of every profile. Raises NodeUnavailable and TimedOut."""
        code = self.engine.carry_out(*self._down(volumes), patience_s=_END_S)
        if code:
            raise NodeUnavailable(f"docker compose down ended with exit code {code}; why is what it said above")

    def _down(self, volumes: bool) -> tuple[str, ...]:
        more = ("--volumes",) if volumes else ()
        return self.engine.compose("down", "--remove-orphans", *more, everything=True)


def _lost(container: Container, environment: Environment) -> str:
    how = (
        f"has ended ({container.exit_code})"
        if container.state == "exited"
        else f"is {container.health or container.state}"
    )
    killed = "; it was killed, perhaps for want of memory" if container.exit_code == 137 else ""
    return f"{container.service} {how}{killed}: see docker compose -p {environment.project} logs {container.service}"


def described(found: Collection[Check]) -> list[dict[str, Any]]:
    """Checks for ``--json``."""
    return [{"name": each.name, "state": each.state, "told": each.told} for each in found]


def told(container: Container) -> dict[str, Any]:
    """A container for ``--json``."""
    return {
        "service": container.service,
        "condition": container.condition,
        "state": container.state,
        "health": container.health or None,
        "exit_code": container.exit_code if container.state == "exited" else None,
        "ports": list(container.ports),
    }


def show(found: Collection[Check]) -> None:
    """Checks for people."""
    for line in _rows(found):
        paint.show(line)


def _rows(found: Collection[Check]) -> Iterator[str]:
    inks = {"ok": "good", "bad": "bad", "unknown": "dim"}
    for each in found:
        yield f"{paint.inked(f'{each.state:<7}', inks[each.state])}  {each.name:<16}  {escaped(each.told)}".rstrip()
