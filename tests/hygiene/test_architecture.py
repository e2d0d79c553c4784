"""ARCHITECTURE.md tells the road by file and function: both exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
OF_A_HOME = {"spool/", "dead/", "store/", "run/"}
FILES = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))", TEXT)) - OF_A_HOME)
FUNCTIONS = re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py): ([A-Za-z_.]+)", TEXT)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_named_is_there(name):
    assert (ROOT / "clusterlog" / name).exists() or (ROOT / name).exists()


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_a_function_that_is_named_is_in_its_file(name, function):
    source = (ROOT / "clusterlog" / name).read_text(encoding="utf-8")
    for part in function.split("."):
        assert re.search(rf"\b(def|class) {part}\b|^{part}\b|\b{part} =", source, re.MULTILINE), part
