"""The names of data streams."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterlog.store.elasticsearch.streams import data_stream


@pytest.mark.parametrize(
    ("dataset", "environment", "stream"),
    [
        ("clusterlog.app", "development", "logs-clusterlog.app-development"),
        ("clusterlog.access", "Prod-EU", "logs-clusterlog.access-prod_eu"),
        ("clusterlog.app", "", "logs-clusterlog.app-default"),
        ("", "test", "logs-clusterlog.unparsed-test"),
        ("clusterlog.app", "a b/c*?\"<>|,#:\\d", "logs-clusterlog.app-a_b_c__________d"),
        ("clusterlog.app", "größe", "logs-clusterlog.app-größe"),
    ],
)  # fmt: skip
def test_a_stream_is_named_by_dataset_and_environment(dataset, environment, stream):
    assert data_stream(dataset, environment) == stream


@pytest.mark.parametrize("dataset", ["endpoint.alerts", "../.security", "clusterlogs", "nginx-access"])
def test_what_a_line_says_of_itself_does_not_lead_into_anybody_elses_stream(dataset):
    assert data_stream(dataset, "test").startswith("logs-clusterlog.")


@given(dataset=some.text(max_size=150), environment=some.text(max_size=150))
def test_every_name_is_one_a_data_stream_can_have(dataset, environment):
    stream = data_stream(dataset, environment)
    kind, middle, namespace = stream.split("-")
    assert kind == "logs" and middle.startswith("clusterlog.") and namespace
    assert stream == stream.lower() and len(middle.encode()) <= 100 and len(namespace.encode()) <= 100
    assert not re.search(r'[\\/*?"<>|,#:\s-]', middle + namespace)
