"""The way to the server that may be written to: the one of several that is no replica, or the one Sentinel names."""

from __future__ import annotations

import time

from clusterlog.control.bus import base
from clusterlog.control.bus.redis.address import Address, Place
from clusterlog.control.bus.redis.wire import Wire
from clusterlog.errors import BusDenied, BusUnreachable


def writable(address: Address) -> Wire:
    """A connection to the server of ``address`` that takes changes, made within ``PATIENCE_S``.

    Raises BusUnreachable with what stood against each; BusDenied where nothing but our rights did.
    """
    end = time.monotonic() + base.PATIENCE_S
    failures: list[BusUnreachable] = []
    for index, place in enumerate(address.places):
        try:
            # Whoever does not answer leaves the others their time.
            until = time.monotonic() + (end - time.monotonic()) / (len(address.places) - index)
            if not address.master:
                return _checked(Wire(place, address.login, address.tls, address.number, patience_s=_left(until)))
            named = _named(address, place, _left(until) / 2)
            return _checked(Wire(named, address.login, address.tls, address.number, patience_s=_left(until)))
        except BusUnreachable as failure:
            failures.append(failure)
    # The same master, not reached by way of each sentinel, is said once.
    told = "; ".join(dict.fromkeys(str(each) for each in failures))
    raise (BusDenied if all(isinstance(each, BusDenied) for each in failures) else BusUnreachable)(told)


def beside(wire: Wire, address: Address, patience_s: float) -> Wire:
    """Another connection to the very server that ``wire`` is connected to, made within ``patience_s``."""
    return Wire(wire.place, address.login, address.tls, address.number, peer=wire.peer, patience_s=patience_s)


def takes_changes(wire: Wire) -> bool | None:
    """Whether the server is a master by its own word; None where we may not know (the right is ``+role``)."""
    try:
        answer = wire.ask("ROLE")
    except BusDenied:
        return None
    return bool(answer[0] == b"master")


def _checked(wire: Wire) -> Wire:
    try:
        if takes_changes(wire) is False:
            raise BusUnreachable(f"{wire.where}: is a replica, which takes no changes")
    except BaseException:
        wire.close()
        raise
    return wire


def _named(address: Address, sentinel: Place, patience_s: float) -> Place:
    wire = Wire(sentinel, address.sentinel_login, address.tls, patience_s=patience_s)
    try:
        answer = wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master)
    finally:
        wire.close()
    if answer is None:
        raise BusUnreachable(f"{sentinel}: watches no master called {address.master}")
    host, port = answer
    return Place(host.decode(), int(port))


def _left(end: float) -> float:
    return max(0.05, end - time.monotonic())
