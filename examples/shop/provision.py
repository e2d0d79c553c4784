"""What only the administrator of Elasticsearch can do for others: Kibana's password, and an API key for Logstash.

Run as ``provision.py FILE``, where the key goes as ``id:key``. The server and its administrator are in
``CLUSTERLOG_STORE``, the authority in ``CLUSTERLOG_CA_FILE``, the password in ``KIBANA_PASSWORD``.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

KEY = {
    "name": "clusterlog-logstash",
    "role_descriptors": {
        "clusterlog_logstash": {
            "cluster": ["monitor"],
            "indices": [{"names": ["logs-clusterlog.*-*"], "privileges": ["create_doc", "auto_configure"]}],
        }
    },
}
TIMEOUT_S = 30


class Elasticsearch:
    """Requests to one server at ``url``, which has user and password in it. Every way raises OSError."""

    def __init__(self, url: str, ca_file: str) -> None:
        parts = urlsplit(url)
        self.url = f"{parts.scheme}://{parts.hostname}:{parts.port or 9200}"
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self._login = f"Basic {base64.b64encode(login.encode()).decode()}"
        context = ssl.create_default_context(cafile=ca_file or None)
        https = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)

    def call(self, method: str, path: str, body: Any = None, authorization: str = "") -> Any:
        """The answer to a request, from JSON."""
        headers = {"Authorization": authorization or self._login, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with self._opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read() or b"{}")


def let_kibana_in(server: Elasticsearch, password: str) -> None:
    """Give the user that Kibana works as this password, whichever it had."""
    server.call("POST", "/_security/user/kibana_system/_password", {"password": password})


def let_logstash_in(server: Elasticsearch, path: Path) -> bool:
    """Make a key for Logstash unless the one in the file is still good; whether one was made."""
    if path.exists() and _is_known(server, path.read_text().strip()):
        return False
    made = server.call("POST", "/_security/api_key", KEY)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o640)
    beside.write_text(f"{made['id']}:{made['api_key']}\n")
    beside.replace(path)
    return True


def _is_known(server: Elasticsearch, key: str) -> bool:
    authorization = f"ApiKey {base64.b64encode(key.encode()).decode()}"
    try:
        server.call("GET", "/_security/_authenticate", authorization=authorization)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        error.close()
        return False
    return True


def main() -> None:
    """Do both, and say so; what goes wrong is one line."""
    server = Elasticsearch(os.environ["CLUSTERLOG_STORE"], os.environ.get("CLUSTERLOG_CA_FILE", ""))
    try:
        let_kibana_in(server, os.environ["KIBANA_PASSWORD"])
        made = let_logstash_in(server, Path(sys.argv[1]))
    except urllib.error.HTTPError as error:
        if error.code == 401:
            told = "refuses the password: its volume was made with another .env (clusterlog stack down --volumes)"
        else:
            told = f"answers {error.code}: {error.read(500).decode('utf-8', 'replace')}"
        sys.exit(f"{server.url} {told}")
    except OSError as error:
        sys.exit(f"{server.url} does not answer: {error}")
    print("kibana_system has its password,", "a key for Logstash was made" if made else "the key for Logstash is good")


if __name__ == "__main__":
    main()
