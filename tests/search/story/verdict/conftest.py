"""What a verdict says of a story."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import Sentence, verdict


@pytest.fixture(scope="session")
def sentences() -> Any:
    """Gives the sentences of one kind about a story."""

    def told(story: Any, kind: str) -> list[Sentence]:
        return [sentence for sentence in verdict(journey(story.documents)) if sentence.kind == kind]

    return told


@pytest.fixture(scope="session")
def said(sentences: Any) -> Any:
    """Gives the texts of those sentences."""
    return lambda story, kind: [sentence.text for sentence in sentences(story, kind)]


@pytest.fixture(scope="session")
def id_of() -> Any:
    """Gives the id of the event of a story that has a message."""
    return lambda story, message: next(d["event"]["id"] for d in story.documents if d["message"] == message)
