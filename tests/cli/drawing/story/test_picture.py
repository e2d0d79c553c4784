import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.cli.drawing.story import draw, rows
from clusterlog.cli.line import columns
from clusterlog.search.story.journey import journey

HERE = Path(__file__).parent


stories = sys.modules["stories"]


def picture(story: Any, **options: Any) -> str:
    return "\n".join(draw(journey(story.documents), **options)) + "\n"


def table(story: Any, **options: Any) -> list[str]:
    """The rows of the events alone."""
    lines = draw(journey(story.documents), **options)
    return lines[lines.index("") + 2 :]


def the_failing_checkout() -> Any:
    """Three nodes, one behind the other; the last waits in vain."""
    return stories.failing_checkout()


def a_request_that_fans_out() -> Any:
    """Calls side by side over lanes between, one back to the left, work left behind, clocks that differ by little."""
    story = stories.Story("0193f0c2b7d97e21a4b5c6d7e8f90a1b")
    gate, stock, price, mail = (story.process(f"{name}-1") for name in ("gate", "stock", "price", "mail"))
    gate.log(1, "begin", level="debug", span="g", labels={"cart": 3, "note": "two words"})
    stock.log(4, "在庫 reserved ×2", span="s", logger="stock.db")
    price.log(5, "rate looked up", level="debug", span="p", logger="price.rates.eur")
    mail.access(8, 2, "POST /mail", 202, span="m", parent="cm")
    price.call(9, 3.5, "POST http://mail:80/mail", 202, span="cm", parent="p")
    stock.access(10, 8, "GET /stock/{sku}", 200, span="s", parent="cs", url={"path": "/stock/9"})
    price.log(12, "stale rate used", level="warning", span="p", logger="price.rates.eur")
    gate.call(13, 11, "GET http://stock:8001/stock/9", 200, span="cs", parent="g")
    price.step(14, 10, "convert", span="pp", parent="p")
    price.access(15, 12, "GET /price", 200, span="p", parent="cp")
    gate.call(17, 14.5, "GET http://price:8002/price", 200, span="cp", parent="g")
    gate.access(18, 18, "GET /cart", 200, span="g", parent="from-the-browser")
    mail.log(340, "mail sent", span="m", labels={"to": {"count": 1}})
    return story


def a_request_that_still_runs() -> Any:
    story = stories.Story("run-7")
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-2000)
    shop.log(1, "begin", span="s1")
    orders.log(5, "begin too", span="s2")
    orders.access(9, 6, "GET /b", 200, span="s2", parent="c1")
    shop.call(12, 10, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.log(1500, "retrying", level="warning", span="s1", **{"@timestamp": None})
    error = {"type": "ValueError", "message": "no such item"}
    shop.log(1600, "gave up: no such item", level="error", span="s1", error=error, **FINGERPRINT)
    return story


FINGERPRINT = {"clusterlog": {"error": {"fingerprint": "e51c77aa"}}}


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf8", "ascii"])
@pytest.mark.parametrize(
    "make", [the_failing_checkout, a_request_that_fans_out, a_request_that_still_runs], ids=lambda make: make.__name__
)
def test_a_request_is_drawn_as_it_was_before(make: Any, width: int, ascii_only: bool) -> None:
    """The pictures are kept in ``drawings``; ``WRITE_DRAWINGS=1`` writes them anew, for eyes to judge."""
    drawn = picture(make(), width=width, ascii_only=ascii_only)
    kept = HERE / "drawings" / f"{make.__name__}-{width}-{'ascii' if ascii_only else 'utf8'}.txt"
    if os.environ.get("WRITE_DRAWINGS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(drawn, encoding="utf-8")
    assert drawn == kept.read_text(encoding="utf-8")


def test_without_a_width_nothing_is_cut() -> None:
    story = stories.Story()
    story.process("shop-1").log(1, "long " * 400, labels={"key": "v" * 900})
    assert f"{'long ' * 400}  key={'v' * 900}" in picture(story)


def test_segments_say_what_they_are_so_that_they_can_be_painted() -> None:
    drawn = rows(journey(the_failing_checkout().documents), width=120)
    roles = {(segment.text.strip(), segment.role) for row in drawn for segment in row}
    assert ("0193f0c2a1b27c3d8e4f5a6b7c8d9e0f", "id") in roles
    assert ("FAILED", "bad") in roles
    assert ("why", "bad") in roles
    assert ("a shop-1", "lane0") in roles
    assert ("charge failed", "E") in roles
    assert ("sku=9 qty=1", "dim") in roles
    assert ("✖◀──┘", "lane1") not in roles
    assert {role for _, role in roles} == {"", "id", "bad", "dim", "lane0", "lane1", "lane2", "E", "I"}


def test_an_exception_has_its_own_row_where_it_does_not_fit_behind_its_message() -> None:
    story = stories.Story()
    error = {"type": "TimeoutError", "message": "no answer within 5 s"}
    story.process("shop-1").log(1, "charge failed", level="error", error=error, **FINGERPRINT)
    (one,) = table(story, width=120)
    assert one.endswith("charge failed  TimeoutError: no answer within 5 s  #e51c")
    first, second = table(story, width=76)
    assert first.endswith("charge failed")
    assert second.strip() == "TimeoutError: no answer within 5 s  #e51c"


def test_an_exception_that_the_message_tells_already_is_not_told_twice() -> None:
    story = stories.Story()
    error = {"type": "TimeoutError", "message": "no answer"}
    story.process("shop-1").log(1, "failed: TimeoutError('no answer')", level="error", error=error, **FINGERPRINT)
    (one,) = table(story, width=120)
    assert one.endswith("failed: TimeoutError('no answer')  #e51c")


def test_the_outcome_of_a_call_is_never_cut_off() -> None:
    story = stories.Story()
    shop = story.process("shop-1")
    shop.call(9, 5, "GET http://orders:8002/" + "very/" * 40 + "long", 503, span="c1")
    for width in (80, 100, 200):
        (row,) = table(story, width=width)
        assert "503" in row
        assert "→ GET http://" in row
        assert "long" in row


@pytest.mark.parametrize(
    ("what", "status", "more", "shown"),
    [
        ("GET /a", 200, {}, "GET /a → 200 in 5 ms"),
        ("GET /a", None, {"event": {"reason": "went away"}}, "GET /a → no response (went away) in 5 ms"),
        ("GET /a", None, {}, "GET /a → no response in 5 ms"),
        ("GET /a/{id}", 404, {"url": {"path": "/a/7"}}, "GET /a/7 → 404 in 5 ms"),
    ],
)
def test_an_answer_is_one_row(what: str, status: int | None, more: dict[str, Any], shown: str) -> None:
    story = stories.Story()
    story.process("shop-1").access(9, 5, what, status, span="s1", **more)
    assert table(story, width=120)[-1].endswith(shown)


def test_more_than_eight_nodes_share_the_lanes_of_their_services() -> None:
    story = stories.Story()
    for number in range(12):
        story.process(f"{'shop' if number < 7 else 'orders'}-{number}").log(number, f"line {number}")
    drawn = picture(story, width=120)
    assert "nodes  a shop (7 nodes)  b orders (5 nodes)\n" in drawn
    assert "a   b    where" in drawn


def test_more_than_eight_services_share_what_is_left() -> None:
    story = stories.Story()
    for number in range(12):
        story.process(f"s{number}x-1").log(number, f"line {number}")
    drawn = picture(story, width=160)
    assert "g s6x-1  h others (5 nodes)" in drawn.replace("\n      ", "")


@pytest.mark.parametrize(
    "hostile",
    [
        *("\x1b[2J", "\x9b2J", "\x07", "\r", "\x00", "\x7f", "\x85", "\u2028", "\u2029", "\n+0.000  a  forged line"),
        *("\u202egnp.exe", "\u2066", "\u061c", "\u200b", "\U000e0041", "\ud800"),
    ],
)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_text_of_an_event_reaches_the_terminal_as_a_command(hostile: str, ascii_only: bool) -> None:
    story = stories.Story(f"id{hostile}")
    story.process(f"shop{hostile}")
    plain = stories.Story("id")
    plain.process("shop")
    for told, text in ((story, hostile), (plain, "")):
        process = told.processes[0]
        error = {"type": f"Error{text}", "message": f"bad{text}"}
        labels = {f"key{text}": f"value{text}", "nested": {f"key{text}": [text]}}
        process.log(1, f"line{text}", level="error", logger=f"log{text}", span="s1", labels=labels, error=error)
        process.call(3, 1, f"GET http://far.example/{text}", 500, span="c1", error=error)
        process.access(4, 4, f"GET{text} /a{text}", 500, span="s1", event={"reason": f"why{text}"})
    drawn = draw(journey(story.documents), ascii_only=ascii_only)
    assert len(drawn) == len(draw(journey(plain.documents)))
    categories = {unicodedata.category(character) for line in drawn for character in line}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert not ascii_only or all(line.isascii() for line in drawn)


def test_wide_and_combining_characters_do_not_shift_what_stands_beside_them() -> None:
    story = stories.Story()
    shop = story.process("shop-1")
    shop.log(1, "a", logger="漢字.ロガー")
    shop.log(2, "b", logger="plain")
    shop.log(3, "c", logger="e\u0301te\u0301")
    rows_ = table(story, width=100)
    assert {columns(row[: row.rindex(end)]) for row, end in zip(rows_, "abc", strict=True)} == {
        columns(rows_[0][: rows_[0].rindex("a")])
    }
    story.documents[1]["message"] = "漢" * 200
    wide = table(story, width=100)[1]
    assert wide.endswith("漢…")
    assert columns(wide) in (99, 100)


HOSTILE = st.text(st.characters(), max_size=30) | st.text(st.sampled_from("漢é́\x1b\n\u202eab ‍😀"), max_size=300)


@given(data=st.data(), width=st.integers(40, 200), ascii_only=st.booleans())
@settings(max_examples=60)
def test_no_row_is_wider_than_the_terminal_and_each_event_is_drawn(
    data: st.DataObject, width: int, ascii_only: bool
) -> None:
    story, _ = data.draw(stories.requests())
    for document in story.documents:
        if data.draw(st.booleans()):
            document["message"] = data.draw(HOSTILE)
            document["log"] = {"logger": data.draw(HOSTILE), "level": data.draw(st.sampled_from(["error", "x", ""]))}
            document["labels"] = {data.draw(HOSTILE): data.draw(HOSTILE | st.integers() | st.none())}
            document["error"] = {"type": data.draw(HOSTILE), "message": data.draw(HOSTILE)}
            document["url"] = {"path": data.draw(HOSTILE), "domain": data.draw(HOSTILE)}
    story.documents[0]["service"]["node"]["name"] = data.draw(HOSTILE)
    found = journey(story.documents)
    drawn = draw(found, width=width, ascii_only=ascii_only)
    assert all(columns(line) <= width for line in drawn)
    assert all(line.isprintable() or not line for line in drawn if line.isascii())
    assert not ascii_only or all(line.isascii() for line in drawn)
    body = drawn[drawn.index("") + 2 :]
    assert len(body) >= len(found.entries)


@pytest.mark.parametrize("make", [the_failing_checkout, a_request_that_fans_out])
def test_arrows_lead_from_the_caller_to_the_callee_and_back(make: Any) -> None:
    """Each arrow ends at a mark, and begins in a lane that is another one."""
    for line in table(make(), width=160):
        for arrow in ("──▶", "◀──"):
            if arrow in line:
                at = line.index(arrow)
                mark = line[at + 3] if arrow == "──▶" else line[at - 1]
                assert mark in "●✖"


def test_a_visit_is_entered_before_its_callee_even_if_its_own_first_event_comes_later() -> None:
    story = stories.Story()
    shop, orders, bank = (story.process(f"{name}-1", host="h") for name in ("shop", "orders", "bank"))
    shop.log(1, "begin", span="s1")
    bank.log(4, "deep", span="s3")
    bank.access(5, 2, "GET /c", 200, span="s3", parent="c2")
    orders.call(6, 4, "GET http://bank/c", 200, span="c2", parent="s2")
    orders.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    shop.call(8, 7, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(9, 9, "GET /a", 200, span="s1")
    assert "nodes  a shop-1  b bank-1  c orders-1" in picture(story, width=120)
    lanes = [row[18:27].rstrip() for row in table(story, width=120)]
    assert lanes == ["●", "├───●◀──┤", "│   ●   │", "│   └──▶●", "│       ●", "●◀──────┘", "●"]


def test_a_lane_waits_for_what_the_request_put_into_a_queue() -> None:
    story = stories.Story()
    shop, worker = story.process("shop-1", host="h"), story.process("worker-1", host="h")
    shop.access(3, 3, "GET /a", 200, span="s1")
    worker.access(902, 1, "TASK mail", 200, span="w1", parent="s1")
    assert [row[18:23].rstrip() for row in table(story, width=120)] == ["●", "┊", "└──▶●"]


def test_a_long_time_in_a_narrow_terminal_is_cut_rather_than_wrapped() -> None:
    story = stories.Story()
    shop = story.process("shop-1")
    shop.log(1, "first", logger="a")
    shop.log(2, "days before", logger="a", **{"@timestamp": "2026-10-20T00:00:00Z"})
    shop.log(3, "without a time", logger="a", **{"@timestamp": "9999-01-01T00:00:00Z"})
    drawn = draw(journey(story.documents), width=40)
    assert all(columns(row) <= 40 for row in drawn)
    assert any("-1252800.001" in row or "+1252800.001" in row for row in drawn)


@pytest.mark.parametrize("later", [59_000, 61_000, 3_600_000, 86_400_000 * 3, 86_400_000 * 30_000])
def test_a_long_wait_does_not_shift_the_lanes(later: int) -> None:
    story = stories.Story()
    shop = story.process("shop-1")
    shop.log(1, "a")
    shop.log(later, "b")
    first, *_, second = (row for row in table(story, width=120) if "●" in row)
    time_is_longer = len(second.split()[0]) - len("+0.000")
    assert second.index("●") == first.index("●")
    assert first.index("●") == 18 + max(0, time_is_longer)


def test_times_without_a_value_are_a_question_mark() -> None:
    story = stories.Story()
    shop = story.process("shop-1")
    shop.log(1, "a")
    shop.log(2, "b", **{"@timestamp": "noon"})
    assert [row.split()[0] for row in table(story, width=100)] == ["+0.000", "?"]


def test_lines_whose_order_is_not_known_stand_in_a_bracket_and_its_meaning_below() -> None:
    story = stories.Story()
    story.process("a-1").log(1, "a")
    story.process("b-1").log(2, "b")
    story.process("c-1").log(3, "c")
    story.processes[2].log(4, "d")
    *rows_, blank, meaning = table(story, width=100)
    assert [row[0] for row in rows_] == ["┌", "│", "└", " "]
    assert blank == ""
    assert meaning == "┌│└ order not known"
