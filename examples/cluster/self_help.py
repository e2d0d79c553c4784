"""An application that turns up its own logging on every node when something begins to fail, for a while.

Start it in two terminals, in the same directory, and type into either:

    $ python self_help.py payments-1       $ python self_help.py payments-2
    pay 5
    pay lots
    level                                  level

The payment that fails on one node sets `payments.client` to DEBUG on all of them: the next failure is told in full,
wherever it happens. It ends by itself; nobody has to remember it.
"""

import argparse
import logging
import sys
from pathlib import Path

import clusterlog
from clusterlog.errors import ClusterlogError

log = logging.getLogger("payments.client")


def pay(amount: str, for_: str) -> str:
    """Pay, and ask the cluster for more to read where that fails."""
    log.debug("request to the bank", extra={"amount": amount})
    try:
        return f"paid {float(amount):.2f}"
    except ValueError:
        log.exception("payment failed")
        return f"failed, {ask_for_more(for_)}"


def ask_for_more(for_: str) -> str:
    """Set the level on all nodes of this service. What cannot be had is no reason for a payment to fail."""
    try:
        rule = clusterlog.cluster.set_level(
            log.name, "DEBUG", for_=for_, service="payments", reason="payments have begun to fail"
        )
    except ClusterlogError as error:  # the bus is away, or the role of this node is not `send`
        log.warning("the level stays as it is: %s", error)
        return "and nobody is told"
    return f"all nodes tell more by rule {rule}"


def main() -> None:
    """Do what is typed, line by line."""
    parser = argparse.ArgumentParser(description="Payments that help those who look for what is wrong with them.")
    parser.add_argument("node", help="the name of this process, such as payments-1")
    parser.add_argument("--home", type=Path, default=Path(".clusterlog"))
    parser.add_argument("--role", default="send", help="send: may change levels; apply: follows those of others")
    parser.add_argument("--for", dest="for_", default="5m", help="how long")
    given = parser.parse_args()

    logging.basicConfig(level=logging.INFO)
    clusterlog.start(service="payments", node=given.node, home=given.home, role=given.role)
    clusterlog.cluster.on_change(lambda change: log.info("%s: %s", change.node, change.what))
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["pay", amount]:
                print(pay(amount, given.for_), flush=True)
            case ["level"]:
                print(logging.getLevelName(log.getEffectiveLevel()), flush=True)
            case _:
                print("pay AMOUNT or level", flush=True)
    clusterlog.stop()


if __name__ == "__main__":
    main()
