"""Certificates of servers and of those who sign them, good ones and bad ones, made as they are needed."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificates:
    """Makes certificates in a directory, each as a PEM file with its key beside it, by ``openssl``."""

    directory: Path

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def authority(self, name: str = "ca") -> Path:
        """A certificate authority."""
        made = self.directory / f"{name}.pem"
        if not made.exists():
            key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
            usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
            self._run("req", "-x509", *key, "-out", made.name, "-subj", f"/CN={name}", "-days", "2", *usage)
        return made

    def server(
        self, name: str = "server", authority: str = "ca", names: str = "DNS:localhost,IP:127.0.0.1", days: int = 2
    ) -> Path:
        """A server's certificate, signed by an authority."""
        self.authority(authority)
        made = self.directory / f"{name}.pem"
        if not made.exists():
            key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
            self._run("req", *key, "-out", f"{name}.csr", "-subj", "/CN=es", "-addext", f"subjectAltName={names}")
            signer = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-copy_extensions", "copy")
            self._run("x509", "-req", "-in", f"{name}.csr", *signer, "-days", str(days), "-out", made.name)
        return made

    def context(self, certificate: Path, *chain: Path) -> ssl.SSLContext:
        """What a server needs to present a certificate, with others behind it."""
        together = self.directory / f"{certificate.stem}.chain.pem"
        together.write_bytes(b"".join(each.read_bytes() for each in (certificate, *chain)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(together, certificate.with_suffix(".key"))
        return context

    def fingerprint(self, certificate: Path) -> str:
        """SHA-256 of a certificate as ``openssl`` prints it, colons and capitals included."""
        asked = ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]
        told = subprocess.run(asked, check=True, capture_output=True, text=True)
        return told.stdout.strip().partition("=")[2]
