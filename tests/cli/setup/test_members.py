"""What doctor says of a cluster: reached or not, names that two nodes have, and who has fallen silent."""

from dataclasses import replace

import pytest

from clusterlog.cli.setup.members import examine
from clusterlog.control.bus.opening import bus_at
from clusterlog.control.members import Report, Status, fields_of
from clusterlog.control.signing.keys import cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.settings import load

N1 = Report("n1", "shop", "host-a", boot="b1", workers=(Status(10, "i1"),))


@pytest.fixture
def settings(tmp_path):
    return load({"home": str(tmp_path)}, environ={}, directory=tmp_path)


@pytest.fixture
def said(settings):
    """What reports of these nodes, as leases, are found to be."""

    def found(*reports):
        sealer = Sealer(cluster_keys(settings.home_path, "", True), settings.environment)
        link = bus_at("", settings).open()
        for number, report in enumerate(reports):
            link.lease(f"{number}", sealer.seal(fields_of(report)), 30.0, "")
        link.close()
        return [(each.check, each.state, each.text) for each in examine(settings)]

    return found


def test_a_home_in_which_nobody_took_part_has_no_cluster_to_speak_of(settings):
    assert list(examine(settings)) == []


def test_a_cluster_that_is_well_is_counted(said, tmp_path):
    assert said(N1, replace(N1, node="n2", workers=(Status(11, "i2"), Status(12, "i3")))) == [
        ("cluster", "ok", f"2 nodes, 3 workers, over sqlite:{tmp_path}/control/bus.db")
    ]


def test_two_nodes_of_one_name_are_found_with_their_hosts_and_how_to_tell_them_apart(said, settings):
    """F30: a cloned image."""
    (_, (check, state, text)) = said(N1, replace(N1, host="host-b", boot="b2", workers=(Status(10, "i9"),)))
    assert (check, state) == ("node name", "problem")
    assert text == "2 nodes of shop are called n1, on host-a, host-b"
    assert "CLUSTERLOG_NODE" in list(examine(settings))[1].mend


def test_a_bus_that_does_not_answer_is_a_problem_and_one_that_is_off_is_none(tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 40)
    gone = {"home": str(tmp_path), "bus": "redis://127.0.0.1:1/0", "control_key": str(key)}
    (found,) = examine(load(gone, environ={}, directory=tmp_path))
    assert (found.check, found.state) == ("cluster", "problem")
    (found,) = examine(load({"home": str(tmp_path), "bus": "off"}, environ={}, directory=tmp_path))
    assert found.state == "note"


def test_a_network_bus_without_a_key_is_told_with_what_to_do(tmp_path):
    keyless = {"home": str(tmp_path), "bus": "redis://127.0.0.1:1/0"}
    (found,) = examine(load(keyless, environ={}, directory=tmp_path))
    assert found.state == "problem" and "openssl rand" in found.text
