"""Every exception and warning of clusterlog, in one tree.

ClusterlogError                 exit code 70
├── SettingError                2   a setting, a URL or a file that cannot be used as it is
├── QueryError                  2   a query that cannot be read; carries the position
├── MissingExtra                2   a command whose optional dependencies are not installed
├── NotFound                    1   nothing matched (as grep)
│   └── Ambiguous               1   several matched where one is meant
├── HomeBusy                    3   another process holds the lock of the home
├── StoreUnavailable            3   the store, or what it stands on, does not answer
│   └── StoreDenied             4   it answers that we may not
├── NodeUnavailable             3   a node does not run, or does not answer
├── BusUnreachable              3   the bus does not answer
│   └── BusDenied               4   it answers that we may not
├── Conflict                    3   somebody else changed the desired state meanwhile
├── Rejected                    4   a document, rule or message that is not to be believed or followed
├── NotConfirmed                6   a change is written, and not everybody meant has said that it is in force
├── NotAllowed                  4   permission or credentials
├── Incomplete                  5   the answer is known to lack something
└── TimedOut                    7   a wait ran out

The exit codes are those of the command line; a message is one line, lower case, and says what to do.
"""

from __future__ import annotations

from typing import Literal

Advice = Literal["again", "slower", "halve", "bisect", "wait"]


class ClusterlogError(Exception):
    """The root of the tree; ``exit_code`` is what a command ends with when it meets the error."""

    exit_code = 70


class SettingError(ClusterlogError):
    """A setting whose name or value cannot be used; the message names the origin and the nearest legal value."""

    exit_code = 2


class QueryError(ClusterlogError):
    """A query that cannot be read: ``position`` and ``length`` count characters of ``query``."""

    exit_code = 2

    def __init__(self, message: str, query: str = "", position: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.query = query
        self.position = position
        self.length = length


class MissingExtra(ClusterlogError):
    """A third party that an optional part needs is not installed; ``extra`` names the part."""

    exit_code = 2

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an extra: pip install "clusterlog[{extra}]"')
        self.extra = extra


class NotFound(ClusterlogError):
    """Nothing matched."""

    exit_code = 1


class Ambiguous(NotFound):
    """Several things matched where one is meant; the message says how to name one of them."""


class HomeBusy(ClusterlogError):
    """Another process holds a lock of the home; ``pid`` is its process id, 0 if unknown.

    ``doing`` says what the lock is for, ``hint`` how to wait.
    """

    exit_code = 3

    def __init__(
        self, home: str, pid: int, doing: str = "shipped", hint: str = "wait for it with `clusterlog ship --once`"
    ) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{home} is being {doing} by {holder}: stop it, or {hint}")
        self.pid = pid


class StoreUnavailable(ClusterlogError):
    """The store does not answer, or answers with something that is not an answer.

    ``advice`` is for who sends events, all of which are to be sent again: ``again`` after a pause; ``slower``, fewer at
    a time, as it has more than it can take; ``halve`` the batch, which is too large for it; ``bisect`` the batch, in
    which something cannot be read; ``wait`` until somebody has mended a setting, a right or a template. ``retry_after``
    are the seconds it asked for.
    """

    exit_code = 3

    def __init__(self, message: str, advice: Advice = "again", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.advice = advice
        self.retry_after = retry_after


class NodeUnavailable(ClusterlogError):
    """A node of the cluster does not run, or does not answer."""

    exit_code = 3


class BusUnreachable(ClusterlogError):
    """The bus does not answer, or its connection has been silent for too long."""

    exit_code = 3


class Conflict(ClusterlogError):
    """Somebody else has changed the desired state meanwhile: read it again, and decide anew."""

    exit_code = 3


class NotConfirmed(ClusterlogError):
    """A change is written, and not every worker that was meant has said that it is in force."""

    exit_code = 6


class Rejected(ClusterlogError):
    """A document, rule or message that is not to be believed or followed; ``reason`` is one word for counters."""

    exit_code = 4

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAllowed(ClusterlogError):
    """Permission on a file or credentials for a server are missing."""

    exit_code = 4


class StoreDenied(StoreUnavailable, NotAllowed):
    """The store refuses the credentials, or what they may do is less than was asked; only a person can mend it."""

    exit_code = 4

    def __init__(self, message: str) -> None:
        super().__init__(message, "wait")


class BusDenied(BusUnreachable, NotAllowed):
    """The bus refuses the credentials, or what they may do is less than was asked; only a person can mend it."""

    exit_code = 4


class Incomplete(ClusterlogError):
    """The answer is known to lack something, and completeness was asked for."""

    exit_code = 5


class TimedOut(ClusterlogError):
    """A wait ran out."""

    exit_code = 7


class ClusterlogWarning(UserWarning):
    """What the application side says once when it must go on with less than was asked for."""
