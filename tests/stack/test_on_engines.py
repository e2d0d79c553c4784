"""The search tier of the compose file with a real server in its place: its settings, certificates and one-shot."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples/shop"
PASSWORD = "only-for-tests"
HASHED = "$2a$04$KKYXj.6pYV/Fl7cB4TuKrOF1TmRcWm7OHaUr/OKb4mTLaee3yu4oa"
"""Of that password."""

pytestmark = pytest.mark.engines


@pytest.fixture
def certificates(tmp_path):
    """What the first service makes."""
    places = {name: tmp_path / name.lower() for name in ("AUTHORITY", "CERTIFICATES", "TRUST")}
    for each in places.values():
        each.mkdir()
    environ = {**os.environ, **{name: str(path) for name, path in places.items()}}
    subprocess.run(["sh", SHOP / "certificates.sh"], env=environ, check=True, capture_output=True)
    return places["CERTIFICATES"]


def test_a_real_elasticsearch_starts_with_it_is_healthy_and_is_provisioned(stack, start_engine, certificates, tmp_path):
    service = stack("direct")["services"]["elasticsearch"]
    told = service["environment"].items()
    settings = {name: value for name, value in told if "." in name and not name.startswith(("cluster.", "discovery."))}
    files = {f"certs/{path.name}": path.read_bytes() for path in certificates.iterdir()}
    files |= {"users": f"admin:{HASHED}\n", "users_roles": "superuser:admin\n"}
    ca = certificates / "ca.crt"
    engine = start_engine("elasticsearch-8.19", settings, files=files, login=("admin", PASSWORD), ca=ca)

    with pytest.raises(urllib.error.HTTPError) as refused:  # what the health check looks for
        urllib.request.urlopen(engine.url, context=ssl.create_default_context(cafile=str(ca)))
    with refused.value as answer:
        assert b"missing authentication credentials" in answer.read()
    assert "missing authentication credentials" in service["healthcheck"]["test"][1]

    store = engine.url.replace("//", f"//admin:{PASSWORD}@")
    environ = {
        **os.environ,
        "CLUSTERLOG_HOME": str(tmp_path / "home"),
        "CLUSTERLOG_STORE": store,
        "CLUSTERLOG_CA_FILE": str(ca),
        "KIBANA_PASSWORD": "a-password-of-kibana",
    }
    # As provision.sh does, whose places are those of the container; twice, as it is run at every start.
    for _ in range(2):
        for command in (
            (SHOP / "provision.py", tmp_path / "logstash.key"),
            ("-m", "clusterlog", "setup", "elasticsearch", "--yes", "--keys", "ship", "--keys-to", tmp_path / "ship"),
            ("-m", "clusterlog", "setup", "elasticsearch", "--yes", "--keys", "read", "--keys-to", tmp_path / "read"),
        ):
            done = subprocess.run([sys.executable, *command], env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "ship/ship.token").stat().st_size and (tmp_path / "read/read.token").stat().st_size
    script = (SHOP / "provision.sh").read_text()
    assert script.count("clusterlog setup elasticsearch --yes --keys") == 2
