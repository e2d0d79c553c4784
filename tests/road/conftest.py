"""The whole road in one process or several: start, log, ship into an embedded store, ask."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Home:
    """A state directory, programs that log into it, and what is found in its store afterwards."""

    def __init__(self, path):
        self.path = path

    def run(self, program, *arguments, check=True, **options):
        """Run a Python program (source text) with this home; returns the finished process."""
        environment = {"PATH": "/usr/bin:/bin", "CLUSTERLOG_HOME": str(self.path), **options.pop("env", {})}
        command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, cwd=self.path.parent, check=False, **options
        )
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done

    def ship(self):
        """``clusterlog ship --once`` as a user runs it."""
        command = [sys.executable, "-m", "clusterlog", "ship", "--once", "--home", str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    def found(self, text="*"):
        """Every event in the store that the query matches, oldest first."""
        from clusterlog.search.language.parsing import parse
        from clusterlog.store.embedded import EmbeddedStore
        from clusterlog.store.query import Everything, Query

        store = EmbeddedStore.open(self.path / "store", "read")
        where = Everything() if text == "*" else parse(text)
        try:
            return [json.loads(each.body) for each in store.find(Query(where, order="oldest", limit=None))]
        finally:
            store.close()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")
