"""The one place that wires the rooms together: start, stop, flush, and what happens after a fork.

The road is context → record → encode → spool; here the encoder and the spool are put behind the record's one slot.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from clusterlog.context import crossing, peers, request, tracing
from clusterlog.context.patching import wait_no_more, when_imported
from clusterlog.control.part import slot as part
from clusterlog.record import capture
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler
from clusterlog.settings import Settings, load
from clusterlog.start.control import Control, judge
from clusterlog.start.road import SpoolRoad


class Handler(RecordHandler):
    """``logging.Handler`` for a hand-written configuration; opens the road by itself where ``start()`` was not called.

    Arguments are settings, as for ``start``: ``{"class": "clusterlog.Handler", "service": "shop"}``.
    """

    def __init__(self, level: int | str = logging.NOTSET, **settings: Any) -> None:
        super().__init__(level)
        _open_road(settings)
        _take_part()


def dict_config(
    service: str | None = None, /, *, merge: Mapping[str, Any] | None = None, **settings: Any
) -> dict[str, Any]:
    """A configuration for ``logging.config.dictConfig`` with our handler on the root logger, at the setting ``level``.

    ``merge`` is the application's own configuration, which is left as it is: the result has all of it, and our handler
    on its root logger and on every logger that keeps its records to itself, but for servers' access loggers. Its root
    level stays unless ``level`` is given here. Other arguments are settings, as for ``start``. Raises SettingError for
    a setting that does not exist or cannot be read.
    """
    arguments = {name: value for name, value in settings.items() if value is not None}
    if service is not None:
        arguments["service"] = service
    found = load(arguments)
    config: dict[str, Any] = {"version": 1, "disable_existing_loggers": False, **(merge or {})}
    if config.get("incremental"):  # may change levels only, and knows no new handler
        return config
    loggers = config["loggers"] = {name: dict(each) for name, each in (config.get("loggers") or {}).items()}
    # The root logger has two names in such a configuration; where both are used, ``root`` is applied last and wins.
    root = loggers[""] if "" in loggers and "root" not in config else dict(config.get("root") or {})
    if root is not loggers.get(""):
        config["root"] = root
    if "level" in arguments or "level" not in root:
        root["level"] = found.level
    for name in found.debug:
        loggers.setdefault(name, {})["level"] = "DEBUG"
    arguments.pop("level", None)  # to a handler it is a level of its own
    ours = _configured_handler(config, arguments)
    alone = [each for name, each in loggers.items() if each.get("propagate") is False and not name.endswith(".access")]
    for logger in (root, *alone):
        logger["handlers"] = [*(name for name in logger.get("handlers") or () if name != ours), ours]
    return config


def _configured_handler(config: dict[str, Any], arguments: Mapping[str, Any]) -> str:
    """The name of our handler in a configuration; it is added if there is none."""
    handlers = config["handlers"] = dict(config.get("handlers") or {})
    for name, handler in handlers.items():
        kind = handler.get("class", handler.get("()")) if isinstance(handler, Mapping) else None
        if kind in (Handler, "clusterlog.Handler", "clusterlog.start.Handler"):
            return str(name)
    free = "clusterlog"
    while free in handlers:
        free += "_"
    handlers[free] = {"class": "clusterlog.Handler", **arguments}
    return free


class _Started:
    """What ``start`` changed, so that ``stop`` can put it back."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.root_level = logging.NOTSET
        self.debug_levels: dict[str, int] = {}
        self.structlog_configured = False


_road: SpoolRoad | None = None
_control: Control | None = None
_started: _Started | None = None
_OPENTELEMETRY = "opentelemetry.sdk.trace"
_JOINING = "clusterlog.integrations.opentelemetry.joining"
"""Who joins it: named and not imported, for it stands above, and nobody else is to load it."""

_leave: Callable[[], None] | None = None
_provisional = False
"""Whether the road was opened by ``launch``: with the settings of outside only."""


def start(service: str | None = None, /, **settings: Any) -> None:
    """Log to the spool from here on: root level and handler, structlog unless the application configured it itself.

    Idempotent; arguments are settings. Raises SettingError for a setting that does not exist or cannot be read.
    """
    global _started
    if _started is not None:
        return
    road = _open_road(settings if service is None else {"service": service, **settings})
    done = _Started()
    root = logging.getLogger()
    done.root_level = _own_level(root)
    root.setLevel(road.settings.level)
    for name in road.settings.debug:
        logger = logging.getLogger(name)
        done.debug_levels[name] = _own_level(logger)
        logger.setLevel(logging.DEBUG)
    if not any(isinstance(handler, RecordHandler) for handler in root.handlers):
        done.handler = Handler()
        root.addHandler(done.handler)
    done.structlog_configured = _configure_structlog()
    crossing.install()
    capture.install()
    _started = done
    _take_part()


def _own_level(logger: logging.Logger) -> int:
    """The level that the program gave a logger, also where a rule is in force over it."""
    level = logger.level
    return int(getattr(level, "base", level))


def launch() -> None:
    """What ``clusterlog run`` does in place of ``start``, which the program may still call, and which wins.

    The road is opened with the settings of outside; no logger gets a handler or a level. The program's console stays
    as it is, unless the setting asks for more than ``auto``. Raises SettingError and NotAllowed.
    """
    global _provisional
    if _road is not None:
        return
    road = _open_road({}, watched=False)
    if road.settings.console == "on":
        road.show()
    _provisional = True
    crossing.install()
    capture.install()
    _take_part()


def stop() -> None:
    """Undo all that ``start`` did and end this process's instance with a close event. Idempotent."""
    global _started, _road
    _leave_cluster()
    done, _started = _started, None
    if done is not None:
        capture.remove()
        crossing.remove()
        root = logging.getLogger()
        if done.handler is not None:
            root.removeHandler(done.handler)
        root.setLevel(done.root_level)
        for name, level in done.debug_levels.items():
            logging.getLogger(name).setLevel(level)
        if done.structlog_configured:
            import structlog

            structlog.reset_defaults()
    _leave_opentelemetry()
    road, _road = _road, None
    slot.road = None
    request.renderer = None
    if road is not None:
        road.close()


def flush(timeout: float = 1.0) -> bool:
    """fdatasync this process's events; False if that failed. ``timeout`` in seconds bounds the wait for the lock."""
    return _road is None or _road.flush(timeout)


def dropped() -> dict[str, int]:
    """What this process could not keep, by reason; empty when nothing was lost.

    ``late_annotation`` and ``user_key_unreadable`` count facts that nobody will find; their events are kept.
    """
    lost: Counter[str] = Counter()
    if _road is not None:
        lost.update(_road.writer.ledger.total)
        if _road.identity.alone:
            lost["user_key_unreadable"] = _road.identity.alone
        if _road.recorder is not None and _road.recorder.dropped:
            lost["recorder_full"] = _road.recorder.dropped
    if request.late_annotations:
        lost["late_annotation"] = request.late_annotations
    lost.update(tracing.lost)
    return dict(lost)


def settings_in_force() -> Settings | None:
    """The settings the road was opened with, or ``None`` while there is no road."""
    return None if _road is None else _road.settings


def attached() -> bool:
    """Whether ``start`` has put a handler on the root logger, which somebody may have taken off since."""
    return _started is not None and _started.handler is not None


def controlled() -> Control | None:
    """This process's part in its cluster; ``None`` before ``start()``."""
    return _control


def pause() -> None:
    """End this process's instance and keep no file open; the next event begins an instance of its own."""
    if _road is not None:
        _road.close(reopen=True)


def _open_road(arguments: Mapping[str, Any], *, watched: bool = True) -> SpoolRoad:
    """The road of this process. ``watched``: whoever asks for it wants to see it on the terminal as well."""
    global _road, _provisional
    if _road is not None and _provisional and arguments:
        _leave_cluster()
        _road.close()
        _road = None
    if _road is None:
        settings = load(arguments)
        peers.parse_trust(settings.trust)  # said here, and not when the first request asks
        peers.parse_propagate_to(settings.propagate_to)
        judge(settings)
        _road = SpoolRoad(settings, _begins)
        _provisional = False
        request.linger = settings.linger
        request.renderer = _road.encoder.render
        _road.open()
        when_imported(_OPENTELEMETRY, _join_opentelemetry)
    if watched:
        _road.show()
    return _road


def _take_part() -> None:
    """Let the cluster's hand at this process: not now, as nothing may cost a program its start."""
    global _control
    if _control is None and _road is not None:
        _control = part.part = Control(_road, dropped)
        _control.resume()


def _leave_cluster() -> None:
    global _control
    control, _control, part.part = _control, None, None
    if control is not None:
        control.leave()


def _join_opentelemetry(_: ModuleType) -> None:
    """The application has loaded OpenTelemetry's SDK: its ids win from here on."""
    global _leave
    _leave = import_module(_JOINING).joined("start")


def _leave_opentelemetry() -> None:
    global _leave
    wait_no_more(_OPENTELEMETRY, _join_opentelemetry)
    leave, _leave = _leave, None
    if leave is not None:
        leave()


def _configure_structlog() -> bool:
    import structlog

    if structlog.is_configured():
        return False
    from clusterlog.record.logger import BoundLogger, standard_logger

    structlog.configure(
        processors=[],
        wrapper_class=BoundLogger,
        logger_factory=standard_logger,
        cache_logger_on_first_use=False,
    )
    return True


def _after_fork_in_child() -> None:
    if _road is not None:
        _road.writer.after_fork()
    if _control is not None:
        _control.forked()
    request.leave()


def _begins() -> None:
    """An instance begins: if in a child that was forked past Python's hooks, nobody has told its control yet."""
    if _control is not None and _control.pid != os.getpid():
        _control.forked()


def _end() -> None:
    """The process ends: it leaves the cluster, and its instance is closed."""
    _leave_cluster()
    pause()


crossing.at_process_exit = _end
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
# The road stays open: what other exit handlers say afterwards becomes a short instance of its own.
atexit.register(_end)
