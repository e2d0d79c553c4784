"""What must not get into the repository with a file."""

from __future__ import annotations

import re
import subprocess

import pytest

# In two parts each, so that this file does not hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pypi.python", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy.golang", "org"),
        ("maven.apache", "org"),
        ("rubygems", "org"),
        ("deb.debian", "org"),
    ]
]
MACHINE_PATHS = [rf"(?<![\w./-])/{name}/" for name in ("work", "root", "home/[a-z]+")]


@pytest.fixture(scope="module")
def texts(root):
    """Path and text of each file git tracks or would add."""
    # Its owner may be somebody else where a server has checked it out.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    paths = [root / name for name in listed if name]
    return {
        str(path.relative_to(root)): path.read_bytes().decode("utf-8", "replace") for path in paths if path.is_file()
    }


def _holding(texts, patterns):
    found = re.compile("|".join(patterns))
    return {f"{path}: {match[0]}" for path, text in texts.items() if (match := found.search(text))}


def test_no_file_names_the_host_of_a_package_registry(texts):
    assert "pyproject.toml" in texts
    assert not _holding(texts, map(re.escape, REGISTRIES))


def test_no_file_holds_a_path_of_somebodys_machine(texts):
    assert not _holding(texts, MACHINE_PATHS)


def test_no_file_is_larger_than_a_reader_would_open(texts):
    assert not {path: len(text) for path, text in texts.items() if len(text) > 400_000}
