"""Who develops sees each event once on the terminal, and progress bars stay whole."""

import re

TIME = re.compile(r"\d\d:\d\d:\d\d\.\d{3} ")


def test_an_event_is_one_line_with_level_logger_message_and_fields(in_terminal):
    lines = in_terminal("""
        clusterlog.start("shop", home=home)
        clusterlog.get_logger("shop.api").info("order placed", sku="a b", qty=2)
    """)
    assert [TIME.sub("", line) for line in lines] == ['I shop.api  order placed  sku="a b"  qty=2']
    assert TIME.match(lines[0])


def test_a_request_has_its_own_colour_and_the_end_of_its_id(in_terminal):
    seen = in_terminal(
        """
        from clusterlog.context import request
        from clusterlog.context.request import Request
        clusterlog.start("shop", home=home)
        log = clusterlog.get_logger("shop")
        log.info("before")
        for name in ("request-000000001", "request-000000002", "request-000000001"):
            request.enter(Request(name, "0" * 31 + "1", "0" * 15 + "1"))
            log.info("inside")
        """,
        raw=True,
    ).decode()
    first, second, third = re.findall(r"\x1b\[(\d+)m[-0]{7}(\d)\x1b\[0m", seen)
    assert first == third
    assert first[1] != second[1]
    assert first[0] != second[0]
    before = next(line for line in seen.split("\r\n") if "before" in line)
    assert "  shop" not in before.replace("\x1b[34m", "")  # no empty column before the first request


def test_exceptions_show_own_frames_and_count_those_of_libraries(in_terminal):
    lines = in_terminal("""
        import httpx
        clusterlog.start("shop", home=home)
        def charge():
            httpx.get("http://127.0.0.1:1/")
        try:
            charge()
        except Exception:
            clusterlog.get_logger("shop").exception("payment failed")
    """)
    assert lines[0].endswith("E shop      payment failed")
    assert lines[1].strip().startswith("httpx.ConnectError: ")
    assert [line.strip() for line in lines[2:6]] == [
        "program.py:9 in <module>",
        "charge()",
        "program.py:7 in charge",
        'httpx.get("http://127.0.0.1:1/")',
    ]
    assert re.fullmatch(r"… \d+ frames in httpx, python", lines[6].strip())
    assert any(line.strip().startswith("caused by httpcore.ConnectError") for line in lines)


def test_what_a_handler_of_the_application_shows_is_not_shown_twice(in_terminal):
    lines = in_terminal("""
        import logging
        logging.basicConfig(format="own %(message)s")
        clusterlog.start("shop", home=home)
        clusterlog.get_logger("native").warning("one")
        logging.getLogger("standard").warning("two")
        quiet = logging.getLogger("quiet"); quiet.propagate = False; quiet.addHandler(clusterlog.Handler())
        quiet.warning("three")
    """)
    assert [line for line in lines if "own two" in line] == ["own two"]
    assert sum("two" in line for line in lines) == 1
    assert sum("three" in line for line in lines) == 1


def test_an_application_s_own_structlog_renderer_is_enough(in_terminal):
    lines = in_terminal("""
        import structlog, sys
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        clusterlog.start("shop", home=home)
        clusterlog.instrument("structlog")
        structlog.get_logger("shop").info("rendered by its own chain")
    """)
    assert sum("rendered by its own chain" in line for line in lines) == 1


def test_warnings_and_uncaught_exceptions_are_left_to_python(in_terminal):
    lines = in_terminal("""
        import warnings
        clusterlog.start("shop", home=home)
        warnings.warn("careful")
        raise RuntimeError("the end")
    """)
    assert sum("UserWarning: careful" in line for line in lines) == 1
    assert sum("the end" in line for line in lines) == 2  # the line of code, and the exception


def test_nothing_is_shown_in_production_in_a_pipe_or_where_it_is_turned_off(in_terminal, capfd):
    program = 'clusterlog.start("shop", home=home, {more}); clusterlog.get_logger("x").error("seen?")'
    assert in_terminal(program.format(more="environment='production'")) == []
    assert in_terminal(program.format(more="console='off'")) == []
    assert in_terminal(program.format(more="console=False")) == []
    assert in_terminal("sys.stderr = sys.stdout; " + program.format(more="")) == []


def test_on_shows_even_what_others_show(in_terminal):
    lines = in_terminal("""
        import logging
        logging.basicConfig(format="own %(message)s")
        clusterlog.start("shop", home=home, console="on")
        logging.getLogger("standard").warning("two")
    """)
    assert sum("two" in line for line in lines) == 2


def test_colours_follow_the_environment(in_terminal):
    program = 'clusterlog.start("shop", home=home); clusterlog.get_logger("x").error("seen")'
    assert b"\x1b[" in in_terminal(program, raw=True)
    assert b"\x1b[" not in in_terminal(program, raw=True, NO_COLOR="1")
    assert b"\x1b[" not in in_terminal(program, raw=True, TERM="dumb")
    assert b"\x1b[" in in_terminal(program, raw=True, TERM="dumb", FORCE_COLOR="1")


def test_text_of_events_cannot_steer_the_terminal(in_terminal):
    program = r"""
        clusterlog.start("shop", home=home)
        clusterlog.get_logger("a\x1b[2J").error("b\x1b[31m\r", **{"c\x1b": "d\x1b"})
    """
    seen = in_terminal(program, raw=True, NO_COLOR="1")
    assert b"\x1b" not in seen
    assert rb"b\x1b[31m\r" in seen


def test_bars_of_tqdm_and_rich_are_not_torn(in_terminal):
    """A bar stands below the lines, whole, whatever is logged while it moves."""
    rich = "from rich.console import Console; from rich.progress import track as bar"
    for bar in (
        "from tqdm import tqdm as track",
        f"{rich}; track = lambda each: bar(each, console=Console(stderr=True))",
    ):
        lines = in_terminal(f"""
            {bar}
            clusterlog.start("shop", home=home)
            log = clusterlog.get_logger("shop")
            for number in track(range(5)):
                log.info("at", number=number)
        """)
        told = [line for line in lines if "number=" in line]
        assert [line[line.index("number=") :] for line in told] == [f"number={number}" for number in range(5)]
        assert sum("100%" in line for line in lines) == 1
        assert all(TIME.match(line) for line in told)


def test_a_terminal_that_goes_away_takes_no_event_with_it(in_terminal, tmp_path):
    in_terminal("""
        clusterlog.start("shop", home=home)
        sys.stderr.close()
        clusterlog.get_logger("shop").info("kept")
    """)
    kept = b"".join(each.read_bytes() for each in (tmp_path / "home" / "spool").glob("*.seg"))
    assert b'"kept"' in kept
