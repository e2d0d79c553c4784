"""The doctor inside of the application's process: imports it as a server would and prints findings as JSON lines."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from typing import Any

from clusterlog.cli.setup.doctor.finding import Finding


def examine(spec: str) -> Iterator[Finding]:
    """Everything about the application ``module:name``; ``module`` alone is looked at for its logging only."""
    module_name, _, attribute = spec.partition(":")
    before = {id(thread) for thread in threading.enumerate()}
    try:
        app: Any = import_module(module_name)
        for name in filter(None, attribute.removesuffix("()").split(".")):
            app = getattr(app, name)
        if attribute.endswith("()"):
            app = app()
    except (Exception, SystemExit) as error:
        text = f"{spec} cannot be imported: {type(error).__name__}: {error}"
        yield Finding("application", "problem", text, "run this where the server runs, with its PYTHONPATH")
        return
    yield Finding("application", "ok", f"{spec} was imported")
    yield from _threads(before)
    from clusterlog.cli.setup.doctor import logs

    yield from logs.examine()
    if attribute:
        from clusterlog.cli.setup.doctor import probe

        yield from probe.examine(app, attribute)


def _threads(before: set[int]) -> Iterator[Finding]:
    begun = [thread.name for thread in threading.enumerate() if id(thread) not in before]
    if begun:
        text = f"importing the application starts threads: {', '.join(sorted(begun)[:5])}"
        mend = "start them in the server's post_fork or startup hook: where workers are forked (preload), they are gone"
        yield Finding("threads", "warning", text, mend)
    else:
        yield Finding("threads", "ok", "importing the application starts none")


def main() -> None:
    """Write one JSON object per finding to the file descriptor of the first argument; standard output is not ours."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as told:
        for finding in examine(sys.argv[2]):
            told.write(json.dumps(asdict(finding)) + "\n")
            told.flush()
    os._exit(0)  # threads and exit handlers of the application are not waited for


if __name__ == "__main__":
    main()
