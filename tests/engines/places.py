"""Places of one's own on the engines that all tests share: an environment, with the templates clusterlog makes."""

from __future__ import annotations

import secrets
from contextlib import closing, contextmanager

from clusterlog.settings import load
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.provision import server
from clusterlog.store.elasticsearch.provision.templates.bodies import Choice, component_templates
from clusterlog.store.elasticsearch.transport import Client

ENVIRONMENTS = "r"
"""What the names of all environments here begin with."""


_provided = set()


def settings_of(url, **given):
    return load({"home": "/nowhere", "store": url, **given}, environ={})


def provide(engine):
    """Templates for every environment of these tests; those of others on the same server are left alone."""
    if engine.url in _provided:
        return
    _provided.add(engine.url)
    with closing(Client.of(settings_of(engine.url))) as client:
        features = server.ask(client).present
    template = {}
    for component in component_templates(features, Choice(replicas=0)).values():
        template |= component["template"]
    made = {
        "index_patterns": [f"logs-clusterlog.*-{ENVIRONMENTS}*"],
        "priority": 300,
        "data_stream": {},
        "template": {**template, "settings": {**template["settings"], "index.refresh_interval": "-1"}},
    }
    status, answer = engine.call("PUT", "/_index_template/clusterlog-finding", made)
    assert status == 200, answer


class Place(ElasticsearchStore):
    """A store that can be filled. What was delivered is found after ``flush``."""

    def __init__(self, engine, environment=""):
        provide(engine)
        self.engine = engine
        self.environment = environment or f"{ENVIRONMENTS}{secrets.token_hex(6)}"
        self.settings = settings_of(engine.url, environment=self.environment)
        self.pattern = f"logs-clusterlog.*-{self.environment}"
        self.client = Client.of(self.settings)
        self._sink = ElasticsearchSink(Client.of(self.settings, kind="write"), self.settings)
        super().__init__(self.client, self.pattern)

    def deliver(self, batch):
        return self._sink.deliver(batch)

    def flush(self):
        status, answer = self.engine.call("POST", f"/{self.pattern}/_refresh")
        assert status == 200, answer
        self._asker.forget()

    def close(self):
        self._sink.close()
        super().close()


@contextmanager
def place_on(engine, environment=""):
    with closing(Place(engine, environment)) as place:
        yield place
