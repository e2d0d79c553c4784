"""What was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. ``check`` names what was looked at; ``mend`` says what to do, and is empty where nothing is wrong."""

    check: str
    state: State
    text: str
    mend: str = ""
