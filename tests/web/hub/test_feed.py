"""What a hub keeps of what has come, and what it answers to who asks for what is new."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.control.bus.base import Changed, Gap, Message
from clusterlog.control.bus.hub.protocol import MOST_NOTICES, notice_heard
from clusterlog.web.hub import feed as feeds
from clusterlog.web.hub.feed import Feed


def heard(answer):
    told = json.loads(answer)
    return told["after"], [notice_heard(each) for each in told["notices"]]


def test_who_comes_for_the_first_time_is_told_of_a_gap_and_hears_what_comes_then():
    feed = Feed("life")
    feed.add([Message(b"early")])
    after, notices = heard(feed.behind(""))
    assert notices == [Gap()]
    assert feed.behind(after) is None
    feed.add([Changed(), Message(b"\0late")])
    assert heard(feed.behind(after))[1] == [Changed(), Message(b"\0late")]


@pytest.mark.parametrize(
    "after", ["", "other.1", "life.", "life.x", "life.99", "life.-1", "life.1.2", ".", "life.²", "9" * 99]
)
def test_a_place_that_this_server_does_not_know_begins_with_a_gap(after):
    feed = Feed("life")
    feed.add([Changed()])
    assert heard(feed.behind(after)) == ("life.1", [Gap()])


def test_who_comes_after_the_oldest_made_room_is_told_of_a_gap(monkeypatch):
    monkeypatch.setattr(feeds, "MOST_KEPT", 3)
    feed = Feed("life")
    feed.add(Message(b"%d" % each) for each in range(1, 6))
    assert heard(feed.behind("life.1")) == ("life.5", [Gap()])
    assert heard(feed.behind("life.2")) == ("life.5", [Message(b"3"), Message(b"4"), Message(b"5")])


def test_what_is_kept_is_bounded_by_its_bytes_too(monkeypatch):
    monkeypatch.setattr(feeds, "MOST_BYTES", 1000)
    feed = Feed("life")
    feed.add(Message(b"x" * 300) for _ in range(10))
    assert heard(feed.behind("life.0"))[1] == [Gap()]
    assert heard(feed.behind("life.8"))[1] == [Message(b"x" * 300)] * 2


def test_an_answer_ends_before_it_is_too_large_and_the_next_one_goes_on():
    body = b"x" * (256 << 10)
    feed = Feed("life")
    feed.add(Message(body) for _ in range(20))
    after, come = "life.0", []
    while (answer := feed.behind(after)) is not None:
        assert len(answer) < MOST_NOTICES + 1024
        after, notices = heard(answer)
        come += notices
    assert come == [Message(body)] * 20


def test_where_nothing_has_come_one_stays_where_one_was():
    feed = Feed("life")
    feed.add([Changed()])
    assert heard(feed.nothing("life.1")) == ("life.1", [])


@given(st.lists(st.lists(st.binary(max_size=5), max_size=8), max_size=12), st.data())
def test_whoever_asks_again_and_again_hears_everything_once_and_in_order(batches, data):
    feed = Feed("life")
    after, _ = heard(feed.behind("x"))
    come = []
    for batch in batches:
        feed.add(Message(each) for each in batch)
        if data.draw(st.booleans()) and (answer := feed.behind(after)) is not None:
            after, notices = heard(answer)
            come += notices
    if (answer := feed.behind(after)) is not None:
        come += heard(answer)[1]
    assert come == [Message(each) for batch in batches for each in batch]
