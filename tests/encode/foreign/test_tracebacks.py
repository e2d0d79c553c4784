"""A traceback in a line tells type and message of the exception, however a logger wrote it."""

import sys
import traceback

import structlog
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.encode.foreign.tracebacks import fingerprint, read


def raised(call):
    try:
        call()
    except Exception:
        return sys.exc_info()
    raise AssertionError


def chained():
    password = "hunter2"
    try:
        raise KeyError("cart")
    except KeyError as error:
        raise ValueError("payment refused:\nno money") from error
    finally:
        assert password


def test_python_s_own_text_tells_the_last_exception_with_all_its_lines():
    text = "".join(traceback.format_exception(*raised(chained)))
    found = read(text)
    assert (found.type, found.message) == ("ValueError", "payment refused:\nno money")
    assert found.text == text


def test_an_exception_without_a_message_has_a_type():
    assert (
        read('Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x\nshop.errors.Closed').type
        == "shop.errors.Closed"
    )


def test_a_trace_without_its_last_line_is_text_alone():
    found = read('  File "a.py", line 1, in f\n    x()\n')
    assert (found.type, found.message) == ("", "")


def test_structlog_s_dictionaries_are_drawn_again_without_local_variables():
    told = structlog.tracebacks.ExceptionDictTransformer(show_locals=True)(raised(chained))
    found = read(told)
    assert (found.type, found.message) == ("ValueError", "payment refused:\nno money")
    assert found.text.index("KeyError") < found.text.index("ValueError")
    assert ", in chained" in found.text
    assert "hunter2" in str(told) and "hunter2" not in found.text


def test_lines_of_a_traceback_are_one_text():
    assert (
        read(["Traceback (most recent call last):\n", '  File "a.py", line 1, in f\n', "ValueError: no\n"]).message
        == "no"
    )


def test_a_fingerprint_is_that_of_type_and_own_functions():
    one = 'File "/srv/shop/cart.py", line 1, in pay\nFile "/x/site-packages/lib.py", line 9, in call\n'
    assert fingerprint("ValueError", one) == fingerprint(
        "ValueError", one.replace("line 1", "line 7").replace("/srv", "/opt")
    )
    assert fingerprint("ValueError", one) == fingerprint("ValueError", one.replace("in call", "in other"))
    assert fingerprint("ValueError", one) != fingerprint("KeyError", one)
    assert fingerprint("ValueError", one) != fingerprint("ValueError", one.replace("pay", "ship"))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["frames", "exc_type", "lineno", "name"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.text() | st.lists(json, min_size=1))
def test_whatever_stands_there_is_read_without_an_error(told):
    found = read(told)
    assert type(found.text) is str and type(found.type) is str and type(found.message) is str
