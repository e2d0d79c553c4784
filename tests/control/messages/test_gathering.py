"""A question to many: what came in time, and who is missing (CP-18)."""

from __future__ import annotations

import threading

from clusterlog.control.messages.envelope import Envelope, Sender
from clusterlog.control.messages.gathering import Question, Replies, Reply

ONE, TWO, LATE_JOINER = (Sender(name) for name in ("one", "two", "late joiner"))


def reply(sender: Sender, data: object = None, failed: str = "") -> Envelope:
    return Envelope("f", "t", sender, 1, data, "reply", "q", "me", failed=failed)


def question(*expected: Sender) -> Question:
    made = Question("q")
    made.expect({sender.instance: sender for sender in expected})
    return made


def test_cp18_a_partial_answer_names_who_is_missing():
    asked = question(ONE, TWO)
    asked.answered(reply(TWO, 2))
    assert asked.gathered(0) == Replies((Reply(TWO, 2),), (ONE,))


def test_an_answer_of_somebody_who_joined_meanwhile_counts_too():
    asked = question(ONE)
    asked.answered(reply(LATE_JOINER, 3))
    asked.answered(reply(ONE, 1))
    assert asked.gathered(0) == Replies((Reply(LATE_JOINER, 3), Reply(ONE, 1)))


def test_a_second_answer_of_the_same_worker_counts_for_nothing():
    asked = question(ONE)
    asked.answered(reply(ONE, 1))
    asked.answered(reply(ONE, 2))
    assert asked.gathered(0).replies == (Reply(ONE, 1),)


def test_answers_that_came_before_it_was_known_who_is_expected_are_not_lost():
    asked = Question("q")
    asked.answered(reply(ONE, 1))
    asked.expect({"one": ONE})
    assert asked.gathered(10_000).complete


def test_while_nobody_knows_who_is_expected_no_answer_is_complete():
    asked = Question("q")
    asked.answered(reply(ONE, 1))
    replies = asked.gathered(0)
    assert (len(replies), replies.missing, replies.known, replies.complete) == (1, (), False, False)


def test_whoever_waits_goes_on_with_the_last_answer_and_not_at_the_end_of_the_time():
    asked = question(ONE, TWO)
    found: list[Replies] = []
    waiting = threading.Thread(target=lambda: found.append(asked.gathered(10_000)))
    waiting.start()
    asked.answered(reply(ONE))
    asked.answered(reply(TWO))
    waiting.join(30)
    assert [len(replies) for replies in found] == [2]


def test_an_answer_that_says_why_there_is_none_is_no_complete_answer():
    asked = question(ONE)
    asked.answered(reply(ONE, failed="ValueError: no"))
    replies = asked.gathered(0)
    assert (replies.missing, replies.complete) == ((), False)
