"""What is to be done is known for what is said, and only for what is still said in those words."""

import inspect

import pytest

from clusterlog.cli.home.mend import _MENDS, mend
from clusterlog.store.elasticsearch import judge
from clusterlog.store.elasticsearch.wire import trouble

OF_ELASTICSEARCH = {"flood-stage", "FORBIDDEN/"}


@pytest.mark.parametrize("part", [part for part, _ in _MENDS if part not in OF_ELASTICSEARCH])
def test_each_trouble_that_has_a_mend_is_told_in_these_words(part):
    assert part in inspect.getsource(judge) + inspect.getsource(trouble)


def test_what_says_itself_what_to_do_and_what_nobody_knows_have_none():
    assert mend("no template makes a data stream of logs-x: run `clusterlog setup elasticsearch`") == ""
    assert mend("something else") == ""
    assert mend("http://es:9200: nothing listens there (connection refused)").startswith("start the server")
