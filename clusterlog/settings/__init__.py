"""Every setting once (``table``), what its value may be (``values``), and where it comes from (``origins``).

It comes in as an argument, a line of a file or an environment variable, and leaves as frozen ``Settings``. Nothing here
knows what a setting is for; nothing is read but those files.
"""

from clusterlog.settings.origins import load, without_credentials
from clusterlog.settings.table import Settings, names
from clusterlog.settings.values import BUSES, ROLES, SINKS, named, rate, recorded, seconds

__all__ = [
    "BUSES",
    "ROLES",
    "SINKS",
    "Settings",
    "load",
    "named",
    "names",
    "rate",
    "recorded",
    "seconds",
    "without_credentials",
]
