from __future__ import annotations

import re
import string
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.context.ids import new_span_id, new_trace_id
from clusterlog.context.traceparent import (
    TraceContext,
    TraceParent,
    TraceState,
    continue_trace,
    format_traceparent,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"

KEY_CHARACTERS = string.ascii_lowercase + string.digits + "_-*/@"
VALUE_CHARACTERS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")

# The grammar of the Recommendation written down once more, in the plainest way, to hold the code against.
GRAMMAR = re.compile(
    r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?",
    re.DOTALL,
)

trace_ids = st.integers(1, (1 << 128) - 1).map(lambda number: f"{number:032x}")
span_ids = st.integers(1, (1 << 64) - 1).map(lambda number: f"{number:016x}")
keys = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_lowercase + string.digits),
    st.text(KEY_CHARACTERS, max_size=12) | st.text(KEY_CHARACTERS, min_size=250, max_size=255),
)
values = st.builds(
    str.__add__,
    st.text(VALUE_CHARACTERS, max_size=20) | st.text(VALUE_CHARACTERS, min_size=100, max_size=255),
    st.sampled_from(VALUE_CHARACTERS.replace(" ", "")),
)
states = st.lists(st.tuples(keys, values), max_size=32, unique_by=lambda member: member[0]).map(tuple)
# Members of every length from 5 to 260 characters, those next to the limits more often; quick to draw and to shrink.
sized_states = st.lists(st.integers(5, 260) | st.integers(5, 140) | st.sampled_from([127, 128, 129]), max_size=32).map(
    lambda sizes: tuple((f"k{place:02}", "v" * (size - 4)) for place, size in enumerate(sizes))
)


def size_of(state: TraceState) -> int:
    return len(",".join(f"{key}={value}" for key, value in state))


# traceparent


def test_a_traceparent_is_read_field_by_field() -> None:
    assert parse_traceparent([VALID]) == TraceParent(version=0, trace_id=TRACE, parent_id=SPAN, flags=1)


def test_what_was_read_cannot_be_changed() -> None:
    parent = parse_traceparent([VALID])
    assert parent
    with pytest.raises(FrozenInstanceError):
        parent.trace_id = TRACE  # type: ignore[misc]


@given(trace_ids, span_ids, st.booleans())
def test_what_is_written_is_read_back_the_same(trace_id: str, span_id: str, sampled: bool) -> None:
    written = format_traceparent(trace_id, span_id, sampled)
    read = parse_traceparent([written])
    assert GRAMMAR.fullmatch(written)
    assert read == TraceParent(0, trace_id, span_id, int(sampled))
    assert read.sampled is sampled


def test_our_own_ids_make_a_valid_traceparent() -> None:
    written = format_traceparent(new_trace_id(), new_span_id(), False)
    assert parse_traceparent([written])


def test_any_flags_are_read_and_sampled_is_the_lowest_bit_of_them() -> None:
    for flags in range(256):
        parent = parse_traceparent([f"00-{TRACE}-{SPAN}-{flags:02x}"])
        assert parent
        assert parent.flags == flags
        assert parent.sampled is (flags % 2 == 1)


def test_every_version_but_255_is_read_as_far_as_version_0_goes() -> None:
    for version in range(255):
        parent = parse_traceparent([f"{version:02x}-{TRACE}-{SPAN}-01"])
        assert parent == TraceParent(version, TRACE, SPAN, 1)
    assert parse_traceparent([f"ff-{TRACE}-{SPAN}-01"]) is None


@pytest.mark.parametrize("version", ["01", "cc", "fe"])
@pytest.mark.parametrize("rest", ["-", "-what-the-future-will-be-like", "-\x00\n\u20ac", "-" + "x" * 10_000])
def test_a_later_version_may_say_more_after_a_dash(version: str, rest: str) -> None:
    parent = parse_traceparent([f"{version}-{TRACE}-{SPAN}-01{rest}"])
    assert parent == TraceParent(int(version, 16), TRACE, SPAN, 1)


@pytest.mark.parametrize("version", ["01", "cc", "fe"])
@pytest.mark.parametrize("rest", [".", ".what-the-future-will-be-like", "0", "\n", "\n-", "_", ",-", "\u2010", " -"])
def test_a_later_version_may_not_go_on_with_anything_but_a_dash(version: str, rest: str) -> None:
    assert parse_traceparent([f"{version}-{TRACE}-{SPAN}-01{rest}"]) is None


@pytest.mark.parametrize("rest", ["-", ".", "-what-the-future-will-be-like", "0", "\n", "\r", "\0", "-01", "\u00a0"])
def test_version_0_ends_after_its_flags(rest: str) -> None:
    assert parse_traceparent([VALID + rest]) is None


@pytest.mark.parametrize("before", ["", " ", "\t", " \t \t"])
@pytest.mark.parametrize("after", ["", " ", "\t", "\t  "])
def test_spaces_and_tabs_around_the_value_are_no_part_of_it(before: str, after: str) -> None:
    assert parse_traceparent([before + VALID + after]) == parse_traceparent([VALID])


@pytest.mark.parametrize(
    "white", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u00a0", "\u2003", "\u200b", "\ufeff"]
)
def test_no_other_white_space_is_tolerated(white: str) -> None:
    assert parse_traceparent([white + VALID]) is None
    assert parse_traceparent([VALID + white]) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-",
        "---",
        "00",
        VALID[:-1],
        VALID[1:],
        VALID.upper(),
        VALID.replace("-", "_"),
        VALID.replace("-", "\u2010"),
        VALID.replace("-", ""),
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"0000-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"0.-{TRACE}-{SPAN}-01",
        f"0x-{TRACE}-{SPAN}-01",
        f"FE-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-more",
        f"FF-{TRACE}-{SPAN}-01",
        f"\u0660\u0660-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"cc-{'0' * 32}-{SPAN}-01",
        f"00-.{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"cc-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-.{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN[:-1]}.-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}-0.",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0A",
        f"cc-{TRACE}-{SPAN}-0x",
        f"cc-{TRACE}-{SPAN}-1-",
        f"{VALID},{VALID}",
        f"{VALID}, ",
        f'"{VALID}"',
        f"00-{TRACE} -{SPAN}-01",
        VALID.replace("0", "\u0660"),
        VALID.replace("a", "\uff41"),
        VALID.replace("8", "\ud800"),
    ],
    ids=ascii,
)
def test_a_malformed_traceparent_is_invalid(value: str) -> None:
    assert parse_traceparent([value]) is None


def test_exactly_one_traceparent_is_valid() -> None:
    assert parse_traceparent([]) is None
    assert parse_traceparent([VALID, VALID]) is None
    assert parse_traceparent([VALID, ""]) is None
    assert parse_traceparent(["", VALID]) is None
    assert parse_traceparent([VALID] * 100) is None


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A valid traceparent of any version with one character replaced, left out or put in."""
    version = draw(st.sampled_from(["00", "01", "cc", "fe"]))
    rest = draw(st.sampled_from(["", "-", "-more"])) if version != "00" else ""
    text = f"{version}-{draw(trace_ids | st.just('0' * 31 + '1'))}-{draw(span_ids | st.just('0' * 15 + '1'))}-01{rest}"
    place = draw(st.integers(0, len(text)))
    put_in = draw(st.sampled_from(["", *"0123456789abcdefABCDEFgx-._=, \t\n\0\u0660\uff41\u2010"]) | st.characters())
    return text[:place] + put_in + text[place + draw(st.integers(0, 1)) :]


@given(mutations())
def test_a_valid_traceparent_with_one_character_changed_is_judged_as_the_grammar_says(mutated: str) -> None:
    parent = parse_traceparent([mutated])
    assert (parent is not None) == bool(GRAMMAR.fullmatch(mutated.strip(" \t")))
    if parent:
        assert f"{parent.version:02x}-{parent.trace_id}-{parent.parent_id}-{parent.flags:02x}" in mutated


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=40))
def test_any_text_is_read_without_an_exception(traceparents: list[str], tracestates: list[str]) -> None:
    assert continue_trace(traceparents, tracestates) is None or GRAMMAR.fullmatch(traceparents[0].strip(" \t"))
    state = parse_tracestate(tracestates)
    assert state is None or len(state) <= 32


@pytest.mark.parametrize(
    "piece", ["0", "-", " ", ",", "a=1,", "a", "a=", "=", VALID, "\t,", "a" * 256 + "=1,", "\U0001f600"]
)
def test_a_prohibitively_large_header_is_invalid(piece: str) -> None:
    large = piece * (5_000_000 // len(piece))
    assert parse_traceparent([large]) is None
    assert parse_traceparent([f"cc-{TRACE}-{SPAN}-01-{large}"]) is None
    assert parse_traceparent([" " * 5_000_000 + VALID]) is None
    assert parse_tracestate([large]) is None
    assert parse_tracestate(["a=1", large]) is None
    assert parse_tracestate([piece] * 100_000) is None


# tracestate


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        ([], ()),
        ([""], ()),
        (["", " ", "\t", ",", " , ,\t,"], ()),
        (["foo=1"], (("foo", "1"),)),
        (["foo=1,bar=2"], (("foo", "1"), ("bar", "2"))),
        (["foo=1", ""], (("foo", "1"),)),
        (["", "foo=1"], (("foo", "1"),)),
        (["foo=1,", ",bar=2"], (("foo", "1"), ("bar", "2"))),
        (["foo=1,,bar=2,"], (("foo", "1"), ("bar", "2"))),
        (
            ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            tuple(zip(("foo", "bar", "rojo", "congo", "baz"), "12123", strict=True)),
        ),
        (["foo=1 \t , \t bar=2, \t baz=3"], (("foo", "1"), ("bar", "2"), ("baz", "3"))),
        (["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], (("foo", "1"), ("bar", "2"), ("baz", "3"))),
        ([" foo=1"], (("foo", "1"),)),
        (["\tfoo=1"], (("foo", "1"),)),
        (["foo=1 "], (("foo", "1"),)),
        (["foo=1\t"], (("foo", "1"),)),
        (["\t foo=1 \t"], (("foo", "1"),)),
        (["foo=  1"], (("foo", "  1"),)),
        (["foo=a b"], (("foo", "a b"),)),
        (["1a-2f@foo=bar1"], (("1a-2f@foo", "bar1"),)),
        (["0=1"], (("0", "1"),)),
        (["foo@=1,bar=2"], (("foo@", "1"), ("bar", "2"))),
        (["foo@@bar=1,bar=2"], (("foo@@bar", "1"), ("bar", "2"))),
        (["foo@bar@baz=1,bar=2"], (("foo@bar@baz", "1"), ("bar", "2"))),
        (["foo=1", "z" * 256 + "=1"], (("foo", "1"), ("z" * 256, "1"))),
        (["t" * 241 + "@" + "v" * 14 + "=1"], (("t" * 241 + "@" + "v" * 14, "1"),)),
        (["t" * 242 + "@v=1"], (("t" * 242 + "@v", "1"),)),
        (["t@" + "v" * 15 + "=1"], (("t@" + "v" * 15, "1"),)),
        (["foo=" + "v" * 256], (("foo", "v" * 256),)),
        (["foo=" + " " * 255 + "v" + " " * 9], (("foo", " " * 255 + "v"),)),
        ([KEY_CHARACTERS + "=" + VALUE_CHARACTERS], ((KEY_CHARACTERS, VALUE_CHARACTERS),)),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_legal_tracestate_is_read_in_order_as_one_list(headers: list[str], state: TraceState) -> None:
    assert parse_tracestate(headers) == state


@pytest.mark.parametrize(
    "bad",
    [
        "foo",
        "foo=",
        "foo= ",
        "=1",
        "=",
        "foo =1",
        "foo\t=1",
        "foo= \t1",
        "FOO=1",
        "fOo=1",
        "foo.bar=1",
        "foo:bar=1",
        "foo+bar=1",
        "foo bar=1",
        "@foo=1",
        "_foo=1",
        "-foo=1",
        "*foo=1",
        "/foo=1",
        "f\u00f6o=1",
        "\u0661=1",
        "z" * 257 + "=1",
        "foo=bar=baz",
        "foo==1",
        "foo=1\n",
        "foo=1\nbar=2",
        "foo=1\r\nSet-Cookie: a",
        "foo=a\tb",
        "foo=\x00",
        "foo=\x1b[31m",
        "foo=\x7f",
        "foo=\u00e4",
        "foo=\u0661",
        "foo=\ud800",
        "foo=1;bar=2",
        "foo=" + "v" * 257,
        "foo=" + " " * 256 + "v",
        '"foo=1"',
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_one_malformed_member_discards_the_list_wherever_it_stands(bad: str) -> None:
    assert parse_tracestate([bad]) is None
    assert parse_tracestate([f"a=1,{bad}"]) is None
    assert parse_tracestate([f"{bad},b=2"]) is None
    assert parse_tracestate(["a=1", bad, "b=2"]) is None


def test_32_members_are_legal_and_33_discard_the_list() -> None:
    members = [f"bar{number:02}={number:02}" for number in range(1, 34)]
    state = parse_tracestate([",".join(members[:10]), ",".join(members[10:20]), ",".join(members[20:32])])
    assert state == tuple((f"bar{number:02}", f"{number:02}") for number in range(1, 33))
    assert parse_tracestate([",".join(members)]) is None
    assert parse_tracestate(members) is None


def test_empty_members_are_not_counted() -> None:
    members = [f"k{number}=v" for number in range(32)]
    state = parse_tracestate([",, , ".join(members), "", " ", ",,,"])
    assert state is not None
    assert len(state) == 32


def test_members_that_repeat_a_key_are_counted() -> None:
    assert parse_tracestate([",".join(["foo=1"] * 32)]) == (("foo", "1"),)
    assert parse_tracestate([",".join(["foo=1"] * 33)]) is None


@pytest.mark.parametrize(
    "headers", [["foo=1,foo=1"], ["foo=1,foo=2"], ["foo=1", "foo=1"], ["foo=1", "foo=2"]], ids=" | ".join
)
def test_of_members_with_one_key_the_left_most_is_kept(headers: list[str]) -> None:
    assert parse_tracestate(headers) == (("foo", "1"),)
    assert parse_tracestate(["bar=0", *headers, "baz=3"]) == (("bar", "0"), ("foo", "1"), ("baz", "3"))


@given(states)
def test_any_legal_list_is_read_back_the_same(state: TraceState) -> None:
    assert parse_tracestate([f"{key}={value}" for key, value in state]) == state
    assert parse_tracestate([" ,\t".join(f"{key}={value}" for key, value in state)]) == state


@given(sized_states)
def test_a_list_up_to_512_characters_is_written_and_read_back_the_same(state: TraceState) -> None:
    while size_of(state) > 512:
        state = state[1:]
    assert parse_tracestate([format_tracestate(state)]) == state


@given(sized_states)
def test_a_longer_list_loses_whole_members_the_long_ones_first_and_then_from_the_right(state: TraceState) -> None:
    written = format_tracestate(state)
    kept = parse_tracestate([written])
    assert kept is not None
    assert len(written) <= 512
    assert [member for member in state if member in kept] == list(kept)
    lost = [member for member in state if member not in kept]
    long_ones = [member for member in state if size_of((member,)) > 128]
    short_ones = [member for member in state if size_of((member,)) <= 128]
    if any(member in short_ones for member in lost):
        assert not any(member in long_ones for member in kept)
        assert list(kept) == short_ones[: len(kept)]
    else:
        assert [member for member in long_ones if member in kept] == long_ones[: len(long_ones) - len(lost)]
    if lost:  # nothing is left out that had room: the last one left out would have made the list too long
        last_lost = next(m for m in state if m in lost and (m in short_ones) == any(x in short_ones for x in lost))
        assert size_of((*kept, last_lost)) > 512


def test_the_limit_is_512_characters_commas_included() -> None:
    # 4 members of 100 characters, 3 commas, and a fifth that makes it 512 or 513.
    state = tuple((f"k{number}", "v" * 97) for number in range(4))
    just = (*state, ("last", "v" * 103))
    over = (*state, ("last", "v" * 104))
    assert len(format_tracestate(just)) == 512
    assert parse_tracestate([format_tracestate(just)]) == just
    assert parse_tracestate([format_tracestate(over)]) == state


def test_a_member_of_128_characters_is_not_yet_a_long_one() -> None:
    others = tuple((f"k{number}", "v" * 97) for number in range(4))
    fits, long = ("first", "v" * 122), ("first", "v" * 123)
    assert parse_tracestate([format_tracestate((fits, *others))]) == (fits, *others[:3])
    assert parse_tracestate([format_tracestate((long, *others))]) == others


def test_nothing_to_send_is_the_empty_text() -> None:
    assert format_tracestate(()) == ""


def test_what_could_not_be_read_back_is_never_written() -> None:
    members = [("a", "1"), ("b", "2\r\nX-Evil: 1"), ("C", "3"), ("d", "4,e=5"), ("f", ""), ("a", "6"), ("g", "x ")]
    assert format_tracestate(members) == "a=1"
    assert format_tracestate([(f"k{number}", "v") for number in range(40)]).count(",") == 31


@given(st.lists(st.tuples(st.text(max_size=5) | keys, st.text(max_size=5) | values), max_size=40))
def test_whatever_is_written_is_a_valid_list(members: list[tuple[str, str]]) -> None:
    written = format_tracestate(members)
    kept = parse_tracestate([written])
    assert kept is not None
    assert len(written) <= 512
    assert set(kept) <= set(members)


# both


def test_a_valid_pair_is_continued() -> None:
    context = continue_trace([VALID], ["rojo=1", "congo=2"])
    assert context == TraceContext(TraceParent(0, TRACE, SPAN, 1), (("rojo", "1"), ("congo", "2")))


@pytest.mark.parametrize("traceparents", [[], [""], [VALID, VALID], ["ff" + VALID[2:]], [VALID + "-"]])
def test_without_a_valid_traceparent_a_new_trace_starts_and_tracestate_is_forgotten(traceparents: list[str]) -> None:
    assert continue_trace(traceparents, ["foo=1"]) is None


@pytest.mark.parametrize("tracestates", [["foo"], ["FOO=1"], ["a=1", "b"], [f"k{n}=1" for n in range(33)]])
def test_a_malformed_tracestate_does_not_harm_the_traceparent(tracestates: list[str]) -> None:
    assert continue_trace([VALID], tracestates) == TraceContext(TraceParent(0, TRACE, SPAN, 1), ())


# The Recommendation's own test-suite sends headers to a service and looks at what the service sends on. The same here,
# with the least of a service around the rules.


def passed_on(*received: tuple[str, str]) -> tuple[TraceParent, TraceState]:
    """What a service that takes part in tracing sends on, read again."""
    parents = [value for name, value in received if name.lower() == "traceparent"]
    tracestates = [value for name, value in received if name.lower() == "tracestate"]
    context = continue_trace(parents, tracestates)
    trace_id = context.parent.trace_id if context else new_trace_id()
    sent = format_traceparent(trace_id, new_span_id(), context.parent.sampled if context else False)
    parent = parse_traceparent([sent])
    state = parse_tracestate([format_tracestate(context.state if context else ())])
    assert parent is not None
    assert state is not None
    assert parent.version == 0
    assert parent.flags in (0, 1)
    return parent, state


@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TrAcEpArEnT", "TRACEPARENT"])
def test_a_service_keeps_the_trace_and_names_itself_as_the_parent(name: str) -> None:
    parents = [passed_on((name, VALID))[0] for _ in range(3)]
    assert {parent.trace_id for parent in parents} == {TRACE}
    assert len({parent.parent_id for parent in parents} | {SPAN}) == 4


@pytest.mark.parametrize(
    "received",
    [
        [],
        [("trace-parent", VALID)],
        [("trace.parent", VALID)],
        [("tracestate", "foo=1,bar=2")],
        [("traceparent", VALID[:-1]), ("tracestate", "foo=1")],
        [("traceparent", VALID), ("TraceParent", VALID.replace("9c-", "9d-"))],
    ],
    ids=str,
)
def test_a_service_without_a_valid_traceparent_starts_a_trace_of_its_own(received: list[tuple[str, str]]) -> None:
    sent = [passed_on(*received) for _ in range(3)]
    assert TRACE not in {parent.trace_id for parent, _ in sent}
    assert len({parent.trace_id for parent, _ in sent}) == 3
    assert all(state == () for _, state in sent)


def test_a_service_passes_tracestate_on_whatever_the_case_of_its_name() -> None:
    sent = passed_on(("traceparent", VALID), ("TraceState", "foo=1"), ("TRACESTATE", "bar=2"), ("trace-state", "no=1"))
    assert sent[1] == (("foo", "1"), ("bar", "2"))


@pytest.mark.parametrize(("received", "sent"), [("00", 0), ("01", 1), ("02", 0), ("03", 1), ("fe", 0), ("ff", 1)])
def test_a_service_passes_on_sampled_and_no_other_flag(received: str, sent: int) -> None:
    assert passed_on(("traceparent", VALID[:-2] + received))[0].flags == sent
    assert passed_on(("traceparent", f"cc{VALID[2:-2]}{received}-more"))[0].flags == sent
