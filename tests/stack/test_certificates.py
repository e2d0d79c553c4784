"""The script that makes the stack's certificates, run by sh with the real openssl."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples/shop"
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")


class Volumes:
    """What the script writes into, and a way to run it."""

    def __init__(self, directory: Path) -> None:
        self.authority, self.certificates, self.trust = (directory / name for name in ("authority", "certs", "trust"))
        for each in (self.authority, self.certificates, self.trust):
            each.mkdir()

    def run(self, **more: str) -> str:
        places = {"AUTHORITY": self.authority, "CERTIFICATES": self.certificates, "TRUST": self.trust}
        environ = {**os.environ, **{name: str(path) for name, path in places.items()}, **more}
        told = subprocess.run(
            ["sh", SHOP / "certificates.sh"], env=environ, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        return told.stdout

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.certificates.iterdir()}


def openssl(*arguments: object) -> str:
    told = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return told.stdout


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    made = Volumes(tmp_path_factory.mktemp("volumes"))
    made.run()
    return made


@pytest.fixture
def fresh(tmp_path):
    return Volumes(tmp_path)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("elasticsearch", {"elasticsearch", "elasticsearch-2", "elasticsearch-3", "localhost", "127.0.0.1"}),
        ("opensearch", {"opensearch", "localhost", "127.0.0.1"}),
        ("logstash", {"logstash", "localhost", "127.0.0.1"}),
        ("clusterlog", {"clusterlog"}),
    ],
)
def test_each_certificate_is_signed_by_the_authority_and_has_its_names(volumes, name, names):
    made = volumes.certificates / f"{name}.crt"
    assert openssl("verify", "-CAfile", volumes.trust / "ca.crt", made).endswith(": OK\n")
    told = openssl("x509", "-in", made, "-noout", "-ext", "subjectAltName")
    assert set(re.findall(r"(?:DNS|IP Address):([\w.-]+)", told)) == names
    use = openssl("x509", "-in", made, "-noout", "-ext", "extendedKeyUsage")
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in use


def test_keys_are_of_the_kind_that_logstash_reads_and_not_for_everybody(volumes):
    for path in volumes.certificates.glob("*.key"):
        assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----"), path.name  # PKCS#8
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path.with_suffix(".crt"), path)
    assert stat.S_IMODE((volumes.authority / "ca.key").stat().st_mode) == 0o600
    assert not list(volumes.certificates.glob("ca.key")) and [each.name for each in volumes.trust.iterdir()] == [
        "ca.crt"
    ]


def test_a_server_that_has_one_is_believed_by_who_trusts_the_authority(volumes):
    trusting = ssl.create_default_context(cafile=volumes.trust / "ca.crt")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(volumes.certificates / "elasticsearch.crt", volumes.certificates / "elasticsearch.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there, server_hostname="elasticsearch-2")
    server = serving.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert()["subject"][-1] == (("commonName", "elasticsearch"),)


def test_a_second_run_leaves_everything_as_it_is(volumes):
    before = volumes.contents()
    assert volumes.run() == ""
    assert volumes.contents() == before


def test_one_that_is_missing_is_made_again_by_the_same_authority(fresh):
    fresh.run()
    before = fresh.contents()
    (fresh.certificates / "logstash.crt").unlink()
    assert fresh.run() == "making the certificate of logstash\n"
    after = fresh.contents()
    assert {name for name in before if before[name] != after[name]} == {"logstash.crt", "logstash.key"}


def test_an_authority_that_is_about_to_end_is_replaced_with_all_it_has_signed(fresh):
    fresh.run()
    key, about_to_end = fresh.authority / "ca.key", fresh.authority / "ca.crt"
    openssl("req", "-x509", "-new", "-key", key, "-days", "20", "-subj", "/CN=clusterlog", "-out", about_to_end)
    told = fresh.run().splitlines()
    assert told[0] == "making the authority" and len(told) == 5
    for path in fresh.certificates.glob("*.crt"):
        assert openssl("verify", "-CAfile", fresh.trust / "ca.crt", path).endswith(": OK\n")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="there is no shellcheck here")
@pytest.mark.parametrize("path", sorted(SHOP.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_pass_shellcheck(path):
    told = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("path", sorted(SHOP.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_can_be_read_by_sh(path):
    assert subprocess.run(["sh", "-n", path], capture_output=True, check=False).returncode == 0
