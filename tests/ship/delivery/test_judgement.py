"""Every outcome has its consequence, and an answer that does not account for each event has none."""

import pytest

from clusterlog.ship.delivery.batch import Batch, size_of
from clusterlog.ship.delivery.crew import Answer, Errand
from clusterlog.ship.delivery.judgement import judged
from clusterlog.store.base import DUPLICATE, STORED, Delivery, Outcome

REFUSAL = "failed to parse field [n] of type [long]"


def delivery(n, body=b'{"n":"x"}'):
    return Delivery(f"id-{n}", "i", n, body)


def judge(*outcomes, same=None, count=None, **history):
    deliveries = [delivery(n) for n in range(len(outcomes) if count is None else count)]
    return judged(Answer(Errand(Batch(deliveries, size_of(deliveries), **history)), outcomes, same=same))


def numbers(deliveries):
    return [each.sequence for each in deliveries]


def test_each_outcome_goes_its_way():
    found = judge(
        STORED,
        DUPLICATE,
        Outcome("refused", "no field named"),
        Outcome("failure_store", "elsewhere"),
        Outcome("retry", "busy"),
        Outcome("blocked", "no right"),
        Outcome("refused", REFUSAL),
        Outcome("stored", place=".ds-x"),
    )
    assert (numbers(found.safe), found.stored) == ([0, 1, 7], 2)
    assert [(dead.delivery.sequence, dead.cause) for dead in found.dead] == [(2, "refused"), (3, "failure_store")]
    assert (numbers(found.again), found.again_reason) == ([4], "busy")
    assert (numbers(found.blocked), found.blocked_reason) == ([5], "no right")
    assert numbers(found.repaired) == [6] and found.repaired[0].id == "id-6"
    assert [(each.sequence, place) for each, place in found.placed] == [(7, ".ds-x")]


def test_where_all_is_stored_the_batch_is_safe_as_it_is():
    found = judge(STORED, STORED, STORED)
    assert numbers(found.safe) == [0, 1, 2] and found.stored == 3 and not found.dead


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_answer_for_more_or_fewer_events_than_were_sent_judges_none(count):
    assert judge(STORED, STORED, count=count) is None


def test_what_was_repaired_once_is_not_repaired_again():
    original = delivery(0, b"as it was said")
    found = judge(Outcome("refused", REFUSAL), originals={"id-0": original})
    assert not found.repaired and [(dead.reason, dead.delivery) for dead in found.dead] == [(REFUSAL, original)]


def test_a_duplicate_that_says_the_same_is_safe_and_one_that_does_not_is_a_conflict():
    found = judge(Outcome("duplicate", place=".ds-1"), DUPLICATE, same={0: False, 1: True})
    assert numbers(found.safe) == [1]
    assert [(dead.cause, dead.reason) for dead in found.dead] == [
        ("conflict", "another event is stored under its id, in .ds-1")
    ]


def test_a_duplicate_that_nobody_may_look_at_counts_as_safe_and_is_counted():
    found = judge(DUPLICATE, DUPLICATE, same={0: None, 1: True})
    assert numbers(found.safe) == [0, 1] and found.uncompared == 1


def test_a_duplicate_that_could_not_be_compared_now_is_asked_for_again():
    found = judge(DUPLICATE, STORED, same={})
    assert numbers(found.again) == [0] and numbers(found.safe) == [1]


def test_where_nothing_is_compared_a_duplicate_is_safe():
    assert numbers(judge(DUPLICATE, STORED).safe) == [0, 1]
