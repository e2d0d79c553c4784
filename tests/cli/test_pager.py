"""Long output goes through the pager of whoever looks at it; seen on a real terminal."""

from __future__ import annotations

import os

import pytest

from clusterlog.cli import pager
from clusterlog.encode.console.hyperlink import linked

REQUEST = "a" * 24 + "00000001"


@pytest.fixture
def long(home):
    """A home with a request of two hundred lines."""
    shop = home.speaker()
    for number in range(200):
        shop.say(f"line {number:03}", request=REQUEST)
    shop.end()
    return home


@pytest.fixture
def command(long):
    return "trace", REQUEST, "--home", long


@pytest.fixture
def pager_that_tells(tmp_path):
    """A pager that leaves a note that it was called."""
    note = tmp_path / "paged"
    script = tmp_path / "own-pager"
    script.write_text(f"#!/bin/sh\ntouch {note}\ncat\necho the end of the pager\n")
    script.chmod(0o755)
    return script, note


def test_what_is_longer_than_the_screen_waits_in_less_until_the_reader_has_read(on_pty, command):
    terminal = on_pty(*command)
    terminal.see("line 010")
    terminal.see(":")
    assert not any("line 100" in line for line in terminal.shown)
    assert terminal.process.poll() is None
    terminal.press("G")
    terminal.see("line 199")
    terminal.press("q")
    assert terminal.ended() == 0


def test_colours_reach_less_and_come_out_of_it(on_pty, command):
    terminal = on_pty(*command)
    terminal.see("line 010")
    place = next(n for n, line in enumerate(terminal.shown) if line.startswith("Request"))
    assert terminal.screen.buffer[place][len("Request ")].fg == "cyan"
    assert not any("ESC" in line or "[36m" in line for line in terminal.shown)
    terminal.press("q")
    assert terminal.ended() == 0


def test_a_reader_who_leaves_early_ends_the_command_without_a_word(on_pty, command):
    terminal = on_pty(*command)
    terminal.see("line 010")
    terminal.press("q")
    assert terminal.ended() == 0
    assert b"Traceback" not in terminal.raw
    assert b"clusterlog:" not in terminal.raw


def test_ctrl_c_belongs_to_the_pager(on_pty, command):
    terminal = on_pty(*command)
    terminal.see("line 010")
    terminal.press("\x03")
    while not any("line 199" in line for line in terminal.shown):  # Ctrl-C also drops what was typed just behind it
        terminal.press("G")
        terminal.look()
    terminal.press("q")
    assert terminal.ended() == 0


def test_what_fits_on_the_screen_needs_no_pager(on_pty, command, pager_that_tells):
    own, note = pager_that_tells
    terminal = on_pty(*command, lines=300, CLUSTERLOG_PAGER=str(own))
    terminal.see("line 199")
    assert terminal.ended() == 0
    assert not note.exists()


def test_lines_that_wrap_take_more_than_one_line_of_the_screen(on_pty, home, pager_that_tells):
    own, note = pager_that_tells
    shop = home.speaker()
    for _ in range(5):
        shop.say("wide " * 100, request=REQUEST)
    shop.end()
    command = ("trace", REQUEST, "--home", home, "--width", "400")
    assert on_pty(*command, lines=40, CLUSTERLOG_PAGER=str(own)).ended() == 0
    assert not note.exists()
    assert on_pty(*command, lines=14, CLUSTERLOG_PAGER=str(own)).ended() == 0
    assert note.exists()


@pytest.mark.parametrize(
    ("environ", "called"),
    [
        ({"PAGER": "OWN"}, True),
        ({"CLUSTERLOG_PAGER": "OWN", "PAGER": "false"}, True),
        ({"CLUSTERLOG_PAGER": "", "PAGER": "OWN"}, False),
        ({"CLUSTERLOG_PAGER": "cat", "PAGER": "OWN"}, False),
        ({"PAGER": ""}, False),
        ({"PAGER": "OWN | cat"}, True),
        ({"PAGER": "OWN", "TERM": "dumb"}, False),
        ({"PAGER": "no-such-program --at-all"}, False),
    ],
)
def test_the_environment_says_which_pager_if_any(on_pty, command, pager_that_tells, environ, called):
    own, note = pager_that_tells
    terminal = on_pty(*command, **{name: value.replace("OWN", str(own)) for name, value in environ.items()})
    terminal.see("the end of the pager" if called else "line 199")
    assert terminal.ended() == 0
    assert note.exists() is called


def test_somebody_who_wants_no_pager_says_so(on_pty, command, pager_that_tells):
    own, note = pager_that_tells
    terminal = on_pty(*command, "--no-pager", PAGER=str(own))
    terminal.see("line 199")
    assert terminal.ended() == 0
    assert not note.exists()


def test_in_a_pipe_there_is_no_pager(process, command, pager_that_tells):
    own, note = pager_that_tells
    out, _ = process(*command, env={**os.environ, "PAGER": str(own)}).communicate()
    assert b"line 199" in out
    assert not note.exists()


def test_less_is_the_pager_of_those_who_named_none(monkeypatch):
    monkeypatch.setattr(pager.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    assert pager.command_of({}) == "less"
    monkeypatch.setattr(pager.shutil, "which", lambda name, path=None: None)
    assert pager.command_of({}) == ""


def test_cat_is_no_pager_and_no_process_either():
    assert pager.command_of({"PAGER": "cat"}) == pager.command_of({"CLUSTERLOG_PAGER": " cat "}) == ""


def test_what_is_said_beside_it_waits_until_the_pager_is_gone(on_pty, long):
    terminal = on_pty("search", "--home", long, "--limit", "100")
    terminal.see("line 110")
    assert b"--limit 0 shows all" not in terminal.raw
    terminal.press("q")
    assert terminal.ended() == 0
    assert "the newest 100 of" in "\n".join(terminal.shown)


def test_the_rest_of_an_endless_answer_is_not_looked_for_when_the_reader_leaves(on_pty, home):
    """More than a pipe takes in that nobody reads."""
    shop = home.speaker()
    for number in range(100):
        shop.say(f"line {number:03} " + "x" * 5000)
    shop.end()
    terminal = on_pty("search", "--home", home, "--limit", "0")
    terminal.see("line 000")
    terminal.press("q")
    assert terminal.ended() == 0


def test_links_are_for_the_terminal_and_not_for_the_pager(on_pty, command, pager_that_tells):
    own, note = pager_that_tells
    links = {"CLUSTERLOG_KIBANA": "http://kibana:5601", "FORCE_HYPERLINK": "1", "CLUSTERLOG_PAGER": str(own)}
    through = on_pty(*command, **links)
    through.see("the end of the pager")
    assert through.ended() == 0
    assert note.exists() and b"]8;;" not in through.raw
    note.unlink()
    direct = on_pty(*command, lines=300, **links)
    assert direct.ended() == 0
    assert not note.exists() and b"]8;;http://kibana:5601/app/r?" in direct.raw


def test_the_address_of_a_link_takes_no_room_on_the_screen(capfd):
    link = linked("id", "http://kibana:5601/" + "x" * 500)
    page = pager.Paged("false", os.terminal_size((100, 3)))
    page.write(link)
    page.write("below")
    page.end()
    assert capfd.readouterr().out == f"{link}\nbelow\n"
