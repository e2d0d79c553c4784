"""Values that break loggers: every one must come out of every way into the road as strictly valid JSON.

``HOSTILE`` is a list of (name, factory); each call of a factory makes a fresh value. Nothing here is secret, so that an
event can be looked for by its other fields.
"""

from __future__ import annotations

import array
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import logging
import pathlib
import re
import sys
import threading
import types
import uuid
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock


class ReprRaises:
    """Fails as soon as anybody asks what it is."""

    def __repr__(self):
        raise ValueError("no repr today")


class ReprRaisesWithRaisingText:
    """Fails with an exception that fails in its turn."""

    def __repr__(self):
        raise TextRaises


class TextRaises(Exception):
    """An exception nobody can print."""

    def __str__(self):
        raise RuntimeError("no text today")

    __repr__ = __str__


class ReprReturns:
    """Returns something else than a text from ``__repr__``."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return self.value


class ReprRecurses:
    """Asks itself what it is."""

    def __repr__(self):
        return repr(self)


class ReprLogs:
    """Logs itself when it is asked what it is."""

    def __repr__(self):
        logging.getLogger("hostile").warning("seen %r", self)
        logging.getLogger("hostile").warning("seen", extra={"me": self})
        return "<logs>"


class ReprEmptiesItsDict(dict):
    """Is another one after it was looked at."""

    def __repr__(self):
        self.clear()
        return "{}"


class Liar:
    """Claims to be a text, and has every attribute; none of them should ever be asked for."""

    @property
    def __class__(self):
        return str

    def __getattr__(self, name):
        raise AttributeError(f"asked for {name}")

    def __repr__(self):
        return "<liar>"


class Touchy:
    """Each operator and each conversion raises."""

    def _refuse(self, *args):
        raise TypeError("do not touch")

    __eq__ = __ne__ = __lt__ = __gt__ = __bool__ = __len__ = __iter__ = __str__ = __format__ = __getattr__ = _refuse
    __contains__ = __getitem__ = __index__ = __int__ = __float__ = __call__ = __mod__ = _refuse
    __hash__ = object.__hash__


class HostileText(str):  # noqa: SLOT000 - so are most that people write
    """A text whose every method raises."""

    def _refuse(self, *args, **kwargs):
        raise TypeError("do not touch")

    __str__ = __repr__ = __len__ = __iter__ = __eq__ = __format__ = __mod__ = __getitem__ = __contains__ = _refuse
    encode = isascii = replace = split = translate = _refuse
    __hash__ = str.__hash__


class HostileInt(int):
    """A number whose every method raises."""

    def _refuse(self, *args):
        raise TypeError("do not touch")

    __str__ = __repr__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __int__ = __index__ = __format__ = _refuse
    __hash__ = int.__hash__


class HostileFloat(float):
    """A number whose every method raises."""

    def _refuse(self, *args):
        raise TypeError("do not touch")

    __str__ = __repr__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __float__ = __format__ = _refuse
    __hash__ = float.__hash__


class HostileDict(dict):
    """A dictionary that cannot be looked into."""

    def _refuse(self, *args):
        raise TypeError("do not touch")

    __iter__ = __len__ = __getitem__ = __repr__ = items = keys = values = copy = _refuse


class EndlessList(list):
    """Goes on for ever."""

    def __iter__(self):
        while True:
            yield 1

    def __len__(self):
        return sys.maxsize


class LastingHash:
    """Hashable until it is stored, and never equal to anything without a fight."""

    stored = False

    def __hash__(self):
        if self.stored:
            raise TypeError("no hash any more")
        return 7

    def __eq__(self, other):
        raise TypeError("not comparable")


class ProxyOfEverything:
    """Has every attribute, each of them itself."""

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self


class RudeMeta(type):
    """Classes that cannot be printed."""

    def __repr__(cls):
        raise ValueError("no class today")


class Rude(metaclass=RudeMeta):
    """One of them."""


class Colour(enum.Enum):
    """A member whose value is hostile."""

    RED = "\ud800"


class Status(enum.IntEnum):
    """A number with a name."""

    OK = 200


class Mode(enum.Flag):
    """A set of bits."""

    READ = 1
    WRITE = 2


class Word(enum.StrEnum):
    """A text with a name."""

    HELLO = "hello"


class BrokenZone(datetime.tzinfo):
    """A time zone nobody can compute with."""

    def utcoffset(self, moment):
        raise ValueError("no offset")


class Slotted:
    """Without a dictionary, and with nothing in its slot."""

    __slots__ = ("a",)


Order = dataclasses.make_dataclass("Order", [("id", int), ("parent", object, None)])


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: float


def _circular_list():
    found: list[Any] = [1]
    found.append(found)
    return found


def _circular_dict():
    found: dict[str, Any] = {"a": 1}
    found["me"] = found
    return found


def _circular_pair():
    one: dict[str, Any] = {}
    two: list[Any] = [one]
    one["two"] = two
    return one


def _circular_deque():
    found: collections.deque[Any] = collections.deque()
    found.append(found)
    return found


def _circular_order():
    order = Order(1)
    order.parent = order
    return order


def _deep(levels, wrap):
    found: Any = "bottom"
    for _ in range(levels):
        found = wrap(found)
    return found


def _circular_order_of_names():
    found: collections.OrderedDict[str, Any] = collections.OrderedDict()
    found["me"] = found
    return found


def _circular_space():
    found = types.SimpleNamespace()
    found.me = found
    return found


def _stored_key():
    key = LastingHash()
    found = {key: 1}
    key.stored = True
    return found


def _dead_proxy():
    return weakref.proxy(Slotless())


class Slotless:
    """Something that can die."""


def _closed_view():
    view = memoryview(b"gone")
    view.release()
    return view


def _closed_file():
    with open(__file__, "rb") as file:
        return file


def _traceback():
    try:
        raise TextRaises
    except TextRaises as error:
        return error.__traceback__


def _raised(make):
    try:
        raise make()
    except BaseException as error:
        return error


def _circular_error():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def _magic():
    made = mock.MagicMock()
    made.__str__.side_effect = ValueError("mocked")
    return made


HOSTILE: list[tuple[str, Callable[[], Any]]] = [
    # numbers
    ("not a number", lambda: float("nan")),
    ("infinity", lambda: float("inf")),
    ("minus infinity", lambda: float("-inf")),
    ("minus zero", lambda: -0.0),
    ("largest float", lambda: sys.float_info.max),
    ("smallest float", lambda: 5e-324),
    ("last 64 bit integer", lambda: 2**63 - 1),
    ("first 65 bit integer", lambda: 2**63),
    ("last negative 64 bit integer", lambda: -(2**63)),
    ("first negative 65 bit integer", lambda: -(2**63) - 1),
    ("integer of 50 digits", lambda: 10**50),
    ("integer of 5,001 digits", lambda: 10**5000),
    ("negative integer of 5,001 digits", lambda: -(10**5000)),
    ("integer of a million bits", lambda: 1 << 1_000_000),
    ("complex", lambda: complex("nan+infj")),
    ("hostile int", lambda: HostileInt(5)),
    ("hostile int of 5,001 digits", lambda: HostileInt(10**5000)),
    ("hostile float", lambda: HostileFloat(0.5)),
    ("hostile not a number", lambda: HostileFloat("nan")),
    ("int enum", lambda: Status.OK),
    ("flag", lambda: Mode.READ | Mode.WRITE),
    ("decimal not a number", lambda: decimal.Decimal("NaN")),
    ("signalling not a number", lambda: decimal.Decimal("sNaN")),
    ("decimal out of all bounds", lambda: decimal.Decimal("1e999999")),
    ("decimal of 100,000 digits", lambda: decimal.Decimal("1" * 100_000)),
    ("fraction", lambda: fractions.Fraction(1, 3)),
    # texts
    ("empty text", lambda: ""),
    ("NUL", lambda: "a\0b"),
    ("every control character", lambda: "".join(map(chr, range(32))) + "\x7f" + "".join(map(chr, range(128, 160)))),
    ("line separators", lambda: "a\u2028b\u2029c\x85d"),
    ("forged line", lambda: 'x\n{"message": "forged"}\r\nx'),
    ("terminal escapes", lambda: "\x1b[2J\x1b]0;owned\x07\x9b31m"),
    ("bidi marks", lambda: "user\u202e\u2066txt.exe\u2069"),
    ("markup", lambda: "<script>alert(1)</script>&amp;"),
    ("half of a pair", lambda: "a\ud800b"),
    ("other half of a pair", lambda: "\udfff"),
    ("pair the wrong way round", lambda: "\udc00\ud800"),
    ("undecodable bytes of a file name", lambda: "caf\udce9"),
    ("40,000 halves", lambda: "\ud800" * 40_000),
    ("beyond the basic plane", lambda: "\U0001f600" * 3 + "\U0010ffff"),
    ("non-characters", lambda: "\ufffe\uffff\ufeff"),
    ("thousand combining marks", lambda: "e" + "\u0301" * 1000),
    ("a million characters", lambda: "x" * 1_000_000),
    ("a hundred thousand umlauts", lambda: "ä" * 100_000),
    ("a hundred thousand NULs", lambda: "\0" * 100_000),
    ("percent signs", lambda: "100% %s %d %(a)s %"),
    ("braces", lambda: "{} {0} {a.__class__} {"),
    ("quotes and backslashes", lambda: '"\'\\\\"\\u0000\\'),
    ("end of JSON", lambda: '"}]}'),
    ("hostile text", lambda: HostileText("quiet")),
    ("text enum", lambda: Word.HELLO),
    # bytes
    ("bytes that are no text", lambda: b"\xff\xfe\x00abc"),
    ("surrogates as bytes", lambda: b"\xed\xa0\x80"),
    ("empty bytes", lambda: b""),
    ("a million bytes", lambda: bytes(1_000_000)),
    ("byte array", lambda: bytearray(b"\x80")),
    ("memory view", lambda: memoryview(b"abc\xff")),
    ("memory view with gaps", lambda: memoryview(b"abcdef")[::2]),
    ("memory view of doubles", lambda: memoryview(array.array("d", [1.5]))),
    ("closed memory view", _closed_view),
    # containers
    ("circular list", _circular_list),
    ("circular dictionary", _circular_dict),
    ("circle of two", _circular_pair),
    ("circular deque", _circular_deque),
    ("circular dataclass", _circular_order),
    ("21 dictionaries deep", lambda: _deep(21, lambda inner: {"a": inner})),
    ("1,000 lists deep", lambda: _deep(1000, lambda inner: [inner])),
    ("50,000 tuples deep", lambda: _deep(50_000, lambda inner: (inner,))),
    ("100,000 items", lambda: list(range(100_000))),
    ("5,000 names", lambda: {f"n{number}": number for number in range(5000)}),
    ("thousand long texts", lambda: ["y" * 20_000] * 1000),
    ("dictionaries in lists in dictionaries", lambda: {"a": [{"b": [{"c": [None]}] * 50}] * 50}),
    ("names that meet as texts", lambda: {1: "int", "1": "text", 1.5: "float", "1.5": "text", b"1": "bytes"}),
    ("names that are no texts", lambda: {None: 1, True: 2, (1, 2): 3, frozenset({1}): 4, 10**5000: 5, Ellipsis: 6}),
    ("name not a number", lambda: {float("nan"): 1, float("inf"): 2}),
    ("name whose repr raises", lambda: {ReprRaises(): 1}),
    ("name that lost its hash", _stored_key),
    ("hostile text as a name", lambda: {HostileText("quiet"): 1, HostileText("loud"): 2}),
    ("empty name", lambda: {"": 1, " ": 2, ".": 3, "..": 4}),
    ("NUL in a name", lambda: {"a\0b": 1}),
    ("half of a pair in a name", lambda: {"\ud800": 1, "\\ud800": 2}),
    ("dotted and nested name", lambda: {"a.b": 1, "a": {"b": 2}, "a.b_2": 3}),
    ("scalar and object", lambda: {"a": 1, "a.b": 2, "a.b.c": 3}),
    (
        "field references",
        lambda: {"[a][b]": 1, "a]": 2, "@metadata": 3, "@timestamp": "never", "@version": 4, "tags": 5},
    ),
    ("names of ECS objects", lambda: dict.fromkeys(("user", "host", "log", "error", "http", "event", "_id"), 1)),
    ("name of 100,000 characters", lambda: {"k" * 100_000: 1, "k" * 100_001: 2}),
    ("prototype", lambda: {"__proto__": 1, "constructor": 2, "__class__": 3}),
    ("set", lambda: {1, "a", None}),
    ("set of tuples", lambda: frozenset({(1, 2)})),
    ("named tuple", lambda: Point(1, float("nan"))),
    ("ordered dictionary that holds itself", _circular_order_of_names),
    ("dictionary with a failing default", lambda: collections.defaultdict(ReprRaises, a=1)),
    ("counter", lambda: collections.Counter("aab")),
    ("chain map", lambda: collections.ChainMap({"a": 1}, {"b": 2})),
    ("hostile dictionary", lambda: HostileDict(a=1)),
    ("dictionary emptied by its repr", lambda: ReprEmptiesItsDict(a=1)),
    ("endless list", lambda: EndlessList([1])),
    ("mapping proxy", lambda: types.MappingProxyType({"a": 1})),
    ("view of a dictionary", {"a": 1}.items),
    ("range without end", lambda: range(10**30)),
    ("generator", lambda: (number for number in range(3))),
    ("list in a tuple in a set in a deque", lambda: collections.deque([{("a", None)}, [()], {}])),
    # objects
    ("repr raises", ReprRaises),
    ("repr raises what cannot be printed", ReprRaisesWithRaisingText),
    ("repr returns None", lambda: ReprReturns(None)),
    ("repr returns bytes", lambda: ReprReturns(b"x")),
    ("repr returns a hostile text", lambda: ReprReturns(HostileText("quiet"))),
    ("repr returns a million characters", lambda: ReprReturns("z" * 1_000_000)),
    ("repr returns halves of pairs", lambda: ReprReturns("\ud800" * 10)),
    ("repr calls itself", ReprRecurses),
    ("repr logs itself", ReprLogs),
    ("list of what fails", lambda: [ReprRaises(), {"a": ReprRaises()}]),
    ("liar", Liar),
    ("touchy", Touchy),
    ("proxy of everything", ProxyOfEverything),
    ("mock", mock.Mock),
    ("magic mock that raises", _magic),
    ("dead weak reference", _dead_proxy),
    ("class that cannot be printed", lambda: Rude),
    ("object of such a class", Rude),
    ("enum with half of a pair", lambda: Colour.RED),
    ("empty slots", Slotted),
    ("named space with a circle", _circular_space),
    ("function", lambda: _circular_list),
    ("module", lambda: sys),
    ("frame", sys._getframe),
    ("traceback", _traceback),
    ("lock", threading.Lock),
    ("closed file", _closed_file),
    ("regular expression", lambda: re.compile("(a+)+$")),
    ("not implemented", lambda: NotImplemented),
    ("ellipsis", lambda: ...),
    ("log record", lambda: logging.makeLogRecord({"msg": "%d", "args": ("x",)})),
    ("exit stack", contextlib.ExitStack),
    # times and names of things
    ("first moment", lambda: datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=14)))),
    ("last moment", lambda: datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-14)))),
    ("moment without a zone", lambda: datetime.datetime.fromisoformat("2026-01-02T03:04:05")),
    ("moment in a broken zone", lambda: datetime.datetime(2026, 1, 2, tzinfo=BrokenZone())),
    ("time in a broken zone", lambda: datetime.time(1, 2, tzinfo=BrokenZone())),
    ("date", lambda: datetime.date(9999, 12, 31)),
    ("longest duration", lambda: datetime.timedelta.max),
    ("identifier", lambda: uuid.UUID(int=0)),
    ("path that is no text", lambda: pathlib.PurePosixPath("/srv/caf\udce9")),
    ("address", lambda: ipaddress.ip_address("fe80::1%eth0")),
    # exceptions as values
    ("exception", lambda: _raised(lambda: KeyError("x"))),
    ("exception that cannot be printed", lambda: _raised(TextRaises)),
    ("circular exception", _circular_error),
    ("group in a group", lambda: ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError(1)]), TextRaises()])),
]
