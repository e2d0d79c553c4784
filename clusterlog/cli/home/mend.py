"""What a person can do about a store that does not take events, by what is told of it."""

from __future__ import annotations

_MENDS = (
    # Of what answers.
    (
        "(401)",
        "put the right user and password into the URL, or a key into token_file (`setup elasticsearch --keys`)",
    ),
    (
        "(403)",
        "let somebody who administers the server give us a key: `clusterlog setup elasticsearch --keys ship`",
    ),
    ("(407)", "give `proxy` its user and password, or go past it with proxy = none"),
    ("(413)", "let the server, or the gateway before it (client_max_body_size of nginx), take larger requests"),
    ("flood-stage", "make room on the server's disk; Elasticsearch takes events again by itself then"),
    ("FORBIDDEN/", "take the block off the index, or roll its stream over: `_settings`, index.blocks"),
    ("has too much to do", "nothing if it passes: it is asked for less; if it lasts, look at the server's load"),
    ("no answer within", "nothing if it passes: it is asked for less; if it lasts, look at the server's load"),
    ("so for none of them", "look at what stands between: something there shortens the server's answers"),
    (
        "is a proxy or a log-in page in between?",
        "let the URL name the server itself, or sign in where it wants that",
    ),
    ("leads elsewhere", "let the URL name the place it leads to"),
    ("does not do what a store does", "let the URL name an Elasticsearch, an OpenSearch or a `clusterlog serve`"),
    # Of the way there.
    ("certificate has expired", "give the server a new certificate"),
    ("certificate is not valid yet", "set the clocks, this machine's and the server's"),
    ("certificate is for another name", "let the URL use a name that the certificate is for, or set fingerprint"),
    ("signed by nobody this machine trusts", "set ca_file to the certificate of who signed it, or set fingerprint"),
    ("no host of that name", "correct the name in the URL, or make it known to the name server"),
    ("its name cannot be looked up now", "look at this machine's network and its name server"),
    ("nothing listens there", "start the server, or correct host and port in the URL"),
    ("nothing answers there", "correct host and port in the URL, or let firewalls let us through to it"),
    ("no network leads there", "look at this machine's network and its routes, or correct the host in the URL"),
    ("the connection broke in the middle", "look at the server's log, and at proxies and firewalls on the way to it"),
    ("closed the connection", "look at the server's log, and at proxies and firewalls on the way to it"),
)
"""By a part of what is said; the first that fits counts."""


def mend(error: str) -> str:
    """What to do about it; empty where that is not known, or where the error says it itself."""
    return next((what for part, what in _MENDS if part in error), "")
