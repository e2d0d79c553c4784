"""The variables of a stack, read back as they were written, and by whoever changed them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.cli.stack import environment
from clusterlog.cli.stack.environment import WAYS, Environment
from clusterlog.errors import SettingError


@given(st.lists(st.sampled_from([*environment.PROFILES]), max_size=6))
def test_profiles_are_one_way_with_perhaps_a_cluster_or_refused(asked):
    try:
        found = environment.chosen(asked)
    except SettingError:
        assert len(set(asked) & set(WAYS)) > 1 or {"opensearch", "cluster"} <= set(asked)
    else:
        assert found[0] in WAYS
        assert set(asked) <= set(found) <= {*asked, "direct"}


def test_what_is_written_is_read_back(tmp_path):
    values = environment.made("clusterlog", ("logstash", "cluster"), "0.1.0")
    (tmp_path / ".env").write_bytes(environment.content(values))
    assert environment.read(tmp_path).values == values


def test_quotes_comments_and_exports_are_read_as_compose_reads_them(tmp_path):
    (tmp_path / ".env").write_text("STACK_ID='a'\n\n# x\nexport A=\"b c\"\nB=d # e\nC=f#g\n")
    values = environment.read(tmp_path).values
    assert values == {"STACK_ID": "a", "A": "b c", "B": "d", "C": "f#g"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("STACK_ID=a\nwhat is this\n", ".env:2: expected NAME=value"),
        ("A=b\n", ".env is not of a stack: clusterlog stack init writes one into a folder that has none"),
    ],
)
def test_what_is_no_env_of_a_stack_is_refused_with_its_place(tmp_path, content, told):
    (tmp_path / ".env").write_text(content)
    with pytest.raises(SettingError) as refused:
        environment.read(tmp_path)
    assert str(refused.value) == f"{tmp_path}/{told}"


def test_a_folder_without_an_env_says_what_writes_one(tmp_path):
    with pytest.raises(SettingError, match=r"\.env is missing: clusterlog stack init writes it"):
        environment.read(tmp_path)


def _of(tmp_path, **values):
    return Environment(tmp_path, environment.made("clusterlog", ("direct",), "0.1.0") | values)


def test_two_services_on_one_port_are_refused(tmp_path):
    with pytest.raises(SettingError, match="SHOP_PORT and KIBANA_PORT are both 5601"):
        _of(tmp_path, SHOP_PORT="5601").ports()


def test_a_port_of_a_service_that_is_not_started_is_in_nobodys_way(tmp_path):
    assert 5044 not in _of(tmp_path, OPENSEARCH_PORT="5601", LUMBERJACK_PORT="8080").ports().values()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80 80", "٣"])
def test_a_port_that_is_none_is_refused(tmp_path, port):
    with pytest.raises(SettingError, match="expected a port from 1 to 65535"):
        _of(tmp_path, SHOP_PORT=port).ports()


def test_three_nodes_take_three_times_the_memory(tmp_path):
    one, three = _of(tmp_path), _of(tmp_path, COMPOSE_PROFILES="direct,cluster")
    assert three.memory() - one.memory() == 2 * (2 << 30)


def test_a_size_that_is_none_is_refused(tmp_path):
    with pytest.raises(SettingError, match="KIBANA_MEMORY = 'much': expected a size such as 2g"):
        _of(tmp_path, KIBANA_MEMORY="much").memory()


def test_a_variable_that_was_emptied_is_missed(tmp_path):
    with pytest.raises(SettingError, match="SHOP_PORT is not set"):
        _of(tmp_path, SHOP_PORT="").ports()
