"""Which sink a URL opens, and with which batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink


def found(url, **given):
    sink, name, limits = open_sink(load({"home": "/nowhere", "sink": url, **given}, environ={}))
    sink.close()
    return type(sink).__name__, name, limits


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("logstash+https://u:p@a:1,b", "HttpSink", "logstash+https://a:1,logstash+https://b:1"),
        ("logstash+http://a/logs", "HttpSink", "logstash+http://a:8080/logs"),
        ("lumberjack+tls://a,b:6000", "LumberjackSink", "lumberjack+tls://a:5044,lumberjack+tls://b:6000"),
        ("lumberjack+tcp://[::1]", "LumberjackSink", "lumberjack+tcp://[::1]:5044"),
        ("jsonlines+tcp://a:1", "LinesSink", "jsonlines+tcp://a:1"),
        ("jsonlines+tls://a", "LinesSink", "jsonlines+tls://a:5000"),
    ],
)
def test_each_scheme_opens_its_sink_which_is_shown_without_credentials(url, kind, name):
    assert found(url)[:2] == (kind, name)


def test_windows_stay_below_what_a_beats_input_bears_and_lines_go_one_batch_at_a_time():
    lumberjack, lines = (found(url)[2] for url in ("lumberjack+tcp://a", "jsonlines+tcp://a"))
    assert lumberjack.events <= 2048 and lumberjack.bytes <= 10 << 20 and lumberjack.at_once > 1
    assert lines.at_once == 1, "one connection, in order"


WITHOUT_LIBRARY = """
import sys
for name in ("tls", "trouble"):
    sys.modules[f"clusterlog.store.elasticsearch.wire.{name}"] = None
from clusterlog.errors import MissingExtra
from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
try:
    open_sink(load({"home": "/nowhere", "sink": "lumberjack+tcp://a"}, environ={}))
except MissingExtra as error:
    print(error)
"""


def test_without_the_library_the_extra_is_named(tmp_path):
    """In a process of its own: modules that are loaded twice would be two to the tests that come after."""
    command = [sys.executable, "-c", WITHOUT_LIBRARY]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environ)
    assert "elasticsearch" in done.stdout
