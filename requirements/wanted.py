"""Print what the lock is made from: every requirement in pyproject.toml, of the core, the extras, the build and `dev`.

pip-compile cannot do this alone: it does not read dependency groups, and takes an extra that is made of other extras
(`clusterlog[cli]`) for a package to download.
"""

from __future__ import annotations

import tomllib
from pathlib import Path


def wanted(pyproject: Path) -> list[str]:
    """Return the requirements in ``pyproject`` as pip reads them, without the project's references to itself."""
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    project = content["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *content["dependency-groups"].values(),
        content["build-system"]["requires"],
    ]
    itself = f"{project['name']}["
    return sorted({line for group in groups for line in group if not line.startswith(itself)})


if __name__ == "__main__":
    print(*wanted(Path(__file__).parent.parent / "pyproject.toml"), sep="\n")
