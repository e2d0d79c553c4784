"""Whose events somebody wants: people are named on the command line, and stored as hashes alone."""

from __future__ import annotations

from clusterlog.settings import Settings
from clusterlog.store.query import Match, Node, Or


def people(settings: Settings, user: str | None, session: str | None) -> list[Node]:
    """What asks for a user and a session, under every key that the home knows."""
    if user is None and session is None:
        return []
    from clusterlog.encode.identity import hashes, hashes_of_session

    asked: list[Node] = []
    if user is not None:
        asked.append(Or(tuple(Match("user.hash", each) for each in hashes(settings, user))))
    if session is not None:
        field = "clusterlog.session.hash"
        asked.append(Or(tuple(Match(field, each) for each in hashes_of_session(settings, session))))
    return asked
