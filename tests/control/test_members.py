"""Who is in the cluster: CP-08, CP-16, CP-22 and the failures F14, F29, F30."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.bus.base import Lease
from clusterlog.control.members import (
    SCHEMA,
    Change,
    Report,
    RuleReport,
    Seen,
    Status,
    changes,
    fields_of,
    near,
    opened,
    report_of,
    roster,
    state_after,
)
from clusterlog.control.rules.rule import Member
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

SEALER = Sealer((Key(b"k" * 32),), "c")
TEXT = st.text(max_size=5)
STATUSES = st.builds(
    Status,
    pid=st.integers(1, 99),
    instance=TEXT,
    number=st.integers(0, 9),
    started_ns=st.integers(0, 99),
    applied=TEXT,
    level=TEXT,
    loggers=st.dictionaries(TEXT, TEXT, max_size=2),
    rules=st.dictionaries(TEXT, st.builds(RuleReport, st.sampled_from(["applied", "tripped"]), TEXT), max_size=2),
    dropped=st.integers(0, 9),
)
REPORTS = st.builds(
    Report,
    node=TEXT,
    service=TEXT,
    host=TEXT,
    role=TEXT,
    tags=st.lists(TEXT, max_size=2).map(tuple),
    version=TEXT,
    boot=TEXT,
    lag_s=st.none() | st.floats(0, 99),
    workers=st.lists(STATUSES, max_size=3).map(tuple),
)


def seen(node: str = "n-1", age_s: float = 0, *pids: int, host: str = "h", boot: str = "b", **more: object) -> Seen:
    workers = tuple(Status(pid, f"{host}-{pid}", number=pid) for pid in pids or (1,))
    return Seen(Report(node, "orders", host, boot=boot, workers=workers, **more), age_s)


@given(REPORTS)
@settings(max_examples=40)
def test_a_report_is_read_as_it_was_written(report):
    assert report_of(json.loads(json.dumps(fields_of(report)))) == report


def test_cp08_a_lease_has_the_form_that_was_agreed_upon():
    worker = Status(7, "i-7", 1, 5, "e/3", "INFO", {"orders": "DEBUG"}, {"r1": RuleReport("no-effect", "why")}, 2)
    assert fields_of(Report("n", "s", "h", "send", ("eu",), "1.0", "b", 0.5, (worker,))) == {
        "schema": "clusterlog.member/1",
        "node": "n",
        "service": "s",
        "host": "h",
        "role": "send",
        "tags": ["eu"],
        "version": "1.0",
        "boot": "b",
        "lag_s": 0.5,
        "workers": [
            {
                "pid": 7,
                "instance": "i-7",
                "number": 1,
                "started_ns": 5,
                "applied": "e/3",
                "level": "INFO",
                "loggers": {"orders": "DEBUG"},
                "rules": {"r1": {"state": "no-effect", "reason": "why"}},
                "dropped": 2,
            }
        ],
    }


def test_f29_what_another_version_says_of_itself_is_passed_over_and_what_it_leaves_out_is_unknown():
    raw = {"node": "n", "service": "s", "host": "h", "mood": "good", "workers": [{"pid": 1, "instance": "i", "x": 1}]}
    assert report_of(raw) == Report("n", "s", "h", workers=(Status(1, "i"),))


@pytest.mark.parametrize(
    "change",
    [
        {"node": 7},
        {"tags": 7},
        {"lag_s": "long"},
        {"workers": 1},
        {"workers": [1]},
        {"workers": [{"pid": "1", "instance": "i"}]},
        {"workers": [{"pid": 1}]},
        {"workers": [{"pid": 1, "instance": "i", "loggers": []}]},
        {"workers": [{"pid": 1, "instance": "i", "rules": {"r": "applied"}}]},
        {"workers": [{"pid": 1, "instance": "i", "rules": {"r": {}}}]},
        {"workers": [{"pid": True, "instance": "i"}]},
    ],
)
def test_f14_what_is_no_report_is_refused(change):
    with pytest.raises(Rejected) as caught:
        report_of({"node": "n", "service": "s", "host": "h"} | change)
    assert caught.value.reason == "garbage"


def test_f15_leases_that_nobody_can_believe_are_counted_by_reason_and_left_out():
    good = SEALER.seal(fields_of(Report("n", "s", "h")))
    forged = Sealer((Key(b"x" * 32),), "c").seal(fields_of(Report("evil", "s", "h")))
    bad = SEALER.seal({"schema": SCHEMA, "node": 1})
    leases = [Lease("k", body, 3.0, 30.0) for body in (good, forged, b"{", bad)]
    assert opened(leases, SEALER) == ((Seen(Report("n", "s", "h"), 3.0),), {"signature": 1, "garbage": 2})


@pytest.mark.parametrize(
    ("age_s", "state"), [(0, "up"), (15, "up"), (15.1, "late"), (30, "late"), (30.1, "silent"), (86400, "silent")]
)
def test_cp16_a_node_is_late_after_one_and_a_half_heartbeats_and_silent_after_three(age_s, state):
    assert state_after(age_s) == state
    assert state_after(age_s / 100, heartbeat_s=0.1) == state


def test_cp22_the_leases_of_a_nodes_workers_are_one_node_with_all_its_workers_in_order():
    (node,) = roster([seen("n-1", 4, 3), seen("n-1", 20, 2), seen("n-1", 1, 1)])
    assert [worker.status.pid for worker in node.workers] == [1, 2, 3]
    assert [worker.state for worker in node.workers] == ["up", "late", "up"]
    assert (node.state, node.seen_s, node.conflict) == ("up", 1, False)


def test_cp16_a_worker_whose_process_is_dead_is_silent_at_once_and_the_node_with_its_last_one():
    both = [seen("n-1", 0, 1), seen("n-1", 0, 2)]
    (node,) = roster(both, lives=lambda _report, worker: worker.pid == 2)
    assert [worker.state for worker in node.workers] == ["silent", "up"]
    assert node.state == "up"
    (node,) = roster(both, lives=lambda _report, _worker: False)
    assert node.state == "silent"


def test_the_youngest_word_of_a_worker_counts():
    old, new = Status(1, "i", applied="e/1", dropped=1), Status(1, "i", applied="e/2", dropped=5)
    reports = [Seen(Report("n", "s", "h", workers=(status,)), age) for age, status in ((9, old), (2, new))]
    (node,) = roster(reports)
    assert [worker.status.applied for worker in node.workers] == ["e/2"]
    assert node.dropped == 5


def test_f30_two_nodes_of_one_name_on_two_hosts_are_both_shown_and_said_to_be_two():
    found = roster([seen("n-1", 0, host="a"), seen("n-1", 0, host="b"), seen("n-2", 0, host="a")])
    assert [(node.node, node.host, node.conflict) for node in found] == [
        ("n-1", "a", True),
        ("n-1", "b", True),
        ("n-2", "a", False),
    ]


def test_f30_a_cloned_machine_that_kept_even_its_host_name_is_found_by_its_boot():
    assert [node.conflict for node in roster([seen(boot="x"), seen(boot="y")])] == [True, True]


def test_a_machine_that_was_started_anew_is_no_second_node_when_its_former_boot_has_gone_silent():
    (node,) = roster([seen("n-1", 100, boot="old"), seen("n-1", 1, boot="new")])
    assert (node.boot, node.conflict) == ("new", False)
    (node,) = roster([seen("n-1", 100, boot="old")])
    assert node.state == "silent"


def test_a_node_that_moved_to_another_host_conflicts_with_nobody_and_what_it_left_is_shown_as_silent():
    found = roster([seen("n-1", 100, host="a"), seen("n-1", 1, host="b")])
    assert [(node.host, node.state, node.conflict) for node in found] == [("a", "silent", False), ("b", "up", False)]


def test_one_name_in_two_services_is_no_conflict_as_a_host_may_run_both():
    other = Seen(Report("n-1", "shop", "h", workers=(Status(9, "s-9"),)), 0)
    assert [node.conflict for node in roster([seen("n-1"), other])] == [False, False]


def test_a_node_that_was_there_before_and_took_its_lease_back_has_left():
    before = roster([seen("n-1"), seen("n-2")])
    after = roster([seen("n-2")], before=before)
    assert [(node.node, node.state) for node in after] == [("n-1", "left"), ("n-2", "up")]


def test_cp16_joining_leaving_falling_silent_and_speaking_again_are_told_once_each():
    def told(before, after):
        return [(change.what, change.node.node) for change in changes(before, after)]

    none, up, silent = (), roster([seen("n-1")]), roster([seen("n-1", 100)])
    assert told(none, up) == [("join", "n-1")]
    assert told(up, up) == []
    assert told(up, roster([seen("n-1", 20)])) == []
    assert told(up, silent) == [("silence", "n-1")]
    assert told(silent, silent) == told(none, silent) == []
    assert told(silent, up) == [("join", "n-1")]
    assert told(up, none) == told(up, roster([], before=up)) == [("leave", "n-1")]
    assert told(silent, none) == []
    assert changes(up, none)[0] == Change("leave", roster([], before=up)[0])


def test_a_machine_that_was_started_anew_neither_left_nor_joined():
    old, new = seen("n-1", 0, boot="old"), seen("n-1", 0, boot="new")
    aged = seen("n-1", 100, boot="old")
    assert changes(roster([old]), roster([aged, new])) == changes(roster([old, new]), roster([aged, new])) == ()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from([0, 20, 100])), max_size=6))
@settings(max_examples=50)
def test_what_is_told_from_one_roster_to_the_next_adds_up_to_who_is_there(steps):
    there: set[tuple[str, str]] = set()
    before = ()
    now: dict[tuple[str, str], Seen] = {}
    for name, host, age in steps:
        now[name, host] = seen(name, age, host=host)
        after = roster(now.values())
        for change in changes(before, after):
            key = (change.node.node, change.node.host)
            (there.add if change.what == "join" else there.remove)(key)
        assert there == {(node.node, node.host) for node in after if node.state in ("up", "late")}
        before = after


def test_a_selector_asks_of_a_worker_what_its_node_and_it_have_said():
    node = roster([Seen(Report("n", "s", "h", "send", ("eu",), "1.0", workers=(Status(1, "i", 3),)), 0)])[0]
    assert node.member(node.workers[0]) == Member("s", "n", "h", "send", ("eu",), "1.0", 3)


def test_near_names_are_those_somebody_may_have_meant():
    known = ["orders-1", "orders-2", "shop-1", "localhost"]
    assert near("order-1", known)[0] == "orders-1"
    assert near("ORDERS-2", known)[0] == "orders-2"
    assert near("shop", known) == ["shop-1"]
    assert near("zzz", known) == []
