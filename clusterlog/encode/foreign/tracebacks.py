"""What a traceback in a line tells beyond its text: type and message of the exception, and a fingerprint.

Loggers write it as Python prints it, without its last line (ecs-logging), or as structlog's
dictionaries. These are drawn as text again, without the values of local variables, which nobody has
looked through for secrets.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

FRAMES = 200
EXCEPTIONS = 20
_SEARCHED = 64 << 10

_FRAME = re.compile(r'^ *(?:\| *)?File "([^"\n]{1,1024})", line \d{1,9}, in (\S{1,256})', re.MULTILINE)
_HEADING = "Traceback (most recent call last):"
_LAST = re.compile(r"^((?:[A-Za-z_]\w{0,127}\.){0,20}[A-Za-z_]\w{0,127})(?:: (.*))?\Z", re.DOTALL | re.MULTILINE)
_INSTALLED = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python\d\.\d+)[\\/]|^<")


@dataclass(frozen=True, slots=True)
class Traceback:
    """A traceback as text; ``type`` and ``message`` are empty where it does not say them."""

    text: str
    type: str = ""
    message: str = ""


def read(value: Any) -> Traceback:
    """A traceback from a text, from lines, or from structlog's dictionaries (``ExceptionDictTransformer``)."""
    if type(value) is str:
        return _from_text(value)
    given = [each for each in value if type(each) in (str, dict)]
    if given and type(given[0]) is str:
        return _from_text("\n".join(each.rstrip("\n") for each in given if type(each) is str))
    told = [each for each in given[:EXCEPTIONS] if type(each) is dict]
    drawn = [_drawn(each) for each in reversed(told)]
    first = told[0] if told else {}
    text = "\n\nDuring handling of the above exception, another exception occurred:\n\n".join(drawn)
    return Traceback(text, _said(first, "exc_type"), _said(first, "exc_value"))


def fingerprint(kind: str, text: str) -> str:
    """16 hex digits that tell one fault from another, of its type and the application's own functions on the way."""
    marks = [
        f"{file.replace(chr(92), '/').rpartition('/')[2].removesuffix('.py')}:{function}"
        for file, function in _FRAME.findall(text[-_SEARCHED:])
        if not _INSTALLED.search(file)
    ]
    told = "\n".join(dict.fromkeys((kind, *marks)))
    return hashlib.blake2b(told.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _from_text(text: str) -> Traceback:
    """The exception stands behind the last frame of the last traceback: at the left margin, as nothing else does."""
    begin = text.rfind(_HEADING)
    if begin < 0:
        return Traceback(text)
    lines = text[begin:][:_SEARCHED].split("\n")
    for number, line in enumerate(lines[1:], 1):
        if line and not line[0].isspace():
            found = _LAST.match("\n".join(lines[number:]).rstrip())
            return Traceback(text, found[1], found[2] or "") if found else Traceback(text)
    return Traceback(text)


def _drawn(told: dict[str, Any]) -> str:
    frames = told.get("frames")
    lines = [_HEADING] if frames else []
    for frame in frames[:FRAMES] if type(frames) is list else ():
        if type(frame) is dict:
            place = f'  File "{_said(frame, "filename")}", line {_said(frame, "lineno")}, in {_said(frame, "name")}'
            source = _said(frame, "line")
            lines += [place, f"    {source}"] if source else [place]
    kind, value = _said(told, "exc_type"), _said(told, "exc_value")
    lines.append(f"{kind}: {value}" if value else kind)
    return "\n".join(lines)


def _said(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    return str(value) if type(value) in (str, int) else ""
