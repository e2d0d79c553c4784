"""An application looked at from inside: in a process of its own, which may do whatever importing it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.settings import Settings

PATIENCE_S = 60.0
_INSIDE = "clusterlog.cli.setup.doctor.inside"
_LAST_WORDS = 300


def examine(spec: str, settings: Settings) -> Iterator[Finding]:
    """Findings about ``module:name``. It logs into a home that is thrown away, unless it names one itself."""
    with tempfile.TemporaryDirectory(prefix="clusterlog-doctor-") as home, tempfile.TemporaryFile() as told:
        environ = {**os.environ, "CLUSTERLOG_HOME": home, "CLUSTERLOG_NODE": settings.node}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.getcwd(), environ.get("PYTHONPATH", ""))))
        fd = told.fileno()
        command = [sys.executable, "-m", _INSIDE, str(os.dup(fd)), spec]
        died = ""
        try:
            done = subprocess.run(
                command, env=environ, capture_output=True, timeout=PATIENCE_S, pass_fds=(int(command[3]),), check=False
            )
            if done.returncode:
                words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
                died = f"importing {spec} ended the process with {done.returncode}: {words[-_LAST_WORDS:]}"
        except subprocess.TimeoutExpired:
            died = f"{spec} was not imported and asked within {PATIENCE_S:.0f} s"
        finally:
            os.close(int(command[3]))
        told.seek(0)
        for line in told.read().decode("utf-8").splitlines():
            yield Finding(**json.loads(line))
        if died:
            yield Finding("application", "problem", died, "what is served must not run at import")
