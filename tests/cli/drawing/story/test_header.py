"""What is said of a request before its events."""

from __future__ import annotations

from typing import Any

from clusterlog.cli.drawing.story import rows, summary
from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.journey import journey


def said(drawn: Any, found: Any, label: str, **options: Any) -> list[str]:
    lines: list[str] = drawn(rows(found, width=200, **options))
    return [line[7:] for line in lines[: lines.index("")] if line[:7].strip() == label]


def test_clocks_that_were_corrected_are_told_with_their_error_and_how_to_see_them_uncorrected(checkout, drawn):
    found = journey(checkout(skews=(0, 0, 3800)).documents)
    (clock,) = said(drawn, found, "clock")
    assert clock.startswith("payments-1 +3.80 s ±")
    assert clock.endswith("(measured); corrected  --raw-times shows them as recorded")


def test_clocks_shown_as_recorded_are_the_verdict_s_to_tell(checkout, drawn):
    found = journey(checkout(skews=(0, -500, 3800)).documents, raw_times=True)
    assert said(drawn, found, "clock") == []
    assert sum("clock of " in line for line in said(drawn, found, "data")) == 2


def test_clocks_that_are_right_within_the_error_are_not_worth_a_word(checkout, drawn):
    assert said(drawn, journey(checkout(skews=(0, 1, -1)).documents), "clock") == []


def test_receipts_are_told_trouble_first_and_losses_marked(checkout, drawn):
    loss = Loss(2, 3, 2, "disk full", "state-1")
    receipts = (
        Receipt(0, "complete", (), "shop-1 complete"),
        Receipt(1, "lost", (loss,), f"orders-2: {loss.text}"),
        Receipt(2, "complete", (), "payments-1 complete"),
    )
    found = journey(checkout().documents)
    assert said(drawn, found, "data", receipts=receipts) == [
        "! orders-2: 2 events dropped at source (disk full, numbers 2-3)",
        "shop-1, payments-1 complete",
    ]
    roles = {each.text: each.role for row in rows(found, width=200, receipts=receipts) for each in row}
    assert roles["dropped"] == "bad" or any("dropped" in text and role == "bad" for text, role in roles.items())


def test_a_summary_is_the_header_alone(checkout, drawn):
    found = journey(checkout().documents)
    lines = drawn(rows(found, width=80))
    shown = drawn(summary(found, width=80))
    assert shown == [line for line in lines[: lines.index("")] if not line.startswith("nodes")]
