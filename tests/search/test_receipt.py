"""What is known to be complete of a request, and what of it is proven to be lost."""

import json
from contextlib import closing
from typing import Any

import pytest

from clusterlog.search.instant import rfc3339
from clusterlog.search.receipt import SILENT_NS, Loss, Receipt, ask, questions, receipts, sentences
from clusterlog.search.story.journey import Journey, journey
from clusterlog.store.base import Delivery, Sequences
from clusterlog.store.embedded import EmbeddedStore

NOON_NS = 1_793_707_200_000_000_000  # as in the stories
SHIPPER = "5" * 32


def told(process: Any, at_ms: float, action: str, **facts: Any) -> dict[str, Any]:
    """A state event; what the process cannot say itself its shipper does."""
    own = action in ("open", "drop", "close")
    if own:
        process.sequence += 1
    speaker, number = (process.instance, process.sequence) if own else (SHIPPER, round(at_ms * 1000) % 10**9)
    return {
        "@timestamp": rfc3339(NOON_NS + round((at_ms + process.skew_ms) * 1_000_000)),
        "event": {"id": f"{speaker}-{number:011x}", "kind": "state", "action": action, "sequence": number},
        "process": {"entity_id": speaker},
        "clusterlog": {"state": {"instance": process.instance, **facts}},
    }


def only(story: Any, *states: Any, stored: Any = (), **options: Any) -> Receipt:
    found = journey(story.documents)
    (receipt,) = receipts(found, states, stored, **options)
    return receipt


def one_visit(story: Any, *, lost: int = 0, ends: bool = True, before: int = 0) -> Any:
    """shop-1 opens, says other things, then a line of the request; ``lost`` numbers later it answers."""
    shop = story.process("shop-1")
    shop.sequence = 1 + before
    shop.log(100, "begins", span="s1")
    shop.sequence += lost
    if ends:
        shop.access(110, 10, "GET /cart", 200, span="s1")
    return shop


def test_numbers_dropped_between_those_of_the_request_are_its_loss_with_reason_and_range(story: Any) -> None:
    shop = one_visit(story, lost=2)
    drop = told(shop, 120, "drop", first_seq=3, last_seq=4, count=2, reason="disk_full")
    receipt = only(story, drop)
    assert receipt.state == "lost"
    assert receipt.losses == (Loss(3, 4, 2, "disk_full", drop["event"]["id"]),)
    assert receipt.text == "shop-1: 2 events dropped at source (disk full, numbers 3-4)"
    assert receipt.events == (drop["event"]["id"],)


def test_numbers_dropped_before_its_first_one_and_after_it_began_are_perhaps_its_own(story: Any) -> None:
    shop = story.process("shop-1")
    shop.sequence = 9
    shop.access(110, 10, "GET /cart", 200, span="s1")
    receipt = only(story, told(shop, 105, "drop", first_seq=7, last_seq=7, count=1, reason="oversize"))
    assert receipt.text == "shop-1: 1 event dropped at source (oversize, number 7), perhaps of this request"
    assert not receipt.losses[0].during


def test_a_loss_told_before_the_request_began_is_not_its_own(story: Any) -> None:
    shop = story.process("shop-1")
    drop = told(shop, 50, "drop", first_seq=1, last_seq=1, count=1, reason="disk_full")
    shop.sequence = 9
    shop.access(110, 10, "GET /cart", 200, span="s1")
    assert only(story, drop, stored=[Sequences(shop.instance, ((2, 10),))]).state == "complete"


def test_a_loss_after_the_answer_is_not_its_own_and_without_an_answer_perhaps_is(story: Any) -> None:
    shop = one_visit(story)
    later = told(shop, 200, "drop", first_seq=8, last_seq=9, count=2, reason="disk_full")
    assert only(story, later, stored=[Sequences(shop.instance, ((1, 3),))]).state == "complete"
    story.documents.pop()
    assert only(story, later).text == (
        "shop-1: 2 events dropped at source (disk full, numbers 8-9), perhaps of this request"
    )


def test_an_event_that_a_store_refused_is_said_to_be_kept_aside(story: Any) -> None:
    shop = one_visit(story, lost=1)
    letter = told(shop, 9000, "dead-letter", first_seq=3, last_seq=3, count=1, reason="mapper_parsing\nexception")
    receipt = only(story, letter)
    assert receipt.state == "lost" and receipt.losses[0].kept
    assert receipt.text == ("shop-1: 1 event refused by the store and kept aside (mapper parsing exception, number 3)")


def test_a_dead_letter_that_was_sent_again_and_taken_is_no_loss(story: Any) -> None:
    shop = one_visit(story, lost=1)
    letter = told(shop, 9000, "dead-letter", first_seq=3, last_seq=3, count=1, reason="no")
    assert only(story, letter, stored=[Sequences(shop.instance, ((1, 4),))]).state == "complete"
    assert only(story, letter, stored=[Sequences(shop.instance, ((1, 2), (4, 4)))]).state == "lost"


def test_a_dead_letter_that_was_thrown_away_is_lost_once(story: Any) -> None:
    shop = one_visit(story, lost=1)
    letter = told(shop, 9000, "dead-letter", first_seq=3, last_seq=3, count=1, reason="no")
    purge = {**letter, "event": {**letter["event"], "id": f"{SHIPPER}-00000000001", "action": "drop"}}
    purge["clusterlog"] = {"state": {**letter["clusterlog"]["state"], "reason": "dead_letter_purged"}}
    assert len(only(story, letter, purge).losses) == 1


def test_a_drop_event_that_was_stored_twice_counts_once(story: Any) -> None:
    shop = one_visit(story, lost=2)
    drop = told(shop, 120, "drop", first_seq=3, last_seq=4, count=2, reason="disk_full")
    assert len(only(story, drop, drop).losses) == 1


def test_a_visit_whose_numbers_are_all_stored_is_complete_whatever_else_waits(story: Any) -> None:
    shop = one_visit(story)
    waits = told(shop, 500, "heartbeat", last_seq=99, backlog_events=40, backlog_bytes=1, oldest_age_s=1.0)
    receipt = only(story, waits, stored=[Sequences(shop.instance, ((1, 3),))])
    assert (receipt.state, receipt.text) == ("complete", "shop-1 complete")


def test_numbers_that_are_not_stored_wait_where_a_heartbeat_says_so(story: Any) -> None:
    shop = one_visit(story, lost=2)
    waits = told(shop, 500, "heartbeat", last_seq=9, backlog_events=1200, backlog_bytes=1, oldest_age_s=1.0)
    receipt = only(story, waits, stored=[Sequences(shop.instance, ((1, 2), (5, 5)))])
    assert receipt.state == "pending" and receipt.losses == ()
    assert receipt.text == "shop-1: 1,200 events wait in its spool at 2026-11-03T12:00:00Z, perhaps of this request"


def test_a_balancer_tells_one_event_so_where_that_is_there_all_of_it_is(story: Any) -> None:
    told = {"event": {"duration": 5}, "service": {"name": "haproxy"}, "http": {"request": {"method": "GET"}}}
    story.process("shop-1", host="edge-1").emit(5, "edge", "", level="info", logger="haproxy", span="e1", **told)
    assert (only(story).state, only(story).text) == ("complete", "edge-1 complete")


def test_numbers_that_are_not_stored_and_explained_by_nothing_are_called_neither_lost_nor_complete(story: Any) -> None:
    shop = one_visit(story, lost=2)
    receipt = only(story, stored=[Sequences(shop.instance, ((1, 2), (5, 5)))])
    assert receipt.state == "unknown" and receipt.losses == ()
    assert receipt.text == "shop-1: not stored, and nothing tells why: numbers 3-4, perhaps of this request"


def test_old_holes_are_not_the_business_of_a_request_that_began_after_a_later_sign_of_life(story: Any) -> None:
    shop = one_visit(story, before=50)
    stored = [Sequences(shop.instance, ((1, 10), (12, 53)))]
    assert only(story, stored=stored).state == "unknown"
    alive = told(shop, 60, "heartbeat", last_seq=30, backlog_events=0, backlog_bytes=0)
    assert only(story, alive, stored=stored).state == "complete"


def test_without_a_word_of_what_is_stored_a_heartbeat_with_nothing_waiting_proves_it(story: Any) -> None:
    shop = one_visit(story)
    assert only(story).state == "unknown"
    early = told(shop, 60, "heartbeat", last_seq=1, backlog_events=0, backlog_bytes=0)
    assert only(story, early).state == "unknown"
    late = told(shop, 500, "heartbeat", last_seq=3, backlog_events=0, backlog_bytes=0)
    assert only(story, early, late).state == "complete"
    assert only(story, late, early).events == (late["event"]["id"],)


def test_a_process_that_ended_without_answering_is_complete_up_to_there(story: Any) -> None:
    shop = one_visit(story, ends=False)
    stored = [Sequences(shop.instance, ((1, 2),))]
    crash = told(shop, 500, "crash-close", last_seq=2, torn_bytes=20)
    crash["event"]["id"] = "0"
    assert only(story, crash, stored=stored).text == (
        "shop-1 complete up to number 2, where it was killed over a record of 20 bytes"
    )
    close = told(shop, 400, "close", last_seq=3)
    assert only(story, crash, close, stored=[Sequences(shop.instance, ((1, 3),))]).text == (
        "shop-1 complete up to number 3, where it ended"
    )


def test_the_last_numbers_of_a_process_that_ended_must_be_stored_too(story: Any) -> None:
    shop = one_visit(story, ends=False)
    crash = told(shop, 500, "crash-close", last_seq=4)
    receipt = only(story, crash, stored=[Sequences(shop.instance, ((1, 2),))])
    assert receipt.state == "unknown" and "numbers 3-4" in receipt.text


def test_who_has_neither_ended_nor_been_heard_of_for_three_heartbeats_is_silent(story: Any) -> None:
    shop = one_visit(story, ends=False)
    stored = [Sequences(shop.instance, ((1, 2),))]
    last_word = NOON_NS + 100_000_000
    assert only(story, stored=stored, now_ns=last_word + SILENT_NS).state == "unknown"
    receipt = only(story, stored=stored, now_ns=last_word + SILENT_NS + 1)
    assert receipt.state == "silent"
    assert receipt.text == "shop-1: silent since 2026-11-03T12:00:00Z: neither an end nor a sign of life"
    alive = told(shop, 30_000, "heartbeat", last_seq=2, backlog_events=0)
    receipt = only(story, alive, stored=stored, now_ns=last_word + SILENT_NS + 1)
    assert (receipt.state, receipt.text) == (
        "complete",
        "shop-1 complete up to number 2 at 2026-11-03T12:00:30Z, and still running",
    )


def test_silence_is_measured_by_the_latest_time_in_the_documents_where_no_other_is_given(story: Any) -> None:
    one_visit(story, ends=False)
    other = story.process("orders-1")
    assert only(story).state == "unknown"
    late = told(other, 400_000, "heartbeat", last_seq=1, backlog_events=0)
    stored = [Sequences(journey(story.documents).lanes[0].instance, ((1, 2),))]
    assert only(story, late, stored=stored).state == "silent"


def test_an_event_without_a_number_proves_nothing_and_is_no_trouble(story: Any) -> None:
    story.documents.append({"message": "from elsewhere", "http": {"request": {"id": story.id}}})
    assert only(story).text == "?: has no sequence numbers: nothing can be proven"


def everything(story: Any) -> tuple[Journey, list[Any]]:
    """shop-1 and orders-1 complete, payments-1 with two losses, and two processes of one node nothing is known of."""
    shop, orders, payments = (story.process(node) for node in ("shop-1", "orders-1", "payments-1"))
    states: list[Any] = []
    for late, process in enumerate((shop, orders, payments)):
        process.sequence = 1
        process.log(1 + late, "begins", span=process.instance[-16:])
        process.sequence += 2
        process.access(9, 8 - late, "GET /", 200, span=process.instance[-16:])
    states += [told(each, 100 + n, "heartbeat", last_seq=5, backlog_events=0) for n, each in enumerate((shop, orders))]
    states.append(told(payments, 100, "drop", first_seq=3, last_seq=4, count=2, reason="disk_full"))
    for _ in range(2):
        story.process("cart-1").log(2, "hello", span="c" * 16)
    return journey(story.documents), states


def test_the_sentences_tell_trouble_first_and_what_is_complete_in_one_line(story: Any) -> None:
    found, states = everything(story)
    told_lines = sentences(found, receipts(found, states))
    assert [sentence.text for sentence in told_lines] == [
        "payments-1: 2 events dropped at source (disk full, numbers 3-4)",
        "cart-1 ..000004: nothing tells whether all of it is stored",
        "cart-1 ..000005: nothing tells whether all of it is stored",
        "shop-1, orders-1 complete",
    ]
    assert {sentence.kind for sentence in told_lines} == {"data"}
    assert told_lines[0].events == (states[2]["event"]["id"],)
    assert told_lines[3].events == tuple(state["event"]["id"] for state in states[:2])


def test_there_is_one_receipt_for_each_lane_in_their_order(story: Any) -> None:
    found, states = everything(story)
    assert [receipt.lane for receipt in receipts(found, states)] == list(range(len(found.lanes)))


@pytest.mark.parametrize("fact", ["first_seq", "last_seq", "backlog_events", "torn_bytes", "instance", "reason"])
@pytest.mark.parametrize("action", ["drop", "heartbeat", "close", "crash-close"])
def test_state_events_of_strangers_say_what_they_like(story: Any, action: str, fact: str) -> None:
    shop = one_visit(story, lost=2)
    facts = {"first_seq": 3, "last_seq": 4, "count": 2, "reason": "disk_full", "backlog_events": 0}
    for value in (None, "7", [], {"a": 1}, True, -5, 10**30, 1.5):
        assert only(story, told(shop, 120, action, **{**facts, fact: value})).text.isprintable()


def test_a_store_is_asked_for_what_the_receipts_need(story: Any, tmp_path: Any) -> None:
    """Three questions for all processes, and of a thousand heartbeats only those that say something."""
    shop, orders = one_visit(story, lost=2, before=3), story.process("orders-1")
    orders.sequence = 1
    orders.log(105, "hello", span="s2")
    orders.access(108, 4, "GET /", 200, span="s2")
    states = [told(shop, 120, "drop", first_seq=6, last_seq=7, count=2, reason="disk_full")]
    before, after = range(-600_000, 0, 60_000), range(60_000, 600_000, 60_000)
    for process, times, last in ((shop, (*before, *after), 3), (orders, before, 1)):
        states += [told(process, at + len(states), "heartbeat", last_seq=last, backlog_events=0) for at in times]
    with closing(EmbeddedStore.open(tmp_path / "store", "write")) as store:
        events = [*story.documents, *states]
        outcomes = store.deliver([Delivery(each["event"]["id"], "", 0, json.dumps(each).encode()) for each in events])
        assert {outcome.status for outcome in outcomes} == {"stored"}
        store.flush()
        found = journey(story.documents)
        asked = questions(found)
        assert len(asked) == 3
        assert sum(len(list(store.find(each))) for each in asked) <= 20
        shop_s, orders_s = ask(store, found)
    assert shop_s.text == "shop-1: 2 events dropped at source (disk full, numbers 6-7)"
    assert orders_s.text == "orders-1 complete"  # its first number is not stored, and was given before it began


def test_a_request_of_no_process_asks_nothing(story: Any) -> None:
    story.documents.append({"message": "from elsewhere"})
    assert questions(journey(story.documents)) == ()


def test_lanes_that_are_complete_in_the_same_way_are_told_together(story: Any) -> None:
    for node in ("shop-1", "orders-1", "payments-1"):
        story.process(node).log(1, "a line")
    found = journey(story.documents)
    ended = " as far as ingested"
    known = [Receipt(n, "complete", (), f"{lane.node} complete{ended * (n > 0)}") for n, lane in enumerate(found.lanes)]
    first, *others = (lane.node for lane in found.lanes)
    (said,) = sentences(found, known)
    assert said.text == f"{first} complete; {', '.join(others)} complete as far as ingested"
