"""The readable files: all of them are read, and each mistake is told with its file and its place."""

from __future__ import annotations

import shutil

import pytest

from clusterlog.errors import SettingError
from clusterlog.store.elasticsearch.streams import PATTERN
from clusterlog.store.kibana import sources

PANEL = '[[panel]]\ntitle = "P"\nkind = "lines"\nat = [0, 0, 24, 10]\nover = "@timestamp"\n'
HEAD = 'kind = "dashboard"\ntitle = "D"\nabout = "a"\nsince = "now-1h"\nrefresh_s = 60\n'


@pytest.fixture
def folder(tmp_path):
    """A copy of the files, to be spoilt."""
    shutil.copytree(sources.folder(), tmp_path / "kibana")
    return tmp_path / "kibana"


def test_what_is_wanted_is_there(read):
    assert {each.name for each in read.dashboards} == {"requests", "cluster-health"}
    assert "request" in {each.name for each in read.sessions}
    titles = {panel.title for each in read.dashboards for panel in each.panels}
    assert titles >= {"Events by level", "Events by node", "Duration of requests", "Errors by service"}
    assert titles >= {"Slowest requests", "Delivery lag", "Drops by reason", "Dead letters by reason"}
    assert titles >= {"Level changes over time", "Silent nodes"}
    assert "http.request.id" in {each.field for each in read.dashboards[1].controls}


def test_the_data_view_shows_the_streams_that_are_written(read):
    assert read.view.pattern == PATTERN


def test_the_files_of_the_checkout_are_the_only_ones_unless_the_package_has_its_own(folder, monkeypatch):
    assert sources.folder().name == "kibana"
    monkeypatch.setattr(sources, "_PACKAGED", folder)
    assert sources.folder() == folder
    assert sources.read() == sources.read(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind = ", "Invalid value"),
        ("title = 'D'", "kind: expected a text"),
        ("kind = 'board'", "kind = 'board': expected one of data view, session, dashboard"),
        (HEAD.replace("60", "'60'"), "refresh_s: expected a whole number"),
        (HEAD.replace("60", "true"), "refresh_s: expected a whole number"),
        (HEAD + "colour = 1", "nothing is known by the name 'colour'"),
        (HEAD + "[[control]]\nfield = 'a'\ntitle = 't'\nsingel = true", "nothing is known by the name 'singel'"),
        (HEAD + PANEL, "panel 'P': expected measures"),
        (HEAD + PANEL.replace("lines", "pie"), "panel 'P': kind = 'pie': expected one of stacked bars, lines, table"),
        (HEAD + PANEL.replace("24,", "49,"), "panel 'P': at: the grid has 48 columns"),
        (HEAD + PANEL.replace(", 10", ""), "panel 'P': at: expected column, row, width and height"),
        (HEAD + PANEL + "measures = { x = 'avg a' }", "panel 'P': 'avg a': expected count or max"),
        (HEAD + PANEL + "measures = { x = 1 }", "panel 'P': measures.x: expected a text"),
        (
            HEAD + PANEL + "measures = { x = 'count' }\nrow = ['a top 1']",
            "panel 'P': nothing is known by the name 'row'",
        ),
        (HEAD + PANEL + "measures = { x = 'count' }\ncolours = { x = 'red' }", "panel 'P': colour 'red' of 'x'"),
        (HEAD + PANEL + "measures = { x = 'count', y = 'count' }\nsplit = 'a top 1'", "a split chart has one measure"),
        (HEAD + 2 * (PANEL + "measures = { x = 'count' }\n"), "two panels are called p"),
        (HEAD + "panel = ['x']", "panel: expected tables"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_place(folder, text, told):
    file = folder / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as raised:
        sources.read(folder)
    assert str(raised.value).startswith(f"{file}: ") and told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_session_that_is_not_there_is_told(folder):
    (folder / "losses.toml").unlink()
    with pytest.raises(SettingError, match=r"panel 'Losses': no session 'losses', there are coming-and-going"):
        sources.read(folder)


def test_there_is_one_data_view(folder):
    shutil.copy(folder / "events.toml", folder / "more.toml")
    with pytest.raises(SettingError, match=r"expected one data view among \d files, found 2"):
        sources.read(folder)
