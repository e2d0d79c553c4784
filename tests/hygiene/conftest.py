"""The project as these tests see it: its root, the modules of the package, and a fresh interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the package: its path from the root, its dotted name, its text and what that parses to."""

    path: str
    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first word after ``clusterlog``, or an empty string for the package itself."""
        return [*self.name.split("."), ""][1]

    def imports(self) -> set[str]:
        """Dotted names of all modules imported anywhere in it, late imports and those for types alone included."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
        return found

    def third_parties(self) -> set[str]:
        """Top-level names of what it imports from neither the standard library nor clusterlog."""
        top = {name.partition(".")[0] for name in self.imports()}
        return top - sys.stdlib_module_names - {"clusterlog"}


def _module(path: Path) -> Module:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(relative.as_posix(), name, text, ast.parse(text))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the package."""
    return [_module(path) for path in sorted((ROOT / "clusterlog").rglob("*.py"))]


@pytest.fixture(scope="session")
def fresh() -> Callable[[str], Any]:
    """Run code in a new interpreter that knows the package and nothing of its surroundings; return its ``result``."""

    def run(code: str) -> Any:
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nimport json; print(json.dumps(result))"
        command = [sys.executable, "-I", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
