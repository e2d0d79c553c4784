"""The hosts of a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clusterlog.errors import SettingError
from clusterlog.settings import without_credentials
from clusterlog.settings.servers.hosts import Host, hosts


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://es:9200", ["http://es:9200"]),
        ("HTTPS://es", ["https://es:443"]),
        ("http://es", ["http://es:80"]),
        ("https://es/prefix/", ["https://es:443/prefix"]),
        ("https://[2001:db8::1]:9200", ["https://[2001:db8::1]:9200"]),
        ("https://a:9200,b,c:9201", ["https://a:9200", "https://b:9200", "https://c:9201"]),
        ("https://a:9200, http://b:1", ["https://a:9200", "http://b:1"]),
        ("https://a:9200,b:9200/es", ["https://a:9200/es", "https://b:9200/es"]),
        ("https://a:9200/es,b", ["https://a:9200/es", "https://b:9200/es"]),
        ("https://a:9200/x,b/y", ["https://a:9200/x", "https://b:9200/y"]),
        ("http://a:1,a:1", ["http://a:1"]),
    ],
)
def test_what_a_later_host_leaves_out_is_as_for_the_first(url, shown):
    assert [host.url for host in hosts(url)] == shown


def test_user_and_password_are_read_for_each_host_and_not_shown():
    first, second, third = hosts("https://u%40x:p%3A%2C%2F@a,b,v:q@c")
    assert (first.login, second.login, third.login) == (("u@x", "p:,/"), ("u@x", "p:,/"), ("v", "q"))
    assert first.url == "https://a:443"


@pytest.mark.parametrize(
    "url",
    ["", "https://", "http://:9200", "http://a b", "ftp://es", "http://es:x", "http://es:0", "http://es:70000",
     "http://es?x=1", "http://es#x", "http://a,,b", "es:9200", "http://u:secret,more@es", "http://[::1:9200"],
)  # fmt: skip
def test_what_names_no_host_is_refused_without_showing_a_password(url):
    with pytest.raises(SettingError) as told:
        hosts(url)
    assert "secret" not in str(told.value) or "," in url.partition("@")[0]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "localhost."])
def test_this_machine_is_known_by_its_names(name):
    assert Host("http", name, 1).is_loopback()


@pytest.mark.parametrize("name", ["es", "localhost.example", "10.0.0.1", "::2"])
def test_another_machine_is_not_taken_for_this_one(name):
    assert not Host("http", name, 1).is_loopback()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@a,b", "https://a,b"),
        ("https://u:p@a,v:q@b:1/x", "https://a,b:1/x"),
        ("https://u:p@a,https://v:q@b", "https://a,https://b"),
        ("https://u:p/w@a", "https://a"),
        ("https://a/x", "https://a/x"),
        ("file:/x@y", "y"),
    ],
)
def test_no_password_of_several_hosts_is_shown(url, shown):
    assert without_credentials(url) == shown


_WORD = some.text("abcXYZ019-_.~", min_size=1, max_size=8)


@given(login=some.lists(_WORD, min_size=2, max_size=2), names=some.lists(_WORD, min_size=1, max_size=3))
def test_what_is_shown_of_a_url_never_holds_its_password(login, names):
    url = "https://" + ",".join(f"{login[0]}:hidden{login[1]}@{name}" for name in names)
    assert "hidden" not in without_credentials(url)
