"""The whole command on every engine: planned, made, left alone, and only ever asked what it may be asked."""

from __future__ import annotations

import json

import pytest
from faults import FaultProxy

pytestmark = pytest.mark.engines

LEFT_OUT = {
    "elasticsearch_9": {"component template ecs@mappings"},
    "opensearch": {"index mode logsdb", "data stream lifecycle", "failure store", "component template ecs@mappings"},
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_server_is_planned_for_set_up_and_left_alone_then(request, run, name):
    engine = request.getfixturevalue(name)
    asked = []

    def script(path):
        asked.append(path.partition("?")[0])
        return "none"

    with FaultProxy(engine.url, script) as proxy:
        here = ("setup", "elasticsearch", "--store", proxy.url)
        plan = json.loads(run(*here, "--retention", "11d", "--replicas", "1", "--dry-run", "--json").out)
        assert plan["server"]["flavour"] == engine.flavour and plan["server"]["profile"] == "reduced"
        left_out = {each["what"] for each in plan["left_out"]}
        assert LEFT_OUT[name] <= left_out and all(each["reason"] for each in plan["left_out"])
        assert plan["plan"] and not any(step["done"] for step in plan["plan"])

        made = json.loads(run(*here, "--retention", "11d", "--replicas", "1", "--json").out)
        assert [step["name"] for step in made["plan"]] == [step["name"] for step in plan["plan"]]
        assert all(step["done"] for step in made["plan"]) and made["error"] is None

        again = run(*here)
        assert (again.code, again.err, again.lines[-1]) == (0, "", "nothing to do: 3 as they should be")
        assert again.lines[0].startswith(f"{'OpenSearch' if name == 'opensearch' else 'Elasticsearch'} ")
        assert run(*here, "--retention", "30d", "--replicas", "auto").code == 0
    assert "/" not in asked and "/_nodes/_local/settings" in asked
