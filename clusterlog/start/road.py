"""The road of this process: what leaves the record's one slot is encoded, numbered and written, in this order."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clusterlog.context import ids
from clusterlog.encode.console import screen
from clusterlog.encode.console.screen import Shown
from clusterlog.encode.ecs import APP, Encoder
from clusterlog.encode.facts import came_after, repeated
from clusterlog.encode.identity import IdentityHash, key_file
from clusterlog.encode.rendered import Bound
from clusterlog.errors import ClusterlogWarning
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.gate.throttle import Repeated, Throttle
from clusterlog.record.slot import Road, slot
from clusterlog.record.stdlib import RecordHandler
from clusterlog.settings import Settings, rate, recorded
from clusterlog.spool import filesystem, liveness
from clusterlog.spool.budget import Budget
from clusterlog.spool.stderr import LastResort, StderrWriter
from clusterlog.spool.writer import Writer

if TYPE_CHECKING:
    from clusterlog.record.gate.recorder import Recorder

_PRIORITY = logging.WARNING


class SpoolRoad:
    """The road of this process: whatever leaves the slot is encoded, numbered and written before the call returns."""

    def __init__(self, settings: Settings, begins: Callable[[], None] = lambda: None) -> None:
        """``begins`` is called when an instance begins, in a forked child before its first line, hooks or not."""
        self.settings = settings
        self.identity = IdentityHash(key_file(settings))
        self.encoder = Encoder.of(settings, self.identity)
        self.writer: Writer | StderrWriter | Shown = _writer(settings, self.encoder, begins)
        self.bound = self.encoder.bound
        self.sample = self.encoder.sample
        allowed = rate(settings.throttle)
        self.throttle = Throttle(self, *allowed) if allowed else None
        self.recorder = _recorder(self, self.throttle or self)
        self.entrance: Road = self.recorder or self.throttle or self

    def open(self) -> None:
        """Let what is said in; from here on loggers ask the recorder, if there is one."""
        slot.road = self.entrance
        if self.recorder is not None:
            self.recorder.start()

    def show(self) -> None:
        """Put the terminal of whoever develops behind the writer, if one is there to look at."""
        wanted = screen.wanted(self.settings.console, self.settings.environment)
        if wanted and not isinstance(self.writer, StderrWriter | Shown):
            always = self.settings.console == "on"
            shown = screen.Screen(os.getcwd(), always=always, site=self.settings.kibana)
            self.writer = Shown(self.writer, shown)

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        wall_ns: int = 0,
        bound: Bound | None = None,
    ) -> None:
        """A log line; see ``record.slot.Road``."""
        try:
            rest = self.encoder.line(level, logger, event, args, fields, failure, stack, bound)
            self.writer.append(level >= _PRIORITY, wall_ns or time.time_ns(), rest)
        except Exception as error:  # a fault of ours is counted, and never the host's
            if raised_by_signal(error):
                raise
            self.writer.ledger.total["internal_error"] += 1

    def document(
        self,
        dataset: str,
        level: int,
        logger: str,
        message: str,
        body: Mapping[str, Any],
        *,
        labels: Mapping[str, Any] | None = None,
        failure: BaseException | None = None,
        scope: Any = None,
        wall_ns: int = 0,
    ) -> None:
        """An access, call or span event; see ``record.slot.Road``."""
        try:
            rest = self.encoder.document(
                dataset, level, logger, message, body, labels=labels, failure=failure, scope=scope
            )
            self.writer.append(level >= _PRIORITY, wall_ns or time.time_ns(), rest)
        except Exception as error:
            if raised_by_signal(error):
                raise
            self.writer.ledger.total["internal_error"] += 1

    def recorded(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        bound: Bound | None = None,
    ) -> bytes:
        """A line to be written late, if at all; see ``record.gate.recorder``."""
        try:
            after = getattr(self.writer, "sequence", None)
            line = self.encoder.line(level, logger, event, args, fields, failure, stack, bound)
            return line if after is None else came_after(line, after)
        except Exception as error:
            if raised_by_signal(error):
                raise
            self.writer.ledger.total["internal_error"] += 1
            return b""

    def late(self, ns: int, line: bytes) -> None:
        """Write what ``recorded`` gave, with the time it was said at; its number tells when it was written."""
        try:
            if line:
                self.writer.append(False, ns, line)
        except Exception as error:
            if raised_by_signal(error):
                raise
            self.writer.ledger.total["internal_error"] += 1

    def repeated(self, told: Repeated) -> None:
        """Lines that were held back, as one; see ``record.gate.throttle``."""
        message, body = repeated(told)
        ns, scope, labels = told.last_ns, told.scope, told.last[-1]
        self.document(APP, told.level, told.logger, message, body, labels=labels, scope=scope, wall_ns=ns)

    def flush(self, timeout: float) -> bool:
        """Tell what is held back, and sync; see ``Writer.flush``."""
        if self.throttle is not None:
            self.throttle.tell()
        return self.writer.flush(timeout)

    def close(self, *, reopen: bool = False) -> None:
        """Tell what is held back, and end the instance; see ``Writer.close``."""
        if self.recorder is not None and not reopen:
            self.recorder.stop()
        if self.throttle is not None:
            self.throttle.tell()
        self.writer.close(time.time_ns(), reopen=reopen)


def _recorder(road: SpoolRoad, entrance: Road) -> Recorder | None:
    """The flight recorder that settings ask for; it keeps nothing that no rule may make a logger say here."""
    wanted = recorded(road.settings.recorder)
    if wanted is None:
        return None
    from clusterlog.control.rules.effective import Policy, ceilings
    from clusterlog.record.gate.recorder import Recorder

    policy = Policy(ceilings(road.settings.ceiling))
    name, slow_s = wanted
    least = logging.getLevelNamesMapping()[name]
    return Recorder(entrance, road, RecordHandler().emit, least, int(slow_s * 1e9), policy.ceiling)


def _writer(settings: Settings, encoder: Encoder, begins: Callable[[], None]) -> Writer | StderrWriter:
    home = settings.home_path
    refusal = filesystem.unsuitable(home)
    if refusal:
        warnings.warn(f"{refusal}: events go to stderr as JSON", ClusterlogWarning, stacklevel=4)
        return StderrWriter(encoder.head, ids.new_entity_id)

    def new_instance() -> str:
        begins()
        return ids.new_entity_id()

    return Writer(
        home / "spool",
        head=encoder.head,
        state=encoder.state,
        new_instance=new_instance,
        budget=Budget(settings.disk_limit),
        durability=settings.durability,  # type: ignore[arg-type]
        shipper_lives=lambda: liveness.holder(home / "run" / "ship.lock") != 0,
        last_resort=LastResort(home / "spool"),
    )
