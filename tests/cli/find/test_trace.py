"""``clusterlog trace``: what can be asked of it, and what it answers in which form."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

import pytest

ONE = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
TRACE = "7" * 32
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def failed(keep: Any, checkout: Any) -> Any:
    """The failing checkout, in the store of a home; told by processes with ids of their own."""
    return keep(*checkout().documents)


def state(instance: str, action: str, sequence: int, **facts: Any) -> dict[str, Any]:
    """A state event that a shipper tells of a process."""
    return {
        "@timestamp": "2026-11-03T12:00:05.000000000Z",
        "event": {
            "id": f"{'9' * 32}-{sequence:011x}",
            "kind": "state",
            "action": action,
            "dataset": "clusterlog.state",
            "sequence": sequence,
        },
        "process": {"entity_id": "9" * 32},
        "service": {"name": "ship", "node": {"name": "shop-1"}},
        "clusterlog": {"state": {"instance": instance, **facts}},
        "log": {"level": "warning" if action == "drop" else "info"},
        "message": action,
    }


def ended(checkout_documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What says of each process that it ended in good order, all of it told."""
    last: dict[str, int] = {}
    for each in checkout_documents:
        last[each["process"]["entity_id"]] = each["event"]["sequence"]
    return [
        state(instance, "close", number, last_seq=sequence)
        for number, (instance, sequence) in enumerate(last.items(), 1)
    ]


@pytest.mark.parametrize(
    "given",
    [
        ONE,
        f"  {ONE} ",
        "0193f0c2-a1b2-7c3d-8e4f-5a6b7c8d9e0f",
        ONE[:8],
        f"{ONE[:10]}..",
        f"..{ONE[-8:]}",
        TRACE,
        TRACE[:6],
        PARENT,
        f"traceparent: {PARENT}",
        f"X-Request-ID: {ONE}",
        json.dumps({"http": {"request": {"id": ONE}}, "message": "a line of the spool"}),
        f'172.17.0.1 - "POST /checkout" 502 {ONE}',
        f"{1:032x}-{1:011x}",
    ],
)
def test_a_request_is_found_by_whatever_was_pasted(run, failed, given):
    result = (
        run("trace", "--json", "--", given, "--home", failed)
        if given.startswith("-")
        else run("trace", given, "--json")
    )
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["request"]["id"] == ONE


def test_a_beginning_that_several_ids_have_offers_those_with_time_status_and_route(run, keep, checkout, story):
    other = type(story)(ONE[:-4] + "ffff")
    other.processes = [None] * 5
    other.process("shop-1").access(9, 5, "GET /cart", 200, span="s9")
    keep(*checkout().documents, *other.documents)
    result = run("trace", ONE[:12])
    assert (result.code, result.out) == (1, "")
    _, first, second, last = result.err.removesuffix("\n").split("\n")
    assert last == f"clusterlog: 2 requests fit {ONE[:12]}: give the whole id of one, or more of it"
    told = sorted((first, second), key=lambda line: ONE in line)
    assert all(word in told[0] for word in ("2026-11-03T12:00:00.004", other.id, "GET /cart", "200 ok"))
    assert all(word in told[1] for word in ("2026-11-03T12:00:00.000", ONE, "POST /checkout", "502 FAILED"))
    assert json.loads(run("trace", other.id, "--json").out)["request"]["route"] == "/cart"


def test_very_many_that_fit_are_not_all_offered(run, keep, story):
    documents = []
    for number in range(30):
        other = type(story)(f"batch-{number:02}")
        other.processes = [None] * number
        other.process("shop-1").access(9, 5, "GET /", 200, span="s9")
        documents += other.documents
    keep(*documents)
    result = run("trace", "batch-")
    assert len(result.err.splitlines()) == 12
    assert result.err.endswith(
        "clusterlog: more than 10 requests fit batch-: give the whole id of one, or more of it\n"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("c3" + "0" * 14, "is a span's id, and no request's; its request: clusterlog trace " + ONE),
        ("e51c77aae51c77aa", "is an exception's fingerprint, and no request's; its request: clusterlog trace " + ONE),
        (f"{3:032x}", "is a process's id, and no request's; the last request it told of: clusterlog trace " + ONE),
        ("ab" * 32, "is the hash of a user: clusterlog search 'user.hash: " + "ab" * 32 + "' --group request"),
    ],
)
def test_an_id_of_something_else_is_named_and_leads_to_its_request(run, keep, checkout, given, told):
    documents = checkout().documents
    documents[3]["span"]["id"] = "c3" + "0" * 14
    documents[4].setdefault("clusterlog", {})["error"] = {"fingerprint": "e51c77aae51c77aa"}
    documents[4]["user"] = {"hash": "ab" * 32}
    keep(*documents)
    result = run("trace", given)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"clusterlog: {given} {told}\n"


def test_an_event_of_no_request_is_named_as_that(run, keep, checkout):
    (document, *_) = checkout().documents
    del document["http"]
    keep(document)
    result = run("trace", document["event"]["id"])
    assert (result.code, result.err) == (1, f"clusterlog: event {document['event']['id']} belongs to no request\n")


@pytest.mark.parametrize("given", ["https://shop.example/x", "level: error", "a" * 80, "ü", '{"message": 1}'])
def test_what_cannot_be_an_id_is_a_usage_error_in_one_line(run, failed, given):
    result = run("trace", given)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("clusterlog: ")


def test_a_foreign_id_that_could_be_none_of_ours_is_found_as_it_is(run, keep, story):
    story.id = "batch 7/äöü@x"
    story.process("shop-1").log(1, "begin")
    keep(*story.documents)
    assert json.loads(run("trace", story.id, "--json").out)["request"]["id"] == story.id


def test_two_requests_with_one_id_are_shown_together_and_it_is_said_how_to_see_one(run, keep, story):
    shop = story.process("shop-1")
    shop.log(1, "first", span="s1")
    shop.access(5, 5, "GET /a", 200, span="s1")
    shop.log(1001, "second", span="s2")
    shop.access(1005, 5, "POST /b", 500, span="s2")
    keep(*story.documents)
    both = run("trace", ONE, "--format", "human")
    assert "first" in both.out
    assert "second" in both.out
    accesses = [f"{1:032x}-{number:011x}" for number in (2, 4)]
    assert both.err == (
        f"2 requests carry this id, shown together; one alone: clusterlog trace {accesses[0]}, "
        f"clusterlog trace {accesses[1]}\n"
    )
    for access, shown, hidden in zip(accesses, ("first", "second"), ("second", "first"), strict=True):
        alone = run("trace", access)
        assert alone.err == ""
        assert shown in alone.out
        assert hidden not in alone.out


def test_two_requests_with_one_id_and_a_trace_each_are_told_apart_by_their_traces(run, keep, story):
    shop = story.process("shop-1")
    for number in (1, 2):
        shop.access(number * 1000, 5, "GET /a", 200, span=f"s{number}", trace={"id": str(number) * 32})
    keep(*story.documents)
    result = run("trace", ONE)
    assert f"clusterlog trace {'1' * 32}, clusterlog trace {'2' * 32}" in result.err
    assert json.loads(run("trace", "2" * 32, "--json").out)["request"]["events"] == 1


@pytest.mark.parametrize("level", ["error", "ERROR", "Error"])
def test_events_below_a_level_are_hidden_and_counted(run, failed, level):
    result = run("trace", ONE, "--level", level)
    assert "checkout begins" not in result.out
    assert "charge failed" in result.out
    assert result.lines[-1] == "3 events are hidden: below ERROR"


def test_nodes_add_up(run, failed):
    result = run("trace", ONE, "--node", "shop-1", "--node", "orders-2")
    assert {line.split()[3] for line in result.lines if line.startswith("=")} == {"shop-1", "orders-2"}
    assert result.lines[-1] == "4 events are hidden: of other nodes"


def test_a_node_the_request_was_not_on_is_answered_with_those_it_was_on(run, failed):
    result = run("trace", ONE, "--node", "shop-9")
    assert (result.code, result.out) == (2, "")
    assert result.err == "clusterlog: the request was not on shop-9; it was on shop-1, orders-2, payments-1\n"


def test_times_are_corrected_unless_they_are_wanted_as_recorded(run, keep, checkout):
    keep(*checkout(skews=(0, 0, 3800)).documents)
    corrected, raw = (run("trace", ONE, "--format", "human", *more).out for more in ((), ("--raw-times",)))
    assert "(measured); corrected" in corrected
    assert "+5.221" not in corrected
    assert "+5.221" in raw
    assert "shown as recorded" in raw


def test_a_tree_is_drawn_for_people_and_for_pipes(run, failed):
    for form in ("human", "plain"):
        assert "└ → POST http://orders:8002/orders 502" in run("trace", ONE, "--tree", "--format", form).out


def neighbours(checkout: Any, story: Any) -> list[dict[str, Any]]:
    """The checkout, and between its events such of another request in the same process of shop."""
    told, other = checkout(), type(story)("another-request")
    beside = other.process("shop-1", host="host-of-shop-1")
    for number, document in enumerate(each for each in told.documents if each["process"]["entity_id"] == f"{1:032x}"):
        sequence = 10 * (number + 1)
        document["event"] |= {"sequence": sequence, "id": f"{1:032x}-{sequence:011x}"}
    for sequence in (*range(5, 10), *range(11, 20), 31, 32, 33):
        beside.sequence = sequence - 1
        beside.log(sequence / 10, f"other {sequence}")
    return [*told.documents, *other.documents]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(1, [9, 11, 19, 31]), (2, [8, 9, 11, 12, 18, 19, 31, 32]), (100, [*range(5, 10), *range(11, 20), 31, 32, 33])],
)
def test_the_context_is_what_the_same_processes_told_directly_before_and_after(
    run, keep, checkout, story, count, shown
):
    keep(*neighbours(checkout, story))
    lines = [line for line in run("trace", ONE, "--context", str(count)).lines if line.startswith(".")]
    assert sorted(int(line.split()[-1]) for line in lines) == shown


def test_the_context_is_drawn_dim(run, keep, checkout, story):
    keep(*neighbours(checkout, story))
    result = run("trace", ONE, "--context", "1", "--format", "human", "--color", "always")
    line = next(line for line in result.lines if "other 9" in line)
    assert line.endswith("other 9\x1b[0m")
    assert line.count("\x1b[2m") >= 2
    assert not [line for line in run("trace", ONE).lines if "other" in line]


def test_a_tree_has_no_context(run, failed):
    result = run("trace", ONE, "--tree", "--context", "3")
    assert result.code == 2
    assert "--context" in result.err


def dropped() -> dict[str, Any]:
    """What says that two events of shop were never stored."""
    return state(f"{1:032x}", "drop", 99, first_seq=2, last_seq=3, reason="disk_full")


def without_gap(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, numbered from 1 on."""
    for number, document in enumerate(documents, 1):
        document["event"] |= {"sequence": number, "id": f"{1:032x}-{number:011x}"}
    return documents


@pytest.mark.parametrize(
    ("documents", "code", "said"),
    [
        (lambda told, more: [*told, *ended(told)], 10, "failed"),
        (lambda told, more: [more[0], *ended(more[:1])], 5, "incomplete"),
        (lambda told, more: more, 5, "incomplete"),
        (lambda told, more: [*without_gap(more), *ended(without_gap(more))], 0, "healthy"),
        (lambda told, more: [*more, *ended(more), dropped()], 5, "incomplete"),
        (lambda told, more: [*told, dropped()], 10, "failed"),
    ],
    ids=["failed", "still running", "numbers that nothing explains", "healthy", "a loss", "failed and a loss"],
)  # fmt: skip
def test_a_check_says_by_its_exit_code_how_the_request_is(run, keep, checkout, story, documents, code, said):
    shop = story.process("shop-1")
    shop.log(1, "begin", span="s1")
    shop.sequence = 3
    shop.access(5, 5, "GET /a", 200, span="s1")
    keep(*documents(checkout().documents, story.documents))
    result = run("trace", ONE, "--check")
    assert result.code == code
    assert result.lines[0].startswith(f"Request {ONE}")
    assert "begin" not in result.out
    told = run("trace", ONE, "--check", "--json")
    assert told.code == code
    assert json.loads(told.out)["schema"] == "clusterlog.check/1"
    assert json.loads(told.out)["state"] == said


def test_a_loss_is_told_drawn_and_in_the_document(run, keep, checkout):
    told = checkout().documents
    for document in told:
        if document["process"]["entity_id"] == f"{2:032x}" and document["event"]["sequence"] > 1:
            document["event"]["sequence"] += 2
            document["event"]["id"] = f"{2:032x}-{document['event']['sequence']:011x}"
    keep(*told, state(f"{2:032x}", "drop", 99, first_seq=2, last_seq=3, reason="disk_full"))
    shown = run("trace", ONE, "--format", "human")
    assert "data   ! orders-2: 2 events dropped at source (disk full, numbers 2-3)" in shown.out
    assert "! 2 events dropped at source (disk full, numbers 2-3) here" in shown.out
    document = json.loads(run("trace", ONE, "--json").out)
    losses = [each["losses"] for each in document["receipts"]]
    assert [len(each) for each in losses] == [0, 1, 0]
    assert losses[1][0] | {"first_seq": 2, "last_seq": 3, "count": 2, "reason": "disk_full"} == losses[1][0]
    assert any("2 events dropped" in each["text"] for each in document["verdict"])


def test_one_document_a_line_holds_the_events_in_causal_order_as_they_are_stored(run, failed, checkout):
    lines = [json.loads(line) for line in run("trace", ONE, "--ndjson").lines]
    assert lines == json.loads(run("trace", ONE, "--json").out)["events"]
    assert lines == checkout().documents


def test_markdown_is_for_issues(run, failed):
    result = run("trace", ONE, "--format", "md")
    assert result.lines[0] == "### `POST /checkout` → 502, FAILED in 1.84 s"
    assert "```text" in result.lines


def test_a_pipe_gets_no_colour_no_lanes_and_nothing_cut(run, failed, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    plain = run("trace", ONE).out
    assert "\x1b" not in plain
    assert "├" not in plain
    assert "…" not in plain
    assert "\x1b" in run("trace", ONE, "--format", "human").out


def test_a_width_asks_for_the_picture(run, failed):
    assert max(map(len, run("trace", ONE, "--width", "100").lines)) <= 100
    assert "├" in run("trace", ONE, "--width", "100").out
    assert "├" not in run("trace", ONE, "--width", "100", "--format", "plain").out


@pytest.mark.parametrize("form", ["human", "plain", "json", "ndjson", "md"])
def test_no_form_needs_rich(run, failed, monkeypatch, form):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert run("trace", ONE, "--format", form).code == 0


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_picture_is_as_wide_as_the_terminal(on_pty, failed, width):
    terminal = on_pty("trace", ONE, "--home", failed, "--no-pager", columns=width, lines=60)
    assert terminal.ended() == 0
    written = terminal.raw.decode()
    lines = re.sub(r"\x1b\[[\d;]*m", "", written).replace("\r\n", "\n").splitlines()
    assert lines[0].startswith(f"Request {ONE}")
    assert max(map(len, lines)) in range(width - 12, width + 1)
    assert ("├" in written) is (width >= 80)


def test_a_terminal_gets_colours_that_mean_levels_ids_and_lanes(on_pty, failed):
    terminal = on_pty("trace", ONE, "--home", failed, "--no-pager", columns=120, lines=60)
    assert terminal.ended() == 0
    found = {}
    for y, line in enumerate(terminal.shown):
        for word in (ONE, "FAILED", "charge failed", "no events on any node", "├──▶●"):
            if word in line and word not in found:
                cell = terminal.screen.buffer[y][line.index(word)]
                found[word] = (cell.fg, cell.bold)
    assert found[ONE] == ("cyan", False)
    assert found["FAILED"] == ("red", False)
    assert found["charge failed"] == ("red", True)
    assert found["no events on any node"] == ("default", False)
    assert found["├──▶●"] == ("blue", False)


@pytest.mark.parametrize(
    ("options", "environ", "coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_a_terminal_gets_colours_unless_somebody_wants_none(on_pty, failed, options, environ, coloured):
    terminal = on_pty("trace", ONE, "--home", failed, "--no-pager", *options, **environ)
    assert terminal.ended() == 0
    assert (b"\x1b[" in terminal.raw) is coloured


@pytest.mark.parametrize(
    ("environ", "options", "ascii_only"),
    [
        ({}, (), False),
        ({"LC_ALL": "C"}, (), True),
        ({"PYTHONIOENCODING": "latin-1"}, (), True),
        ({}, ("--ascii",), True),
    ],
)
def test_where_the_locale_is_not_utf_8_the_picture_is_ascii(on_pty, failed, environ, options, ascii_only):
    terminal = on_pty("trace", ONE, "--home", failed, "--no-pager", *options, columns=120, **environ)
    assert terminal.ended() == 0
    assert any("+-->*" in line for line in terminal.shown) is ascii_only
    assert terminal.raw.isascii() is ascii_only


def test_a_picture_in_a_pipe_is_closed_silently(process, failed):
    begun = process("trace", ONE, "--home", failed, "--format", "human")
    begun.stdout.close()
    assert begun.wait(30) in (0, 141)
    assert begun.stderr.read() == b""


def test_rich_is_loaded_by_no_form_of_the_answer(process, failed):
    for form in ("human", "plain", "json"):
        begun = process(
            *("trace", ONE, "--home", failed, "--format", form), env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
        )
        _, err = begun.communicate()
        assert b"clusterlog.cli.find.request" in err
        assert b"rich" not in err
