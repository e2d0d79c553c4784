"""The names users may rely on."""

from __future__ import annotations

import tomllib

import pytest

import clusterlog

PUBLIC = {
    "__version__", "annotate", "bind", "bound", "carry", "cluster", "dict_config", "dropped", "extract", "flush",
    "get_logger", "Handler", "inject", "instrument", "JsonFormatter", "request_id", "start", "step", "stop", "unbind",
}  # fmt: skip


def test_the_public_names_are_these_and_no_others():
    assert len(clusterlog.__all__) == len(set(clusterlog.__all__))
    assert set(clusterlog.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__", "cluster"}))
def test_a_public_name_leads_to_something_documented_that_can_be_called(name):
    found = getattr(clusterlog, name)
    assert callable(found)
    assert found.__doc__


def test_the_cluster_is_something_documented_whose_methods_are_too():
    methods = [name for name in dir(clusterlog.cluster) if not name.startswith("_")]
    assert {"client", "is_clustered", "nodes", "on_change", "reset_level", "set_level"} <= set(methods)
    assert all(getattr(type(clusterlog.cluster), name).__doc__ for name in methods)


def test_every_public_name_is_listed_before_it_is_first_used(fresh):
    """Completion in a shell or an editor asks ``dir()``."""
    listed = set(fresh("import clusterlog\nresult = dir(clusterlog)"))
    assert listed >= PUBLIC


def test_importing_everything_gives_the_public_names(fresh):
    found = fresh("before = set(globals())\nfrom clusterlog import *\nresult = sorted(set(globals()) - before)")
    assert set(found) - {"before"} == PUBLIC


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="cluster_log"):
        _ = clusterlog.cluster_log


def test_the_version_is_the_one_of_the_project(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert clusterlog.__version__ == project["version"]
