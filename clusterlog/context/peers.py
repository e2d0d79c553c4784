"""Whom to believe and whom to tell: the rules of the settings ``trust`` and ``propagate_to``.

Both are judged on what the connection and the call say of themselves, an address or a host name; nothing is ever
looked up. What cannot be understood is not believed and not told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from clusterlog.errors import SettingError


class Network(NamedTuple):
    """An IP network: the IP version, its address and its mask as integers."""

    version: int
    address: int
    mask: int


# Written out instead of asking ``ipaddress.is_private``, which counts documentation and test networks too, and not the
# same ones from one Python to the next.
_PRIVATE_NETWORKS: Final = (
    Network(4, 0x7F000000, 0xFF000000),  # 127.0.0.0/8, loopback
    Network(6, 1, (1 << 128) - 1),  # ::1
    Network(4, 0x0A000000, 0xFF000000),  # 10.0.0.0/8, RFC 1918
    Network(4, 0xAC100000, 0xFFF00000),  # 172.16.0.0/12
    Network(4, 0xC0A80000, 0xFFFF0000),  # 192.168.0.0/16
    Network(6, 0xFC00 << 112, 0xFE00 << 112),  # fc00::/7, unique-local, RFC 4193
    Network(4, 0xA9FE0000, 0xFFFF0000),  # 169.254.0.0/16, link-local, RFC 3927
    Network(6, 0xFE80 << 112, 0xFFC0 << 112),  # fe80::/10, link-local, RFC 4291
)
_PRIVATE_SUFFIXES: Final = (".local", ".internal", ".svc", ".cluster.local")

_LONGEST: Final = 300  # characters; no host name or address is longer, brackets and zone included
_REMEMBERED: Final = 1024  # answers kept by each rule

_ZONE: Final = re.compile(r"[A-Za-z0-9._~-]{1,32}")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A name that ends so is read by clients as an IPv4 address in one of its historic notations: 134744072 is 8.8.8.8.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# IDNA 2003 and IDNA 2008 turn these into different names, so nobody can say which host a client would reach.
_AMBIGUOUS: Final = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose request id and ``traceparent`` are believed; made by ``parse_trust``.

    ``unaddressed`` stands for peers that have no address, those of a Unix socket.
    """

    everyone: bool
    unaddressed: bool
    networks: tuple[Network, ...]
    _judged: dict[str, bool] = field(default_factory=dict, init=False, compare=False, repr=False)

    def believes(self, peer: str | None) -> bool:
        """Whether the headers of a peer are believed.

        ``peer`` is the address of the connection's other end as text: IPv4 or IPv6, perhaps with a zone
        (``fe80::1%eth0``) or mapped (``::ffff:10.0.0.1``, judged as the IPv4 address it is). None and the empty text
        are what servers give for a Unix socket. Its other end is a process of this machine, so it is believed where
        loopback is: under ``private`` and ``*``, but not under a list that names networks alone. (A server that
        gives None for TCP peers as well calls for ``none``.) Anything else, such as a name, is no address and is
        believed under ``*`` alone. Never raises.
        """
        if self.everyone:
            return True
        if peer is None or peer == "":
            return self.unaddressed
        if not self.networks or not _readable(peer):
            return False
        known = self._judged.get(peer)
        if known is None:
            known = _remember(self._judged, peer, _within(self.networks, _address(peer)))
        return known


@dataclass(frozen=True, slots=True)
class PropagateTo:
    """Which hosts are sent the request id and the trace headers; made by ``parse_propagate_to``.

    ``suffixes`` begin with a dot; ``single_label`` stands for every name without one.
    """

    everyone: bool
    single_label: bool
    networks: tuple[Network, ...]
    names: frozenset[str]
    suffixes: tuple[str, ...]
    _judged: dict[str, bool] = field(default_factory=dict, init=False, compare=False, repr=False)

    def allows(self, host: str) -> bool:
        """Whether a call to a host carries the headers.

        ``host`` is the host alone, without user, port or path, as it stands in a URL: a name in any case, perhaps
        with a trailing dot or in Unicode, an IPv4 address, an IPv6 address with or without brackets. Anything that
        is none of these, such as ``good.local@evil.com`` or ``0x08080808``, is allowed under ``*`` alone. Names are
        judged as they are written, never looked up. Never raises.
        """
        if self.everyone:
            return True
        if not _readable(host):
            return False
        known = self._judged.get(host)
        if known is None:
            known = _remember(self._judged, host, self._judge(host))
        return known

    def _judge(self, host: str) -> bool:
        if host.startswith("["):
            inside = host[1:-1]
            return host.endswith("]") and ":" in inside and _within(self.networks, _address(inside))
        address = _address(host)
        if address is not None:
            return _within(self.networks, address)
        name = _canonical_name(host)
        if name is None:
            return False
        return (self.single_label and "." not in name) or name in self.names or name.endswith(self.suffixes)


def parse_trust(text: str) -> Trust:
    """Read the setting ``trust``: ``private``, ``none``, ``*``, or networks and ``private`` separated by commas.

    Raises ``SettingError`` with one line that names the part that cannot be used.
    """
    parts = _parts("trust", text, "networks such as 10.0.0.0/8, fd00::/8")
    if parts == ["*"] or parts == ["none"]:
        return Trust(everyone=parts == ["*"], unaddressed=False, networks=())
    networks: list[Network] = []
    for part in parts:
        if part == "private":
            networks += _PRIVATE_NETWORKS
            continue
        network = _network("trust", part)
        if network is None:
            raise SettingError(f"trust: {_shown(part)} is no network: write private, none, * or networks as 10.0.0.0/8")
        networks.append(network)
    return Trust(everyone=False, unaddressed="private" in parts, networks=tuple(networks))


def parse_propagate_to(text: str) -> PropagateTo:
    """Read the setting ``propagate_to``: ``private``, ``none``, ``*``, or a list separated by commas.

    A list has networks, host names, ``*.suffix`` for every name below a suffix (not the suffix itself), and
    ``private``. Raises ``SettingError`` with one line that names the part that cannot be used.
    """
    parts = _parts("propagate_to", text, "networks and hosts such as 10.0.0.0/8, api.example.com, *.example.com")
    if parts == ["*"] or parts == ["none"]:
        return PropagateTo(parts == ["*"], single_label=False, networks=(), names=frozenset(), suffixes=())
    networks: list[Network] = []
    names: list[str] = []
    suffixes: list[str] = []
    for part in parts:
        if part == "private":
            networks += _PRIVATE_NETWORKS
            suffixes += _PRIVATE_SUFFIXES
        elif (network := _network("propagate_to", part)) is not None:
            networks.append(network)
        elif part.startswith("*."):
            suffixes.append("." + _setting_name(part, part[2:]))
        else:
            names.append(_setting_name(part, part))
    return PropagateTo(
        everyone=False,
        single_label="private" in parts,
        networks=tuple(networks),
        names=frozenset(names),
        suffixes=tuple(suffixes),
    )


def _parts(setting: str, text: object, example: str) -> list[str]:
    """The parts of a list setting, its key words in lower case; ``*`` and ``none`` only alone."""
    if not isinstance(text, str):
        raise SettingError(f"{setting}: {_shown(text)} is no text: write private, none, * or {example}")
    parts = [part.lower() if part.lower() in ("private", "none") else part for part in map(str.strip, text.split(","))]
    parts = [part for part in parts if part]
    if not parts:
        raise SettingError(f"{setting} is empty: write private, none, * or {example}")
    for part in parts:
        if part in ("*", "none") and len(parts) > 1:
            raise SettingError(
                f"{setting}: {_shown(part)} stands alone: leave it out of the list, or leave out the rest"
            )
    return parts


def _network(setting: str, part: str) -> Network | None:
    """The network a part of a setting is, an address counting as a network of its own; None if it is neither."""
    from ipaddress import ip_network  # late, see _address

    try:
        network = ip_network(part)
    except ValueError:
        try:
            nearest = ip_network(part, strict=False)
        except ValueError:
            return None
        raise SettingError(f"{setting}: {_shown(part)} is not where a network begins: write {nearest}") from None
    address, mask = int(network.network_address), int(network.netmask)
    if network.version == 6 and address >> 32 == 0xFFFF:
        return Network(4, address & 0xFFFFFFFF, mask & 0xFFFFFFFF)  # mapped, as _address takes such addresses
    return Network(network.version, address, mask)


def _address(text: str) -> tuple[int, int] | None:
    """IP version and address of a text, an IPv4 address mapped into IPv6 as IPv4; None if it is no address."""
    from ipaddress import IPv6Address, ip_address  # late: `import clusterlog` has no use for it

    _, percent, zone = text.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def _within(networks: tuple[Network, ...], address: tuple[int, int] | None) -> bool:
    if address is None:
        return False
    version, number = address
    return any(net.version == version and number & net.mask == net.address for net in networks)


def _canonical_name(host: str) -> str | None:
    """A host name in lower-case ASCII without its trailing dot; None if it is none, or may be read as an address."""
    if not host.isascii():
        if _AMBIGUOUS.search(host):
            return None
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        return None
    return name


def _setting_name(part: str, name: str) -> str:
    canonical = _canonical_name(name)
    if canonical is None:
        raise SettingError(
            f"propagate_to: {_shown(part)} is neither a network nor a host name: "
            "write the host alone, as api.example.com, *.example.com or 10.0.0.0/8"
        )
    return canonical


def _readable(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST


def _remember(judged: dict[str, bool], key: str, answer: bool) -> bool:
    # Emptied instead of trimmed: the peers and hosts of a service are few, and a flood of others shall cost no memory.
    if len(judged) >= _REMEMBERED:
        judged.clear()
    judged[key] = answer
    return answer


def _shown(part: object) -> str:
    text = ascii(part)
    return text if len(text) <= 60 else f"{text[:57]}..."
