"""What a role of the database may do, and what is said where it may not."""

import secrets
import threading
from contextlib import closing, suppress

import pytest

from clusterlog.control.bus.postgres.link import PostgresBus
from clusterlog.errors import BusDenied, BusUnreachable
from clusterlog.testing.buses import changed, heard, subscribed, until

WORD = "secret-of-the-role"


@pytest.fixture
def role(postgres_server):
    """A role that may log in and nothing else; it and what it owns are gone afterwards."""
    name = f"r{secrets.token_hex(4)}"
    postgres_server.run(f"CREATE ROLE {name} LOGIN PASSWORD '{WORD}'")
    yield name
    postgres_server.run(f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


@pytest.fixture
def bus(postgres_server, role):
    """The bus in a schema of its own, as that role."""
    return lambda schema: PostgresBus(postgres_server.url(role, WORD, more=f"?schema={schema}"), "test")


@pytest.fixture
def schema(postgres_server):
    name = f"s{secrets.token_hex(4)}"
    yield name
    postgres_server.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def offered(error):
    """The SQL that a message says to run."""
    return str(error).partition("run: ")[2]


def test_a_role_that_may_not_make_the_schema_is_told_what_to_run_and_that_is_enough(postgres_server, bus, role, schema):
    with pytest.raises(BusDenied) as denied:
        bus(schema).open()
    assert role in str(denied.value)
    assert "\n" not in str(denied.value)
    assert WORD not in str(denied.value)
    postgres_server.run(offered(denied.value))
    with closing(subscribed(bus(schema).open())) as link:
        link.write(b"one", None)
        changed(link, b"one")


def test_a_role_that_may_not_make_tables_in_a_schema_is_told_what_to_run_and_that_is_enough(
    postgres_server, bus, role, schema
):
    postgres_server.run(f"CREATE SCHEMA {schema}", f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    with pytest.raises(BusDenied) as denied:
        bus(schema).open()
    postgres_server.run(offered(denied.value))
    with closing(bus(schema).open()) as link:
        assert link.read().document is None


def test_a_role_that_may_not_look_into_the_schema_is_told_what_to_run_and_that_is_enough(postgres_server, bus, schema):
    with closing(PostgresBus(postgres_server.url(more=f"?schema={schema}"), "test").open()) as owner:
        owner.write(b"one", None)
    with pytest.raises(BusDenied) as denied:
        bus(schema).open()
    postgres_server.run(*offered(denied.value).split("; "))
    with closing(subscribed(bus(schema).open())) as link:
        assert link.read().document == b"one"
        link.send(b"message")
        assert heard(link, 1) == [b"message"]


def test_f16_a_node_whose_role_may_not_write_the_document_does_all_else(postgres_server, bus, role, schema):
    with closing(PostgresBus(postgres_server.url(more=f"?schema={schema}"), "test").open()) as owner:
        owner.write(b"one", None)
    postgres_server.run(
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON {schema}.document TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.lease, {schema}.sent, {schema}.message TO {role}",
    )
    with closing(subscribed(bus(schema).open())) as link:
        assert link.read().document == b"one"
        link.lease("a", b"", 30.0, "e/1")
        assert link.leased("e/1") == 1
        link.release("a")
        link.send(b"message")
        assert heard(link, 1) == [b"message"]
        with pytest.raises(BusDenied, match="permission denied"):
            link.write(b"two", b"one")
        assert link.read().document == b"one"


def test_f32_a_role_whose_password_was_changed_is_denied_and_its_next_one_is_taken(postgres_server, bus, role, schema):
    postgres_server.run(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    with closing(bus(schema).open()) as link:
        postgres_server.run(
            f"ALTER ROLE {role} PASSWORD 'another'",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",
        )
        with pytest.raises(BusUnreachable):
            until(link, lambda come: False)
    with pytest.raises(BusDenied, match="password authentication failed") as denied:
        bus(schema).open()
    assert WORD not in str(denied.value)
    with closing(PostgresBus(postgres_server.url(role, "another", more=f"?schema={schema}"), "test").open()) as link:
        assert link.read().document is None


def test_f32_a_right_that_is_taken_away_is_said_by_the_call_that_needs_it(postgres_server, bus, role, schema):
    postgres_server.run(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    with closing(bus(schema).open()) as link:
        postgres_server.run(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}")
        with pytest.raises(BusDenied, match="permission denied"):
            link.lease("a", b"", 30.0, "e/1")


def test_many_that_begin_at_once_make_the_tables_once(postgres_server, schema):
    failures, ready = [], threading.Barrier(8)

    def begin():
        ready.wait()
        try:
            PostgresBus(postgres_server.url(more=f"?schema={schema}"), "test").open().close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    tables = postgres_server.run(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'")
    assert tables == [(4,)]


def test_libpq_says_nothing_on_standard_error(postgres_server, schema, capfd):
    bus = PostgresBus(postgres_server.url(more=f"?schema={schema}"), "test")
    for _ in range(2):
        bus.open().close()
    with suppress(BusUnreachable):
        PostgresBus(postgres_server.url(password="wrong"), "test").open()
    assert capfd.readouterr() == ("", "")
