"""The files that users copy: each read by its own program, and the two of HAProxy are one."""

from __future__ import annotations

import os
import subprocess

import pytest
from edge_servers import EXAMPLES, write_nginx
from programs import program

FILES = (EXAMPLES / "edge" / "haproxy.cfg", EXAMPLES / "shop" / "haproxy.cfg")


def block(text):
    """What users copy into a frontend of theirs."""
    return text.partition("    # ---- clusterlog")[2].partition("    # ---- until here")[0]


@pytest.mark.parametrize("file", FILES, ids=["edge", "shop"])
def test_haproxy_reads_its_file_and_has_nothing_to_warn_of(file):
    environment = {**os.environ, "EDGE_LOG": "stdout"}
    command = [program("haproxy"), "-c", "-f", file]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    warned = [line for line in told.stderr.splitlines() if "WARNING" in line]
    assert all("could not resolve address 'shop-" in line for line in warned)  # containers know each other's names


def test_what_is_copied_from_the_example_is_what_the_shop_runs():
    one, other = (block(file.read_text()) for file in FILES)
    assert one == other and len(one.splitlines()) > 40


def test_nginx_reads_its_files(tmp_path):
    write_nginx(tmp_path, "127.0.0.1:5140", {"shop-1": 8011, "shop-2": 8012}, 8080)
    command = [program("nginx", "nginx-light"), "-t", "-p", tmp_path, "-c", "nginx.conf"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and "warn" not in told.stderr, told.stderr
