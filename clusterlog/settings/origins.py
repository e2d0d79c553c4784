"""Where the value of a setting comes from, and where it did come from.

Order of origins: argument > environment (``CLUSTERLOG_<NAME>``) > ``HOME/clusterlog.toml`` > ``clusterlog.toml`` or
``[tool.clusterlog]`` found upward > OpenTelemetry's environment variable > default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings.table import Settings, names

_PATHS = frozenset({"home", "user_key", "control_key", "token_file", "ca_file", "cert_file", "key_file"})
"""Settings that are paths: in a file relative to the file's folder, else to the working directory."""
_SWITCHES = frozenset({"traceback", "pager"})
"""Environment variables of ours that are no settings."""
_LINKS = re.compile(r"service_(host|port(_\w+)?)|port(_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)?")
"""What Kubernetes and Docker put into every container beside a service that is called clusterlog."""


def without_credentials(url: str) -> str:
    """A URL, of one host or of several, as it may be shown: user and password of it are nobody else's."""
    return ",".join(re.sub(r"^(\w[\w+.-]*://|).*@", r"\1", part) for part in url.split(","))


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
