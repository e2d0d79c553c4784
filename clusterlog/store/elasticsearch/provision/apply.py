"""Making what is planned."""

from __future__ import annotations

from clusterlog.store.elasticsearch.provision.server import Server, ask, check
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    CUSTOM,
    INDEX,
    Choice,
    component_templates,
    index_template,
)
from clusterlog.store.elasticsearch.transport import Client


def provision(client: Client, choice: Choice | None = None) -> Server:
    """Make our templates on a server, whatever is there of ours already. Raises StoreUnavailable and SettingError."""
    choice = choice or Choice()
    server = ask(client)
    for name, body in component_templates(server.present, choice).items():
        check(client.call("PUT", f"/_component_template/{name}", body), "manage_index_templates")
    custom = client.call("GET", f"/_component_template/{CUSTOM}").status == 200
    body = index_template(server.present, choice, custom=custom)
    check(client.call("PUT", f"/_index_template/{INDEX}", body), "manage_index_templates")
    return server
