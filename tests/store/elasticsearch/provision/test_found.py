"""What is looked at on a server, and whose templates make a stream."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.provision.found import Found, Rival, Stream, look, matching, overlap
from clusterlog.store.elasticsearch.streams import PATTERN

OURS = {"_meta": {"managed_by": "clusterlog"}}
STREAM = "logs-clusterlog.app-test"
FIRST, SECOND = f".ds-{STREAM}-000001", f".ds-{STREAM}-000002"


def everything(**more):
    """The answers of a server that was set up and has one stream of two indices."""
    answers = {
        "/_component_template/clusterlog@*": {
            "component_templates": [{"name": "clusterlog@settings", "component_template": OURS}]
        },
        "/_index_template/clusterlog": {"index_templates": [{"name": "clusterlog", "index_template": OURS}]},
        "/_index_template": {"index_templates": [{"name": "clusterlog", "index_template": OURS}]},
        f"/_data_stream/{PATTERN}": {
            "data_streams": [
                {
                    "name": STREAM,
                    "lifecycle": {"enabled": True, "data_retention": "7d"},
                    "failure_store": {"enabled": False, "indices": []},
                }
            ]
        },
        f"/_resolve/index/{PATTERN}": {"data_streams": [{"name": STREAM, "backing_indices": [FIRST, SECOND]}]},
        f"/{PATTERN}/_mapping": {
            FIRST: {"mappings": {"_meta": {"clusterlog": {"version": "0.0.1", "generation": "old"}}}},
            SECOND: {"mappings": {"_meta": {"clusterlog": {"version": "0.1.0", "generation": "new"}}}},
        },
        f"/{PATTERN}/_settings": {
            FIRST: {"settings": {"index": {"number_of_replicas": "9"}}},
            SECOND: {"settings": {"index": {"number_of_replicas": "2", "auto_expand_replicas": "false"}}},
        },
        **more,
    }
    return {("GET", path): (200, body) for path, body in answers.items()}


def test_a_server_with_nothing_has_nothing(scripted):
    answers = {("GET", "/_component_template/clusterlog@*"): (200, {"component_templates": []})}
    assert look(scripted(answers)) == Found()


def test_a_stream_is_told_by_its_write_index_and_by_what_the_server_tells_of_it(scripted):
    found = look(scripted(everything()))
    told = {"enabled": True, "data_retention": "7d"}
    assert found.streams == (Stream(STREAM, (FIRST, SECOND), "0.1.0", "new", "2", told, False),)
    assert found.can_change_streams


def test_a_server_without_the_interface_for_streams_tells_less_of_them(scripted):
    answers = everything() | {("GET", f"/_data_stream/{PATTERN}"): (405, {"error": "Incorrect HTTP method"})}
    found = look(scripted(answers))
    assert found.streams == (Stream(STREAM, (FIRST, SECOND), "0.1.0", "new", "2", None, None),)
    assert not found.can_change_streams


def test_a_server_that_has_no_time_to_tell_of_streams_is_not_taken_for_one_that_cannot(scripted):
    answers = everything() | {("GET", f"/_data_stream/{PATTERN}"): (503, {})}
    with pytest.raises(StoreUnavailable, match="has too much to do"):
        look(scripted(answers))


@pytest.mark.parametrize("meta", [None, {}, {"clusterlog": "0.1.0"}, {"clusterlog": {}}, "clusterlog"])
def test_an_index_that_no_template_of_ours_made_has_no_generation(scripted, meta):
    answers = everything(**{f"/{PATTERN}/_mapping": {SECOND: {"mappings": {"_meta": meta}}}})
    (stream,) = look(scripted(answers)).streams
    assert (stream.version, stream.generation) == ("", "")


def test_replicas_that_follow_the_number_of_nodes_are_told_as_such(scripted):
    index = {"number_of_replicas": "0", "auto_expand_replicas": "0-1"}
    answers = everything(**{f"/{PATTERN}/_settings": {SECOND: {"settings": {"index": index}}}})
    assert look(scripted(answers)).streams[0].replicas == "auto"


def test_a_right_that_is_lacking_is_named(scripted):
    answers = everything() | {("GET", f"/{PATTERN}/_mapping"): (403, {"error": {"reason": "no"}})}
    with pytest.raises(StoreDenied, match="the right view_index_metadata is lacking"):
        look(scripted(answers))


def rival(name, patterns, priority, **more):
    return {"name": name, "index_template": {"index_patterns": patterns, "priority": priority, **more}}


def test_other_templates_count_where_they_fit_our_streams_or_are_made_of_ours(scripted):
    told = [
        rival("logs", ["logs-*-*"], 100, data_stream={}),
        rival("over", ["logs-clusterlog.app-*", "x-*"], 300),
        rival("made", ["elsewhere"], None, composed_of=["clusterlog@mappings"]),
        rival("metrics", ["metrics-*-*"], 100, data_stream={}),
    ]
    found = look(scripted(everything(**{"/_index_template": {"index_templates": told}})))
    assert found.rivals == (
        Rival("logs", ("logs-*-*",), 100, True),
        Rival("over", ("logs-clusterlog.app-*", "x-*"), 300, False),
        Rival("made", ("elsewhere",), 0, False, ("clusterlog@mappings",)),
    )
    assert [each.fits for each in found.rivals] == [True, True, False]
    assert found.streams[0].template == "over"


def test_the_strongest_template_that_fits_comes_first():
    rivals = [Rival("a", ("logs-*",), 1), Rival("b", ("logs-c*",), 7), Rival("c", ("metrics-*",), 9)]
    assert [each.name for each in matching(STREAM, rivals)] == ["b", "a"]


pieces = st.text("ab*", max_size=6)


@given(pieces, pieces, st.lists(st.text("ab", max_size=8), max_size=30))
def test_patterns_overlap_if_some_name_fits_both(one, other, names):
    if any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in names):
        assert overlap(one, other)
    assert overlap(one, other) == overlap(other, one)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("logs-*", True),
        ("logs-clusterlog.*", True),
        ("*-production", True),
        ("logs-nginx.*-*", False),
        ("metrics-*-*", False),
        ("logs-clusterlog", False),
    ],
)
def test_patterns_that_people_write_fit_our_streams_or_do_not(pattern, fits):
    assert overlap(pattern, PATTERN) is fits
