"""A search server to measure against: the one that ``BENCH_URL`` names, or one of those that tests start."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clusterlog.settings import load
from clusterlog.store.elasticsearch.reach import greeted
from clusterlog.store.elasticsearch.transport import Client

URL = os.environ.get("BENCH_URL", "")
"""A server that runs already; else one of those that tests start is started."""
ENGINES = Path(__file__).parents[1] / "tests" / "engines"


@contextmanager
def running() -> Iterator[tuple[str, str]]:
    """URL and name of a server: the one that is named, or the newest of those that tests know, started for this."""
    if URL:
        yield URL, _name_of(URL)
        return
    if str(ENGINES) not in sys.path:
        sys.path.insert(0, str(ENGINES))
    import engine_servers

    name = next(
        (each for each in ("elasticsearch-9.5", "elasticsearch-8.19") if not engine_servers.available(each)), ""
    )
    if not name:
        sys.exit("this measurement needs a server: `make engines`, or BENCH_URL")
    directory = engine_servers.directory_of_its_own()
    engine = engine_servers.start(name, directory)
    try:
        yield engine.url, _name_of(engine.url)
    finally:
        engine.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _name_of(url: str) -> str:
    with closing(Client.of(load({"home": tempfile.gettempdir()}, environ={}), url=url)) as client:
        return greeted(client)
