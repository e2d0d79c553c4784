"""The settings that decide about headers, read once for each ``start``: whom to believe, whom to tell, which cookie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clusterlog.context.peers import PropagateTo, Trust, parse_propagate_to, parse_trust
from clusterlog.settings import Settings


@dataclass(frozen=True, slots=True)
class Rules:
    """``trust`` and ``propagate_to`` as rules; ``session_cookie`` is the cookie's name, empty for none."""

    trust: Trust
    propagate_to: PropagateTo
    session_cookie: str


def _rules(settings: Settings | None) -> Rules:
    if settings is None:
        return Rules(parse_trust("private"), parse_propagate_to("private"), "")
    # ``start`` has read both once, and has said what is wrong with them.
    return Rules(
        parse_trust(settings.trust), parse_propagate_to(settings.propagate_to), settings.session_cookie.strip()
    )


_ask: Callable[[], Settings | None] | None = None
_settings: Settings | None = None
_read: Rules = _rules(None)


def in_force() -> Rules:
    """The rules of the settings that ``start`` was given; before it those of the defaults."""
    global _ask, _settings, _read
    if _ask is None:  # the first request or call: until then nothing needs the rooms that start wires
        from clusterlog.start import settings_in_force

        _ask = settings_in_force
    settings = _ask()
    if settings is not _settings:
        _read = _rules(settings)
        _settings = settings
    return _read
