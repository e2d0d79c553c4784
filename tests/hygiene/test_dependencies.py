"""What the package stands on is declared, explained and locked."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def explained(root):
    """Every name in code style in the document about dependencies."""
    text = (root / "docs/dependencies.md").read_text(encoding="utf-8")
    return {canonicalize_name(name) for name in re.findall(r"`([A-Za-z0-9._-]+)`", text)}


@pytest.fixture(scope="module")
def wanted(root):
    """Every requirement of pyproject.toml."""
    lines = runpy.run_path(str(root / "requirements/wanted.py"))["wanted"](root / "pyproject.toml")
    return [Requirement(line) for line in lines]


@pytest.fixture(scope="module")
def locked(root):
    """The text of the lock."""
    return (root / "requirements/dev.txt").read_text(encoding="utf-8")


def test_every_third_party_the_package_imports_is_explained(modules, explained):
    distributions = packages_distributions()
    unexplained = {
        f"{module.path}: {name}"
        for module in modules
        for name in module.third_parties()
        if not {canonicalize_name(d) for d in distributions.get(name, [name])} & explained
    }
    assert not unexplained


def test_every_declared_requirement_is_explained(wanted, explained):
    assert not {requirement.name for requirement in wanted if canonicalize_name(requirement.name) not in explained}


def test_context_stands_on_the_standard_library_alone(modules):
    assert not {m.path: m.third_parties() for m in modules if m.room == "context" and m.third_parties()}


def test_the_lock_holds_what_pyproject_asks_for(wanted, locked):
    pins = {canonicalize_name(name): Version(version) for name, version in PINNED.findall(locked)}
    names = {canonicalize_name(requirement.name): requirement.specifier for requirement in wanted}
    assert not {name: str(spec) for name, spec in names.items() if name not in pins or pins[name] not in spec}


def test_everything_locked_has_a_hash_and_no_address(locked):
    entries = re.split(r"\n(?=[A-Za-z])", re.sub(r"^ *#.*\n", "", locked, flags=re.MULTILINE).strip())
    assert len(entries) == len(PINNED.findall(locked))
    assert not [entry for entry in entries if " --hash=sha256:" not in entry]
    assert not re.search(r"://|^--", locked, re.MULTILINE)
