"""Stack traces are read back from their text, and what a person may skip is counted instead of shown."""

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode.console.frames import Frame, Skipped, ends, folded, library_of, place, read

OWN = '  File "/app/orders/stock.py", line 41, in reserve\n    self.take(sku)\n    ^^^^^^^^^^^^^^\n'
LIBRARY = '  File "/venv/lib/python3.11/site-packages/httpx/_client.py", line 9, in send\n    raise it\n'
STANDARD = '  File "/usr/lib/python3.11/json/decoder.py", line 353, in raw_decode\n'
HEAD = "Traceback (most recent call last):\n"


def raised():
    """The trace of a KeyError that a ValueError of json caused, several own frames deep."""

    def deeper(left):
        if left:
            deeper(left - 1)
        try:
            json.loads("{")
        except ValueError as error:
            raise KeyError("boom") from error

    try:
        deeper(9)
    except KeyError:
        return traceback.format_exc()


def test_a_real_trace_is_read_newest_exception_first():
    newest, cause = read(raised())
    assert (newest.text, newest.relation) == ("KeyError: 'boom'", "")
    assert cause.text.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert cause.relation == "caused by"
    assert [frame.function for frame in newest.frames] == ["raised", *["deeper"] * 4]
    assert newest.frames[-2].repeated == 6  # as Python tells it: three are shown
    assert newest.frames[-1].source == ('raise KeyError("boom") from error',)


def test_what_happened_while_another_was_handled_is_said_so():
    trace = (
        f"{HEAD}{OWN}A: a\n\nDuring handling of the above exception, another exception occurred:\n\n{HEAD}{OWN}B: b\n"
    )
    assert [(each.text, each.relation) for each in read(trace)] == [("B: b", ""), ("A: a", "while handling")]


def test_frames_of_libraries_are_folded_but_for_the_one_that_raised():
    (only,) = read(f"{HEAD}{LIBRARY}{OWN}{LIBRARY}{STANDARD}{LIBRARY}ConnectError: refused\n")
    first, own, second, last = folded(only.frames)
    assert first == Skipped(1, ("httpx",))
    assert (own.path, own.line, own.function, own.source) == (
        "/app/orders/stock.py",
        41,
        "reserve",
        ("self.take(sku)",),
    )
    assert second == Skipped(2, ("httpx", "python"))
    assert (last.library, last.function) == ("httpx", "send")


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/app/orders/stock.py", ""),
        ("/srv/lib/app.py", ""),
        ("<stdin>", ""),
        ("/v/lib/python3.12/site-packages/six.py", "six"),
        ("/usr/lib/python3/dist-packages/yaml/load.py", "yaml"),
        ("/usr/lib/python3.11/asyncio/runners.py", "python"),
        ("<frozen importlib._bootstrap>", "python"),
        (r"C:\v\Lib\site-packages\flask\app.py", "flask"),
    ],
)
def test_a_path_tells_whose_code_it_is(path, library):
    assert library_of(path) == library


def test_places_are_told_from_the_working_directory_and_from_the_package():
    assert place(Frame("/app/orders/stock.py", 41, "reserve", (), ""), "/app") == "orders/stock.py:41 in reserve"
    assert place(Frame("/other/stock.py", 41, "", (), ""), "/app") == "/other/stock.py:41"
    assert (
        place(Frame("/v/lib/python3.11/site-packages/httpx/_a.py", 1, "f", (), "httpx"), "/app") == "httpx/_a.py:1 in f"
    )
    assert place(Frame("/usr/lib/python3.11/json/decoder.py", 3, "f", (), "python"), "/app") == "json/decoder.py:3 in f"


def test_groups_of_exceptions_are_left_as_they_are():
    try:
        raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    except ExceptionGroup:
        assert read(traceback.format_exc()) == ()


@given(st.text(alphabet=st.sampled_from('Tab \n"F,1^~|+-:'), max_size=200) | st.text(max_size=200))
def test_no_text_is_too_strange_to_be_read(text):
    for each in read(text):
        for frame in folded(each.frames):
            assert isinstance(frame, Skipped) or frame.line >= 0


def test_a_deep_recursion_is_told_by_its_ends_and_nothing_is_miscounted():
    frames = [Frame("/app/a.py", number, "f", (), "") for number in range(1, 100)]
    frames[50] = Frame("/app/a.py", 51, "f", (), "", repeated=4)
    shown = list(ends([*frames[:60], Skipped(3, ("httpx",)), *frames[60:]], 20))
    assert [each.line for each in shown if isinstance(each, Frame)] == [*range(1, 11), *range(90, 100)]
    assert [each.said for each in shown if isinstance(each, Skipped)] == [f"{99 - 20 + 4 + 3} more frames"]
    assert list(ends(frames[:20], 20)) == frames[:20]


def test_what_is_skipped_is_said_with_whose_it_is():
    assert Skipped(1, ("httpx",)).said == "1 frame in httpx"
    assert Skipped(9, ("httpx", "python")).said == "9 frames in httpx, python"
    assert Skipped(1).said == "1 more frame"


def test_a_frame_that_is_repeated_says_how_often():
    assert place(Frame("/app/a.py", 3, "f", (), "", repeated=996), "/app") == "a.py:3 in f, and 996 times more"
