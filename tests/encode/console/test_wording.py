"""What is said of an event is said alike on the console of a developer, in lists and in the picture of a request."""

from __future__ import annotations

from clusterlog.cli import line
from clusterlog.encode.console import wording
from clusterlog.encode.console.line import Lines
from clusterlog.search import instant

EVENT = {
    "log": {"level": "warning", "logger": "shop"},
    "message": "counted",
    "event": {"duration": 245_000},
    "labels": {"sku": "a9", "why": "no index", "rows": 3, "ok": True},
}


def test_a_length_of_time_is_spoken_alike_everywhere():
    assert instant.spoken is wording.spoken
    (told,) = Lines("/app").of(EVENT, 0)
    assert ("  245 us", "dim") in told


def test_fields_are_written_alike_everywhere():
    (told,) = Lines("/app").of(EVENT, 0)
    console = "".join(text for text, _ in told)
    listed = line.fields(EVENT)
    assert listed == ["sku=a9", 'why="no index"', "rows=3", "ok=true"]
    assert console.endswith("  ".join(["", *listed]))


def test_levels_have_the_same_letters_everywhere():
    assert line.letter(EVENT) == "W"
    assert ("W ", "W") in Lines("/app").of(EVENT, 0)[0]
