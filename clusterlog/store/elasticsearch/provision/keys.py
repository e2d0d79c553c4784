"""API keys for shipping, reading and setting up, each in a file that a command takes as its ``--token-file``."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.store.elasticsearch.provision.comparison import Body
from clusterlog.store.elasticsearch.provision.plan import Plan, Step
from clusterlog.store.elasticsearch.provision.rights import USES, Security, Use, privileges, role_name
from clusterlog.store.elasticsearch.provision.server import check
from clusterlog.store.elasticsearch.provision.templates.bodies import meta
from clusterlog.store.elasticsearch.transport import Client

PATH = "/_security/api_key"
SHOWN = "-"
"""In place of a directory: keys are shown and not written."""
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Where the key for one use goes. ``holds`` is the id of the key in it, ``None`` where there is none yet.

    ``holds`` is empty for a file with anything else in it: a file with nothing in it is one that was reserved for a key
    that never came. ``path`` is ``SHOWN`` for no file.
    """

    use: Use
    path: str
    holds: str | None = None


def token_files(uses: Iterable[Use], directory: str) -> tuple[TokenFile, ...]:
    """A file for each use in a directory, and what is in it now. Raises NotAllowed and SettingError."""
    if directory == SHOWN:
        return tuple(TokenFile(use, SHOWN) for use in uses)
    paths = [(use, Path(directory) / f"{use}.token") for use in uses]
    return tuple(TokenFile(use, str(path), _holds(path)) for use, path in paths)


def _holds(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise NotAllowed(f"cannot read {path}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror}") from None
    if not content:
        return None
    try:
        return base64.b64decode(content.strip(), validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def lacking(client: Client, uses: Iterable[Use], security: Security, patterns: tuple[str, ...]) -> dict[Use, str]:
    """What we may not do ourselves of what a key is for: it would not be able to, either."""
    found: dict[Use, str] = {}
    for use in uses:
        asked = privileges(use, failure_store=security.failure_store, patterns=patterns)
        body = {"cluster": asked["cluster"], "index": asked["indices"]}
        answer = client.call("POST", "/_security/user/_has_privileges", body)
        check(answer, "authentication")
        has = {**answer.body.get("cluster", {})}
        for each in answer.body.get("index", {}).values():
            has |= {name: has.get(name, True) and allowed for name, allowed in each.items()}
        missing = [name for name, allowed in has.items() if not allowed]
        if missing:
            found[use] = ", ".join(missing)
    return found


def keys(files: Iterable[TokenFile], security: Security, patterns: tuple[str, ...], lacks: Mapping[Use, str]) -> Plan:
    """The plan for the keys somebody asks for. A key whose file is here is not made again."""
    plan = Plan()
    for file in files:
        plan += _key(file, security, patterns, lacks.get(file.use, ""))
    return plan


def _key(file: TokenFile, security: Security, patterns: tuple[str, ...], lacks: str) -> Plan:
    name = role_name(file.use)
    title = f"API key {name}"
    if not security.on:
        return Plan(refused=(f"{title}: this server does not ask who is there, or not as Elasticsearch does",))
    present = next((key for key in security.keys if key.id == file.holds), None)
    if present is not None and present.name == name and set(present.patterns or patterns) == set(patterns):
        return Plan(kept=(f"{title} in {file.path}",))
    if file.holds is not None:
        why = "its key is for other streams" if present else "it holds something else than a key of this server"
        return Plan(refused=(f"{title}: {file.path} is there already, and {why}: remove it, or choose another place",))
    if security.as_key:
        return Plan(refused=(f"{title}: who comes with an API key cannot make others: come as a user",))
    if not security.rights & {"manage_security", "manage_api_key", "manage_own_api_key"}:
        return Plan(refused=(f"{title}: the right manage_own_api_key is lacking",))
    if lacks:
        return Plan(refused=(f"{title}: a key can do no more than who makes it, and you lack {lacks}",))
    told = privileges(file.use, failure_store=security.failure_store, patterns=patterns)
    body: Body = {"name": name, "role_descriptors": {name: told}, "metadata": meta(USES[file.use])}
    return Plan((Step("create", "API key", name, "POST", PATH, body, None, told, file=file.path),))


@contextmanager
def reserved(path: str) -> Iterator[IO[bytes]]:
    """A new file of one's own (0600) for a secret that comes only once; it is gone again where nothing came.

    Raises NotAllowed and SettingError before anything is asked for.
    """
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _holds(Path(path)) is None:
            with suppress(FileNotFoundError):
                os.unlink(path)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise SettingError(f"{path} is there already: remove it, or choose another place") from None
    except PermissionError:
        raise NotAllowed(f"cannot write {path}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot write {path}: {error.strerror}") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def encoded(answer: Any) -> str:
    """The secret in what a server answers to a new key."""
    told = answer.get("encoded") if isinstance(answer, dict) else None
    return str(told or "")
