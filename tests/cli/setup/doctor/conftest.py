"""An application in a directory of its own, and the doctor called on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, str]]]]:
    """Findings about an application by what was looked at; ``source`` is the module ``shop``, told without indent."""

    def ask(source: str, name: str = "shop:app", **environ: str) -> dict[str, list[dict[str, str]]]:
        (tmp_path / "shop.py").write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, "-m", "clusterlog", "doctor", name, "--json", "--home", str(tmp_path / "home")],
            cwd=tmp_path,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        told = json.loads(done.stdout)
        assert told["schema"] == "clusterlog.doctor/1"
        problems = any(each["state"] == "problem" for each in told["findings"])
        assert done.returncode == problems
        found: dict[str, list[dict[str, str]]] = {}
        for each in told["findings"]:
            assert each["mend"] or each["state"] in ("ok", "note"), each
            found.setdefault(each["check"], []).append(each)
        return found

    return ask
