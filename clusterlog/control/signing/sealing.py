"""Sealed bytes: plain data with the name of its cluster and an HMAC-SHA-256 over its canonical JSON."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from clusterlog.control.canonical import canonical, plain
from clusterlog.control.signing.keys import Key
from clusterlog.errors import Rejected

ALGORITHM = "HS256"
MOST_BYTES = 256 << 10
"""The most that is read where nothing less is asked for."""


class Sealer:
    """Seals and opens what the nodes of ``cluster`` say to each other. Safe from any thread: it never changes."""

    def __init__(self, keys: tuple[Key, ...], cluster: str) -> None:
        """``keys``: the first one signs, all verify; never empty."""
        self.cluster = cluster
        self._signing = keys[0]
        self._signing_id = keys[0].id
        self._keys = {key.id: key for key in keys}

    def seal(self, fields: Mapping[str, Any]) -> bytes:
        """``fields``, which are plain data and have a ``schema``, in canonical JSON with cluster and signature.

        Raises ValueError, TypeError or RecursionError for what is no plain data.
        """
        sealed = {**fields, "cluster": self.cluster, "algorithm": ALGORITHM, "key": self._signing_id}
        sealed.pop("signature", None)
        sealed["signature"] = _signature(self._signing, canonical(sealed))
        return canonical(sealed)

    def opened(self, body: bytes, schema: str, most: int = MOST_BYTES) -> dict[str, Any]:
        """What was sealed, without the signature.

        Raises ``Rejected``: ``size`` above ``most`` bytes, ``garbage`` for what is no JSON object, ``signature`` for
        what no key of ours has signed, ``schema`` and ``cluster`` for what was signed, and is not meant for here.
        """
        fields = plain(body, most)
        signature, key_id = fields.pop("signature", None), fields.get("key")
        if not isinstance(signature, str) or not isinstance(key_id, str):
            raise Rejected("it is not signed", "signature")
        if fields.get("algorithm") != ALGORITHM:
            raise Rejected(
                f"it is signed by {fields.get('algorithm')!r}, and only {ALGORITHM} counts here", "signature"
            )
        key = self._keys.get(key_id)
        if key is None:
            raise Rejected(f"it is signed with the key {key_id!r}, which this node does not have", "signature")
        try:
            ours = _signature(key, canonical(fields))
        except (ValueError, RecursionError) as error:
            raise Rejected(f"this is no JSON: {error}", "garbage") from None
        if not hmac.compare_digest(ours.encode(), signature.encode("utf-8", "surrogatepass")):
            raise Rejected("its signature is not by the key it names", "signature")
        if fields.get("schema") != schema:
            raise Rejected(f"it is a {fields.get('schema')!r}, not a {schema}", "schema")
        if fields.get("cluster") != self.cluster:
            raise Rejected(f"it is of the cluster {fields.get('cluster')!r}, not of {self.cluster!r}", "cluster")
        return fields


def _signature(key: Key, content: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key.secret, content, "sha256")).rstrip(b"=").decode()
