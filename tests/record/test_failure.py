"""Exceptions as data: the standard library's text to the byte, bounded, and never an exception of our own."""

from __future__ import annotations

import gc
import linecache
import signal
import sys
import threading
import traceback
import types
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.record import stack
from clusterlog.record.failure import CHAIN, MEMBERS, Failure, describe, exception_of, raised_by_signal
from clusterlog.record.redact import Redactor

redactor = Redactor()


def standard(exc):
    return "".join(traceback.format_exception(exc))


def raised(make):
    """The exception that ``make()`` raises or returns, raised here."""
    try:
        raise make()
    except BaseException as exc:
        return exc


def module(name, source, tmp_path):
    """A module of its own file, so that its lines can be drawn."""
    file = tmp_path / f"{name}.py"
    file.write_text(source, encoding="utf-8")
    made = types.ModuleType(name)
    made.__file__ = str(file)
    exec(compile(source, str(file), "exec"), made.__dict__)
    return made


def caught(call, *args):
    try:
        call(*args)
    except BaseException as exc:
        return exc
    raise AssertionError("nothing raised")


# -- the text -----------------------------------------------------------------------------------------------------

CARETS = """
def binary(a, b):
    return (a +
            b) if a else a + b * (a / b)

def subscript(d):
    return d["a"]["b"]["c"] + 1

def call(f, x):
    return [f(y) for y in [x]][0] + len(f(x) for _ in x)

def wide(ä):
    return "日本語" + ä["schlüssel 😀"] + "é"

def tabs(x):
	if x:
		return x	+	undefined_name  # tab

def several(f, x):
    return f(
        x,
        1 / x,
    )

def attribute(x):
    with x: pass

class Deep:
    def method(self): return (lambda: self.missing.more)()
    @property
    def prop(self): raise KeyError("multi\\nline\\n") from None

def generator(x):
    yield from (1 // y for y in x)

def comprehension(x):
    return {k: {v: 1 / v for v in x} for k in x}

def semicolons(): a = 1; b = 0; return a / b

async def coroutine(x):
    async for y in x: pass

def assertion(x): assert x == 1, f"{x!r}"
"""

RAISING = [
    ("binary", ("x", 0)),
    ("binary", (0, "x")),
    ("subscript", ({"a": {}},)),
    ("subscript", ({"a": {"b": {"c": "x"}}},)),
    ("call", (len, 5)),
    ("wide", ({},)),
    ("tabs", (1,)),
    ("several", (max, 0)),
    ("comprehension", ([0],)),
    ("semicolons", ()),
    ("assertion", (2,)),
]


@pytest.mark.parametrize(("name", "args"), RAISING)
def test_carets_stand_where_the_standard_library_puts_them(name, args, tmp_path):
    made = module("carets", CARETS, tmp_path)
    exc = caught(getattr(made, name), *args)
    assert "^" in standard(exc)
    for _ in range(2):  # drawn, and remembered
        assert describe(exc).stack_trace == standard(exc)


def test_methods_generators_and_properties_are_drawn_alike(tmp_path):
    made = module("carets", CARETS, tmp_path)
    deep = made.Deep()
    for call in (
        deep.method,
        lambda: deep.prop,
        lambda: list(made.generator([0])),
        lambda: made.coroutine(1).send(None),
    ):
        exc = caught(call)
        assert describe(exc).stack_trace == describe(exc).stack_trace == standard(exc)


def test_two_places_on_one_line_have_carets_of_their_own(tmp_path):
    made = module("places", "def f(a, b): return a[0] + b[0]\n", tmp_path)
    first, second = caught(made.f, [], [1]), caught(made.f, [1], [])
    assert describe(first).stack_trace == standard(first)
    assert describe(second).stack_trace == standard(second)
    assert standard(first).split("\n")[-3] != standard(second).split("\n")[-3]


def test_code_without_source_is_drawn_without_lines():
    exc = caught(lambda: exec("def f(): return 1 / 0\nf()", {"__name__": "nowhere"}))
    assert '  File "<string>", line 1, in f\nZeroDivisionError' in standard(exc)
    assert describe(exc).stack_trace == standard(exc)


def _even(n):
    if n == 0:
        raise ValueError("bottom")
    return _odd(n - 1)


def _odd(n):
    return _even(n - 1)


def _down(n):
    return _down(n - 1) if n else 1 / 0


@pytest.mark.parametrize("depth", [*range(8), 50, 200])
def test_repeated_lines_are_folded_as_the_standard_library_folds_them(depth):
    for call, levels in ((_down, depth), (_even, depth * 2)):
        exc = caught(call, levels)
        assert describe(exc).stack_trace == standard(exc)


def test_functions_that_take_turns_on_one_line_are_not_folded(tmp_path):
    made = module("turns", "f = lambda n: [f(n - 1) for _ in [0]] if n else 1 / 0\n", tmp_path)
    exc = caught(made.f, 10)
    assert "repeated" not in standard(exc)
    assert describe(exc).stack_trace == standard(exc)


def test_a_recursion_without_end_is_drawn_alike():
    exc = caught(_down, -1)
    assert type(exc) is RecursionError
    assert "[Previous line repeated" in standard(exc)
    assert describe(exc).stack_trace == standard(exc)


def chained(*links):
    """An exception behind which stand ``links``: an exception and how the one before came from it."""
    nearest = None
    for number, how in enumerate(reversed(links)):
        behind = nearest
        try:
            try:
                if behind is not None:
                    raise behind
            except Exception as context:
                if how == "cause":
                    raise KeyError(f"number {number}") from context
                if how == "none":
                    raise OSError(f"number {number}") from None
                raise LookupError(f"number {number}")  # noqa: B904 - the implicit context is what is tested
            raise ValueError("the oldest")
        except Exception as exc:
            nearest = exc
    return nearest


@pytest.mark.parametrize(
    "links",
    [
        ["context"],
        ["cause", "context"],
        ["context", "context"],
        ["none", "context"],
        ["cause", "context", "cause", "none", "cause", "context"],
        ["context", "cause"] * 20,
    ],
)
def test_chains_are_drawn_alike_and_told_as_data(links):
    exc = chained(*links)
    found = describe(exc)
    assert found.stack_trace == standard(exc)
    expected = []
    each = exc
    while each.__cause__ or (each.__context__ and not each.__suppress_context__):
        relation = "cause" if each.__cause__ else "context"
        each = each.__cause__ or each.__context__
        expected.append((type(each).__name__, str(each), relation))
    assert [(link.type, link.message, link.relation) for link in found.chain] == expected
    assert found.left_out == 0


def test_a_chain_that_bites_its_tail_ends_there():
    one, two, three = (raised(lambda n=n: ValueError(n)) for n in "123")
    one.__cause__, two.__cause__, three.__context__ = two, three, one
    assert describe(one).stack_trace == standard(one)
    assert [link.message for link in describe(one).chain] == ["2", "3"]
    one.__cause__ = one
    assert describe(one).stack_trace == standard(one)
    assert describe(one).chain == ()


class Odd(Exception):
    """Something between module and name."""

    class Inner(Exception):
        """A name with a dot."""


PLAIN = [
    ValueError,
    lambda: ValueError(""),
    lambda: ValueError("a", 1),
    lambda: ValueError("two\nlines\n"),
    lambda: KeyError("quoted"),
    lambda: Odd("x"),
    lambda: Odd.Inner(None),
    KeyboardInterrupt,
    lambda: SystemExit(3),
    GeneratorExit,
    lambda: OSError(2, "gone", "file"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    lambda: StopIteration(5),
    MemoryError,
    lambda: NameError("name", name="nam"),
    lambda: AttributeError("attribute", name="rea", obj=1j),
    lambda: ModuleNotFoundError("module", name="jso"),
    lambda: type("NoModule", (Exception,), {"__module__": None})("x"),
    lambda: type("Main", (Exception,), {"__module__": "__main__"})("x"),
]


@pytest.mark.parametrize("make", PLAIN)
def test_type_and_message_are_as_python_prints_them(make):
    exc = raised(make)
    found = describe(exc)
    assert found.stack_trace == standard(exc)
    last = "".join(traceback.format_exception_only(exc))
    assert last == (f"{found.type}: {found.message}\n" if found.message else f"{found.type}\n")


def test_an_exception_that_was_never_raised_has_no_stack():
    exc = ValueError("x")
    assert describe(exc).stack_trace == standard(exc) == "ValueError: x\n"


NOTES = [[], ["one"], ["one", "two\nlines"], [""], ("tuple",), "text", 5, None, [1], ["\ud800"], {"a"}, ["x", 2]]


@pytest.mark.parametrize("notes", NOTES)
def test_notes_are_drawn_alike_whatever_they_are(notes):
    exc = raised(lambda: ValueError("x"))
    exc.__notes__ = notes
    assert describe(exc).stack_trace == standard(exc).encode("utf-8", "backslashreplace").decode()


def test_syntax_errors_keep_their_line_and_caret():
    exc = caught(compile, "a = (1,\nb = $", "file.py", "exec")
    assert describe(exc).stack_trace == standard(exc)
    assert "    ^" in standard(exc)
    assert describe(exc).message == str(exc)


def _group(depth, width):
    if depth == 0:
        return [raised(lambda: ValueError("leaf"))]
    members = [each for _ in range(width) for each in _group(depth - 1, width)]
    return [raised(lambda: ExceptionGroup(f"level {depth}", members))]


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (1, 3), (2, 2), (3, 3), (1, 20), (12, 1)])
def test_groups_are_drawn_alike_and_their_members_told(depth, width):
    exc = _group(depth, width)[0]
    exc.__cause__ = chained("context", "cause")
    found = describe(exc)
    assert found.stack_trace == standard(exc)
    members = [link for link in found.chain if link.relation == "member"]
    assert len(members) == sum(width**level for level in range(1, depth + 1))
    assert {link.message for link in members if link.type == "ValueError"} == {"leaf"}
    assert [link.relation for link in found.chain[:2]] == ["cause", "context"]


def test_a_traceback_limit_of_the_process_is_kept_to(monkeypatch):
    exc = caught(_even, 10)
    monkeypatch.setattr(sys, "tracebacklimit", 2, raising=False)
    assert describe(exc).stack_trace == standard(exc)
    assert standard(exc).count("File") == 2


def test_lines_without_position_are_drawn_by_their_number():
    """As templates and tracers make them: a traceback of a frame with numbers of its own."""
    real = caught(_even, 0)
    at = real.__traceback__
    for lasti, line in ((-1, 3), (-1, 5), (0, 7), (at.tb_lasti, 1)):
        exc = ValueError("moved").with_traceback(types.TracebackType(None, at.tb_frame, lasti, line))
        assert describe(exc).stack_trace == standard(exc)


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abcx"), max_size=25), st.text(max_size=10))
def test_any_way_through_functions_is_drawn_alike(way, message):
    def a(rest):
        return step(rest)

    def b(rest):
        try:
            return step(rest)
        except Exception as exc:
            raise TypeError(message) from exc

    def c(rest):
        try:
            return step(rest)
        finally:
            message.encode("ascii")

    def x(rest):
        try:
            return step(rest)
        except ValueError:
            return {}[message]

    def step(rest):
        if not rest:
            raise ValueError(message)
        return {"a": a, "b": b, "c": c, "x": x}[rest[0]](rest[1:])

    exc = caught(step, way)
    assert describe(exc).stack_trace == standard(exc).encode("utf-8", "backslashreplace").decode()


# -- what is remembered -------------------------------------------------------------------------------------------


def test_a_place_is_drawn_once_and_then_remembered(tmp_path, monkeypatch):
    made = module("once", "def f(): return 1 / 0\n", tmp_path)
    exc = caught(made.f)
    first = describe(exc).stack_trace

    def again(*args):
        raise AssertionError("drawn again")

    monkeypatch.setattr(stack, "_learn", again)
    assert describe(caught(made.f)).stack_trace.split("\n")[-5:] == first.split("\n")[-5:]


def test_new_code_at_an_old_address_is_not_taken_for_the_old():
    """Code objects die and their ids come back; 300 rounds would meet many."""
    for number in range(300):
        source = f"def f():\n    return {{}}[{number}]\n"
        name = f"<round {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        names = {}
        exec(compile(source, name, "exec"), names)
        exc = caught(names["f"])
        assert describe(exc).stack_trace == standard(exc)
        del linecache.cache[name]
        del names, exc


def test_equal_code_of_two_files_is_told_apart(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (module("same", "def f(): return 1 / 0\n", tmp_path / each) for each in "ab")
    assert one.f.__code__ == two.f.__code__
    for made in (one, two):
        exc = caught(made.f)
        assert describe(exc).stack_trace == standard(exc)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(stack, "CACHED_PLACES", 50)
    monkeypatch.setattr(stack, "_places", {})
    for number in range(200):
        names = {}
        exec(compile("\n" * number + "def f(): return 1 / 0", "<many>", "exec"), names)
        describe(caught(names["f"]))
        assert len(stack._places) <= 50
    assert stack._places


def test_no_frame_local_or_exception_is_kept():
    class Local:
        pass

    def fail():
        local = Local()
        kept.append(weakref.ref(local))
        raise Odd(local)

    kept = []
    exc = caught(fail)
    kept.append(weakref.ref(exc))
    describe(exc, redactor=redactor)
    del exc
    gc.collect()
    assert [each() for each in kept] == [None, None]


def test_many_threads_describe_at_once(monkeypatch):
    monkeypatch.setattr(stack, "CACHED_PLACES", 3)
    monkeypatch.setattr(stack, "_places", {})
    exc = chained("cause", "context")
    expected, found = standard(exc), []

    def describe_often():
        found.extend(describe(exc).stack_trace for _ in range(100))

    threads = [threading.Thread(target=describe_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {expected}
    assert len(found) == 400


# -- limits -------------------------------------------------------------------------------------------------------


def test_a_long_stack_trace_keeps_both_ends_and_says_how_much_is_missing():
    exc = caught(_even, 600)
    whole = standard(exc)
    told = describe(exc, limit=5000).stack_trace
    assert len(whole) > 50_000
    assert 4000 < len(told) <= 5000
    assert told.startswith("Traceback (most recent call last):\n  File")
    assert told.endswith("ValueError: bottom\n")
    head, tail = told.split("\n[... ")
    missing, tail = tail.split(" characters left out ...]\n")
    assert whole == head + whole[len(head) : len(head) + int(missing)] + tail


@given(st.integers(0, 3000))
def test_no_stack_trace_is_longer_than_allowed(limit):
    exc = chained("cause", "context", "cause")
    exc.args = ("x\n" * 1000,)
    assert len(describe(exc, limit=limit).stack_trace) <= max(limit, 512)


def test_a_huge_message_costs_neither_the_stack_nor_the_memory():
    exc = caught(_down, 3)
    exc.args = ("start" + "x" * 10_000_000 + "end",)
    found = describe(exc)
    assert len(found.message) <= 32 << 10
    assert found.message.startswith("startx")
    assert found.message.endswith("xend")
    assert "characters left out" in found.message
    assert found.stack_trace.count("in _down") == 3
    assert found.stack_trace.endswith("xend\n")


def test_a_chain_without_end_keeps_the_newest_and_the_oldest():
    nearest = ValueError("0")
    for number in range(1, 3000):
        following = ValueError(str(number))
        following.__context__ = nearest
        nearest = following
    found = describe(nearest)
    messages = [int(link.message) for link in found.chain]
    assert messages == [*range(2998, 2999 - CHAIN // 2, -1), *range(CHAIN // 2 - 1, -1, -1)]
    assert found.left_out == 3000 - CHAIN
    assert f"[{3000 - CHAIN} causes left out]" in found.stack_trace
    assert found.stack_trace.startswith("ValueError: 0\n")
    assert found.stack_trace.endswith("ValueError: 2999\n")


def test_a_group_without_end_is_told_by_its_first_members():
    found = describe(raised(lambda: ExceptionGroup("many", [ValueError(str(n)) for n in range(5000)])))
    assert [link.message for link in found.chain] == [str(n) for n in range(MEMBERS)]
    assert found.left_out == 5000 - MEMBERS
    assert found.stack_trace.endswith("ExceptionGroup: many (5000 sub-exceptions)\n")


def test_groups_within_groups_without_end_are_told():
    exc = ValueError("core")
    for _ in range(3000):
        exc = ExceptionGroup("g", [exc])
    found = describe(exc)
    assert len(found.chain) == MEMBERS
    assert found.left_out == 3000 - MEMBERS


@pytest.mark.parametrize("call", [_down, _even])
def test_a_very_deep_recursion_is_described(call):
    before = sys.getrecursionlimit()
    found = []
    sys.setrecursionlimit(60_000)
    threading.stack_size(256 << 20)
    try:
        thread = threading.Thread(target=lambda: found.append(describe(caught(call, 50_000))))
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(before)
        threading.stack_size(0)
    assert len(found[0].stack_trace) <= 64 << 10
    assert "Error: " in found[0].stack_trace[-60:]
    assert found[0].type in ("ZeroDivisionError", "ValueError")


def test_frames_left_out_of_a_very_deep_stack_are_counted(monkeypatch):
    monkeypatch.setattr(stack, "FRAMES", 10)
    exc = caught(_even, 30)
    told = describe(exc).stack_trace
    frames = standard(exc).count("  File ")
    assert f"  [{frames - 10} frames left out]\n" in told
    assert told.count("  File ") == 10
    assert told.split("\n")[:3] == standard(exc).split("\n")[:3]
    assert told.split("\n")[-6:] == standard(exc).split("\n")[-6:]
    for few in (7, 8, 9):
        exc = caught(_even, few)
        assert describe(exc).stack_trace.count("  File ") == min(10, standard(exc).count("  File "))


# -- exceptions that fight back -----------------------------------------------------------------------------------


class TextRaises(Exception):
    """Cannot be printed."""

    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


class TextIsNone(Exception):
    """Prints as nothing that can be printed."""

    def __str__(self):
        return self.args[1:] or None


class TextOfItsOwn(str):
    """A text whose methods raise."""

    __slots__ = ()

    def _refuse(self, *args):
        raise TypeError("no")

    __str__ = __format__ = __len__ = __getitem__ = encode = isascii = __eq__ = _refuse
    __hash__ = str.__hash__


class TextIsASubclass(Exception):
    """Prints as something that only looks like a text."""

    def __str__(self):
        return TextOfItsOwn("own")


class Untouchable(Exception):
    """Raises at every attribute that can be put in front of the real one."""

    def _refuse(self):
        raise RuntimeError("no")

    __cause__ = __context__ = __traceback__ = __suppress_context__ = __notes__ = __dict__ = property(_refuse)
    __class__ = property(_refuse)

    def __getattr__(self, name):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")

    __eq__ = __len__ = __bool__
    __hash__ = Exception.__hash__


@pytest.mark.parametrize("kind", [TextRaises, TextIsNone])
def test_a_text_that_fails_is_named_as_the_standard_library_names_it(kind):
    exc = raised(lambda: kind("x"))
    assert describe(exc).message == "<exception str() failed>"
    assert describe(exc).stack_trace == standard(exc)


def test_a_text_of_a_subclass_is_taken_for_what_it_holds():
    assert describe(raised(TextIsASubclass)).message == "own"
    assert type(describe(TextIsASubclass()).message) is str


def test_an_exception_is_read_past_whatever_its_class_puts_in_front():
    exc = raised(lambda: Untouchable("quiet"))
    found = describe(exc, redactor=redactor)
    assert found.message == "quiet"
    assert "in raised" in found.stack_trace
    group = describe(raised(lambda: ExceptionGroup("g", [Untouchable("inside")])))
    assert [link.message for link in group.chain] == ["inside"]


def test_a_class_with_a_hostile_metaclass_is_named():
    class Meta(type):
        def _refuse(cls, *args):
            raise RuntimeError("no")

        __instancecheck__ = __getattribute__ = __hash__ = __eq__ = __repr__ = _refuse

    class Hostile(Exception, metaclass=Meta):
        pass

    assert describe(raised(lambda: Hostile("x"))).type.endswith("Hostile")


def test_texts_can_always_be_encoded():
    exc = type("Bad", (Exception,), {"__module__": "m\ud800"})("half \ud800")
    exc.__cause__ = ValueError("\udfff")
    exc.add_note("\ud801")
    found = describe(exc)
    for text in (found.type, found.message, found.stack_trace, found.chain[0].message):
        text.encode("utf-8")
        assert "\\ud" in text


def test_little_stack_gives_less_and_raises_nothing():
    exc = chained("cause", "context")
    kinds = set()

    def descend(left):
        if left:
            return descend(left - 1)
        try:
            ends_here()
        except RecursionError:
            return False
        kinds.add(type(describe(exc)))
        return True

    def ends_here():
        return max(1, 2)

    levels = 800
    while descend(levels):
        levels += 1
    assert kinds == {Failure}


def test_a_source_that_cannot_be_read_costs_the_line_only():
    class Loader:
        def get_source(self, name):
            raise RuntimeError("no source today")

    names = {"__name__": "loaded", "__loader__": Loader()}
    exec(compile("def f(): return 1 / 0", "/nowhere/loaded.py", "exec"), names)
    found = describe(caught(names["f"]))
    assert 'File "/nowhere/loaded.py", line 1, in f\n' in found.stack_trace
    assert found.type == "ZeroDivisionError"


# -- the fingerprint ----------------------------------------------------------------------------------------------

SHOP = """
class Shop:
    def order(self, rows, fail):
        return [self.price(row, fail) for row in rows]

    def price(self, row, fail):
        return fail(row)
"""


def fingerprint(tmp_path, source=SHOP, name="shop", fail=lambda row: {}[row], row=1):
    shop = module(name, source, tmp_path).Shop()
    exc = caught(shop.order, [row], fail)
    return describe(exc.with_traceback(exc.__traceback__.tb_next)).fingerprint


def test_a_fingerprint_is_16_hex_digits():
    assert len(describe(ValueError()).fingerprint) == 16
    assert int(describe(ValueError()).fingerprint, 16)


def test_a_fault_keeps_its_fingerprint_wherever_and_whenever_it_occurs(tmp_path):
    for place in ("old", "new"):
        (tmp_path / place).mkdir()
    first = fingerprint(tmp_path / "old")
    assert fingerprint(tmp_path / "new") == first
    assert fingerprint(tmp_path / "new", source="# moved\n\n" + SHOP) == first
    assert fingerprint(tmp_path / "new", row=object()) == first
    # Python 3.12 draws no frame for a comprehension.
    inlined = SHOP.replace("return [self.price(row, fail) for row in rows]", "return self.price(rows[0], fail)")
    assert fingerprint(tmp_path / "new", source=inlined) == first
    bodies = [caught(module, "body", body, tmp_path) for body in ("[1 / y for y in [0]]", "1 / 0")]
    assert describe(bodies[0]).fingerprint == describe(bodies[1]).fingerprint


def test_another_type_another_way_or_another_module_is_another_fault(tmp_path):
    found = {
        fingerprint(tmp_path),
        fingerprint(tmp_path, fail=lambda row: [][row]),
        fingerprint(tmp_path, source=SHOP.replace("price", "cost")),
        fingerprint(tmp_path, name="store"),
    }
    assert len(found) == 4


def test_the_depth_of_a_recursion_does_not_make_another_fault():
    assert describe(caught(_even, 10)).fingerprint == describe(caught(_even, 20)).fingerprint


def test_what_happens_inside_python_and_installed_packages_is_not_part_of_it(tmp_path):
    inside = tmp_path / "lib" / "site-packages"
    inside.mkdir(parents=True)

    def through(source):
        return module("lib", source, inside).go

    one = "def go(row): return {}[row]\n"
    two = "def go(row): return more(row)\ndef more(row): return {}[row]\n"
    (tmp_path / "app").mkdir()
    first = fingerprint(tmp_path / "app", fail=through(one))
    assert fingerprint(tmp_path / "app", fail=through(two)) == first
    alone = [caught(through(source), 1) for source in (one, two)]
    tails = [describe(exc.with_traceback(exc.__traceback__.tb_next)).fingerprint for exc in alone]
    assert tails[0] != tails[1]  # where the application has no part in it, the package's own way tells


def test_causes_and_members_are_part_of_it():
    one, two = chained("cause", "context"), chained("context", "context")
    groups = [ExceptionGroup("g", [kind("x")]) for kind in (ValueError, KeyError)]
    assert len({describe(each).fingerprint for each in (one, two, *groups)}) == 4


# -- secrets ------------------------------------------------------------------------------------------------------


def test_every_text_is_without_secrets_where_a_redactor_is_given(tmp_path):
    made = module("login", 'def login(token):\n    return connect(password="hunter2", token=token)[0]\n', tmp_path)
    made.connect = lambda password, token: []
    exc = caught(made.login, "x")
    exc.args = ("failed for https://bob:hunter2@db/ token=hunter2",)
    exc.__cause__ = raised(lambda: ValueError("password=hunter2"))
    exc.add_note("Authorization: Bearer hunter2hunter2")
    for each in (exc, ExceptionGroup("hunter2 password=hunter2", [exc])):
        found = describe(each, redactor=redactor)
        texts = [found.message, found.stack_trace, *(link.message for link in found.chain)]
        assert not [text for text in texts if "=hunter2" in text or ":hunter2" in text or "hunter2hunter2" in text]
        assert not [text for text in texts if '"hunter2"' in text]
    assert 'connect(password="[redacted]", token=token)[0]' in describe(exc, redactor=redactor).stack_trace
    assert 'password="hunter2"' in describe(exc).stack_trace


def test_two_redactors_do_not_get_one_anothers_lines(tmp_path):
    made = module("bank", 'def pay():\n    return {}["x"], dict(iban="DE89")\n', tmp_path)
    exc = caught(made.pay)
    strict = Redactor(["iban"])
    for _ in range(2):
        assert "DE89" in describe(exc, redactor=redactor).stack_trace
        assert "DE89" not in describe(exc, redactor=strict).stack_trace


# -- exc_info -----------------------------------------------------------------------------------------------------


def test_every_form_of_exc_info_finds_its_exception():
    exc = raised(lambda: ValueError("x"))
    assert exception_of(exc) is exc
    assert exception_of((type(exc), exc, exc.__traceback__)) is exc
    try:
        raise exc
    except ValueError:
        assert exception_of(True) is exc
        assert exception_of(1) is exc
        assert exception_of("yes") is exc


class NoTruth:
    """Neither true nor false."""

    def __bool__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        False,
        0,
        "",
        True,
        (),
        (None, None, None),
        (ValueError, None, None),
        (ValueError, "x", None),
        (1, 2),
        NoTruth(),
    ],
)
def test_what_means_no_exception_finds_none(nothing):
    assert exception_of(nothing) is None


class Handlers:
    def raise_at(self, number, frame):
        raise TimeoutError

    def look_at(self, frame):
        raise TimeoutError


@pytest.mark.parametrize(
    ("call", "by_signal"),
    [
        (lambda frame: Handlers().raise_at(14, frame), True),
        (lambda frame: Handlers.raise_at(None, signal.SIGALRM, frame), True),
        (lambda frame: Handlers().look_at(frame), False),
        (lambda frame: 1 / 0, False),
    ],
)
def test_what_came_through_a_signal_handler_is_told_from_what_merely_looks_at_frames(call, by_signal):
    with pytest.raises((TimeoutError, ZeroDivisionError)) as caught:
        call(sys._getframe())
    assert raised_by_signal(caught.value) is by_signal
