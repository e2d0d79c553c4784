"""Links on a terminal: only where it is known to follow them, and never more than a terminal takes."""

from __future__ import annotations

import re

import pytest

from clusterlog.encode.console import hyperlink

ESC = "\x1b"
PROGRAM = """
    from clusterlog.context import request
    from clusterlog.context.request import Request
    clusterlog.start("shop", home=home, kibana="https://u:secret@kibana:5601/s/ops")
    log = clusterlog.get_logger("shop")
    log.info("before")
    request.enter(Request("request-000000001", "0" * 31 + "1", "0" * 15 + "1"))
    log.info("inside")
"""


def test_a_link_is_the_text_between_its_address_and_an_end():
    assert hyperlink.linked("id", "https://h/x") == f"{ESC}]8;;https://h/x{ESC}\\id{ESC}]8;;{ESC}\\"


@pytest.mark.parametrize("address", ["https://h/" + "x" * 2000, f"https://h/{ESC}]0;title\x07", "https://h/ö", "a\nb"])
def test_an_address_that_a_terminal_might_obey_or_not_take_makes_no_link(address):
    assert hyperlink.linked("id", address) == "id"


@pytest.mark.parametrize(
    ("environ", "follows"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "dumb", "VTE_VERSION": "7000"}, False),
        ({"VTE_VERSION": "7006"}, True),
        ({"VTE_VERSION": "4602"}, False),
        ({"VTE_VERSION": "new", "TERM_PROGRAM": "vscode"}, True),
        ({"TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"WT_SESSION": "1"}, True),
        ({"WT_SESSION": "1", "TMUX": "/tmp/x"}, False),
        ({"TERM": "screen-256color", "KONSOLE_VERSION": "220400"}, False),
        ({"TERM": "dumb", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": ""}, False),
    ],
)
def test_links_are_for_terminals_that_are_known_to_follow_them(environ, follows):
    assert hyperlink.known(environ) is follows


def test_the_id_of_a_request_on_the_console_leads_to_kibana(in_terminal):
    seen = in_terminal(PROGRAM, raw=True, FORCE_HYPERLINK="1").decode()
    ((address, shown),) = re.findall(r"\x1b\]8;;(https[^\x1b]+)\x1b\\(.*?)\x1b\]8;;\x1b\\", seen)
    assert address.startswith("https://kibana:5601/s/ops/app/r?l=DISCOVER_APP_LOCATOR&")
    assert "request-000000001" in address and "secret" not in address
    assert "00000001" in shown


def test_where_the_terminal_follows_no_links_the_console_writes_none(in_terminal):
    assert "]8;;" not in in_terminal(PROGRAM, raw=True).decode()


def test_without_a_kibana_the_console_writes_no_links(in_terminal):
    program = PROGRAM.replace(', kibana="https://u:secret@kibana:5601/s/ops"', "")
    assert "]8;;" not in in_terminal(program, raw=True, FORCE_HYPERLINK="1").decode()
