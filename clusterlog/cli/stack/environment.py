"""The file ``.env`` of a stack: versions, ports, memory, and secrets that are made once."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterlog.errors import NotAllowed, SettingError

FILE = ".env"
WAYS = ("direct", "logstash", "opensearch")
"""Profiles of which a stack has one: how events get where, as one home has one sink."""
CLUSTER = "cluster"
PROFILES = (*WAYS, CLUSTER)
ELASTIC = ("direct", "logstash")
_ALPHABET = string.ascii_letters + string.digits
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_SIZE = re.compile(r"(\d+)([bkmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

VERSIONS = {
    "STACK_VERSION": "9.5.1",
    "OPENSEARCH_VERSION": "3.8.0",
    "HAPROXY_VERSION": "3.2.4-alpine",
    "REDIS_VERSION": "7.4.2-alpine",
}
PORTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "SHOP_PORT": (8080, WAYS),
    "KIBANA_PORT": (5601, ELASTIC),
    "ELASTICSEARCH_PORT": (9200, ELASTIC),
    "LUMBERJACK_PORT": (5044, ("logstash",)),
    "LOGSTASH_HTTP_PORT": (8081, ("logstash",)),
    "OPENSEARCH_PORT": (9201, ("opensearch",)),
}
"""Variable → its default, and the ways to which it belongs."""
MEMORY: dict[str, tuple[str, tuple[str, ...]]] = {
    "ELASTICSEARCH_MEMORY": ("2g", ELASTIC),
    "KIBANA_MEMORY": ("1g", ELASTIC),
    "LOGSTASH_MEMORY": ("1g", ("logstash",)),
    "OPENSEARCH_MEMORY": ("2g", ("opensearch",)),
}
EDGE_LOGS = {"direct": "ship:5140", "logstash": "logstash:5140", "opensearch": "ship-opensearch:5140"}
"""Who takes in what HAProxy logs, on each way."""
OF_THE_SHOP = 1 << 30
"""What the containers of the shop take together, far below the sum of their limits, and the engine itself."""
SECRETS = (
    *("ELASTIC_PASSWORD", "KIBANA_PASSWORD", "KIBANA_SESSION_KEY", "KIBANA_OBJECTS_KEY", "KIBANA_REPORTING_KEY"),
    *("LOGSTASH_HTTP_PASSWORD", "OPENSEARCH_PASSWORD", "REDIS_PASSWORD"),
)
_SECRET_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Environment:
    """What stands in the ``.env`` of a stack, each value checked as it is asked for."""

    directory: Path
    values: Mapping[str, str]

    @property
    def project(self) -> str:
        """The name of the stack within the engine."""
        return self.value("COMPOSE_PROJECT_NAME")

    @property
    def profiles(self) -> tuple[str, ...]:
        """Which parts are started. Raises SettingError where they do not go together."""
        return chosen(each.strip() for each in self.value("COMPOSE_PROFILES").split(",") if each.strip())

    @property
    def way(self) -> str:
        """The one of ``WAYS`` that is taken."""
        return next(each for each in self.profiles if each in WAYS)

    @property
    def address(self) -> str:
        """Where ports are published."""
        return self.value("BIND_ADDRESS")

    def value(self, name: str) -> str:
        """What a variable is set to. Raises SettingError if it is not."""
        value = self.values.get(name, "")
        if not value:
            raise SettingError(f"{self.directory / FILE}: {name} is not set")
        return value

    def ports(self) -> dict[str, int]:
        """The ports that are published on this machine, by their variables. Raises SettingError."""
        found = {name: self._port(name) for name, (_, ways) in PORTS.items() if self.way in ways}
        for name, port in found.items():
            other = next((each for each, taken in found.items() if taken == port and each != name), None)
            if other is not None:
                raise SettingError(f"{self.directory / FILE}: {name} and {other} are both {port}")
        return found

    def _port(self, name: str) -> int:
        value = self.value(name)
        if not re.fullmatch(r"\d{1,5}", value, re.ASCII) or not 0 < int(value) < 65536:
            raise SettingError(f"{self.directory / FILE}: {name} = {value!a}: expected a port from 1 to 65535")
        return int(value)

    def memory(self) -> int:
        """How many bytes of memory the containers may take. Raises SettingError."""
        total = OF_THE_SHOP
        for name, (_, ways) in MEMORY.items():
            if self.way in ways:
                found = _SIZE.fullmatch(self.value(name))
                if not found:
                    value = self.values[name]
                    raise SettingError(f"{self.directory / FILE}: {name} = {value!a}: expected a size such as 2g")
                nodes = 3 if name == "ELASTICSEARCH_MEMORY" and CLUSTER in self.profiles else 1
                total += int(found[1]) * _UNITS[found[2].lower()] * nodes
        return total


def chosen(profiles: Iterable[str]) -> tuple[str, ...]:
    """Profiles that go together, in their order. Raises SettingError for others."""
    asked = set(profiles)
    if unknown := sorted(asked - set(PROFILES)):
        raise SettingError(f"no profile {unknown[0]!a}: there are {', '.join(PROFILES)}")
    ways = [each for each in WAYS if each in asked] or ["direct"]
    if len(ways) > 1:
        raise SettingError(f"profiles {' and '.join(ways)}: events take one way; choose one of them")
    if CLUSTER in asked and ways == ["opensearch"]:
        raise SettingError("profile cluster is three nodes of Elasticsearch: take it with direct or logstash")
    return (*ways, *([CLUSTER] if CLUSTER in asked else []))


def secret(name: str) -> str:
    """Letters and digits, for anything else is read differently by one program or another.

    OpenSearch asks for one sign of another kind, too: it gets a hyphen.
    """
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{made}-aZ9" if name == "OPENSEARCH_PASSWORD" else made


def made(project: str, profiles: tuple[str, ...], version: str) -> dict[str, str]:
    """The values of a new stack, its secrets fresh."""
    return {
        "COMPOSE_PROJECT_NAME": project,
        "COMPOSE_PROFILES": ",".join(profiles),
        "CLUSTERLOG_VERSION": version,
        **VERSIONS,
        "BIND_ADDRESS": "127.0.0.1",
        **{name: str(port) for name, (port, _) in PORTS.items()},
        **{name: size for name, (size, _) in MEMORY.items()},
        "NODE_MEMORY": "256m",
        "REQUESTS_PER_SECOND": "2",
        "EDGE_LOG": next(place for way, place in EDGE_LOGS.items() if way in profiles),
        "STACK_ID": secrets.token_hex(8),
        **{name: secret(name) for name in SECRETS},
    }


_HEADINGS = {
    "COMPOSE_PROJECT_NAME": "The stack's name within the engine, its parts: direct, logstash or opensearch; cluster",
    "CLUSTERLOG_VERSION": "Versions of images: of Elasticsearch, Kibana and Logstash always the same",
    "BIND_ADDRESS": "Where the ports below are published; from other machines nobody can reach 127.0.0.1",
    "ELASTICSEARCH_MEMORY": "What a container may take",
    "REQUESTS_PER_SECOND": "The traffic, and where HAProxy logs it: stdout, or host:port that takes syslog by UDP",
    "STACK_ID": "Made once. The volumes keep what was made with it: with another .env they are of no use",
}


def content(values: Mapping[str, str]) -> bytes:
    """The file for these values."""

    def lines() -> Iterator[str]:
        yield "# Written once by `clusterlog stack init`; docs/stack.md explains it. Keep it to yourself."
        for name, value in values.items():
            if name in _HEADINGS:
                yield f"\n# {_HEADINGS[name]}"
            yield f"{name}={value}"

    return "".join(f"{line}\n" for line in lines()).encode()


def read(directory: Path) -> Environment:
    """The ``.env`` in a folder. Raises SettingError and NotAllowed."""
    path = directory / FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SettingError(f"{path} is missing: clusterlog stack init writes it") from None
    except PermissionError:
        raise NotAllowed(f"cannot read {path}: permission denied") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read {path}: {error}") from None
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            found = _LINE.fullmatch(line.removeprefix("export "))
            if not found:
                raise SettingError(f"{path}:{number}: expected NAME=value")
            values[found[1]] = _value(found[2].strip())
    environment = Environment(directory, values)
    if not environment.values.get("STACK_ID"):
        raise SettingError(f"{path} is not of a stack: clusterlog stack init writes one into a folder that has none")
    return environment


def _value(written: str) -> str:
    """A value without its quotes, or without the comment behind it."""
    if len(written) > 1 and written[0] in "\"'" and written[-1] == written[0]:
        return written[1:-1]
    return re.split(r"\s#", written, maxsplit=1)[0].strip()
