"""A stand-in for the command ``docker``: it writes down what it is called with, and answers as the real one does.

What it answers is in files beside it, as ``Double`` puts them there. Forms of answers are those of Docker 28 and of
compose 2.39. It is a script of the shell, as it is called a dozen times in each test.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": dial unix /var/run/docker.sock: connect: permission denied'
)
NO_COMPOSE = "docker: unknown command: docker compose\n\nRun 'docker --help' for more information"

_PROGRAM = """#!/bin/sh
PATH=/usr/bin:/bin
here=${0%/*}
{ printf '%s\\n' "$@"; printf '\\036\\n'; } >> "$here/calls"
printf '%s|%s|%s\\n' "$COMPOSE_PROFILES" "$STACK_VERSION" "$COMPOSE_FILE" >> "$here/environments"
verb=$1
if [ "$verb" = compose ]; then
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --project-directory | --file | --profile | --progress) shift 2 ;;
            -*) shift ;;
            *) break ;;
        esac
    done
    verb=compose-$1
fi
answer=$here/answers/$verb
if [ -d "$answer/0" ]; then
    count=$(cat "$answer/count" 2>/dev/null || echo 0)
    [ -d "$answer/$((count + 1))" ] && echo $((count + 1)) > "$answer/count"
    answer=$answer/$count
fi
if [ -d "$answer/copies" ]; then
    copied=$answer/copies/$(printf %s "$2" | sed 's/^id-of-//' | tr / _)
    [ -f "$copied" ] || { echo "Error response from daemon: Could not find the file" >&2; exit 1; }
    exec cat "$copied" > "$3"
fi
if [ -f "$answer/waits" ]; then
    trap 'touch "$here/interrupted"; exit 130' INT
    echo $$ > "$here/waiting.new" && mv "$here/waiting.new" "$here/waiting"
    while [ ! -e "$here/go" ]; do sleep 0.02; done
fi
cat "$answer/out"
cat "$answer/err" >&2
exit "$(cat "$answer/code")"
"""

SERVICES = ("certificates", "elasticsearch", "shop-1")


def row(service: str, state: str = "running", health: str = "healthy", code: int = 0, *ports: int) -> dict[str, Any]:
    """A container as ``docker compose ps --format json`` tells of one."""
    return {
        "ID": f"id-of-{service}",
        "Name": f"clusterlog-{service}-1",
        "Service": service,
        "State": state,
        "Health": health,
        "ExitCode": code,
        "Publishers": [
            {"URL": "127.0.0.1", "TargetPort": each, "PublishedPort": each, "Protocol": "tcp"} for each in ports
        ],
    }


class Double:
    """The stand-in in a directory, which is to be on PATH. It begins as an engine on which nothing runs yet."""

    def __init__(self, directory: Path, services: tuple[str, ...] = SERVICES) -> None:
        self.directory = directory
        self.services = services
        program = directory / "docker"
        program.write_text(_PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        info = {"MemTotal": 16 << 30, "OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "Name": "host"}
        self.answers("version", out="28.2.2\n")
        self.answers("compose version", out="2.39.1\n")
        self.answers("info", out=json.dumps(info))
        self.answers("volume", out="")
        self.answers("compose config", out="".join(f"{each}\n" for each in services))
        self.answers("compose ps", out="")
        self.answers("compose build", err=" certificates  Built\n")
        self.answers("compose up", err=" Container clusterlog-shop-1  Started\n")
        self.answers("compose down", err=" Container clusterlog-shop-1  Removed\n")
        self.answers("cp", copies={})
        self.answers("compose rm")

    def answers(self, verb: str, *then: dict[str, Any], **answer: Any) -> None:
        """What a verb is answered with; with several, one after the other, the last for ever."""
        place = self.directory / "answers" / verb.replace(" ", "-")
        shutil.rmtree(place, ignore_errors=True)
        for directory, told in [(place / str(index), each) for index, each in enumerate(then)] or [(place, answer)]:
            directory.mkdir(parents=True)
            (directory / "out").write_text(told.get("out", ""))
            (directory / "err").write_text(told.get("err", ""))
            (directory / "code").write_text(str(told.get("code", 0)))
            if told.get("waits"):
                (directory / "waits").touch()
            for source, content in told.get("copies", {}).items():
                (directory / "copies").mkdir(exist_ok=True)
                (directory / "copies" / source.replace("/", "_")).write_text(content)

    def runs(self, *rows: dict[str, Any]) -> None:
        """The containers that there are."""
        self.answers("compose ps", out="".join(f"{json.dumps(each)}\n" for each in rows))

    def comes_up(self) -> None:
        """Everything is up once it is started; the first time it is asked nothing is."""
        once = ("certificates", "provision")
        services = (*self.services, "provision", "ship")
        self.answers("compose config", out="".join(f"{each}\n" for each in services))
        up = [row(each, "exited", "", 0) if each in once else row(each) for each in services]
        told = "".join(f"{json.dumps(each)}\n" for each in up)
        self.answers("compose ps", {"out": ""}, {"out": told})
        copies = {
            "certificates:/trust/ca.crt": "-----BEGIN CERTIFICATE-----\n",
            "provision:/keys/read/read.token": "aWQ6a2V5\n",
            "ship:/var/lib/clusterlog/user.key": "key\n",
        }
        self.answers("cp", copies=copies)

    def calls(self) -> list[list[str]]:
        """What it was called with, in order."""
        path = self.directory / "calls"
        told = path.read_text().split("\x1e\n")[:-1] if path.exists() else []
        return [each.splitlines() for each in told]

    def environments(self) -> set[str]:
        """Of all calls, the variables of the environment that would change what the real one does."""
        return set((self.directory / "environments").read_text().splitlines())

    def verbs(self) -> list[str]:
        """Of each call the verb: ``version``, ``compose up``."""
        found = []
        for call in self.calls():
            words = [word for word in call if word in ("build", "up", "down", "ps", "config", "rm", "version")]
            found.append(f"compose {words[0]}" if call[0] == "compose" else call[0])
        return found
