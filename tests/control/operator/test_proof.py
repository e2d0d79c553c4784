"""Whose word counts as proof, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterlog.control.bus.memory import MemoryBus
from clusterlog.control.members import Node, Report, RuleReport, Status, Worker, fields_of
from clusterlog.control.operator.present import acknowledged, present
from clusterlog.control.operator.proof import Meant, Minimum, level_of, proof
from clusterlog.control.operator.waiting import awaited
from clusterlog.control.rules.document import Version
from clusterlog.control.rules.rule import Rule, Selector
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer

OLD, NEW = "e/6", Version("e", 7)
RULE = Rule("k7d3q", "orders", 10)
SEALER = Sealer((Key(b"k" * 32),), "test")
APPLIED = {"k7d3q": RuleReport("applied")}


def worker(number=1, applied=OLD, state="up", rules=None, **more):
    status = Status(100 + number, f"i{number}", number, applied=applied, level="INFO", rules=rules or {}, **more)
    return Worker(status, state, 1.0 if state != "silent" else 90.0)


def node(*workers, name="orders-1", state="up", **more):
    return Node(name, "orders", "h", state, 1.0, tuple(workers), **more)


def meant(*nodes, rules=(RULE,), put=True):
    return Meant(NEW, rules, put, "orders", tuple(nodes))


def only(found):
    (one,) = found.nodes
    return one


def test_a_worker_counts_once_it_has_the_version_and_says_that_the_rule_is_applied():
    then = node(worker())
    done = node(worker(applied="e/7", rules=APPLIED, loggers={"orders": "DEBUG"}))
    found = proof(meant(then), (done,))
    assert (found.applied, found.expected) == (1, 1)
    assert only(found).state == "applied" and only(found).workers[0].effective == "DEBUG"


def test_a_later_version_counts_as_well_and_that_of_another_epoch_does_not():
    then = node(worker())
    assert proof(meant(then), (node(worker(applied="e/9", rules=APPLIED)),)).applied == 1
    assert proof(meant(then), (node(worker(applied="f/9", rules=APPLIED)),)).applied == 0
    assert proof(meant(then), (node(worker(applied="nonsense", rules=APPLIED)),)).applied == 0


@pytest.mark.parametrize("state", ["no-effect", "rejected", "tripped", "expired"])
def test_a_worker_that_says_anything_but_applied_does_not_count(state):
    found = proof(meant(node(worker())), (node(worker(applied="e/7", rules={"k7d3q": RuleReport(state, "why")})),))
    assert (found.applied, found.expected) == (0, 1)
    assert (only(found).state, only(found).reason) == (state, "why")
    assert found.settled


def test_a_worker_that_has_said_nothing_yet_is_pending_and_nothing_is_settled():
    found = proof(meant(node(worker())), (node(worker()),))
    assert only(found).state == "pending" and not found.settled


def test_a_node_of_which_some_workers_have_applied_it_is_partial():
    then = node(worker(1), worker(2))
    now = node(worker(1, "e/7", rules=APPLIED), worker(2))
    assert only(proof(meant(then), (now,))).state == "partial"


def test_silence_is_never_success_a_worker_that_falls_silent_is_lost():
    then = node(worker())
    found = proof(meant(then), (node(worker(state="silent"), state="silent"),))
    assert (found.applied, found.expected) == (0, 1)
    assert only(found).state == "lost" and found.settled


def test_a_worker_that_confirmed_and_fell_silent_after_that_has_confirmed():
    now = node(worker(applied="e/7", rules=APPLIED, state="silent"), state="silent")
    assert proof(meant(node(worker())), (now,)).applied == 1


def test_a_worker_that_was_silent_before_is_named_and_not_expected():
    then = node(worker(state="silent"), state="silent")
    found = proof(meant(then), (then,))
    assert (found.applied, found.expected) == (0, 0)
    assert only(found).state == "silent" and "90 s" in only(found).reason
    assert only(found).workers[0].effective == ""


def test_a_worker_that_left_in_good_order_is_not_expected_any_more():
    found = proof(meant(node(worker(1), worker(2))), (node(worker(1, "e/7", rules=APPLIED)),))
    assert (found.applied, found.expected) == (1, 1)
    assert [each.state for each in only(found).workers] == ["applied", "left"]


def test_who_comes_later_is_listed_and_not_counted():
    fresh = node(worker(5, "e/7", rules=APPLIED), name="orders-9")
    found = proof(meant(node(worker())), (node(worker(applied="e/7", rules=APPLIED)), fresh))
    assert (found.applied, found.expected) == (1, 1)
    assert [(each.node, each.workers[0].counted) for each in found.nodes] == [("orders-1", True), ("orders-9", False)]


def test_a_node_that_only_receives_is_expected_to_follow_only_where_it_was_chosen():
    says = {"k7d3q": RuleReport("rejected", "this node takes no levels from others")}
    then, now = node(worker(), role="receive"), node(worker(applied="e/7", rules=says), role="receive")
    found = proof(meant(then), (now,))
    assert (found.applied, found.expected) == (0, 0) and only(found).state == "rejected"
    chosen = replace(RULE, selector=Selector(node=("orders-1",)))
    assert proof(meant(then, rules=(chosen,)), (now,)).expected == 1


def test_only_those_are_listed_whom_the_rule_means():
    rule = replace(RULE, selector=Selector(worker=(2,)))
    there = node(worker(1), worker(2))
    found = proof(meant(there, node(worker(1), name="orders-2"), rules=(rule,)), (there,))
    assert found.expected == 1 and [each.number for each in only(found).workers] == [2]


def test_a_rule_that_was_taken_back_by_somebody_else_meanwhile_is_not_confirmed():
    found = proof(meant(node(worker())), (node(worker(applied="e/8")),))
    assert found.applied == 0 and only(found).state == "expired"


def test_a_reset_counts_by_the_version_alone():
    found = proof(meant(node(worker()), put=False), (node(worker(applied="e/7")),))
    assert found.applied == 1 and only(found).workers[0].effective == "INFO"


def test_a_logger_that_nobody_has_is_noticed_only_where_all_say_so():
    said = {"k7d3q": RuleReport("applied", "no logger orders here yet")}
    then = node(worker(1), worker(2))
    nobody = node(worker(1, "e/7", rules=said), worker(2, "e/7", rules=said))
    one = node(worker(1, "e/7", rules=said), worker(2, "e/7", rules=APPLIED))
    assert proof(meant(then), (nobody,)).unknown_logger
    assert not proof(meant(then), (one,)).unknown_logger
    assert not proof(meant(then), (then,)).unknown_logger


def test_the_level_of_a_logger_is_that_of_the_nearest_one_told_of_on_dots():
    told = {"orders": "DEBUG", "orders.stock": "ERROR"}
    assert level_of("orders.stock.near", "INFO", told) == "ERROR"
    assert level_of("orders.cart", "INFO", told) == "DEBUG"
    assert level_of("orders2", "INFO", told) == "INFO"


@pytest.mark.parametrize(
    ("text", "of_ten"), [("all", 10), ("95%", 10), ("90%", 9), ("0%", 0), ("33.3%", 4), ("3", 3), ("ALL", 10)]
)
def test_how_many_are_enough_is_all_a_number_or_a_share(text, of_ten):
    assert Minimum.read(text).of(10) == of_ten


@pytest.mark.parametrize("text", ["", "most", "-1", "101%", "%", "3 %%", "1.5", "nan%"])
def test_what_is_no_number_of_workers_is_refused(text):
    with pytest.raises(ValueError, match="such as"):
        Minimum.read(text)


STATES = some.sampled_from(["up", "late", "silent"])
APPLIES = some.sampled_from([OLD, "e/7", "e/8", "f/9", ""])
SAYS = some.sampled_from([None, "applied", "no-effect", "rejected", "tripped", "expired", "pending"])


@given(some.lists(some.tuples(STATES, STATES | some.none(), APPLIES, SAYS), max_size=6))
def test_i4_no_proof_claims_more_than_workers_have_said_themselves(told):
    then, now = [], []
    for number, (before, after, applied, says) in enumerate(told):
        then.append(worker(number, state=before))
        if after is not None:
            rules = {"k7d3q": RuleReport(says)} if says else {}
            now.append(worker(number, applied, after, rules))
    found = proof(meant(node(*then)), (node(*now),) if now else ())
    really = sum(
        before != "silent" and after is not None and applied in ("e/7", "e/8") and says == "applied"
        for before, after, applied, says in told
    )
    assert found.applied == really
    assert found.applied <= found.expected <= sum(before != "silent" for before, *_ in told)


@pytest.fixture
def bus(request):
    """Opens links to a bus of the test's own, which are closed at its end."""
    links = []

    def opened():
        links.append(MemoryBus(request.node.name, "test").open())
        return links[-1]

    yield opened
    for each in links:
        each.close()


def lease(link, status, name="orders-1", key=None):
    report = Report(name, "orders", "h", workers=(status,))
    link.lease(key or f"orders/{name}/{status.instance}", SEALER.seal(fields_of(report)), 30.0, status.applied)


def nodes(leases):
    return present(leases, SEALER)


def test_proof_is_waited_for_no_longer_than_until_it_is_there(bus):
    link, other = bus(), bus()
    lease(other, worker().status)
    about = meant(*nodes(link.leases()))
    seen = []

    def tell(found):
        seen.append((found.applied, found.expected))
        if len(seen) == 1:
            lease(other, worker(applied="e/7", rules=APPLIED).status)

    found = awaited(link, about, nodes, 60.0, tell=tell)
    assert seen == [(0, 1), (1, 1)] and found.enough(Minimum())


def test_waiting_ends_with_what_there_is_when_the_time_has_run_out(bus):
    link = bus()
    lease(link, worker().status)
    found = awaited(link, meant(*nodes(link.leases())), nodes, 0.02)
    assert only(found).state == "pending"


def test_a_process_that_is_known_to_be_dead_is_left_out_where_its_node_goes_on_and_else_kept(bus):
    link = bus()
    for number in (1, 2):
        lease(link, worker(number).status)
    lease(link, worker(3).status, "orders-2")
    found = present(link.leases(), SEALER, lambda _, status: status.instance == "i1")
    assert [[each.status.instance for each in node.workers] for node in found] == [["i1"], ["i3"]]
    assert [node.state for node in found] == ["up", "silent"]


def test_versions_are_read_from_leases_that_can_be_believed_alone(bus):
    link = bus()
    lease(link, worker(1, "e/41").status)
    lease(link, worker(2, "").status)
    link.lease("forged", b'{"schema":"clusterlog.member/1","workers":[]}', 30.0, "e/99")
    assert acknowledged(link.leases(), SEALER) == (Version("e", 41),)
