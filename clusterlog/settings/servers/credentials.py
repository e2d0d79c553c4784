"""Who we are to the server: a token, a file with one, or the user and password of a URL."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import Host

Kind = Literal["write", "read", "control"]
"""What a token is for; the file of ``clusterlog serve`` holds one of each kind."""

_LONGEST = 64 << 10
_PAIR = re.compile(r"[\w-]+:[\w-]+", re.ASCII)
_SCHEMES = ("apikey ", "bearer ", "basic ")
_STRENGTH = {"argument": 2, "environment": 1}


@dataclass(slots=True)
class Credentials:
    """The token in force, for all threads. ``again`` reads its file anew, as keys are replaced while a process runs."""

    kind: Kind
    token: str = field(default="", repr=False)
    file: str = ""

    @classmethod
    def of(cls, settings: Settings, kind: Kind) -> Credentials:
        """From ``token`` or ``token_file``; of both, that whose origin is stronger.

        Raises SettingError where both are as strong or what is there is no token, NotAllowed for an unreadable file.
        """
        token, file = settings.token, settings.token_file
        if token and file:
            strength = [_STRENGTH.get(settings.origins.get(name, ""), 0) for name in ("token", "token_file")]
            if strength[0] == strength[1]:
                raise SettingError("token and token_file are both set: one of them is enough")
            token, file = (token, "") if strength[0] > strength[1] else ("", file)
        if token and not _is_plain(token):
            raise SettingError("token: expected printable ASCII")
        made = cls(kind, token, file)
        made.again()
        return made

    def again(self) -> None:
        """Read the file again. Raises SettingError where it holds no token, NotAllowed where it cannot be read."""
        if self.file:
            self.token = _read(Path(self.file), self.kind)

    def header(self, host: Host) -> str:
        """The value of ``Authorization`` for a host, empty for none. A token is stronger than what a URL says."""
        if self.token:
            return _authorization(self.token)
        if host.login is not None:
            return f"Basic {base64.b64encode(':'.join(host.login).encode()).decode()}"
        return ""

    def source(self, host: Host) -> str:
        """Where the credentials for a host come from, in words; empty if there are none."""
        if self.file:
            return f"token_file {self.file}"
        if self.token:
            return "token"
        return "user and password in the URL" if host.login is not None else ""


def _authorization(token: str) -> str:
    if token.lower().startswith(_SCHEMES):
        return token
    if _PAIR.fullmatch(token):  # id and key as an API key is shown when it is made
        token = base64.b64encode(token.encode()).decode()
    return f"ApiKey {token}"


def _read(path: Path, kind: Kind) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST).decode().strip()
    except PermissionError:
        raise NotAllowed(f"token_file: cannot read {path}: permission denied") from None
    except OSError as error:
        raise SettingError(f"token_file: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"token_file: {path} holds no token: it is not text") from None
    token = _of_kind(content, kind) if content.startswith("{") else content
    if not isinstance(token, str) or not _is_plain(token):
        raise SettingError(f"token_file: {path} holds no token: expected one line, or what clusterlog serve wrote")
    return token


def _is_plain(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _of_kind(content: str, kind: Kind) -> Any:
    """The token in what ``clusterlog serve`` or Elasticsearch's API of keys wrote."""
    try:
        told = json.loads(content)
    except ValueError:
        return None
    tokens = told.get("tokens")
    return tokens.get(kind) if isinstance(tokens, dict) else told.get("encoded")
