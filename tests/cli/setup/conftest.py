"""A server that asks who is there, the command that sets it up, and the keys it makes."""

from __future__ import annotations

import secrets

import pytest

PASSWORD = "only-for-tests"
HASHED = "$2a$04$KKYXj.6pYV/Fl7cB4TuKrOF1TmRcWm7OHaUr/OKb4mTLaee3yu4oa"
"""Of that password."""
BUILT_IN = {"index_patterns": ["logs-*-*"], "priority": 100, "data_stream": {}}
"""What a server out of the box has, so that no stream stands on our template alone."""


@pytest.fixture(scope="session")
def secured(_engines):
    """Elasticsearch with users and roles, and a template as it comes with one."""
    files = {"users": f"admin:{HASHED}\n", "users_roles": "superuser:admin\n"}
    engine = _engines("elasticsearch-8.19", {"xpack.security.enabled": True}, files=files, login=("admin", PASSWORD))
    assert engine.call("PUT", "/_index_template/logs", BUILT_IN)[0] == 200
    return engine


@pytest.fixture
def setup(run, secured):
    """The command as somebody: by name, by the file of a key, or as the administrator."""

    def called(*options, user="admin", password=PASSWORD, token=None):
        if token is not None:
            return run("setup", "elasticsearch", "--store", secured.url, "--token-file", token, *options)
        url = secured.url.replace("//", f"//{user}:{password}@")
        return run("setup", "elasticsearch", "--store", url, *options)

    return called


@pytest.fixture
def somebody(secured):
    """Make a user with these roles, whose password is that of all."""

    def made(*roles):
        name = f"u{secrets.token_hex(4)}"
        status, told = secured.call("PUT", f"/_security/user/{name}", {"password": PASSWORD, "roles": roles})
        assert status == 200, told
        return name

    return made


@pytest.fixture
def keys(setup, tmp_path):
    """The server set up, and keys made for these uses: files by use."""

    def made(*uses, environments=()):
        directory = tmp_path / secrets.token_hex(4)
        limits = [word for each in environments for word in ("--environment", each)]
        result = setup("--keys", ",".join(uses), "--keys-to", directory, *limits)
        assert result.code == 0, result.err
        return {use: directory / f"{use}.token" for use in uses}

    return made
