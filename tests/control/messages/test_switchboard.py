"""Messages between processes: who hears what, who does not, and what is said when something was missed (CP-18)."""

from __future__ import annotations

import json
import threading

import pytest

from clusterlog.control.bus.base import MOST_MESSAGE, Message
from clusterlog.control.messages.envelope import SCHEMA, Envelope, Sender, sealed
from clusterlog.control.messages.outbox import Outbox
from clusterlog.control.messages.switchboard import UNHEARD, Switchboard
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable

PATIENCE_S = 30


def test_cp18_a_message_is_heard_by_subscribers_of_its_topic_in_every_other_process(air, ear, ears):
    other = ears()
    one = air.process("one")
    air.process("two").client("cache").subscribe("flush", ear)
    air.process("three").client("cache").subscribe("flush", other)
    assert one.client("cache").send("flush", {"key": "a"})
    for each in (ear, other):
        each.wait(heard=1)
        assert each.heard == [{"key": "a"}]


def test_cp18_own_messages_are_not_received(air, ear, ears, settled):
    mine = ears()
    one, two = air.process("one"), air.process("two")
    one.client("cache").subscribe("flush", mine)
    two.client("cache").subscribe("flush", ear)
    one.client("cache").send("flush")
    ear.wait(heard=1)
    settled(one)
    assert mine.heard == []


def test_cp18_functionalities_and_topics_do_not_hear_each_other(air, ear, ears, settled):
    others = [ears(), ears()]
    one, two = air.process("one"), air.process("two")
    two.client("sessions").subscribe("flush", others[0], others[0].gap)
    two.client("cache").subscribe("flush.all", others[1], others[1].gap)
    two.client("cache").subscribe("flush", ear)
    one.client("cache").send("flush", 1)
    ear.wait(heard=1)
    settled(two)
    assert [other.heard for other in others] == [[], []]


def test_a_client_is_made_at_first_use_and_shared(air):
    one = air.process("one")
    assert one.client("cache") is one.client("cache")
    assert one.client("cache") is not one.client("other")


def test_what_one_sender_sends_is_heard_in_its_order(air, ear):
    one = air.process("one")
    air.process("two").client("f").subscribe("t", ear)
    for number in range(500):
        one.client("f").send("t", number)
    ear.wait(heard=500)
    assert ear.heard == list(range(500))


def test_who_asks_for_the_message_beside_its_data_learns_who_said_it(air):
    got = threading.Event()
    said = []

    def hear(data: object, message: Envelope) -> None:
        said.append((data, message.sender, message.topic))
        got.set()

    air.process("two").client("f").subscribe("t", hear)
    air.process("one", node="n-1").client("f").send("t", 5)
    assert got.wait(PATIENCE_S)
    assert said == [(5, Sender("one", "n-1", "shop", 7), "t")]


def test_a_subscription_that_was_cancelled_hears_no_more_and_others_do(air, ear, ears, settled):
    gone = ears()
    one, two = air.process("one"), air.process("two")
    subscription = two.client("f").subscribe("t", gone, gone.gap)
    two.client("f").subscribe("t", ear)
    subscription.cancel()
    one.client("f").send("t")
    air.gap()
    ear.wait(heard=1)
    settled(two)
    assert (gone.heard, gone.gaps) == ([], 0)


def test_cp18_on_gap_is_called_after_each_subscription_to_the_bus_in_every_functionality(air, ear, ears):
    other = ears()
    two = air.process("two")
    two.client("cache").subscribe("flush", ear, ear.gap)
    two.client("sessions").subscribe("end", other, other.gap)
    for count in (1, 2, 3):
        air.gap()
        ear.wait(gaps=count)
        other.wait(gaps=count)
    assert ear.heard == []


def test_cp18_a_hole_in_what_a_sender_said_is_a_gap_for_that_functionality_before_the_message_behind_it(
    air, ear, ears, settled
):
    untouched = ears()
    one, two = air.process("one"), air.process("two")
    order: list[object] = []
    two.client("cache").subscribe("flush", lambda data: (order.append(data), ear(data)), lambda: order.append("gap"))
    two.client("sessions").subscribe("end", untouched, untouched.gap)
    one.client("cache").send("flush", 1)
    ear.wait(heard=1)
    air.cut = True
    one.client("cache").send("flush", 2)
    air.cut = False
    one.client("sessions").send("end", 1)
    one.client("cache").send("other topic of the same functionality", 3)
    one.client("cache").send("flush", 4)
    ear.wait(heard=2)
    settled(two)
    assert order == [1, "gap", 4]
    assert (untouched.heard, untouched.gaps) == ([1], 0)


def test_a_message_for_which_there_was_no_room_is_noticed_by_the_others_when_the_next_one_comes(air, ear):
    one, two = air.process("one"), air.process("two")
    two.client("f").subscribe("t", ear, ear.gap)
    one.client("f").send("t", 1)
    room, one.outbox = one.outbox, Outbox(most_bytes=1)
    refused = one.client("f").send("t", 2)
    one.outbox = room
    one.client("f").send("t", 3)
    ear.wait(heard=2, gaps=1)
    assert (bool(refused), refused.reason) == (False, "full")
    assert ear.heard == [1, 3]
    assert one.faults == {"not-sent-full": 1}


def test_f14_duplicates_and_replayed_messages_are_heard_once(air, ear, settled):
    one, two = air.process("one"), air.process("two")
    two.client("f").subscribe("t", ear, ear.gap)
    for number in range(3):
        one.client("f").send("t", number)
    for body in list(air.heard):
        air.deliver(body)
    ear.wait(heard=3)
    settled(two)
    assert (ear.heard, ear.gaps) == ([0, 1, 2], 0)
    assert two.faults == {"again": 3}


def test_f14_a_message_that_was_overtaken_is_heard_late_and_once(air, ear, settled):
    one, two = air.process("one"), air.process("two")
    two.client("f").subscribe("t", ear, ear.gap)
    one.client("f").send("t", 0)
    air.cut = True
    for number in (1, 2):
        one.client("f").send("t", number)
    for body in (air.heard[2], air.heard[1], air.heard[1]):
        air.deliver(body)
    settled(two)
    assert (ear.heard, ear.gaps) == ([0, 2, 1], 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "garbage"),
        (b"{" * 100, "garbage"),
        (b"x" * (10 << 20), "size"),
        (Sealer((Key(b"x" * 32),), "c").seal({"schema": SCHEMA}), "signature"),
        (Sealer((Key(b"k" * 32),), "d").seal({"schema": SCHEMA}), "cluster"),
        (Sealer((Key(b"k" * 32),), "c").seal({"schema": "clusterlog.control/1"}), "schema"),
    ],
)
def test_f14_f15_what_is_not_to_be_believed_is_counted_by_reason_and_calls_nobody(air, ear, settled, body, reason):
    two = air.process("two")
    two.client("f").subscribe("t", ear, ear.gap)
    two.receive(Message(body))
    settled(two)
    assert two.faults == {reason: 1}
    assert (ear.heard, ear.gaps) == ([], 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(object(), "data"), (float("nan"), "data"), ("\ud800", "data"), ({1: {2}}, "data"), ("x" * MOST_MESSAGE, "size")],
)
def test_sending_what_cannot_be_sent_raises_nothing_says_why_and_leaves_no_hole(air, ear, settled, data, reason):
    one, two = air.process("one"), air.process("two")
    two.client("f").subscribe("t", ear, ear.gap)
    one.client("f").send("t", 1)
    assert one.client("f").send("t", data).reason == reason
    one.client("f").send("t", 2)
    settled(two)
    assert (ear.heard, ear.gaps) == ([1, 2], 0)


def test_data_that_refers_to_itself_is_no_plain_data(air):
    circle: list[object] = []
    circle.append(circle)
    assert air.process("one").client("f").send("t", circle).reason == "data"


def test_before_the_process_knows_its_cluster_nothing_is_sent_heard_or_raised(ear):
    board = Switchboard(lambda: None, tuple)
    board.client("f").subscribe("t", ear)
    assert board.client("f").send("t", 1).reason == "early"
    board.receive(Message(b"{}"))
    assert board.faults == {"not-sent-early": 1, "early": 1}


def test_cp13_a_node_that_only_receives_hears_and_answers_but_says_nothing_of_its_own(air, ear):
    one, listener = air.process("one"), air.process("two", may_send=False)
    listener.client("f").subscribe("t", lambda data: ear(data) or "yes")
    assert listener.client("f").send("t", 1).reason == "role"
    assert [reply.data for reply in one.client("f").request("t", 2, timeout_s=PATIENCE_S)] == ["yes"]
    assert ear.heard == [2]


def test_subscribing_with_what_cannot_be_called_is_an_error_at_once(air):
    client = air.process("one").client("f")
    for wrong in ({"fn": 5}, {"fn": print, "on_gap": 5}):
        with pytest.raises(TypeError, match="5 cannot be called"):
            client.subscribe("t", **wrong)


def test_an_exception_in_a_subscriber_is_told_and_counted_and_the_next_message_is_heard(air, ear):
    def fails(data: object) -> None:
        ear(data)
        raise SystemExit(3) if data == 1 else ValueError("broken")

    one, two = air.process("one"), air.process("two")
    subscription = two.client("f").subscribe("t", fails)
    for number in (1, 2, 3):
        one.client("f").send("t", number)
    ear.wait(heard=3)
    done = threading.Event()
    two.handlers.call(done.set)
    assert done.wait(PATIENCE_S)
    assert subscription.failed == 3
    assert [(what, type(error)) for what, error in air.troubles] == [
        ("f t", SystemExit),
        ("f t", ValueError),
        ("f t", ValueError),
    ]


def test_what_one_subscriber_does_to_the_data_another_does_not_see(air, ear):
    one, two = air.process("one"), air.process("two")
    two.client("f").subscribe("t", lambda data: data.clear())
    two.client("f").subscribe("t", ear)
    one.client("f").send("t", {"a": [1]})
    ear.wait(heard=1)
    assert ear.heard == [{"a": [1]}]


def test_a_subscriber_may_send_and_ask_without_waiting_for_itself(air, ear):
    one, two = air.process("one"), air.process("two")
    one.client("f").subscribe("ask", lambda data: data + 1)
    two.client("f").subscribe("t", lambda data: ear(two.client("f").request("ask", data, timeout_s=PATIENCE_S)))
    one.client("f").send("t", 1)
    ear.wait(heard=1)
    assert [reply.data for reply in ear.heard[0]] == [2]


def test_cp18_a_request_gathers_the_answers_of_all_workers_that_are_there_and_returns_with_the_last(air):
    one = air.process("one")
    for name in ("two", "three"):
        air.process(name).client("f").subscribe("ask", lambda data, name=name: {"was asked": data, "here": name})
    replies = one.client("f").request("ask", 5, timeout_s=PATIENCE_S)
    assert sorted(reply.data["here"] for reply in replies) == ["three", "two"]
    assert {reply.sender.instance for reply in replies} == {"two", "three"}
    assert (replies.complete, replies.missing, len(replies)) == (True, (), 2)


def test_cp18_a_request_says_who_is_missing_when_the_time_is_up(air):
    one = air.process("one")
    air.process("deaf", node="n-9")
    del air.boards["deaf"]
    replies = one.client("f").request("ask", 5, timeout_s=0.02)
    assert (len(replies), replies.missing) == (0, (Sender("deaf", "n-9", "shop", 7),))
    assert not replies.complete


def test_a_request_into_the_void_gives_an_empty_answer_at_once(air):
    replies = air.process("one").client("f").request("ask", timeout_s=10_000)
    assert (len(replies), replies.missing) == (0, ())


def test_a_request_ends_when_its_time_is_up_though_the_bus_does_not_say_who_is_there(air):
    answer = threading.Event()
    board = Switchboard(air.carry, lambda: answer.wait(PATIENCE_S) and ())
    board.begin(Sender("one"), air.sealer)
    replies = board.client("f").request("ask", timeout_s=0.02)
    assert not answer.is_set()
    answer.set()
    assert (replies.known, replies.complete) == (False, False)


def test_a_request_over_a_bus_that_is_away_is_no_complete_answer_of_nobody(air):
    def away() -> tuple[()]:
        raise BusUnreachable("the bus does not answer")

    board = Switchboard(air.carry, away)
    board.begin(Sender("one"), air.sealer)
    replies = board.client("f").request("ask", timeout_s=0.02)
    assert (replies.known, replies.complete) == (False, False)


def test_a_worker_that_does_not_know_the_topic_or_fails_answers_so_and_is_not_waited_for(air):
    def fails(_data: object) -> None:
        raise ValueError("no")

    one = air.process("one")
    air.process("two").client("f").subscribe("ask", fails)
    air.process("three")
    air.process("four").client("f").subscribe("ask", lambda _data: object())
    replies = one.client("f").request("ask", timeout_s=PATIENCE_S)
    said = {reply.sender.instance: reply.failed for reply in replies}
    assert said == {"two": "ValueError: no", "three": UNHEARD, "four": "its answer cannot be sent: data"}
    assert not replies.complete
    assert replies.missing == ()


def test_a_request_asks_the_services_and_nodes_it_names_and_expects_no_others(air, ear):
    one = air.process("one")
    for name, service in (("o-1", "orders"), ("o-2", "orders"), ("s-1", "shop")):
        air.process(name, service=service).client("f").subscribe("ask", lambda _data, name=name: ear(name) or name)
    by_service = one.client("f").request("ask", service="orders", timeout_s=PATIENCE_S)
    assert sorted(reply.data for reply in by_service) == ["o-1", "o-2"]
    by_node = one.client("f").request("ask", node=["*-1"], service=["orders", "shop"], timeout_s=PATIENCE_S)
    assert sorted(reply.data for reply in by_node) == ["o-1", "s-1"]
    assert sorted(ear.heard) == ["o-1", "o-1", "o-2", "s-1"]


def test_an_answer_that_comes_when_nobody_waits_any_more_or_for_another_is_passed_over(air):
    one = air.process("one")
    two = air.process("two")
    two.client("f").subscribe("ask", lambda data: data)
    for to in ("one", "elsewhere"):
        late = Envelope("f", "ask", Sender("three"), 1 if to == "one" else 2, 1, "reply", id="gone", to=to)
        one.receive(Message(sealed(late, air.sealer)))
    assert [reply.data for reply in one.client("f").request("ask", 2, timeout_s=PATIENCE_S)] == [2]
    assert one.faults == {}


def test_an_answer_that_is_for_another_process_counts_for_nothing(air):
    one, two = air.process("one"), air.process("two")

    def answer(data: object, message: Envelope) -> object:
        stray = Envelope("f", "ask", Sender("stranger"), 1, "stray", "reply", id=message.id, to="elsewhere")
        one.receive(Message(sealed(stray, air.sealer)))
        return data

    two.client("f").subscribe("ask", answer)
    assert [reply.data for reply in one.client("f").request("ask", 1, timeout_s=PATIENCE_S)] == [1]


def test_a_forked_child_is_heard_as_another_process_and_keeps_the_subscriptions_of_its_parent(air, ear, settled):
    parent, other = air.process("parent"), air.process("other")
    parent.client("f").subscribe("t", ear, ear.gap)
    client = parent.client("f")
    client.send("t", 1)
    parent.outbox.put(b"what the parent had to send")
    threads: list[threading.Thread] = []
    parent.handlers.call(lambda: threads.append(threading.current_thread()))
    settled(parent)
    parent.begin(Sender("child", "parent", "shop", 8), air.sealer)
    parent.handlers.call(lambda: threads.append(threading.current_thread()))
    settled(parent)
    assert threads[0] is not threads[1]
    assert parent.outbox.first() is None
    assert parent.client("f") is client
    other.client("f").send("t", "to the child")
    ear.wait(heard=1)
    client.send("t", 2)
    assert json.loads(air.heard[-1])["sender"]["instance"] == "child"
    assert json.loads(air.heard[-1])["number"] == 1
    assert ear.heard == ["to the child"]


def test_f29_a_kind_of_message_or_a_selector_of_a_later_version_is_passed_over_and_counted(air, ear, settled):
    two = air.process("two")
    two.client("f").subscribe("t", ear)
    body = json.loads(sealed(Envelope("f", "t", Sender("x"), 1, 5), air.sealer))
    for change in ({"kind": "vote"}, {"selector": {"zone": ["a"]}}, {"number": 0}, {"number": True}, {"sender": []}):
        two.receive(Message(air.sealer.seal(body | change)))
    two.receive(Message(air.sealer.seal(body | {"colour": "red"})))
    ear.wait(heard=1)
    assert two.faults == {"kind": 1, "selector": 1, "garbage": 3}
