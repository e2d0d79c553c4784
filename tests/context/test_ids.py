from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import string
import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.context import ids
from clusterlog.context.ids import (
    describe_rejected,
    judge_request_id,
    new_entity_id,
    new_request_id,
    new_span_id,
    new_trace_id,
    uuid7,
)

LEGAL = string.ascii_letters + string.digits + "._-"
HEX = "0123456789abcdef" * 2
# What the standard library's uuid.UUID() takes for a UUID, so that it is no judge of ids.
TAKEN_FOR_UUIDS = [
    "-" * 1_000_000 + HEX,
    "urn:" * 1_000 + HEX,
    "{" * 9 + HEX + "}" * 9,
    HEX[1:] + "\n",
    " " + HEX[1:],
    "\u0661\u0662\u0663\u0664" * 8,
]
NOW = 1_763_731_878_123_456_789


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still, far enough ahead that no id was made at that time."""
    ahead = (ids._ticks.last * 1_000_000 >> 12) + 10**9
    monkeypatch.setattr(ids, "time_ns", lambda: ahead)


def test_a_uuid7_is_laid_out_as_in_the_example_of_the_rfc() -> None:
    # RFC 9562, appendix A.6; the time that gives the twelve bits 0xCC3 as its fraction of the millisecond.
    wall_ns = 0x017F22E279B0 * 1_000_000 + -(-0xCC3 * 1_000_000 // 4096)
    assert uuid7(wall_ns, 0x18C4DC0C0C07398F) == "017f22e279b07cc398c4dc0c0c07398f"


@given(st.integers(0, (1 << 48) * 1_000_000 - 1), st.integers())
def test_a_uuid7_is_a_uuid_of_version_7_and_tells_its_millisecond(wall_ns: int, random_bits: int) -> None:
    made = uuid7(wall_ns, random_bits)
    parsed = uuid.UUID(made)
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == wall_ns // 1_000_000
    assert parsed.int & (1 << 62) - 1 == random_bits & (1 << 62) - 1


@given(st.integers(0, 1 << 62), st.integers(245, 10**12), st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_a_uuid7_made_a_quarter_of_a_microsecond_later_sorts_later(wall: int, gap: int, one: int, other: int) -> None:
    assert uuid7(wall, one) < uuid7(wall + gap, other)


@given(st.integers(-(1 << 80), 1 << 80), st.integers(-(1 << 80), 1 << 80))
def test_a_uuid7_of_any_integers_is_still_a_uuid7(wall_ns: int, random_bits: int) -> None:
    assert uuid.UUID(uuid7(wall_ns, random_bits)).version == 7


@pytest.mark.parametrize("make", [new_request_id, new_entity_id])
def test_request_and_entity_ids_have_one_form_and_pass_our_own_judgement(make: Callable[[], str]) -> None:
    made = make()
    assert re.fullmatch("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", made)
    assert judge_request_id(made) == made


def test_an_id_tells_the_present_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = (ids._ticks.last * 1_000_000 >> 12) + 10**9
    monkeypatch.setattr(ids, "time_ns", lambda: ahead)
    assert int(new_request_id()[:12], 16) == ahead // 1_000_000


@pytest.mark.usefixtures("frozen_clock")
def test_ids_rise_while_the_clock_stands_still() -> None:
    made = [new_request_id() if n % 2 else new_entity_id() for n in range(10_000)]
    assert all(one < other for one, other in pairwise(made))


def test_ids_rise_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_request_id()
    monkeypatch.setattr(ids, "time_ns", lambda: NOW - 10**18)
    made = [before, new_request_id(), new_request_id()]
    assert made == sorted(set(made))


class _LetOthersIn(ids._Ticks):
    """The state of a process where another thread takes over wherever the last tick is read."""

    @property
    def last(self) -> int:
        value = self.value
        time.sleep(0)
        return value

    @last.setter
    def last(self, value: int) -> None:
        self.value = value


def test_ids_of_several_threads_are_all_different_and_rise_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = NOW + 10**18
    monkeypatch.setattr(ids, "time_ns", lambda: ahead)
    monkeypatch.setattr(ids, "_ticks", _LetOthersIn(os.getpid(), 0))
    made: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def make(mine: list[str]) -> None:
        start.wait()
        mine.extend(new_request_id() for _ in range(200))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    # Without the random part: no two threads were given the same place in the order.
    assert len({one[:16] for mine in made for one in mine}) == 800


def test_an_id_made_inside_the_making_of_an_id_neither_waits_nor_repeats() -> None:
    """As a signal handler or a finaliser does it."""
    made: list[str] = []

    def inside() -> None:
        with ids._ticks.lock:
            made.append(new_request_id())
            made.append(new_request_id())

    thread = threading.Thread(target=inside, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert made[0] < made[1]


def _id_of_a_child(fork: Callable[[], int]) -> str:
    """The id that a forked child makes first; fails if it makes none within ten seconds."""
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.write(writer, new_request_id().encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], 10)
        if not ready:
            os.kill(child, signal.SIGKILL)
        return os.read(reader, 64).decode() if ready else ""
    finally:
        os.close(reader)
        os.waitpid(child, 0)


# Keeps the interpreter's lock, so the child can go on running Python, and runs none of Python's fork hooks.
_c_fork: Callable[[], int] = ctypes.PyDLL(None).fork

FORKS = pytest.mark.parametrize("fork", [os.fork, _c_fork], ids=["os.fork", "fork from C"])


@FORKS
@pytest.mark.usefixtures("frozen_clock")
def test_a_forked_child_never_repeats_the_parents_next_id(fork: Callable[[], int]) -> None:
    new_request_id()
    child = _id_of_a_child(fork)
    parent = new_request_id()
    assert len(child) == 32
    # Same process memory, same frozen clock, same place in the order: only fresh randomness tells them apart.
    assert child[:16] == parent[:16]
    assert child != parent


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@FORKS
def test_a_child_forked_while_another_thread_makes_an_id_does_not_wait_for_it(fork: Callable[[], int]) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with ids._ticks.lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert len(_id_of_a_child(fork)) == 32
    finally:
        release.set()
        thread.join()


@pytest.mark.parametrize(("make", "size"), [(new_trace_id, 32), (new_span_id, 16)])
def test_trace_and_span_ids_are_lower_case_hex_and_never_the_same(make: Callable[[], str], size: int) -> None:
    made = {make() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(f"[0-9a-f]{{{size}}}", one) for one in made)


@pytest.mark.parametrize(("make", "size"), [(new_trace_id, 16), (new_span_id, 8)])
def test_trace_and_span_ids_are_never_all_zero(
    make: Callable[[], str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([bytes(size), bytes(size), b"\1" * size])
    monkeypatch.setattr(ids, "urandom", lambda _: next(draws))
    assert make() == "01" * size


@pytest.mark.parametrize(
    "value",
    [
        HEX,
        "550e8400-e29b-41d4-a716-446655440000",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "req_1.2-3",
        "0",
        ".",
        LEGAL[:64],
        LEGAL[1:],
        "x" * 64,
    ],
)
def test_an_id_of_our_alphabet_is_taken_as_it_is(value: str) -> None:
    assert judge_request_id(value) == value
    assert judge_request_id(value.encode()) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        *TAKEN_FOR_UUIDS,
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
        HEX + " ",
        HEX + "\r\nSet-Cookie: a=b",
        "\n" + HEX,
        HEX[:16] + "\0" + HEX[:15],
        "x" * 65,
        "x" * 10_000_000,
        "a/b",
        "a:b",
        "a,b",
        "a=b",
        "a b",
        "a%20b",
        "<script>",
        "\x1b[31m",
        "\u202e" + HEX,
        "\uff11\uff12\uff13",
        "\u00e4",
        "\u212a",  # KELVIN SIGN, the letter k to case-insensitive matching
        "\u017f",
        "\ud800",
        "\U0001d7d8",
    ],
    ids=lambda value: ascii(value[:24]),
)
def test_whatever_else_comes_as_an_id_is_rejected(value: str) -> None:
    assert judge_request_id(value) is None
    assert judge_request_id(value.encode("utf-8", "surrogatepass")) is None


def test_the_values_that_a_uuid_parser_takes_are_really_such() -> None:
    assert all(uuid.UUID(value) for value in TAKEN_FOR_UUIDS)


def test_no_id_is_no_id() -> None:
    assert judge_request_id(None) is None
    assert judge_request_id(b"") is None


@given(st.text(max_size=70) | st.text(LEGAL, max_size=70) | st.text(LEGAL + "\n +:/", max_size=70))
def test_an_id_is_taken_exactly_if_it_is_1_to_64_characters_of_the_alphabet(value: str) -> None:
    legal = 1 <= len(value) <= 64 and all(character in LEGAL for character in value)
    assert judge_request_id(value) == (value if legal else None)
    assert judge_request_id(value.encode("utf-8", "surrogatepass")) == (value if legal else None)


@given(st.binary(max_size=70))
def test_any_bytes_are_judged_without_an_exception(value: bytes) -> None:
    judged = judge_request_id(value)
    assert judged is None or judged.encode() == value


def test_a_taken_id_is_a_plain_str_whatever_subclass_it_came_as() -> None:
    class Shouting(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "\r\nevil"

    judged = judge_request_id(Shouting("abc"))
    assert type(judged) is str
    assert judged == "abc"


@given(st.text(min_size=4) | st.binary(min_size=4))
def test_a_rejected_value_is_described_by_length_and_hash_in_plain_text(value: str | bytes) -> None:
    unit = "characters" if isinstance(value, str) else "bytes"
    described = re.fullmatch(rf"(\d+) {unit}, sha256 [0-9a-f]{{12}}", describe_rejected(value))
    assert described
    assert int(described[1]) == len(value)


def test_a_description_never_shows_the_value() -> None:
    assert "alice" not in describe_rejected("alice@example.com")
    assert describe_rejected("alice@example.com") == describe_rejected("alice@example.com")
    assert describe_rejected("alice@example.com") != describe_rejected("malice@example.co")


def test_of_a_huge_value_only_the_beginning_is_hashed() -> None:
    assert describe_rejected("x" * 1_000_000) == describe_rejected("x" * 4_096 + "y" * 995_904)
    assert describe_rejected(b"x" * 1_000_000) == describe_rejected(b"x" * 4_096 + b"y" * 995_904)
