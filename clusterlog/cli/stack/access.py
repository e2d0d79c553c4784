"""How commands on this machine reach the stack: a home beside it with certificate, key and settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from clusterlog.cli.stack.engine import Container, Engine
from clusterlog.cli.stack.environment import ELASTIC, Environment
from clusterlog.errors import HomeBusy, NotAllowed, SettingError
from clusterlog.spool import filesystem, liveness

HOME = ".stack"
"""In the folder of the stack."""
_MARK = "# Written by `clusterlog stack up`, anew each time."
_SHIPPERS = {"direct": "ship", "logstash": "ship-logstash", "opensearch": "ship-opensearch"}


class StackLock:
    """Held by whoever changes the stack of a folder. A context manager.

    Raises HomeBusy while another process does, NotAllowed and SettingError where there can be none.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / HOME / "lock"
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            filesystem.make_private(self._path.parent)
            self._fd = liveness.hold(self._path)
        except PermissionError as error:
            raise NotAllowed(f"cannot write in {self._directory}: {(error.strerror or str(error)).lower()}") from None
        except OSError as error:
            raise SettingError(f"cannot write in {self._directory}: {(error.strerror or str(error)).lower()}") from None
        if self._fd < 0:
            pid = max(0, liveness.holder(self._path))
            raise HomeBusy(str(self._directory), pid, "started or ended", "wait until it has done so")
        return self

    def __exit__(self, *_: object) -> None:
        liveness.let_go(self._path, self._fd)


def addresses(environment: Environment) -> dict[str, str]:
    """Where a person finds what: name → URL."""
    host = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "localhost"}.get(
        environment.address, environment.address
    )
    ports = environment.ports()
    found = {"shop": f"http://{host}:{ports['SHOP_PORT']}"}
    if environment.way in ELASTIC:
        found["kibana"] = f"http://{host}:{ports['KIBANA_PORT']}"
        found["elasticsearch"] = f"https://{host}:{ports['ELASTICSEARCH_PORT']}"
    else:
        found["opensearch"] = f"https://{host}:{ports['OPENSEARCH_PORT']}"
    return found


def fetch(engine: Engine, environment: Environment) -> Path | None:
    """Write the home from which `clusterlog --home` reaches the stack; ``None`` where its files cannot be had.

    They are copied out of volumes by the engine: the authority's certificate, the key to read, the key of user hashes.
    """
    home = environment.directory / HOME
    shipper = _SHIPPERS[environment.way]
    wanted = {"ca.crt": ("certificates", "/trust/ca.crt"), "user.key": (shipper, "/var/lib/clusterlog/user.key")}
    if environment.way in ELASTIC:
        wanted["read.token"] = ("provision", "/keys/read/read.token")
    containers = {each.service: each for each in engine.containers()}
    copied = {
        name
        for name, (service, path) in wanted.items()
        if service in containers and _copied(engine, containers[service], path, home / name)
    }
    if wanted.keys() - copied - {"user.key"}:
        return None
    _written(home / "clusterlog.toml", "".join(f"{line}\n" for line in _settings(environment, copied)))
    return home


def _settings(environment: Environment, copied: set[str]) -> Iterator[str]:
    urls = addresses(environment)
    settings: dict[str, Any] = {"environment": "production", "ca_file": "ca.crt"}
    if environment.way in ELASTIC:
        settings |= {"store": urls["elasticsearch"], "token_file": "read.token", "kibana": urls["kibana"]}
    else:
        scheme, _, place = urls["opensearch"].partition("://")
        settings["store"] = f"{scheme}://admin:{environment.value('OPENSEARCH_PASSWORD')}@{place}"
    if "user.key" in copied:
        settings["user_key"] = "user.key"
    yield _MARK
    yield from (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items())


def _copied(engine: Engine, container: Container, path: str, target: Path) -> bool:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if not engine.copy(container, path, beside) or not beside.exists():
            return False
        beside.chmod(0o600)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return True


def _written(target: Path, content: str) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text(content, "utf-8")
    beside.replace(target)
