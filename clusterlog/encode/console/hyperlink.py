"""Text on a terminal that leads to an address when it is clicked (OSC 8), where the terminal is known to do so.

A terminal that does not know the sequence should show the text alone, but some show the address as well: so only those
that are known get it. There is no way to ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LINK = re.compile(r"\x1b\]8;;[^\x1b\x07]*\x1b\\")
"""Either end of a link, as ``linked`` writes it."""

_PROGRAMS = frozenset({"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio", "Tabby"})
_TYPES = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "contour", "wezterm")
_VARIABLES = ("WT_SESSION", "KONSOLE_VERSION", "KITTY_WINDOW_ID", "DOMTERM", "WEZTERM_PANE")
_VTE = 5000
"""From version 0.50 on, the library behind GNOME's and Xfce's terminals knows it; before, it could crash."""
_LONGEST = 2000
"""Characters of an address; VTE takes 2,083 bytes, and shows no link for more."""


def linked(shown: str, address: str) -> str:
    """The text as a link; without one where the address is too long for a terminal, or not plain ASCII."""
    if len(address) > _LONGEST or not (address.isascii() and address.isprintable()):
        return shown
    return f"\x1b]8;;{address}\x1b\\{shown}\x1b]8;;\x1b\\"


def known(environ: Mapping[str, str]) -> bool:
    """Whether the terminal of this environment follows links; ``FORCE_HYPERLINK`` (1 or 0) knows better."""
    forced = environ.get("FORCE_HYPERLINK")
    if forced is not None:
        return forced not in ("", "0")
    kind = environ.get("TERM", "")
    if kind == "dumb" or kind.startswith(("screen", "tmux")) or environ.get("TMUX"):
        return False  # a multiplexer tells nothing of the terminal it is shown on
    if environ.get("VTE_VERSION", "").isdigit():
        return int(environ["VTE_VERSION"]) >= _VTE
    program = environ.get("TERM_PROGRAM", "")
    return program in _PROGRAMS or kind.startswith(_TYPES) or any(environ.get(name) for name in _VARIABLES)
