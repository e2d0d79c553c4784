"""A file into which several processes wrote is several lanes, ordered by time; any other file is one process's own."""

from clusterlog.search.receipt import receipts
from clusterlog.search.story.journey import journey

FILE = "f" * 32


def line(number, node, second, service="shop", instance=FILE, **more):
    return {
        "@timestamp": f"2026-11-03T12:00:{second:02}.000000000Z",
        "event": {"id": f"{instance}-{number:011x}", "sequence": number, "kind": "event", "dataset": "clusterlog.app"},
        "process": {"entity_id": instance},
        "log": {"level": "info", "file": {"path": "/var/log/all.log"}},
        "service": {"name": service, "node": {"name": node}},
        "http": {"request": {"id": "R-1"}},
        "message": f"{number} of {node}",
        **more,
    }


def told(*lines, **options):
    found = journey(lines, **options)
    return [lane.node for lane in found.lanes], [entry.event.sequence for entry in found.entries], found


def test_lines_of_one_process_lie_in_the_order_of_its_file_whatever_their_times_say():
    nodes, _, found = told(line(1, "a", 5), line(2, "a", 5), line(3, "a", 4))
    assert nodes == ["a"]
    assert [entry.event.document["event"]["sequence"] for entry in found.entries] == [1, 2, 3]


def test_a_file_of_several_nodes_is_a_lane_for_each_in_the_order_of_time():
    _, _, found = told(line(1, "a", 1), line(2, "b", 4), line(3, "a", 3), line(4, "b", 2))
    assert [(lane.node, lane.service) for lane in found.lanes] == [("a", "shop"), ("b", "shop")]
    assert [entry.event.document["event"]["sequence"] for entry in found.entries] == [1, 4, 3, 2]
    assert {entry.event.sequence for entry in found.entries} == {None}


def test_two_services_of_one_node_in_one_file_are_two_lanes():
    _, _, found = told(line(1, "a", 1), line(2, "a", 2, "orders"))
    assert [(lane.node, lane.service) for lane in found.lanes] == [("a", "shop"), ("a", "orders")]


def test_records_of_an_export_are_ordered_by_time_also_where_they_are_of_one_process():
    more = {"clusterlog": {"ingest": {"format": "otlp"}}}
    _, _, found = told(line(1, "a", 9, **more), line(2, "a", 4, **more))
    assert [entry.event.document["event"]["sequence"] for entry in found.entries] == [2, 1]


def test_of_a_file_is_said_what_is_known_of_it():
    alone = journey([line(1, "a", 1), line(2, "a", 2)])
    stored = receipts(alone, [], [type("Sequences", (), {"instance": FILE, "stored": ((1, 9),)})])
    assert [(each.state, each.text) for each in stored] == [("complete", "a complete as far as ingested")]
    merged = journey([line(1, "a", 1), line(2, "b", 2)])
    assert {each.text for each in receipts(merged, [])} == {
        "a: is of a file of several processes: nothing can be proven",
        "b: is of a file of several processes: nothing can be proven",
    }


def test_an_unreadable_line_of_a_file_concerns_the_requests_around_it_alone():
    def drop(number):
        facts = {"instance": FILE, "first_seq": number, "last_seq": number, "count": 1, "reason": "not_json"}
        return line(
            number,
            "a",
            1,
            event={"id": f"{FILE}-{number:011x}", "sequence": number, "kind": "state", "action": "drop"},
            clusterlog={"state": facts},
        )

    found = journey([line(4, "a", 1), line(8, "a", 2)])
    (receipt,) = receipts(
        found, [drop(2), drop(5), drop(9)], [type("Sequences", (), {"instance": FILE, "stored": ((1, 9),)})]
    )
    assert [(loss.first_seq, loss.during) for loss in receipt.losses] == [(5, True)]
