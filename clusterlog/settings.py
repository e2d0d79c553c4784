"""Every setting once: name, type, default, where a value may come from, and where it did come from.

Order of origins: argument > environment (``CLUSTERLOG_<NAME>``) > ``HOME/clusterlog.toml`` > ``clusterlog.toml`` or
``[tool.clusterlog]`` found upward > OpenTelemetry's environment variable > default.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clusterlog.errors import NotAllowed, SettingError

_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_DURATIONS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATHS = frozenset({"home", "user_key", "token_file", "ca_file", "cert_file", "key_file"})
"""Settings that are paths: in a file relative to the file's folder, else to the working directory."""
_SWITCHES = frozenset({"traceback", "pager"})
"""Environment variables of ours that are no settings."""
_LINKS = re.compile(r"service_(host|port(_\w+)?)|port(_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)?")
"""What Kubernetes and Docker put into every container beside a service that is called clusterlog."""
CONSOLES = ("auto", "on", "off")
COMPRESSIONS = ("auto", "on", "off")
SINKS = (
    *("file", "stdout", "http", "https", "logstash+http", "logstash+https"),
    *("lumberjack+tcp", "lumberjack+tls", "jsonlines+tcp", "jsonlines+tls"),
    *("syslog+tcp", "syslog+tls"),
)
"""Schemes of the ends that events can be shipped to."""
DURABILITIES = ("page-cache", "interval", "level", "strict")


def seconds(value: Any) -> float:
    """``60``, ``"60s"``, ``"15m"``, ``"2h"``, ``"7d"`` in seconds. Raises ValueError with the accepted forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhd]?)", str(value).strip())
    if isinstance(value, bool) or not found:
        raise ValueError("a duration such as 60, 15m, 2h or 7d")
    return float(found[1]) * _DURATIONS[found[2]]


def size(value: Any) -> int:
    """``1048576``, ``"1MiB"``, ``"1 GiB"`` in bytes. Raises ValueError with the accepted forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?(?:ib)?|b)", str(value).strip().lower())
    if isinstance(value, bool) or not found or found[2] not in _SIZES:
        raise ValueError("a size such as 1048576, 512MiB or 1GiB")
    return int(float(found[1]) * _SIZES[found[2]])


def level(value: Any) -> str:
    """A level's name in upper case. Raises ValueError for anything else: an unknown level is never taken for DEBUG."""
    name = str(value).strip().upper()
    if name not in _LEVELS:
        near = difflib.get_close_matches(name, _LEVELS, 1)
        raise ValueError(f"one of {', '.join(_LEVELS)}" + (f" (did you mean {near[0]}?)" if near else ""))
    return name


def words(value: Any) -> tuple[str, ...]:
    """A list of names: a comma separated text, or a list of texts."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def switch(value: Any) -> bool:
    """A yes or no. Raises ValueError for anything that is neither."""
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("on or off")


def text(value: Any) -> str:
    """A text of one line."""
    if not isinstance(value, str | os.PathLike) or "\n" in str(value):
        raise ValueError("a text of one line")
    return str(value).strip()


def named(value: Any) -> str:
    """A name of one to 128 printable characters. Raises ValueError for others."""
    name = text(value)
    if not 0 < len(name) <= 128 or not name.isprintable():
        raise ValueError("a name of 1 to 128 printable characters")
    return name


def durability(value: Any) -> str:
    """One of the four modes of the spool."""
    if value not in DURABILITIES:
        raise ValueError(f"one of {', '.join(DURABILITIES)}")
    return str(value)


def console(value: Any) -> str:
    """When events are shown on the terminal as well."""
    word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    if word not in CONSOLES:
        raise ValueError(f"one of {', '.join(CONSOLES)}")
    return str(word)


def compression(value: Any) -> str:
    """Whether what is sent is compressed."""
    word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    if word not in COMPRESSIONS:
        raise ValueError(f"one of {', '.join(COMPRESSIONS)}")
    return str(word)


def throttle(value: Any) -> str:
    """``off``, or how many lines alike may pass in which time: ``100/60s``. Raises ValueError with the forms."""
    written = str(value).strip().lower()
    if written not in ("", "false", "no", "0"):
        rate(written)
        return written
    return "off"


def rate(throttle: str) -> tuple[int, float] | None:
    """Lines and seconds of a setting ``throttle``; ``None`` where it is off. Raises ValueError with the forms."""
    if throttle == "off":
        return None
    lines, slash, time = throttle.partition("/")
    try:
        found = int(lines), seconds(time)
    except ValueError:
        slash = ""
    if not slash or found[0] < 1 or found[1] <= 0:
        raise ValueError("off, or lines and the time in which so many alike may pass, such as 100/60s")
    return found


def address(*schemes: str) -> Callable[[Any], str]:
    """A reader of URLs with one of ``schemes`` (empty text: the embedded engine in the home)."""

    def read(value: Any) -> str:
        url = text(value)
        scheme = url.partition(":")[0]
        if url and (scheme not in schemes or ":" not in url):
            near = difflib.get_close_matches(scheme, schemes, 1)
            hint = f" (did you mean {near[0]}:?)" if near else ""
            raise ValueError(f"a URL that begins with {', '.join(s + ':' for s in schemes)}{hint}")
        return url

    return read


def proxy(value: Any) -> str:
    """``environment``, ``none`` or the URL of an HTTP proxy. Raises ValueError with the forms."""
    way = text(value)
    if way not in ("environment", "none") and not re.match(r"https?://[^/]", way):
        raise ValueError("environment, none or the URL of a proxy, such as http://proxy:3128")
    return way


def fingerprint(value: Any) -> str:
    """SHA-256 of a certificate: 64 hex digits, with or without colons. Raises ValueError for anything else."""
    digits = text(value).replace(":", "").lower()
    if digits and not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError("a SHA-256 fingerprint: 64 hex digits, with or without colons")
    return digits


def without_credentials(url: str) -> str:
    """A URL, of one host or of several, as it may be shown: user and password of it are nobody else's."""
    return ",".join(re.sub(r"^(\w[\w+.-]*://|).*@", r"\1", part) for part in url.split(","))


def _program() -> str:
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in ("", "-", "-c", "-m") else ""
    if name == "__main__.py":
        name = Path(sys.argv[0]).parent.name
    return name.removesuffix(".py") or "python"


def _setting(read: Callable[[Any], Any], default: Any, doc: str, otel: str = "", secret: bool = False) -> Any:
    meta = {"read": read, "doc": doc, "otel": otel, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=meta)
    return field(default=default, metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their values. ``origins`` tells for each name where its value came from."""

    service: str = _setting(named, _program, "name of the service", "OTEL_SERVICE_NAME")
    node: str = _setting(named, socket.gethostname, "name of this node, a group of processes on a host")
    environment: str = _setting(named, "development", "deployment environment; part of the data stream's name")
    home: str = _setting(text, "", "state directory; empty: .clusterlog here or above; in production the system's")
    store: str = _setting(address("http", "https"), "", "where events are asked for; empty: embedded in the home")
    sink: str = _setting(address(*SINKS), "", "where events are shipped; empty: the store")
    kibana: str = _setting(address("http", "https"), "", "Kibana and its space: https://host:5601/s/ops; empty: none")
    token: str = _setting(text, "", "API key or token for the store, as it is or as id:key", secret=True)
    token_file: str = _setting(text, "", "file with the token; read again when the store refuses it")
    ca_file: str = _setting(text, "", "certificates to trust, PEM; empty: those this machine trusts")
    fingerprint: str = _setting(fingerprint, "", "SHA-256 of the store's certificate, or of the CA that signed it")
    cert_file: str = _setting(text, "", "our own certificate, for servers that want one, PEM; empty: none")
    key_file: str = _setting(text, "", "the key of our certificate, PEM, without a password; empty: in cert_file")
    compression: str = _setting(
        compression, "auto", "what is sent elsewhere: auto (where a server tells if it cannot read it), on, off"
    )
    proxy: str = _setting(proxy, "environment", "way to the store: environment (HTTPS_PROXY, NO_PROXY), none or a URL")
    level: str = _setting(level, "INFO", "level of the root logger")
    trust: str = _setting(text, "private", "whose request ids are believed: private, none, * or networks")
    propagate_to: str = _setting(text, "private", "which hosts get our ids: private, none, * or networks and names")
    redact: tuple[str, ...] = _setting(words, (), "further words that make a key secret")
    session_cookie: str = _setting(text, "", "the cookie whose hash becomes clusterlog.session.hash")
    metrics: tuple[str, ...] = _setting(words, (), "numbers that also go to clusterlog.metrics, where ranges work")
    linger: float = _setting(seconds, 60.0, "how long work left behind by a request carries its id")
    durability: str = _setting(durability, "interval", "when the spool is synced: " + ", ".join(DURABILITIES))
    disk_limit: int = _setting(size, 1 << 30, "bytes the spool may take")
    user_key: str = _setting(text, "", "file with the keys for user hashes; empty: HOME/user.key, made when needed")
    debug: tuple[str, ...] = _setting(words, (), "loggers that start at DEBUG")
    throttle: str = _setting(
        throttle, "off", "lines alike that pass in a time, the rest is counted: off, or as 100/60s"
    )
    console: str = _setting(
        console, "auto", "lines on a terminal in development: auto (what nobody else shows), on, off"
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def home_path(self) -> Path:
        """The state directory as an absolute path."""
        return Path(self.home)


def names() -> tuple[str, ...]:
    """The name of every setting."""
    return tuple(each.name for each in fields(Settings) if each.name != "origins")


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    for_command: bool = False,
) -> Settings:
    """Put the settings together from all their origins.

    ``arguments`` are those whose value is not ``None``; ``for_command`` looks for a home upward, as the command line
    does. Raises SettingError for an unknown name or an unusable value and NotAllowed for an unreadable file.
    """
    environ = os.environ if environ is None else environ
    directory = _working_directory() if directory is None else directory
    given: dict[str, tuple[Any, str]] = {}
    otel = {each.metadata["otel"]: each.name for each in fields(Settings) if each.metadata.get("otel")}
    _take(given, {otel[name]: value for name, value in environ.items() if name in otel and value}, "OpenTelemetry")
    file, table = _file_upward(directory)
    if file is not None:
        _take(given, _anchored(table, file.parent), str(file))
    told, passed = _anchored(_environment(environ), directory), _anchored(_present(arguments), directory)
    early = _early({**{k: v for k, (v, _) in given.items()}, **told, **passed})
    home, home_origin = _home(early, environ, directory, for_command)
    _take(given, _anchored(_toml(home / "clusterlog.toml", ()), home), str(home / "clusterlog.toml"))
    _take(given, told, "environment")
    _take(given, passed, "argument")
    given["home"] = (str(home), given["home"][1] if given.get("home", ("",))[0] else home_origin)
    return _built(given)


def _built(given: Mapping[str, tuple[Any, str]]) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for each in fields(Settings):
        if each.name == "origins":
            continue
        if each.name not in given:
            origins[each.name] = "default"
            continue
        value, origin = given[each.name]
        try:
            values[each.name] = each.metadata["read"](value)
        except (ValueError, TypeError) as error:
            shown = without_credentials(value) if isinstance(value, str) and "//" in value else value
            told = "..." if each.metadata["secret"] else repr(shown)
            raise SettingError(f"{each.name} = {told} ({origin}): expected {error}") from None
        origins[each.name] = origin
    return Settings(**values, origins=origins)


def _take(into: dict[str, tuple[Any, str]], values: Mapping[str, Any], origin: str) -> None:
    known = names()
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f", did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise SettingError(f"unknown setting {name!r} ({origin}){hint}")
        into[name] = (value, origin)


def _anchored(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """With paths relative to ``folder``: one file, wherever below it somebody stands, and wherever it is moved to."""
    return {
        name: os.path.abspath(folder / value)
        if name in _PATHS and isinstance(value, str | os.PathLike) and str(value)
        else value
        for name, value in values.items()
    }


def _present(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (arguments or {}).items() if value is not None}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    prefix = "CLUSTERLOG_"
    own = {name[len(prefix) :].lower(): value for name, value in environ.items() if name.startswith(prefix)}
    return {
        name: value
        for name, value in own.items()
        if name not in _SWITCHES and not name.startswith("_") and not _LINKS.fullmatch(name)
    }


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingError(f"the working directory cannot be used: {error.strerror}; change to another") from None


def _early(values: Mapping[str, Any]) -> dict[str, str]:
    """What decides where the home is, before the home's own file can be read."""
    return {name: str(values.get(name, "")) for name in ("home", "environment")}


def _file_upward(directory: Path) -> tuple[Path | None, dict[str, Any]]:
    for folder in (directory, *directory.parents):
        own = folder / "clusterlog.toml"
        if _there(own):
            return own, _toml(own, ())
        project = folder / "pyproject.toml"
        if _there(project):
            table = _toml(project, ("tool", "clusterlog"))
            if table:
                return project, table
    return None, {}


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory above that may not be searched
        return False


def _toml(path: Path, below: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}
    except PermissionError:
        raise NotAllowed(f"cannot read {path}: permission denied") from None
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror}") from None
    import tomllib  # not where no file has any settings, which is so in most processes

    try:
        table: Any = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if below:  # somebody else's file; not ours to complain about
            return {}
        raise SettingError(f"{path}: {error}") from None
    for key in below:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return table if isinstance(table, dict) else {}


def _home(early: Mapping[str, str], environ: Mapping[str, str], directory: Path, for_command: bool) -> tuple[Path, str]:
    if early["home"]:
        return Path(os.path.abspath(directory / early["home"])), "set"
    if early["environment"] in ("", "development"):
        if for_command:
            for folder in (directory, *directory.parents):
                if os.path.isdir(folder / ".clusterlog"):
                    return folder / ".clusterlog", "found upward"
        return directory / ".clusterlog", "default"
    if environ.get("STATE_DIRECTORY"):
        return Path(environ["STATE_DIRECTORY"].partition(":")[0]), "STATE_DIRECTORY"
    system = Path("/var/lib/clusterlog")
    if os.access(system if system.exists() else system.parent, os.W_OK):
        return system, "system state directory"
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    return Path(state) / "clusterlog", "XDG_STATE_HOME"
