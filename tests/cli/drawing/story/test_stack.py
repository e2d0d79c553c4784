"""The exceptions of a request: each once, the application's own frames first to be seen."""

from __future__ import annotations

import sys
from typing import Any

from clusterlog.cli.drawing.story import rows
from clusterlog.cli.drawing.story.stack import MOST_EXCEPTIONS
from clusterlog.search.story.journey import journey

LIBRARY = "/opt/shop/lib/python3.11/site-packages/httpx"
OUTER = """  File "/opt/shop/payments/service.py", line 41, in charge
    answer = await client.post(url)
             ^^^^^^^^^^^^^^^^^^^^^^
"""
INNER = f"""  File "{LIBRARY}/_client.py", line 1919, in post
    return await self.request(
  File "{LIBRARY}/_client.py", line 1574, in request
    return await self.send(
  File "{LIBRARY}/_transports/default.py", line 118, in raise_it
    raise mapped_exc(message) from exc
"""
HEAD, END = "Traceback (most recent call last):\n", "httpx.ReadTimeout: no answer\n"


def failing(shop: Any, at: float, trace: str, fingerprint: str, **error: str) -> None:
    told = {"type": "httpx.ReadTimeout", "message": "no answer", "stack_trace": trace, **error}
    shop.log(at, "charge failed", level="error", error=told, clusterlog={"error": {"fingerprint": fingerprint}})


def below(drawn: Any, story: Any, **options: Any) -> list[str]:
    """What stands below the table."""
    lines: list[str] = drawn(rows(journey(story.documents), **{"width": 100, **options}))
    table = lines.index("")
    return lines[lines.index("", table + 1) + 1 :]


def test_own_frames_are_shown_and_those_of_libraries_counted(story, drawn):
    failing(story.process("shop-1"), 1, HEAD + OUTER + INNER + END, "e51c77aa")
    assert below(drawn, story) == [
        "#e51c  httpx.ReadTimeout: no answer  on shop-1 at +0.000 s",
        "       /opt/shop/payments/service.py:41 in charge",
        "           answer = await client.post(url)",
        "       … 2 frames in httpx",
        "       httpx/_transports/default.py:118 in raise_it",
    ]


def test_frames_of_libraries_are_dim_and_own_ones_are_not(story):
    failing(story.process("shop-1"), 1, HEAD + OUTER + INNER + END, "e51c77aa")
    found = {each.text: each.role for row in rows(journey(story.documents), width=100) for each in row}
    assert found["/opt/shop/payments/service.py:41 in charge"] == ""
    assert found["httpx/_transports/default.py:118 in raise_it"] == "dim"
    assert found["… 2 frames in httpx"] == "dim"


def test_one_exception_told_often_is_shown_once(story, drawn):
    shop = story.process("shop-1")
    for at in range(1, 4):
        failing(shop, at, HEAD + OUTER + INNER + END, "e51c77aa")
    assert below(drawn, story)[0] == "#e51c  httpx.ReadTimeout: no answer  on shop-1 at +0.000 s, 2 more events"
    assert sum("service.py" in line for line in below(drawn, story)) == 1


def test_an_exception_told_again_farther_up_is_shown_there_alone(story, drawn):
    shop = story.process("shop-1")
    failing(shop, 1, HEAD + INNER + END, "a6230000")
    failing(shop, 2, HEAD + OUTER + INNER + END, "13810000")
    lines = below(drawn, story)
    assert lines[0] == "#a623  httpx.ReadTimeout: no answer  on shop-1 at +0.000 s, the end of #1381"
    assert lines[1:3] == ["", "#1381  httpx.ReadTimeout: no answer  on shop-1 at +0.001 s"]


def test_causes_are_told_after_it(story, drawn):
    cause = HEAD + '  File "/opt/shop/net.py", line 7, in dial\n    connect()\n' + "OSError: unreachable\n"
    between = "\nThe above exception was the direct cause of the following exception:\n\n"
    failing(story.process("shop-1"), 1, cause + between + HEAD + OUTER + END, "e51c77aa")
    assert below(drawn, story)[3:] == [
        "       caused by OSError: unreachable",
        "       /opt/shop/net.py:7 in dial",
        "           connect()",
    ]


def test_our_own_frames_are_those_of_a_library(story, drawn):
    ours = '  File "/srv/clusterlog/integrations/clients/httpx.py", line 74, in send\n    return await original()\n'
    failing(story.process("shop-1"), 1, HEAD + OUTER + ours + INNER + END, "e51c77aa")
    assert "       … 3 frames in clusterlog, httpx" in below(drawn, story)


def test_what_is_no_list_of_frames_is_shown_as_it_is(story, drawn):
    trace = "java.lang.IllegalStateException: no\n\tat shop.Main.run(Main.java:7)\n" + "\tat x\n" * 50
    failing(story.process("shop-1"), 1, trace, "e51c77aa", type="java.lang.IllegalStateException", message="no")
    lines = below(drawn, story)
    assert lines[1:3] == ["       java.lang.IllegalStateException: no", r"       \tat shop.Main.run(Main.java:7)"]
    assert lines[-1] == "       … 22 more lines"


def test_a_deep_recursion_is_shown_by_its_ends(story, drawn):
    deep = "".join(f'  File "/opt/shop/a.py", line {n}, in f\n    f()\n' for n in range(1, 100))
    failing(story.process("shop-1"), 1, HEAD + deep + "RecursionError: too deep\n", "e51c77aa")
    lines = below(drawn, story)
    assert "       … 79 more frames" in lines
    assert lines[-2].strip() == "/opt/shop/a.py:99 in f"


def test_of_very_many_exceptions_the_first_are_unfolded_and_the_others_counted(story, drawn):
    shop = story.process("shop-1")
    for number in range(MOST_EXCEPTIONS + 3):
        failing(shop, number, HEAD + OUTER + f"Error{number}: x\n", f"{number:04x}0000", type=f"Error{number}")
    assert below(drawn, story)[-1] == "3 more exceptions are not unfolded here"


def test_the_text_of_a_stack_trace_cannot_steer_the_terminal(story, drawn):
    hostile = HEAD + OUTER.replace("client", "\x1b[2Jclient").replace("service", "\u202eservice") + END
    failing(story.process("shop-1"), 1, hostile, "e51c77aa", message="\x1b]0;owned\x07")
    for line in drawn(rows(journey(story.documents), width=100)):
        assert line.isprintable() or not line
        assert "\u202e" not in line


def test_real_tracebacks_are_read(story, drawn):
    def fail() -> None:
        raise ValueError("of ours")

    import traceback

    try:
        fail()
    except ValueError:
        trace = "".join(traceback.format_exception(*sys.exc_info()))
    failing(story.process("shop-1"), 1, trace, "e51c77aa", type="ValueError", message="of ours")
    assert any("in fail" in line for line in below(drawn, story))
