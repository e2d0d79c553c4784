"""The container engine, asked and told through its own command, ``docker``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterlog.cli.stack.environment import PROFILES
from clusterlog.cli.stack.files import COMPOSE
from clusterlog.errors import NodeUnavailable, NotAllowed, SettingError, TimedOut

PROGRAM = "docker"
COMPOSE_AT_LEAST = (2, 20)
"""The first that takes ``required`` beside what a service depends on."""
ANSWER_S = 60.0
_ENDS_S = 30.0
ONE_SHOTS = frozenset({"certificates", "provision", "provision-opensearch", "dashboards"})
"""Services that have done their work when they have ended."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the stack: ``state`` and ``health`` in the words of the engine, health empty where unknown."""

    id: str
    service: str
    state: str
    health: str
    exit_code: int
    ports: tuple[int, ...]

    @property
    def condition(self) -> str:
        """``up``, ``done`` (a one-shot), ``starting`` or ``failed``."""
        if self.state == "exited":
            return "done" if self.service in ONE_SHOTS and self.exit_code == 0 else "failed"
        if self.state == "running" and self.service not in ONE_SHOTS:
            return {"": "up", "healthy": "up", "unhealthy": "failed"}.get(self.health, "starting")
        return "failed" if self.state in ("dead", "removing", "paused") else "starting"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine says of itself: versions, the memory it has in bytes, and whether it runs on this very kernel."""

    version: str
    compose: str
    memory: int
    native: bool


class Engine:
    """Docker as one stack sees it, in ``directory``, with the variables of its ``.env`` and nobody else's."""

    def __init__(self, directory: Path, variables: Mapping[str, str] | None = None) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise SettingError("docker is not installed: the stack needs Docker Engine with its compose plug-in")
        self._program = program
        self._directory = directory
        # A variable of the shell would be stronger than the file (a forgotten STACK_VERSION, somebody's BIND_ADDRESS).
        self._environ = {name: value for name, value in os.environ.items() if name not in (variables or {})}
        for name in ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES"):
            self._environ.pop(name, None)

    def facts(self) -> Facts:
        """Raises SettingError, NodeUnavailable or NotAllowed where the engine, or its compose plug-in, is none."""
        version = self._asked("version", "--format", "{{.Server.Version}}")
        told = self._run("compose", "version", "--short")
        compose = told.stdout.strip().removeprefix("v")
        if told.returncode or not (found := re.match(r"(\d+)\.(\d+)", compose)):
            raise SettingError("docker has no compose plug-in: install docker-compose-plugin, or Docker Desktop")
        if (int(found[1]), int(found[2])) < COMPOSE_AT_LEAST:
            needed = ".".join(map(str, COMPOSE_AT_LEAST))
            raise SettingError(f"docker compose {compose} is too old: {needed} or newer is needed")
        info = json.loads(self._asked("info", "--format", "{{json .}}"))
        native = not re.search(
            "desktop|orbstack|colima|rancher", f"{info.get('OperatingSystem')} {info.get('Name')}", re.IGNORECASE
        )
        host = os.environ.get("DOCKER_HOST", "")
        remote = bool(host) and not host.startswith("unix:")
        return Facts(
            version, compose, int(info.get("MemTotal") or 0), native and not remote and sys.platform == "linux"
        )

    def volumes(self, project: str) -> dict[str, str]:
        """The volumes of the stack that are there, and of which ``.env`` each is."""
        label = f"label=com.docker.compose.project={project}"
        form = '{{.Name}}\t{{.Label "clusterlog.stack"}}'
        told = self._asked("volume", "ls", "--filter", label, "--format", form)
        return dict([*line.split("\t"), ""][:2] for line in told.splitlines() if line)

    def services(self) -> tuple[str, ...]:
        """The services that the stack's profiles have, by name."""
        return tuple(sorted(self._asked(*self.compose("config", "--services")).split()))

    def containers(self) -> tuple[Container, ...]:
        """Every container of the stack, ended ones too, by name of their services."""
        told = self._asked(*self.compose("ps", "--all", "--format", "json")).strip()
        # One array, or from compose 2.21 on a document on each line.
        rows = json.loads(told) if told.startswith("[") else [json.loads(line) for line in told.splitlines()]
        return tuple(sorted(map(_container, rows), key=lambda each: each.service))

    def compose(self, *arguments: str, everything: bool = False) -> tuple[str, ...]:
        """The words of a command of compose, behind ``docker``; with ``everything`` for all profiles."""
        profiles = [word for each in PROFILES for word in ("--profile", each)] if everything else []
        place = ("--project-directory", str(self._directory), "--file", str(self._directory / COMPOSE))
        return ("compose", *place, *profiles, *arguments)

    def copy(self, container: Container, path: str, target: Path) -> bool:
        """Copy a file out of a container or its volumes, whether it runs or has ended; whether there was one."""
        return self._run("cp", f"{container.id}:{path}", str(target)).returncode == 0

    def carry_out(self, *arguments: str, patience_s: float) -> int:
        """Run a command whose talk goes to standard error as it comes; its exit code.

        Raises TimedOut after ``patience_s`` seconds: it is asked to end as by Ctrl-C, and awaited.
        """
        # On a terminal Ctrl-C reaches it by itself: it is in the same group.
        process = subprocess.Popen(
            [self._program, *arguments], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), env=self._environ
        )
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            raise TimedOut(f"docker {arguments[0]} has not ended after {patience_s:.0f} s") from None
        finally:
            try:
                process.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _asked(self, *arguments: str) -> str:
        told = self._run(*arguments)
        if told.returncode:
            raise _refusal(arguments, told.stderr)
        return told.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=self._environ,
                timeout=ANSWER_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NodeUnavailable(f"docker {arguments[0]} has not answered within {ANSWER_S:.0f} s") from None
        except OSError as error:
            raise SettingError(f"{self._program} cannot be run: {(error.strerror or str(error)).lower()}") from None


def _container(row: Mapping[str, Any]) -> Container:
    ports = {int(each.get("PublishedPort") or 0) for each in row.get("Publishers") or ()}
    return Container(
        str(row.get("ID", "")),
        str(row.get("Service", "")),
        str(row.get("State", "")),
        str(row.get("Health", "")),
        int(row.get("ExitCode") or 0),
        tuple(sorted(ports - {0})),
    )


def _refusal(arguments: Sequence[str], said: str) -> Exception:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if "permission denied" in said.lower():
        return NotAllowed("may not use the container engine: join the group docker, or run this as root")
    if re.search("cannot connect|is the docker daemon running|connection refused|no such host", said, re.IGNORECASE):
        return NodeUnavailable(f"the container engine does not answer: is it started? ({last})")
    what = next((word for word in arguments[1:] if not word.startswith("-") and "/" not in word), "")
    return NodeUnavailable(f"docker {arguments[0]} {what}".rstrip() + f" failed: {last}")
