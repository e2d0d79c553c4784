"""What a person sees: tables that line up, bars for what takes long, colours where they are wanted."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest

from clusterlog.cli import paint


class Screen(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    """Standard error is a terminal, and time passes by hand."""
    screen = Screen()
    monkeypatch.setattr(paint, "sys", SimpleNamespace(stderr=screen, stdout=sys.stdout))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return screen


@pytest.fixture
def later(monkeypatch):
    """Let seconds pass."""
    now = [100.0]
    monkeypatch.setattr(paint.time, "monotonic", lambda: now[0])

    def pass_by(seconds):
        now[0] += seconds

    return pass_by


def test_columns_of_a_table_stand_under_one_another_and_numbers_to_the_right():
    lines = list(paint.table(("NAME", "COUNT"), [("日本", "7"), ("orders", "1,204")], "COUNT"))
    assert lines == ["NAME    COUNT", "日本        7", "orders  1,204"]


def test_ink_takes_no_room_in_a_table(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with paint.looks("always"):
        rows = [(paint.inked("up", "good"), "2"), ("silent", "10")]
        lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in paint.table(("STATE", "WORKERS"), rows, "WORKERS")]
    assert lines == ["STATE   WORKERS", "up            2", "silent       10"]


def test_columns_that_can_be_spared_are_left_out_where_there_is_no_room_for_them(monkeypatch):
    monkeypatch.setattr(paint, "width", lambda: 12)
    rows = [("aaaa", "bbbb", "cccc")]
    assert list(paint.table(("A", "B", "C"), rows, spare="C A")) == ["A     B", "aaaa  bbbb"]
    monkeypatch.setattr(paint, "width", lambda: 14)
    assert next(paint.table(("A", "B", "C"), rows, spare="C A")).split() == ["A", "B"]
    monkeypatch.setattr(paint, "width", lambda: 16)
    assert next(paint.table(("A", "B", "C"), rows, spare="C A")).split() == ["A", "B", "C"]


def test_a_table_too_wide_for_the_terminal_tells_less_of_ids_and_nothing_of_what_is_empty(monkeypatch):
    process = "01a1ff49d4f4751bb8af71ea46f47fc7"
    rows = [(process, "7", "-", "to its end"), ("of a file", "1,204", "-", "-")]

    def drawn(width):
        monkeypatch.setattr(paint, "width", lambda: width)
        return [line.split() for line in paint.table(("INSTANCE", "COUNT", "LOST", "KNOWN"), rows, "COUNT")]

    assert drawn(57) == drawn(None)
    assert drawn(None)[1] == [process, "7", "-", "to", "its", "end"]
    assert drawn(56)[1] == ["..46f47fc7", "7", "-", "to", "its", "end"]
    assert drawn(34)[0] == ["INSTANCE", "COUNT", "KNOWN"]
    assert drawn(34)[2] == ["of", "a", "file", "1,204", "-"]


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), (3 << 40, "3072.0 GiB")]
)
def test_sizes_are_told_with_one_digit(count, told):
    assert paint.size(count) == told


@pytest.mark.parametrize(
    ("environ", "tty", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_ink_is_for_terminals_that_want_it(monkeypatch, environ, tty, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream = Screen() if tty else io.StringIO()
    assert paint.coloured(stream) is wanted
    assert (paint.inked("x", "E", stream) != "x") is wanted


@pytest.mark.parametrize(("choice", "wanted"), [("always", True), ("never", False), ("auto", True)])
@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_who_asks_for_colours_or_for_none_gets_that_whatever_the_environment_says(monkeypatch, choice, wanted, environ):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with paint.looks(choice):
        assert paint.coloured(io.StringIO()) is (wanted if choice != "auto" else "FORCE_COLOR" in environ)
    assert paint.coloured(io.StringIO()) is ("FORCE_COLOR" in environ)


def test_only_the_sixteen_colours_of_the_terminal_s_own_theme_are_used():
    """ECMA-48 8.3.117 and the bright ones of aixterm: no palette index and no RGB value."""
    numbers = {int(number) for ink in paint.INK.values() for number in ink.split(";")}
    assert numbers <= {1, 2, *range(30, 38), *range(90, 98)}


def test_lanes_have_six_hues_none_of_which_means_a_level():
    hues = [paint.INK[f"lane{number}"] for number in range(8)]
    assert len(set(hues)) == 6
    assert hues[6:] == hues[:2]
    assert set(hues).isdisjoint({paint.INK[level].split(";")[-1] for level in "EW"})


def test_rows_are_shown_in_their_inks_and_without_blanks_at_their_ends(capsys):
    rows = [[("+0.1  ", ""), ("charge", "E"), ("   ", "dim")], [("plain", "")]]
    paint.show_rows(rows)
    with paint.looks("always"):
        paint.show_rows(rows)
    assert capsys.readouterr().out == "+0.1  charge\nplain\n" + "+0.1  \x1b[1;31mcharge\x1b[0m\nplain\n"


def test_talk_waits_while_a_pager_has_the_screen(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(paint, "terminal", lambda stream: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CLUSTERLOG_PAGER", f"cat > {tmp_path / 'paged'}")
    with paint.paged():
        for number in range(200):
            paint.show(f"line {number}")
        paint.say("there is more")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "there is more\n"
    assert len((tmp_path / "paged").read_text().splitlines()) == 200


def test_no_bar_is_drawn_where_nobody_looks(capsys, later):
    with paint.progress("shipping", "events") as advance:
        later(5)
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_no_bar_is_drawn_for_what_takes_less_than_a_second(screen, later):
    with paint.progress("shipping", "events") as advance:
        later(0.9)
        advance(1, 2)
    assert screen.getvalue() == ""


def test_a_bar_tells_how_far_it_is_and_goes_away(screen, later):
    pytest.importorskip("rich")
    with paint.progress("shipping [bold]x", "events") as advance:
        later(1.5)
        advance(1500, 3000)
        later(1)
        advance(3000, 3000)
    assert "shipping [bold]x" in screen.getvalue()
    assert "1,500 of 3,000" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_without_rich_a_line_replaces_itself_and_goes_away(screen, later, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with paint.progress("exporting", "bytes") as advance:
        later(1.5)
        advance(1 << 20, 4 << 20)
    assert screen.getvalue() == "\rexporting  1.0 MiB of 4.0 MiB, 0:04 left\x1b[K\r\x1b[K"


def test_what_is_counted_in_other_units_than_it_is_measured_in_has_a_rate(screen, later, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with paint.paced("ingesting", "line") as advance:
        later(2)
        advance(1 << 20, 31 << 20, 5000)
    assert screen.getvalue().startswith("\ringesting  5,000 lines, 2,500/s, 1:00 left\x1b[K")


def test_a_bar_inside_of_another_takes_its_place_for_as_long_as_it_is_there(screen, later):
    pytest.importorskip("rich")
    with paint.paced("ingesting", "line") as outer:
        later(2)
        outer(1, 4, 10)
        with paint.progress("shipping", "events") as inner:
            later(2)
            inner(1, 2)
        later(2)
        outer(3, 4, 70)
    told = screen.getvalue()
    assert told.index("ingesting") < told.index("shipping") < told.rindex("ingesting")
    assert "70 lines" in told


def test_an_interrupted_bar_leaves_the_terminal_as_it_was(screen, later, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)

    def interrupted():
        with paint.progress("exporting", "bytes") as advance:
            later(2)
            advance(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("encoding", "of_locale", "wanted"),
    [
        ("utf-8", "UTF-8", True),
        ("utf-8", "utf8", True),
        ("utf-8", "ANSI_X3.4-1968", False),
        ("ascii", "UTF-8", False),
        ("latin-1", "UTF-8", False),
        (None, "UTF-8", False),
    ],
)
def test_arrows_are_drawn_where_they_can_be_written_and_read(monkeypatch, encoding, of_locale, wanted):
    stream = Screen()
    stream.encoding = encoding
    monkeypatch.setattr(paint, "sys", SimpleNamespace(stdout=stream))
    monkeypatch.setattr(paint.locale, "getencoding", lambda: of_locale)
    assert paint.unicode() is wanted
