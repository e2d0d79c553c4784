"""Who may do what: three tokens in ``run/serve.json``, one to write, one to read, one to control."""

from __future__ import annotations

import binascii
import json
import secrets
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from typing import Literal, get_args

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.ship.acknowledged import replace
from clusterlog.spool import filesystem

Right = Literal["write", "read", "control"]
RIGHTS: tuple[Right, ...] = get_args(Right)
FILE = "serve.json"
_SHORTEST = 16
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token for each right. No right holds another one: what may write may not read."""

    write: str = field(repr=False)
    read: str = field(repr=False)
    control: str = field(repr=False)

    def right(self, authorization: str) -> Right | None:
        """What the value of an ``Authorization`` header gives the right to; ``None`` for no token of ours.

        Every token is compared, each in a time that does not depend on where they differ.
        """
        found: Right | None = None
        for shown in _shown(authorization):
            for right in RIGHTS:
                if compare_digest(shown.encode(), getattr(self, right).encode()):
                    found = right
        return found


def _shown(authorization: str) -> Iterator[str]:
    """The tokens a header may mean: as Bearer, as ApiKey (plain, or ``id:key`` in base64), as password of Basic."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() in ("bearer", "apikey"):
        yield value
    if scheme.lower() in ("basic", "apikey"):
        try:
            yield b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return


def load(home: Path) -> Tokens:
    """The tokens of a home, new ones where it has none yet. Raises SettingError for a file that cannot be read."""
    path = home / "run" / FILE
    try:
        told = json.loads(path.read_bytes())["tokens"]
        tokens = Tokens(**{right: told[right] for right in RIGHTS})
        if not all(len(getattr(tokens, right)) >= _SHORTEST for right in RIGHTS):
            raise ValueError("too short")
    except FileNotFoundError:
        return Tokens(*(secrets.token_urlsafe(_TOKEN_BYTES) for _ in RIGHTS))
    except PermissionError:
        raise NotAllowed(f"cannot read {path}: permission denied") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingError(f"{path} does not hold the tokens: remove it, and new ones are made") from None
    return tokens


def publish(home: Path, url: str, tokens: Tokens) -> Path:
    """Write ``run/serve.json``, for its owner alone. Raises StoreUnavailable where that cannot be."""
    path = home / "run" / FILE
    told = {"url": url, "tokens": {right: getattr(tokens, right) for right in RIGHTS}}
    try:
        filesystem.make_private(path.parent)
        replace(path, json.dumps(told, indent=1).encode() + b"\n")
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from None
    return path
