from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterlog.context.peers import PropagateTo, Trust, parse_propagate_to, parse_trust
from clusterlog.errors import SettingError

PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "169.254.0.0/16",
        "fe80::/10",
    )
]
INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "0:0:0:0:0:0:0:1",
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "fc00::1",
    "fdff:ffff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::1%eth0.100",
    "febf::1%3",
    "FE80::ABCD",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::FFFF:C0A8:0001",
    "::ffff:10.0.0.1%eth0",
]
OUTSIDE = [
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "169.253.0.1",
    "169.255.0.1",
    "100.64.0.1",  # shared address space: carriers' customers are no friends
    "192.0.2.1",
    "198.18.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::",
    "::2",
    "2001:db8::1",
    "2606:4700::1111",
    "fbff::1",
    "fe00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:8.8.8.8",
    "::10.0.0.1",  # IPv4-compatible, not mapped
    "64:ff9b::10.0.0.1",  # NAT64
    "2002:a00:1::1",  # 6to4
]
NO_ADDRESS = [
    "testclient",
    "localhost",
    "unix:",
    "/run/app.sock",
    "10.0.0.1:80",
    "10.0.0.1, 8.8.8.8",
    "10.0.0.1/8",
    "10.0.0",
    "10.1",
    "167772161",
    "0x0a000001",
    "010.0.0.1",
    "10.0.0.1%eth0",
    " 10.0.0.1",
    "10.0.0.1 ",
    "10.0.0.1\n",
    "10.0.0.\u0661",
    "\uff11\uff10.0.0.1",
    "fe80::1%",
    "fe80::1%a b",
    "fe80::1%@evil.com",
    "::1%\r\nX: y",
    "\0",
    "\ud800",
    "1" * 10_000_000,
    ":" * 10_000_000,
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
addresses = st.ip_addresses() | st.sampled_from(PRIVATE).flatmap(lambda net: st.ip_addresses(network=net))


def shown(value: object) -> str:
    return ascii(value)[:40]


@pytest.fixture(autouse=True)
def _no_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a name server fails."""
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getfqdn"):
        monkeypatch.delattr(socket, name)


# trust


@pytest.mark.parametrize("peer", INSIDE, ids=shown)
def test_private_believes_loopback_rfc_1918_unique_local_and_link_local_peers(peer: str) -> None:
    assert parse_trust("private").believes(peer) is True


@pytest.mark.parametrize("peer", OUTSIDE, ids=shown)
def test_private_believes_no_other_address(peer: str) -> None:
    assert parse_trust("private").believes(peer) is False


@pytest.mark.parametrize("peer", NO_ADDRESS, ids=shown)
def test_what_is_no_address_is_believed_by_everyone_alone(peer: str) -> None:
    assert parse_trust("private").believes(peer) is False
    assert parse_trust("0.0.0.0/0, ::/0").believes(peer) is False
    assert parse_trust("none").believes(peer) is False
    assert parse_trust("*").believes(peer) is True


@given(addresses)
def test_private_says_of_every_address_what_its_networks_say(address: Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    inside = any((mapped or address) in network for network in PRIVATE)
    assert parse_trust("private").believes(str(address)) is inside
    if address.version == 4:
        assert parse_trust("private").believes(f"::ffff:{address}") is inside


@given(st.data(), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_listed_network_says_what_the_network_says(
    data: st.DataObject, bits: int, start: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{start}/{bits}", strict=False)
    trust = parse_trust(str(network))
    mapped = parse_trust(f"::ffff:{network.network_address}/{96 + bits}")
    for peer in data.draw(st.lists(st.ip_addresses(v=4) | st.ip_addresses(network=network), max_size=5)):
        assert trust.believes(str(peer)) is mapped.believes(str(peer)) is (peer in network)
        assert trust.believes(f"::ffff:{peer}") is (peer in network)


@pytest.mark.parametrize("peer", [None, ""])
def test_a_unix_socket_is_believed_as_loopback_is_but_not_by_a_list_of_networks(peer: str | None) -> None:
    assert parse_trust("private").believes(peer) is True
    assert parse_trust("private, 203.0.113.0/24").believes(peer) is True
    assert parse_trust("*").believes(peer) is True
    assert parse_trust("none").believes(peer) is False
    assert parse_trust("127.0.0.0/8, ::1, 0.0.0.0/0, ::/0").believes(peer) is False


@pytest.mark.parametrize("peer", [*INSIDE, *OUTSIDE], ids=shown)
def test_none_believes_nobody_and_everyone_all(peer: str) -> None:
    assert parse_trust("none").believes(peer) is False
    assert parse_trust("*").believes(peer) is True


def test_a_list_believes_its_networks_and_no_others() -> None:
    trust = parse_trust(" 203.0.113.0/24 ,2001:db8::/32,198.51.100.7, ")
    assert trust.believes("203.0.113.200")
    assert trust.believes("2001:db8:1::1")
    assert trust.believes("198.51.100.7")
    assert not trust.believes("198.51.100.8")
    assert not trust.believes("127.0.0.1")
    assert not trust.believes("::1")


def test_private_can_stand_in_a_list() -> None:
    trust = parse_trust("203.0.113.0/24, Private")
    assert trust.believes("203.0.113.1")
    assert trust.believes("10.0.0.1")
    assert not trust.believes("8.8.8.8")


@pytest.mark.parametrize("text", ["private", "PRIVATE", " Private "])
def test_key_words_are_read_in_any_case(text: str) -> None:
    assert parse_trust(text) == parse_trust("private")
    assert parse_propagate_to(text) == parse_propagate_to("private")
    assert parse_trust("None") == parse_trust("none")
    assert parse_propagate_to("NONE") == parse_propagate_to("none")


@given(st.text() | st.text("0123456789abcdef.:%[]/ ", max_size=50))
@example("::ffff:1.2.3.4%eth0")
def test_any_peer_is_judged_without_an_exception_and_always_the_same(peer: str) -> None:
    trust = parse_trust("private, 203.0.113.0/24")
    assert trust.believes(peer) is trust.believes(peer) is parse_trust("private, 203.0.113.0/24").believes(peer)


@pytest.mark.parametrize("peer", [b"10.0.0.1", 10, ["10.0.0.1"], ("10.0.0.1", 80), object()], ids=shown)
def test_a_peer_that_is_no_text_is_not_believed(peer: object) -> None:
    assert parse_trust("private").believes(peer) is False  # type: ignore[arg-type]


# propagate_to


@pytest.mark.parametrize(
    "host",
    [
        *INSIDE,
        *(f"[{address}]" for address in INSIDE if ":" in address),
        "[fe80::1%25eth0]",  # as RFC 6874 writes a zone in a URL
        "localhost",
        "LOCALHOST",
        "localhost.",
        "shop",
        "shop-1",
        "shop_db",
        "b\u00fccher",
        "xn--bcher-kva",
        "shop.local",
        "Shop.LOCAL",
        "shop.local.",
        "a.b.c.local",
        "orders.internal",
        "orders.shop.svc",
        "orders.shop.svc.cluster.local",
        "b\u00fccher.internal",
        "shop\u3002local",  # an ideographic full stop is a dot to IDNA
        "shop\uff0elocal",
    ],
    ids=shown,
)
def test_private_tells_private_addresses_single_labels_and_private_suffixes(host: str) -> None:
    assert parse_propagate_to("private").allows(host) is True


@pytest.mark.parametrize(
    "host",
    [
        *OUTSIDE,
        *(f"[{address}]" for address in OUTSIDE if ":" in address),
        "example.com",
        "www.example.com.",
        "local.example.com",
        "shop.local.example.com",
        "shop.locals",
        "shop.notlocal",
        "shop.xlocal",
        "shop.svc.example",
        "evil\u3002com",
        "evil\uff0ecom",
        "evil\uff61com",
    ],
    ids=shown,
)
def test_private_tells_no_public_host(host: str) -> None:
    assert parse_propagate_to("private").allows(host) is False


HOSTILE = [
    "",
    ".",
    "..",
    ".local",
    "shop..local",
    "shop.local..",
    "good.local@evil.com",
    "evil.com@good.local",
    "user:pass@shop",
    "evil.com#.local",
    "evil.com/.local",
    "evil.com\\.local",
    "evil.com?.local",
    "evil.com%2f.local",
    "evil.com%00.local",
    "evil.com\0.local",
    "evil.com .local",
    " shop",
    "shop ",
    "shop\n",
    "shop.local\n",
    "shop\r\nX-Evil: 1",
    "evil.com,.local",
    "evil.com;.local",
    "evil.com:80.local",
    "shop:80",
    "shop.local:80",
    "http://shop",
    "*",
    "*.local",
    "-shop",
    "shop-",
    "shop-.local",
    "a" * 64,
    "a" * 64 + ".local",
    ".".join(["a"] * 127) + ".local",
    "\u00e4" * 64,
    "evil.com\uff0f.local",  # fullwidth solidus
    "evil.com\u2100.local",  # a/c as one character
    "evil.com\uff03.local",
    "good.local\uff20evil.com",
    "stra\u00dfe.local",  # another host to IDNA 2003 than to IDNA 2008
    "\u03b2\u03cc\u03bb\u03bf\u03c2",
    "a\u200db.local",
    "a\u200cb",
    "\u202elacol.",
    "\ud800",
    "\ud800.local",
    "\U000e0001",
    "2130706433",  # 127.0.0.1, and so is each of the next six to a client that asks inet_aton
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "127.1",
    "0177.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "134744072",  # 8.8.8.8
    "0x08080808",
    "0X08080808",
    "0x",
    "8.8.2056",
    "10.0.0.1.",
    "shop.1",
    "shop.0x1",
    "10.0.0.256",
    "010.0.0.1",
    "10.0.0.1%eth0",
    "10.0.0.1:80",
    "\uff11\uff10.0.0.1",
    "[",
    "]",
    "[]",
    "[::1",
    "::1]",
    "[[::1]]",
    "[::1]:80",
    "[10.0.0.1]",
    "[shop]",
    "[v1.fe80::1]",
    "[::1%]",
    "fe80::1%@evil.com",
    "[fe80::1%]@evil.com]",
    "a" * 10_000_000,
    "\u00e4" * 10_000_000,
    "a." * 5_000_000,
    "[" * 10_000_000,
]


@pytest.mark.parametrize("host", HOSTILE, ids=shown)
def test_what_is_no_host_is_told_by_everyone_alone(host: str) -> None:
    assert parse_propagate_to("private").allows(host) is False
    assert parse_propagate_to("*.local, *.com, 0.0.0.0/0, ::/0").allows(host) is False
    assert parse_propagate_to("none").allows(host) is False
    assert parse_propagate_to("*").allows(host) is True


def test_none_tells_nobody_and_everyone_all() -> None:
    for host in ("127.0.0.1", "shop", "shop.local", "example.com", "8.8.8.8"):
        assert parse_propagate_to("none").allows(host) is False
        assert parse_propagate_to("*").allows(host) is True


def test_a_list_tells_its_networks_hosts_and_names_below_its_suffixes() -> None:
    rule = parse_propagate_to("203.0.113.0/24, API.Example.com., *.example.net, *.b\u00fccher.example, 2001:db8::1")
    for host in (
        "203.0.113.9",
        "::ffff:203.0.113.9",
        "[2001:db8::1]",
        "api.example.com",
        "API.EXAMPLE.COM",
        "api.example.com.",
        "a.example.net",
        "a.b.example.net.",
        "a.b\u00fccher.example",
        "A.XN--BCHER-KVA.example",
    ):
        assert rule.allows(host), host
    for host in (
        "203.0.114.9",
        "[2001:db8::2]",
        "example.com",
        "xapi.example.com",
        "api.example.com.evil.com",
        "example.net",
        "evilexample.net",
        "example.net.evil.com",
        "b\u00fccher.example",
        "127.0.0.1",
        "localhost",
        "shop.local",
    ):
        assert not rule.allows(host), host


def test_private_can_stand_in_a_list_of_hosts() -> None:
    rule = parse_propagate_to("private, api.example.com")
    assert rule.allows("api.example.com")
    assert rule.allows("shop")
    assert rule.allows("shop.svc")
    assert rule.allows("[::1]")
    assert not rule.allows("www.example.com")


@given(addresses)
def test_an_address_is_told_exactly_if_it_is_believed(address: Address) -> None:
    believed = parse_trust("private").believes(str(address))
    assert parse_propagate_to("private").allows(str(address)) is believed
    if address.version == 6:
        assert parse_propagate_to("private").allows(f"[{address}]") is believed


@given(st.text() | st.text("abcx0123.:%[]@/-_ \u00e4\u3002", max_size=60))
def test_any_host_is_judged_without_an_exception_and_always_the_same(host: str) -> None:
    rule = parse_propagate_to("private, *.example.com, b\u00fccher.example")
    first = rule.allows(host)
    assert rule.allows(host) is first
    assert rule.allows(host.swapcase()) is first or not host.isascii()


@given(st.text("abcdefgh.-_@:/%#?\\ \t\n\0[]", min_size=1, max_size=40))
def test_a_host_that_is_told_by_its_suffix_has_nothing_but_labels_before_it(before: str) -> None:
    if parse_propagate_to("private").allows(before + ".local"):
        assert not set(before) & set("@:/%#?\\ \t\n\0[]")


@pytest.mark.parametrize("host", [None, b"shop", 10, ["shop"], object()], ids=shown)
def test_a_host_that_is_no_text_is_not_told(host: object) -> None:
    assert parse_propagate_to("private").allows(host) is False  # type: ignore[arg-type]


# both


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" , ,", "is empty"),
        ("10.0.0.5/8", "'10.0.0.5/8' is not where a network begins: write 10.0.0.0/8"),
        ("private, 2001:db8::1/32", "'2001:db8::1/32' is not where a network begins: write 2001:db8::/32"),
        ("*, 10.0.0.0/8", "'*' stands alone"),
        ("private, *", "'*' stands alone"),
        ("none, private", "'none' stands alone"),
        ("*, *", "'*' stands alone"),
        ("10.0.0.0/33", "'10.0.0.0/33' is "),
        ("10.0.0.0/8, 10.0.0.256", "'10.0.0.256' is "),
        ("10.0.0.0/8 192.168.0.0/16", "'10.0.0.0/8 192.168.0.0/16' is "),
        ("10.0.0.0/8;::1", "'10.0.0.0/8;::1' is "),
        ("2130706433", "'2130706433' is "),
        ("http://shop", "'http://shop' is "),
        ("shop:80", "'shop:80' is "),
        ("*shop.com", "'*shop.com' is "),
        ("*.", "'*.' is "),
        ("*.*.com", "'*.*.com' is "),
        ("a@b", "'a@b' is "),
        ("stra\u00dfe.example", "'stra\\xdfe.example' is "),
        ("\x1b[31m\n", "'\\x1b[31m' is "),
        ("\ud800", "'\\ud800' is "),
        ("x" * 1_000_000 + "!", "'xxxxxxxx"),
        ("\u00e4" * 1_000_000, "'\\xe4\\xe4"),
        ("10.0.0.0/" + "9" * 10_000, "'10.0.0.0/999"),
    ],
    ids=shown,
)
@pytest.mark.parametrize(("setting", "parse"), [("trust", parse_trust), ("propagate_to", parse_propagate_to)])
def test_a_setting_that_cannot_be_used_gets_one_clear_line(
    setting: str, parse: Callable[[str], Trust | PropagateTo], text: str, says: str
) -> None:
    with pytest.raises(SettingError) as refused:
        parse(text)
    line = str(refused.value)
    assert line.startswith(setting)
    assert says in line
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 250


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("prvate", "'prvate'"),
        ("localhost", "'localhost'"),
        ("*.example.com", "'*.example.com'"),
        ("private, shop.local", "'shop.local'"),
    ],
)
def test_trust_takes_no_names(text: str, shown: str) -> None:
    with pytest.raises(SettingError, match=f"{re.escape(shown)} is no network: write private"):
        parse_trust(text)


@pytest.mark.parametrize("parse", [parse_trust, parse_propagate_to])
@pytest.mark.parametrize("value", [None, 5, True, ["private"], b"private"], ids=shown)
def test_a_setting_that_is_no_text_is_refused(parse: Callable[[str], Trust | PropagateTo], value: object) -> None:
    with pytest.raises(SettingError, match="is no text"):
        parse(value)  # type: ignore[arg-type]


@given(st.text() | st.text("0123456789abcdef.:%[]/*,- ", max_size=50))
def test_any_setting_is_read_or_refused(text: str) -> None:
    for parse in (parse_trust, parse_propagate_to):
        with suppress(SettingError):
            assert parse(text) == parse(f" {text} ,")


def test_a_flood_of_peers_and_hosts_is_not_remembered_for_ever() -> None:
    trust, rule = parse_trust("private"), parse_propagate_to("private")
    for number in range(5_000):
        trust.believes(f"fd00::{number:x}")
        rule.allows(f"shop-{number}")
        assert len(trust._judged) <= 1024
        assert len(rule._judged) <= 1024
    assert trust.believes("fd00::1")
    assert rule.allows("shop-1")
    trust.believes("1" * 301)
    rule.allows("a" * 301)
    assert max(map(len, [*trust._judged, *rule._judged])) <= 300


def test_an_answer_is_remembered() -> None:
    trust, rule = parse_trust("private"), parse_propagate_to("private")
    assert trust.believes("8.8.8.8") is False
    assert trust._judged == {"8.8.8.8": False}
    assert rule.allows("shop") is True
    assert rule._judged == {"shop": True}


def test_rules_read_from_one_text_are_equal_whatever_they_have_judged() -> None:
    used = parse_trust("private")
    used.believes("10.0.0.1")
    assert used == parse_trust("private")
    assert hash(used) == hash(parse_trust("private"))
    assert parse_trust("private") != parse_trust("10.0.0.0/8")


def test_reading_the_default_settings_imports_no_address_library() -> None:
    script = (
        "import sys; before = set(sys.modules)\n"
        "from clusterlog.context.peers import *\n"
        "parse_trust('private').believes(''); parse_propagate_to('private')\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"ipaddress", "socket", "encodings.idna", "urllib.parse"} & set(run.stdout.split())
