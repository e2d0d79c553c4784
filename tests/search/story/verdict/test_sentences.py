from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict


@given(data=st.data())
@settings(max_examples=100)
def test_every_sentence_is_one_line_and_stands_on_events_of_the_request(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    hostile = st.text(max_size=400)
    for document in story.documents:
        if data.draw(st.integers(0, 3)) == 0:
            document["log"]["level"] = "error"
            document["message"] = data.draw(hostile)
            document["error"] = {"type": data.draw(hostile), "message": data.draw(hostile)}
            document["service"]["node"]["name"] = data.draw(hostile)
    story.documents[-1].setdefault("http", {}).setdefault("response", {})["status_code"] = 500
    known = {document["event"]["id"] for document in story.documents}
    for sentence in verdict(journey(story.documents)):
        assert sentence.text.splitlines() == [sentence.text]
        assert sentence.events
        assert known.issuperset(sentence.events)


@given(data=st.data())
@settings(max_examples=60)
def test_every_request_has_one_sentence_on_its_time_and_the_same_in_whatever_order_its_events_arrive(
    any_request: Any, data: st.DataObject
) -> None:
    story, _ = data.draw(any_request)
    kept = data.draw(st.lists(st.sampled_from(story.documents), unique_by=lambda d: d["event"]["id"], min_size=1))
    found = verdict(journey(kept))
    begins = ("Succeeded", "Failed", "Answered", "Still running")
    assert len([each for each in found if each.kind == "time" and each.text.startswith(begins)]) == 1
    assert verdict(journey(data.draw(st.permutations(kept)))) == found
