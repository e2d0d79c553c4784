"""Interval sets behave like sets, and their file is replaced whole or not at all."""

import json
import os
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.acknowledged import Acknowledged, IntervalSet

ranges = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=25
)


@given(ranges)
def test_an_interval_set_holds_exactly_what_was_added_and_stays_canonical(added):
    found = IntervalSet(added)
    model = {n for first, last in added for n in range(first, last + 1)}
    assert {n for n in range(90) if n in found} == model
    assert len(found) == len(model)
    kept = list(found)
    assert all(last + 1 < following for (_, last), (following, _) in pairwise(kept))


@given(st.permutations(range(1, 40)))
def test_the_order_of_adding_does_not_matter(order):
    found = IntervalSet()
    for number in order:
        found.add(number)
    assert list(found) == [(1, 39)]


def test_what_was_saved_is_loaded(tmp_path):
    (tmp_path / "run").mkdir()
    told = Acknowledged.load(tmp_path)
    told.of("a").add(1, 5)
    told.of("a").add(9)
    told.totals["shipped"] = 6
    told.dropped["disk_full"] = 2
    told.ended.add("a")
    told.save()
    found = Acknowledged.load(tmp_path)
    assert list(found.of("a")) == [(1, 5), (9, 9)]
    assert (found.totals["shipped"], found.dropped["disk_full"], found.ended) == (6, 2, {"a"})
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["acknowledged.json", "reserve"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"instances": 5}', b'{"instances": {"a": [[1]]}, "totals": {}}', b"\xff"]
)
def test_a_damaged_file_is_an_empty_one_so_that_everything_is_sent_again(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "acknowledged.json").write_bytes(content)
    assert Acknowledged.load(tmp_path).of("a") == IntervalSet()


def test_forgetting_an_instance_leaves_the_totals(tmp_path):
    (tmp_path / "run").mkdir()
    told = Acknowledged.load(tmp_path)
    told.of("a").add(1)
    told.totals["shipped"] = 1
    told.forget("a")
    told.save()
    saved = json.loads((tmp_path / "run" / "acknowledged.json").read_bytes())
    assert saved["instances"] == {} and saved["totals"] == {"shipped": 1}


def fill(path):
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            continue


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_on_a_disk_filled_to_the_last_byte_the_reserve_makes_room(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {small} 2>/dev/null") != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        (small / "run").mkdir()
        told = Acknowledged.load(small)
        told.save()
        fill(small / "filler")
        for n in range(1, 400, 2):
            told.of("a").add(n)
        told.save()
        assert len(Acknowledged.load(small).of("a")) == 200
    finally:
        os.system(f"umount {small}")
