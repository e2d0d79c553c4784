"""The key that the documentation makes for Logstash does what Logstash asks for, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.engines

PAGE = Path(__file__).parents[3] / "docs" / "logstash.md"
EVENT = {"@timestamp": "2026-11-03T12:00:00Z", "event": {"id": "e1", "dataset": "clusterlog.app"}}


def test_the_key_of_the_documentation_lets_logstash_in_and_its_events_but_nobody_read(setup, secured):
    assert setup("--yes").code == 0
    body = json.loads(re.search(r"-d '(\{.*?\})'", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1])
    status, made = secured.call("POST", "/_security/api_key", body)
    assert status == 200, made

    def ask(method, path, body=None):
        return secured.call(method, path, body, Authorization=f"ApiKey {made['encoded']}")

    assert [ask("GET", path)[0] for path in ("/", "/_license")] == [200, 200], "by which it knows whom it writes to"
    stream = "logs-clusterlog.app-of_logstash"
    lines = "".join(json.dumps(line) + "\n" for line in ({"create": {"_index": stream, "_id": "e1"}}, EVENT))
    status, told = ask("POST", "/_bulk", lines)
    assert status == 200 and told["items"][0]["create"]["status"] == 201, told
    assert ask("POST", f"/{stream}/_search", {})[0] == 403
    assert ask("PUT", "/_index_template/x", {"index_patterns": ["x"]})[0] == 403
    elsewhere = lines.replace(stream, "logs-system.auth-default")
    assert ask("POST", "/_bulk", elsewhere)[1]["items"][0]["create"]["status"] == 403
