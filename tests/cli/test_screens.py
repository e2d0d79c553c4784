"""The screens of the documentation are what the commands show."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clusterlog.cli.line import columns

SCREENS = Path(__file__).parents[2] / "docs" / "screens"


@pytest.fixture(scope="module")
def drawing() -> Any:
    spec = importlib.util.spec_from_file_location("screens", SCREENS / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["screens"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drawn(drawing: Any) -> dict[str, str]:
    with drawing.home() as directory:
        return dict(drawing.files(directory))


def test_every_file_is_what_is_drawn_now(drawn: dict[str, str]) -> None:
    """``make screens`` draws them anew, for eyes to judge."""
    kept = {path.name for path in SCREENS.iterdir() if path.suffix in (".txt", ".svg", ".md")}
    assert kept == set(drawn)
    assert not [name for name, text in drawn.items() if (SCREENS / name).read_text(encoding="utf-8") != text]


def test_the_readme_shows_the_failed_request_as_it_is_drawn_now(drawing: Any, drawn: dict[str, str]) -> None:
    readme = (SCREENS.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"```console\n{drawing.shown_first(drawn['failed-120.txt'])}```\n" in readme


def test_each_screen_shows_something_and_no_error(drawing: Any, drawn: dict[str, str]) -> None:
    for screen in drawing.SCREENS:
        for width in drawing.WIDTHS:
            lines = drawn[f"{screen.name}-{width}.txt"].splitlines()
            assert len(lines) > 5, screen.name


def test_pictures_of_requests_are_no_wider_than_their_terminal(drawing: Any, drawn: dict[str, str]) -> None:
    for screen in drawing.SCREENS:
        if screen.arguments[0] in ("trace", "diff", "errors") or "--group" in screen.arguments:
            for width in drawing.WIDTHS:
                first, *lines = drawn[f"{screen.name}-{width}.txt"].splitlines()
                assert first.startswith("$ clusterlog ")
                assert max(map(columns, lines)) <= width, screen.name


def test_a_terminal_s_colours_are_kept_in_both_themes(drawing: Any, drawn: dict[str, str]) -> None:
    for theme, colours in drawing.THEMES.items():
        root = ElementTree.fromstring(drawn[f"failed-{theme}.svg"])
        texts = {each.text: each.get("class") or "" for each in root.iter("{http://www.w3.org/2000/svg}text")}
        assert texts[drawing.FAILED] == "c36"
        assert texts["FAILED"] == "c31"
        assert {inks for text, inks in texts.items() if text and text.startswith("take payment")} == {"b c31"}
        assert colours["31"] in drawn[f"failed-{theme}.svg"]


def test_every_stretch_stands_at_its_column(drawing: Any) -> None:
    line = "ab \x1b[1;31m漢字\x1b[0m  \x1b[2m x \x1b[0m"
    assert list(drawing._stretches(line)) == [(0, "ab", [""]), (3, "漢字", ["1", "31"]), (10, "x", ["2"])]


def test_the_events_are_of_no_machine() -> None:
    text = (SCREENS / "events.ndjson").read_text(encoding="utf-8")
    assert "127.0.0.1" not in text
    assert set(re.findall(r"/[\w./]+/lib/python3\.\d+/", text)) == {
        "/usr/lib/python3.11/",
        "/srv/shop/.venv/lib/python3.11/",
    }
