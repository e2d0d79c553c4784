"""Whatever a caller says becomes legal, bounded JSON without secrets, and saying it never fails."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import gc
import hashlib
import json
import sys
import threading
import uuid
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.encode.compact import dumps
from clusterlog.encode.limits import Limits
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.redact import Redactor

sanitizer = Sanitizer(Redactor())
small = Sanitizer(Redactor(), Limits(text=300, message=400, event=4000, names=30, values=100, items=10, depth=4))

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
PASSWORD = "hunter2-correct-horse"


def clean(value, cleaner=sanitizer):
    return cleaner.clean({"v": value})["v"]


def depth(tree):
    if isinstance(tree, dict):
        return 1 + max(map(depth, tree.values()), default=0)
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0


# -- every hostile value ------------------------------------------------------------------------------------------


def test_there_are_at_least_100_hostile_values_and_no_name_twice(hostile_table):
    names = [name for name, _ in hostile_table]
    assert len(set(names)) == len(names) >= 100


def test_a_hostile_value_becomes_strict_json_within_the_limits(hostile, judge):
    tree = sanitizer.clean({"before": 1, "v": hostile(), "w": [hostile()], "after": 2})
    found = judge(sanitizer.fit(tree))
    assert (found["before"], found["after"]) == (1, 2)
    assert depth(found) <= 20
    assert len(dumps(found)) <= 1 << 20


def test_a_hostile_value_can_be_a_message_an_argument_and_a_name(hostile, judge):
    said = {"m": sanitizer.message(hostile()), "f": sanitizer.formatted("got %s and %r", (hostile(), 1))}
    judge(dumps(said))
    assert "got " in said["f"]
    assert "%" not in said["f"][:4]
    judge(dumps({sanitizer.name(hostile()): 1}))


def test_hostile_values_all_together_stay_within_the_limit_of_an_event(hostile_table, judge):
    assert judge(sanitizer.fit(sanitizer.clean({name: make() for name, make in hostile_table})))


# -- numbers ------------------------------------------------------------------------------------------------------


def test_numbers_json_has_no_form_for_become_texts():
    assert [clean(float(x)) for x in ("nan", "inf", "-inf")] == ["NaN", "Infinity", "-Infinity"]
    assert clean([float("nan")]) == ["NaN"]


def test_an_integer_beyond_64_bits_becomes_a_text_and_the_last_within_them_does_not():
    assert clean(2**63 - 1) == 2**63 - 1
    assert clean(-(2**63)) == -(2**63)
    assert clean(2**63) == "9223372036854775808"
    assert clean(-(2**63) - 1) == "-9223372036854775809"


def test_an_integer_python_refuses_to_print_is_told_by_its_size():
    assert clean(10**4299) == "1" + "0" * 4299
    assert clean(10**5000) == "[integer of 16610 bits]"


def test_an_integer_too_long_to_print_in_passing_is_not_printed_where_python_would():
    printed = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        assert clean(10**5000) == "[integer of 16610 bits]"
    finally:
        sys.set_int_max_str_digits(printed)


def test_numbers_of_a_subclass_stay_numbers():
    class Status(enum.IntEnum):
        OK = 200

    class Real(float):
        def __repr__(self):
            return "real"

    assert clean([Status.OK, Real(0.5), Real("nan")]) == [200, 0.5, "NaN"]
    assert type(clean(Status.OK)) is int
    assert clean(True) is True


# -- depth, circles, width ----------------------------------------------------------------------------------------


def test_a_circle_is_cut_where_it_closes():
    ring = {"a": 1}
    ring["me"] = [ring]
    assert clean(ring) == {"a": 1, "me": ["[circular]"]}


def test_what_is_met_twice_without_a_circle_is_said_twice():
    shared = {"a": 1}
    assert clean([shared, shared]) == [{"a": 1}, {"a": 1}]


def test_the_twentieth_object_inside_another_is_the_last():
    tree = {}
    for _ in range(30):
        tree = {"a": tree}
    cleaned = sanitizer.clean(tree)
    assert depth(cleaned) == 20
    assert "[dict below 20 others]" in json.dumps(cleaned)


def test_a_long_list_says_how_many_more_there_were():
    assert clean(list(range(25)), small) == [*range(10), "[15 more]"]


def test_a_wide_dictionary_says_how_many_more_there_were():
    cleaned = clean({f"k{n}": n for n in range(25)}, small)
    assert cleaned == {**{f"k{n}": n for n in range(10)}, "_cut": "15 more"}


def test_the_names_of_an_event_are_bounded_over_all_its_objects():
    cleaned = small.clean({f"o{n}": {f"k{m}": m for m in range(9)} for n in range(9)})

    def names(tree):
        return sum(1 + names(each) if isinstance(each, dict) else 1 for name, each in tree.items() if name != "_cut")

    assert names(cleaned) == 30
    assert list(cleaned) == [f"o{n}" for n in range(9)]
    assert cleaned["o8"] == {"_cut": "9 more"}


def test_the_values_of_an_event_are_bounded_over_all_its_lists():
    cleaned = clean([[1] * 10] * 9 + [7], Sanitizer(Redactor(), Limits(values=50)))
    assert [len(each) for each in cleaned[:3]] == [10, 10, 10]
    assert sum(each.count(1) for each in cleaned[:9]) < 50
    assert cleaned[8:] == [["[10 more]"], 7]


def test_all_texts_together_stay_within_the_limit_of_an_event(judge):
    narrow = Sanitizer(Redactor(), Limits(event=4000))
    cleaned = narrow.clean({f"k{n}": "x" * 299 for n in range(30)})
    assert cleaned["k0"] == "x" * 299
    assert cleaned["k29"] == "...[cut]"
    assert len(judge(dumps(cleaned))) == 30
    assert len(dumps(cleaned)) < 5000


# -- texts --------------------------------------------------------------------------------------------------------


def test_a_long_text_is_cut_and_says_how_long_it_was_and_which_it_was():
    whole = "wörd " * 20_000
    said = clean(whole)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    assert said.endswith(f"...[cut, 100000 characters, sha256 {digest}]")
    assert said.startswith("wörd wörd ")
    assert 31_900 < len(said.encode()) <= 32_000


@given(st.text() | st.text(alphabet="aé€😀\ud800\0=:", min_size=50, max_size=400), st.integers(8, 300))
def test_a_text_never_takes_more_bytes_than_it_may(text, most):
    said = sanitizer.text(text, most)
    assert len(said.encode("utf-8")) <= most


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
def test_a_short_legal_text_without_secret_is_said_as_it_is(text):
    if Redactor().text(text) == text:
        assert sanitizer.text(text, 32_000) == text


def test_halves_of_surrogate_pairs_are_written_out():
    assert clean("a\ud800b") == "a\\ud800b"
    assert sanitizer.message("caf\udce9") == "caf\\udce9"


def test_a_message_may_be_longer_than_a_field_but_not_endless():
    assert sanitizer.message("x" * 200_000) == "x" * 200_000
    assert len(sanitizer.message("é" * 200_000).encode()) == 256 << 10


def test_a_secret_at_the_edge_of_a_cut_leaves_nothing_behind():
    for edge in range(len(TOKEN) + 8):
        text = "x" * (200 - edge) + " " + TOKEN + " tail" * 100
        said = sanitizer.text(text, 200)
        assert TOKEN[:5] not in said
        assert len(said) <= 200


# -- names --------------------------------------------------------------------------------------------------------


def test_names_that_are_no_texts_become_texts_and_those_that_then_meet_get_a_number():
    cleaned = sanitizer.clean({1: "int", "1": "text", None: 2, (1, 2): 3, b"1": "bytes", "1_2": "late"})
    assert cleaned == {"1": "int", "1_2": "text", "None": 2, "(1, 2)": 3, "1_3": "bytes", "1_2_2": "late"}


def test_a_name_is_never_empty_nor_are_its_parts():
    assert list(sanitizer.clean({"": 1, " ": 2, "a..b": 3, ".": 4})) == ["_", "__2", "a._.b", "_._"]


def test_what_stores_and_pipelines_read_as_syntax_goes_from_names():
    assert list(sanitizer.clean({"a\0b": 1, "[a][b]": 2, "\ud800": 3})) == ["a\\x00b", "(a)(b)", "\\ud800"]


@pytest.mark.parametrize("name", ["@timestamp", "@version", "@metadata", "tags", "_id", "user", "host", "log", "error"])
def test_names_with_a_meaning_elsewhere_are_the_callers_own_below_labels(name):
    assert sanitizer.clean({name: "scalar"}) == {name: "scalar"}


def test_long_names_are_cut_and_stay_two():
    one, two = sanitizer.clean({"k" * 300: 1, "k" * 301: 2})
    assert len(one) == len(two) == 256
    assert one != two
    assert sanitizer.name("k" * 300) == one


def test_a_dotted_name_stays_unless_a_nested_field_has_its_path():
    assert sanitizer.clean({"a.b": 1, "a": 2, "c": {"d": 3}}) == {"a.b": 1, "a": 2, "c": {"d": 3}}
    assert sanitizer.clean({"a.b": 1, "a": {"b": 2}}) == {"a.b_2": 1, "a": {"b": 2}}
    assert sanitizer.clean({"a.b": {"c": 1}, "a": {"b.c": 2}}) == {"a.b_2": {"c": 1}, "a": {"b.c": 2}}
    assert sanitizer.clean({"a.b": 1, "a.b_2": 0, "a": {"b": 2}}) == {"a.b_3": 1, "a.b_2": 0, "a": {"b": 2}}


NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "a.b_2", "a.a", "."])


@settings(max_examples=300)
@given(st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12))
def test_no_two_leaves_of_an_event_have_one_path(tree):
    def leaves(node, path):
        if isinstance(node, dict) and node:
            for name, each in node.items():
                yield from leaves(each, f"{path}.{name}")
        else:
            yield path

    paths = list(leaves(sanitizer.clean({"v": tree}), ""))
    assert len(paths) == len(set(paths))
    assert len(paths) == len(list(leaves({"v": tree}, "")))


# -- objects ------------------------------------------------------------------------------------------------------


def test_known_types_speak_their_own_notation():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert clean(datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=zone)) == "2026-01-02T01:04:05.000006Z"
    assert clean(datetime.datetime.fromisoformat("2026-01-02T03:04:05")) == "2026-01-02T03:04:05"
    edge = datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-1)))
    assert clean(edge) == "9999-12-31T23:59:59.999999-01:00"
    assert clean([datetime.date(2026, 1, 2), datetime.time(3, 4)]) == ["2026-01-02", "03:04:00"]
    assert clean([uuid.UUID(int=1), decimal.Decimal("1.50")]) == ["00000000-0000-0000-0000-000000000001", "1.50"]
    assert clean([PurePosixPath("/a"), b"a\xff"]) == ["/a", "a\\xff"]
    assert clean([{1}, (2,), frozenset({3}), collections.deque([4])]) == [[1], [2], [3], [4]]
    assert clean(enum.Enum("Colour", "RED").RED) == "Colour.RED"


def test_a_repr_that_raises_is_named_with_what_it_raised():
    class Broken:
        def __repr__(self):
            raise LookupError("secret detail")

    name = f"{__name__}.test_a_repr_that_raises_is_named_with_what_it_raised.<locals>.Broken"
    assert clean(Broken()) == f"<{name}: repr failed: LookupError>"


@pytest.mark.parametrize("kind", [dict, list, set, str, int, float, collections.deque])
def test_nothing_a_subclass_overrides_is_called_but_its_repr(kind):
    called = []

    def spy(name):
        def method(self, *args, **kwargs):
            called.append(name)
            raise AssertionError(name)

        return method

    hooks = ["__iter__", "__len__", "__eq__", "__bool__", "__str__", "__format__", "__getitem__", "__contains__"]
    hooks += ["items", "keys", "copy", "encode", "__int__", "__index__", "__float__", "__getattribute__", "__lt__"]
    body = {name: spy(name) for name in hooks} | {"__repr__": lambda self: "<own>", "__hash__": lambda self: 1}
    value = type("Spy", (kind,), body)()
    said = clean([value, {"k": value}])
    assert called == []
    assert said[0] == ("" if kind is str else 0 if kind in (int, float) else "<own>")


def test_an_unknown_object_is_asked_for_no_attribute():
    class Curious:
        def __getattr__(self, name):
            raise AssertionError(name)

        def __repr__(self):
            return "<curious>"

    assert clean(Curious()) == "<curious>"


def test_what_is_no_exception_passes_to_the_host():
    class Stop:
        def __repr__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean(Stop())


def test_a_repr_that_cleans_itself_ends_at_the_third_level():
    levels = []

    class Echo:
        def __repr__(self):
            levels.append(1)
            return f"<{clean(self)}>"

    said = clean(Echo())
    assert len(levels) == 3
    assert said.startswith("<<<<")
    assert "repr failed: RecursionError" in said


def test_a_text_that_formats_itself_ends_at_the_third_level():
    levels = []

    class Echo:
        def __str__(self):
            levels.append(1)
            return sanitizer.formatted("<%s>", (self,))

    assert sanitizer.formatted("<%s>", (Echo(),)).startswith("<<<")
    assert len(levels) == 3


def test_another_thread_has_all_levels_to_itself():
    said = []

    class Deep:
        def __init__(self, below):
            self.below = below

        def __repr__(self):
            if self.below:
                return clean(Deep(self.below - 1))
            thread = threading.Thread(target=lambda: said.append(clean(Path)))
            thread.start()
            thread.join()
            return "bottom"

    assert clean(Deep(2)) == "bottom"
    assert said == ["<class 'pathlib.Path'>"]


def test_containers_that_another_thread_changes_are_read_without_failing():
    shared = {n: n for n in range(50)}
    members = set(range(50))
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            shared[number] = number
            shared.pop(number - 40, None)
            members.add(number)
            members.discard(number - 40)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            dumps(clean({"d": shared, "s": members}))
    finally:
        stop.set()
        thread.join()


def test_a_container_that_changes_while_it_is_read_is_read_again():
    """The collector runs inside the reading, and with it whatever finalizers do."""
    restless = dict.fromkeys(range(100))
    thresholds = gc.get_threshold()
    changes = iter(range(100, 106))

    def change(phase, info):
        if phase == "start" and sys._getframe(1).f_code.co_name == "_first":
            restless.update(dict.fromkeys(islice(changes, 1)))

    pairs = [
        (number, number) for number in range(5000)
    ]  # takes the interpreter's spare ones, so that new ones are made
    gc.callbacks.append(change)
    gc.set_threshold(1)
    try:
        cleaned = clean(restless)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(change)
    assert len(pairs) == 5000
    assert list(cleaned) == [str(number) for number in range(106)]


def test_little_stack_costs_the_fields_but_raises_nothing():
    said = []

    def descend(left):
        if left:
            return descend(left - 1)
        try:
            ends_here()  # what is called below may itself be the call too many
        except RecursionError:
            return False
        said.append(sanitizer.clean({"a": {"b.c": ["x=1"]}}))
        return True

    def ends_here():
        return max(1, 2)

    levels = 800
    while descend(levels):
        levels += 1
    assert {"a": {"b.c": ["x=1"]}} in said
    assert any("_cut" in each for each in said)


# -- messages -----------------------------------------------------------------------------------------------------


def test_arguments_are_put_into_a_message_as_logging_does():
    assert sanitizer.formatted("a %s b %d", ("x", 3)) == "a x b 3"
    assert sanitizer.formatted("%(a)s %(b)d", ({"a": 1, "b": 2},)) == "1 2"
    assert sanitizer.formatted("%s", ({},)) == "{}"


def test_arguments_that_do_not_fit_stand_behind_their_template():
    assert sanitizer.formatted("a %d", ("x",)) == 'a %d [TypeError with arguments ["x"]]'
    assert sanitizer.formatted("none", (1, {"password": PASSWORD})) == (
        'none [TypeError with arguments [1,{"password":"[redacted]"}]]'
    )


def test_an_argument_whose_text_raises_costs_the_formatting_and_nothing_else():
    class Broken:
        def __str__(self):
            raise ValueError

        __repr__ = __str__

    said = sanitizer.formatted("got %s", (Broken(),))
    assert said.startswith("got %s [ValueError with arguments ")
    assert "repr failed: ValueError" in said


def test_a_named_argument_under_a_secret_name_is_withheld_and_a_number_is_not():
    said = sanitizer.formatted(
        "%(user)s %(password)s %(max_tokens)d", ({"user": "u", "password": "p", "max_tokens": 7},)
    )
    assert said == "u [redacted] 7"


def test_a_message_may_be_any_object():
    assert sanitizer.message(ValueError("bad")) == "bad"
    assert sanitizer.message({"a": [1, {"password": PASSWORD}]}) == '{"a":[1,{"password":"[redacted]"}]}'
    assert sanitizer.message(b"a\xff") == "a\\xff"
    assert sanitizer.message(None) == "None"


# -- secrets ------------------------------------------------------------------------------------------------------


def test_values_under_secret_names_are_withheld_whole_but_for_numbers():
    cleaned = sanitizer.clean(
        {"password": PASSWORD, "api_key": {"a": [PASSWORD]}, "max_tokens": 4096, "token": None, "Cookie": [PASSWORD]}
    )
    assert cleaned == {
        "password": "[redacted]",
        "api_key": "[redacted]",
        "max_tokens": 4096,
        "token": None,
        "Cookie": "[redacted]",
    }


def test_an_object_under_a_secret_name_is_not_even_asked_for_its_repr():
    class Spy:
        def __repr__(self):
            raise AssertionError

    assert sanitizer.clean({"credentials": Spy()}) == {"credentials": "[redacted]"}


def test_headers_as_servers_hold_them_are_withheld_by_their_names():
    headers = [(b"host", b"x"), (b"Authorization", b"Basic abc"), [b"cookie", "a=b"], ("x-api-key", "abc")]
    assert clean(headers) == [
        ["host", "x"],
        ["Authorization", "[redacted]"],
        ["cookie", "[redacted]"],
        ["x-api-key", "[redacted]"],
    ]
    assert clean([["token", 5], ["a", "b"]]) == [["token", 5], ["a", "b"]]


def test_a_secret_in_a_name_is_withheld_too():
    cleaned = sanitizer.clean({f"user {TOKEN}": 1, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig": 2})
    assert cleaned == {"user (redacted)": 1, "(redacted)": 2}


def test_a_repr_is_searched_for_secrets():
    class Login:
        def __repr__(self):
            return f"Login(user='bob', password='{PASSWORD}', header='Bearer {TOKEN}')"

    assert clean(Login()) == "Login(user='bob', password='[redacted]', header='Bearer [redacted]')"


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)
secret = st.sampled_from(
    [TOKEN, f"Bearer {TOKEN}", f"x password={PASSWORD} y", f"https://u:{PASSWORD}@h/?token={PASSWORD}&a=1"]
)
keys = st.text(max_size=8) | st.integers() | st.none() | st.binary(max_size=4) | st.tuples(st.integers())


def _nested(inner):
    return (
        st.lists(inner, max_size=5)
        | st.dictionaries(keys, inner, max_size=5)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(collections.deque)
        | st.dictionaries(st.just("db_password"), secret | st.lists(secret), max_size=1)
    )


@settings(max_examples=200)
@given(tree=st.recursive(plain | secret, _nested, max_leaves=30), data=st.data())
def test_any_nesting_of_anything_becomes_legal_bounded_and_free_of_planted_secrets(tree, data, hostile_table, judge):
    _, make = data.draw(st.sampled_from(hostile_table))
    for cleaner in (sanitizer, small):
        encoded = cleaner.fit(cleaner.clean({"tree": tree, "hostile": make(), "again": [tree]}))
        judge(encoded)
        assert len(encoded) <= cleaner.limits.event
        assert TOKEN.encode() not in encoded
        assert PASSWORD.encode() not in encoded


# -- the whole event ----------------------------------------------------------------------------------------------


larger = Sanitizer(Redactor(), Limits(event=64 << 10))


def test_an_event_that_is_too_large_loses_long_texts_first_and_its_ids_never(judge):
    ids = {"http": {"request": {"id": "0193b2a47c1e7d3a9f001234567890ab"}}, "log": {"level": "error", "logger": "a"}}
    document = {
        **ids,
        "message": "m" * 9000,
        "error": {"stack_trace": "\0" * 9000},
        "labels": {"a": "x" * 9000, "n": 7},
    }
    found = judge(larger.fit(document))
    assert found["http"] == ids["http"]
    assert found["labels"]["n"] == 7
    assert found["message"].endswith("...[cut]")
    assert len(larger.fit(document)) <= 64 << 10


def test_an_event_of_too_many_labels_loses_all_of_them_and_says_so(judge):
    document = {"log": {"level": "info"}, "message": "m", "labels": {f"k{n}": "x" * 200 for n in range(100)}}
    found = judge(small.fit(document))
    assert found["message"] == "m"
    assert found["labels"] == {"_cut": "100 names, too large together"}


def test_an_event_too_large_by_all_that_is_not_its_own_still_says_which_request_it_was(judge):
    chain = [{"message": "m" * 1000} for _ in range(50)]
    document = {"trace": {"id": "t" * 256}, "message": "m", "clusterlog": {"error": {"chain": chain}}}
    assert judge(small.fit(document)) == {"trace": {"id": "t" * 256}}


def test_an_event_within_its_limit_is_not_touched():
    document = {"message": "m" * 3000, "labels": {"a": 1}}
    assert small.fit(document) == dumps(document)
