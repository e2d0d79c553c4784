"""Letters are read and taken out by others while a shipper adds to them; none is lost, and none comes back."""

import multiprocessing
import os

import pytest

from clusterlog.context.ids import new_entity_id
from clusterlog.ship.dead import quarantine
from clusterlog.ship.dead.letters import encoded, letters, take_out
from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.spool.segment import PRIORITY, SegmentName, frame
from clusterlog.store.base import Delivery

INSTANCE = "0190aaaa0000700080000000000000a1"


def delivery(n):
    return Delivery(f"{INSTANCE}-{n:011x}", INSTANCE, n, b'{"n":%d}' % n)


@pytest.fixture
def dead(tmp_path):
    return tmp_path / "dead"


@pytest.fixture
def keeper(dead):
    made = []

    def begin():
        made.append(Quarantine(dead, new_entity_id(), "store"))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def numbers(dead):
    return [letter.sequence for letter in letters(dead)]


def test_what_is_chosen_is_taken_out_and_told_before_it_is_gone(dead, keeper):
    kept = keeper()
    for n in range(10):
        kept.keep(delivery(n), "no", 7)
    seen = []
    assert (
        take_out(dead, lambda letter: letter.sequence % 2 == 0, lambda taken: seen.append((taken, numbers(dead)))) == 5
    )
    ((taken, then),) = seen
    assert [letter.sequence for letter in taken] == [0, 2, 4, 6, 8] and then == list(range(10))
    assert numbers(dead) == [1, 3, 5, 7, 9]
    assert take_out(dead, lambda letter: True, lambda taken: None) == 5
    assert numbers(dead) == [] and not list(dead.glob("*.seg"))


def test_nothing_is_taken_out_where_telling_fails(dead, keeper):
    keeper().keep(delivery(1), "no", 7)

    def fail(taken):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        take_out(dead, lambda letter: True, fail)
    assert numbers(dead) == [1]


@pytest.mark.parametrize("some", [True, False])
def test_a_shipper_whose_file_was_written_anew_goes_on_in_another(dead, keeper, some):
    kept = keeper()
    for n in range(4):
        kept.keep(delivery(n), "no", 7)
    take_out(dead, lambda letter: letter.sequence < 2 or not some, lambda taken: None)
    kept.keep(delivery(9), "no", 7)
    assert numbers(dead) == ([2, 3, 9] if some else [9])


def test_letters_of_before_are_read_as_well(dead):
    dead.mkdir()
    name = SegmentName(new_entity_id(), "priority", 1)
    old = b'{"id":"x","instance":"i","sequence":1,"sink":"s","reason":"r","wall_ns":5}\n{}'
    newer = b'{"id":"y","instance":"i","sequence":2,"sink":"s","reason":"r","wall_ns":5,"colour":"red"}\n{}'
    data = frame(old, PRIORITY, 1, 5, name.seed) + frame(newer, PRIORITY, 2, 5, name.seed)
    (dead / str(name)).write_bytes(data)
    first, second = letters(dead)
    assert (first.cause, first.attempts, first.body) == ("refused", 1, b"{}") and second.id == "y"
    assert encoded(first).endswith(b"\n{}")


def test_an_event_of_another_spool_counts_as_what_its_id_says(dead, keeper):
    keeper().keep(Delivery(f"{INSTANCE}-0000000000f", "other", 3, b"{}"), "no", 7)
    (letter,) = letters(dead)
    assert (letter.instance, letter.sequence) == (INSTANCE, 15)


def _take_again_and_again(dead, told):
    taken = set()
    while not told.is_set() or numbers(dead):
        take_out(dead, lambda letter: True, lambda found: taken.update(letter.sequence for letter in found))
    os._exit(0 if taken == set(range(300)) else 1)


def test_while_one_adds_another_may_take_out_and_every_letter_is_met_once(dead, keeper, monkeypatch):
    monkeypatch.setattr(quarantine, "SEGMENT_BYTES", 500)
    kept = keeper()
    told = multiprocessing.get_context("fork").Event()
    other = multiprocessing.get_context("fork").Process(target=_take_again_and_again, args=(dead, told))
    other.start()
    for n in range(300):
        kept.keep(delivery(n), "no", 7)
    told.set()
    other.join(60)
    assert other.exitcode == 0 and numbers(dead) == []
