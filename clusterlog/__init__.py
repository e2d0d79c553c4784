"""clusterlog: follow one user's request across every node, and change what the nodes log while they run.

Names are resolved when they are first used, so that ``import clusterlog`` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterlog.context.carrier import extract as extract
    from clusterlog.context.carrier import inject as inject
    from clusterlog.context.crossing import carry as carry
    from clusterlog.context.request import annotate as annotate
    from clusterlog.context.request import bind as bind
    from clusterlog.context.request import bound as bound
    from clusterlog.context.request import request_id as request_id
    from clusterlog.context.request import unbind as unbind
    from clusterlog.control.cluster import cluster as cluster
    from clusterlog.encode.formatter import JsonFormatter as JsonFormatter
    from clusterlog.integrations import instrument as instrument
    from clusterlog.record.logger import get_logger as get_logger
    from clusterlog.record.step import step as step
    from clusterlog.start import Handler as Handler
    from clusterlog.start import dict_config as dict_config
    from clusterlog.start import dropped as dropped
    from clusterlog.start import flush as flush
    from clusterlog.start import start as start
    from clusterlog.start import stop as stop

    __version__: str

_HOMES = {
    "start": "start",
    "stop": "start",
    "flush": "start",
    "dropped": "start",
    "Handler": "start",
    "dict_config": "start",
    "JsonFormatter": "encode.formatter",
    "cluster": "control.cluster",
    "get_logger": "record.logger",
    "step": "record.step",
    "bind": "context.request",
    "unbind": "context.request",
    "bound": "context.request",
    "annotate": "context.request",
    "request_id": "context.request",
    "inject": "context.carrier",
    "extract": "context.carrier",
    "carry": "context.crossing",
    "instrument": "integrations",
}

__all__ = [
    "Handler",
    "JsonFormatter",
    "__version__",
    "annotate",
    "bind",
    "bound",
    "carry",
    "cluster",
    "dict_config",
    "dropped",
    "extract",
    "flush",
    "get_logger",
    "inject",
    "instrument",
    "request_id",
    "start",
    "step",
    "stop",
    "unbind",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            found: Any = version("clusterlog")
        except PackageNotFoundError:  # run from a source tree that was never installed
            found = "0+unknown"
    elif name in _HOMES:
        found = getattr(import_module(f"clusterlog.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'clusterlog' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps ``clusterlog.start`` the function: importing the module of that name would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOMES and _HOMES[name] == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
