"""A shipper is there as long as it can be, and what ends it for good is told."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from clusterlog.cli.demo import shipping as module
from clusterlog.cli.demo.processes import Child, environment
from clusterlog.cli.demo.shipping import Shipping
from clusterlog.errors import SettingError, StoreUnavailable

KILLED = "import os; os.kill(os.getpid(), 9)"
DONE = ""
LASTING = "import time; time.sleep(600)"
UNREACHABLE = "print('clusterlog: the store does not answer'); raise SystemExit(3)"
MISCONFIGURED = "print('clusterlog: unknown setting'); raise SystemExit(2)"


@pytest.fixture
def shipping_of(tmp_path, monkeypatch):
    """Shipping whose shippers run the given programs, one after the other; ``started`` is how many there were."""
    made = []

    def make(*programs: str) -> tuple[Shipping, list[Child]]:
        waiting = list(programs)
        started: list[Child] = []

        def ship(self: Shipping, *options: str) -> Child:
            argv = [sys.executable, "-c", waiting.pop(0)]
            started.append(Child("ship", argv, tmp_path / "ship.log", environment()))
            return started[-1]

        monkeypatch.setattr(Shipping, "_ship", ship)
        made.append(Shipping(tmp_path / "home", tmp_path / "ship.log", {}))
        return made[-1], started

    yield make
    for each in made:
        each.__exit__(None, None, None)


def _ended(child: Child) -> None:
    while child.exit_code() is None:
        time.sleep(0.01)


def test_a_last_delivery_that_is_killed_begins_again(shipping_of):
    shipping, started = shipping_of(KILLED, KILLED, DONE)
    shipping.finish()
    assert [child.exit_code() for child in started] == [-9, -9, 0]


def test_a_last_delivery_that_fails_is_told_in_the_shippers_own_words(shipping_of):
    shipping, _ = shipping_of(UNREACHABLE)
    with pytest.raises(StoreUnavailable, match="the store does not answer"):
        shipping.finish()


def test_a_shipper_that_is_killed_is_replaced_at_once_and_one_that_lasts_is_not(shipping_of):
    shipping, started = shipping_of(KILLED, LASTING)
    shipping.watch()
    _ended(started[0])
    shipping.watch()
    shipping.watch()
    assert len(started) == 2


@pytest.mark.parametrize(("pause", "shippers"), [(600.0, 1), (0.0, 2)])
def test_a_shipper_that_gives_up_is_replaced_only_after_a_pause(shipping_of, monkeypatch, pause, shippers):
    monkeypatch.setattr(module, "AGAIN_S", pause)
    shipping, started = shipping_of(UNREACHABLE, LASTING)
    shipping.watch()
    _ended(started[0])
    shipping.watch()
    assert len(started) == shippers


def test_a_shipper_that_cannot_run_as_it_is_told_to_ends_the_demo(shipping_of):
    shipping, started = shipping_of(MISCONFIGURED)
    shipping.watch()
    _ended(started[0])
    with pytest.raises(SettingError, match="unknown setting"):
        shipping.watch()


def test_a_home_that_somebody_else_ships_is_left_to_them(shipping_of, tmp_path):
    shipping, started = shipping_of(LASTING)
    holding = (
        "import sys; from pathlib import Path; from clusterlog.ship.homelock import HomeLock\n"
        f"HomeLock.take(Path({str(tmp_path / 'home')!r})); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        shipping.watch()
        assert not started
        other.communicate()
    shipping.watch()
    assert len(started) == 1
