"""A cache in every process that is emptied in all of them by one message.

Start it in two terminals, in the same directory, and type into either:

    $ python shared_cache.py shop-1        $ python shared_cache.py shop-2
    set tea 3                              get tea
    get tea                                sizes

`set` changes the price where all processes read it, and tells them; without that the other would go on with the price
it has kept. Nothing but this package is needed on one machine; on several, set `bus` and `control_key`.
"""

import argparse
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import clusterlog

log = clusterlog.get_logger("shop.prices")


class SharedCache:
    """Keeps what `load` gives, until somebody in the cluster says that it has changed."""

    def __init__(self, name: str, load: Callable[[str], str | None]) -> None:
        self._load = load
        self._kept: dict[str, str | None] = {}
        self._changes = 0
        self._lock = threading.Lock()
        self._client = clusterlog.cluster.client(name)
        # Whatever may have been missed may have been a flush: after a gap nothing that is kept can be trusted.
        self._client.subscribe("flush", self._forget, on_gap=self._forget)
        self._client.subscribe("size", lambda _: len(self._kept))

    def get(self, key: str) -> str | None:
        """The value of `key`: as it is kept, or loaded."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            changes = self._changes
        value = self._load(key)
        with self._lock:
            if changes == self._changes:  # else what was loaded may be older than the flush that came meanwhile
                self._kept[key] = value
        return value

    def flush(self, key: str | None = None) -> bool:
        """Forget `key`, or everything, here and in every other process; whether the others are told."""
        self._forget(key)
        return bool(self._client.send("flush", key))

    def sizes(self) -> dict[str, int]:
        """How much each process of the cluster keeps."""
        return {reply.sender.node: reply.data for reply in self._client.request("size") if not reply.failed}

    def _forget(self, key: str | None = None) -> None:
        with self._lock:
            self._changes += 1
            if key is None:
                self._kept.clear()
            else:
                self._kept.pop(key, None)
        log.info("prices forgotten", key=key or "all")


def main() -> None:
    """Do what is typed, line by line."""
    parser = argparse.ArgumentParser(description="Prices, kept in every process.")
    parser.add_argument("node", help="the name of this process, such as shop-1")
    parser.add_argument("--home", type=Path, default=Path(".clusterlog"))
    parser.add_argument("--prices", type=Path, default=Path("prices"), help="where all processes read them")
    given = parser.parse_args()
    given.prices.mkdir(exist_ok=True)

    def load(key: str) -> str | None:
        file = given.prices / key
        return file.read_text() if file.exists() else None

    clusterlog.start(service="shop", node=given.node, home=given.home)
    prices = SharedCache("prices", load)
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["get", key]:
                print(prices.get(key), flush=True)
            case ["set", key, price]:
                (given.prices / key).write_text(price)
                print("told" if prices.flush(key) else "not told", flush=True)
            case ["sizes"]:
                print(*(f"{node}={size}" for node, size in sorted(prices.sizes().items())), flush=True)
            case _:
                print("get KEY, set KEY PRICE or sizes", flush=True)
    clusterlog.stop()


if __name__ == "__main__":
    main()
