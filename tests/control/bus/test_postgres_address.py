"""The URL of a database: what is libpq's in it, what is ours, and what nobody is shown."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from clusterlog.control.bus.postgres.address import Address
from clusterlog.errors import SettingError


def attempts(url, **given):
    return [conninfo_to_dict(each) for each in Address.parse(url, **given).attempts]


def test_each_host_is_tried_for_itself_in_the_order_of_the_url():
    found = attempts("postgresql://app:secret@a:5433,b:5434,[::1]:5435/shop?sslmode=require")
    assert [(each["host"], each["port"]) for each in found] == [("a", "5433"), ("b", "5434"), ("::1", "5435")]
    assert {(each["user"], each["password"], each["dbname"], each["sslmode"]) for each in found} == {
        ("app", "secret", "shop", "require")
    }


def test_one_port_is_that_of_all_hosts():
    assert [each["port"] for each in attempts("postgresql:///shop?host=a,b,c&port=6000")] == ["6000"] * 3


def test_hosts_and_ports_that_do_not_fit_together_are_refused():
    with pytest.raises(SettingError, match="3 hosts and 2 of port"):
        Address.parse("postgresql:///shop?host=a,b,c&port=1,2")


def test_only_a_server_that_can_be_written_is_taken_unless_the_url_says_otherwise():
    assert attempts("postgresql://a/shop")[0]["target_session_attrs"] == "read-write"
    assert attempts("postgresql://a/shop?target_session_attrs=any")[0]["target_session_attrs"] == "any"


def test_our_own_words_are_taken_out_of_what_libpq_reads():
    address = Address.parse("postgresql://a/shop?schema=control_bus&sslmode=disable&listen=off")
    assert (address.schema, address.listen) == ("control_bus", False)
    assert conninfo_to_dict(address.attempts[0])["sslmode"] == "disable"
    assert Address.parse("postgresql://a/shop").listen is None
    assert Address.parse("postgresql://a/shop?listen=on").listen is True


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://a/shop?schema=Quote%22d", "schema="),
        ("postgresql://a/shop?schema=", "schema="),
        (f"postgresql://a/shop?schema={'x' * 64}", "schema="),
        ("postgresql://a/shop?listen=maybe", "expected on or off"),
        ("postgresql://a/shop?sslmod=require", "sslmod"),
        ("postgresql://user:se%zzcret@a/shop", "%40"),
        ("postgresql://user:secret@[::1/shop", "cannot be read"),
    ],
)
def test_what_cannot_be_right_is_refused_in_one_line_that_shows_no_password(url, told):
    with pytest.raises(SettingError) as refused:
        Address.parse(url)
    said = str(refused.value)
    assert told in said
    assert "\n" not in said
    assert "cret" not in said


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://app:secret@a:5433,b/shop", "postgresql://a:5433,b/shop"),
        ("postgresql://a/shop?user=app&password=secret", "postgresql://a/shop"),
        ("postgresql://[::1]:99/shop", "postgresql://[::1]:99/shop"),
        ("postgresql:///shop?host=/run/postgresql", "postgresql://%2Frun%2Fpostgresql/shop"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_the_name_has_hosts_and_database_and_no_credentials(url, name):
    address = Address.parse(url)
    assert address.name == name
    assert "secret" not in repr(address)


def test_the_authorities_of_the_settings_count_where_a_url_verifies_and_names_none():
    def root(more):
        return attempts(f"postgresql://a/shop{more}", ca_file="/etc/ca.pem")[0].get("sslrootcert")

    assert root("?sslmode=verify-full") == root("?sslmode=verify-ca") == "/etc/ca.pem"
    assert root("?sslmode=verify-full&sslrootcert=/own.pem") == "/own.pem"
    assert root("") is None
