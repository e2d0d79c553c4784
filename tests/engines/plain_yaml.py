"""The part of YAML that the files of this repository are written in, read strictly: anything else is an error.

Blocks and flows of maps and lists, scalars plain and quoted, ``|`` and ``>`` with chomping, anchors, aliases, ``<<``,
several documents, comments. Doubled keys are an error, which they are not everywhere.
"""

from __future__ import annotations

import re
from typing import Any

_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#\[\]{}&*!|>'"%@`,?-][^#]*?|-[^\s#][^#]*?):(?:\s+(.*)|$)""")
_ANCHOR = re.compile(r"&([\w-]+)(?:\s+(.*)|$)")
_BLOCK = re.compile(r"([|>])(-?)$")
_INT, _OCTAL = re.compile(r"[-+]?(?:0|[1-9]\d*)"), re.compile(r"0[0-7]+")
_FLOAT = re.compile(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?")
_WORDS = {"": None, "null": None, "~": None, "true": True, "false": False}
_AMBIGUOUS = {"yes", "no", "on", "off", "y", "n"}


def documents(text: str) -> list[Any]:
    """Every document of a file. Raises ValueError with the line."""
    found, part, first = [], [], 0
    for number, line in enumerate([*text.splitlines(), "---"]):
        if line.rstrip() == "---":
            if any(each.strip() and not each.lstrip().startswith("#") for each in part):
                found.append(_Reader(part, first).document())
            part, first = [], number + 1
        else:
            part.append(line)
    return found


def document(text: str) -> Any:
    """The one document of a file. Raises ValueError."""
    (found,) = documents(text)
    return found


class _Reader:
    def __init__(self, lines: list[str], first: int) -> None:
        self._lines = lines
        self._first = first
        self._at = 0
        self._anchors: dict[str, Any] = {}

    def document(self) -> Any:
        found = self._block(self._indent())
        if self._indent() >= 0:
            raise self._wrong("is indented in no way that goes with what is above it")
        return found

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self._first + self._at + 1}: {self._lines[self._at].strip()!r} {what}")

    def _indent(self) -> int:
        """Of the next line with something in it, which is gone to; -1 at the end."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip() and not line.lstrip().startswith("#"):
                if "\t" in line:
                    raise self._wrong("has a tab")
                return len(line) - len(line.lstrip())
            self._at += 1
        return -1

    def _block(self, indent: int) -> Any:
        text = self._lines[self._at].strip()
        return self._list(indent) if text == "-" or text.startswith("- ") else self._map(indent)

    def _list(self, indent: int) -> list[Any]:
        found = []
        while self._indent() == indent:
            line = self._lines[self._at]
            rest = line[indent + 1 :].strip()
            if line[indent] != "-" or line[indent + 1 : indent + 2] not in ("", " "):
                raise self._wrong("stands where an item was expected")
            if rest and _KEY.fullmatch(_uncommented(rest)) and rest[0] not in "[{":
                self._lines[self._at] = f"{line[:indent]} {line[indent + 1 :]}"
                found.append(self._map(self._indent()))
            else:
                found.append(self._value(_uncommented(rest), indent))
        return found

    def _map(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while self._indent() == indent:
            match = _KEY.fullmatch(_uncommented(self._lines[self._at].strip()))
            if not match:
                raise self._wrong("is no key with a value")
            key = _scalar(match[1])
            if key in found:
                raise self._wrong("is there twice")
            value = self._value(match[2] or "", indent)
            if key == "<<":
                merged |= value
            else:
                found[str(key)] = value
        return {**merged, **found}

    def _value(self, text: str, indent: int) -> Any:
        anchor = _ANCHOR.fullmatch(text)
        if anchor:
            self._anchors[anchor[1]] = value = self._value(anchor[2] or "", indent)
            return value
        block = _BLOCK.fullmatch(text)
        if block:
            return self._text(indent, block[1] == ">", block[2] == "-")
        if text:
            found = _Flow(text, self._anchors).whole() if text[0] in "[{*" else _scalar(text)
            self._at += 1
            if self._indent() > indent:
                raise self._wrong("is indented, and nothing above it goes on")
            return found
        self._at += 1
        deeper = self._indent()
        return self._block(deeper) if deeper > indent else None

    def _text(self, indent: int, folded: bool, stripped: bool) -> str:
        self._at += 1
        rows: list[str] = []
        inner = -1
        while self._at < len(self._lines):
            line = self._lines[self._at]
            depth = len(line) - len(line.lstrip())
            if line.strip() and depth <= indent:
                break
            if line.strip() and inner < 0:
                inner = depth
            rows.append(line[inner:] if line.strip() else "")
            self._at += 1
        while rows and not rows[-1]:
            rows.pop()
        if folded and any(not row or row[0] == " " for row in rows):
            raise ValueError("a folded text of several paragraphs is not read here")
        return (" " if folded else "\n").join(rows) + ("" if stripped else "\n")


class _Flow:
    """``[a, "b"]``, ``{a: 1}`` and ``*alias``, on one line."""

    def __init__(self, text: str, anchors: dict[str, Any]) -> None:
        self._text = text
        self._anchors = anchors
        self._at = 0

    def whole(self) -> Any:
        found = self._value()
        if self._text[self._at :].strip():
            raise ValueError(f"{self._text!r}: something stands behind its end")
        return found

    def _next(self) -> str:
        while self._text[self._at : self._at + 1] == " ":
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        sign = self._next()
        if sign == "*":
            return self._anchors[self._word()[1:]]
        if sign not in ("[", "{"):
            return _scalar(self._word())
        self._at += 1
        items: Any = [] if sign == "[" else {}
        end = "]" if sign == "[" else "}"
        while self._next() != end:
            if sign == "[":
                items.append(self._value())
            else:
                key = str(_scalar(self._word(":")))
                if self._next() != ":" or key in items:
                    raise ValueError(f"{self._text!r}: expected a colon behind {key!r}, and that only once")
                self._at += 1
                items[key] = self._value()
            if self._next() == ",":
                self._at += 1
            elif self._next() != end:
                raise ValueError(f"{self._text!r}: expected a comma or {end}")
        self._at += 1
        return items

    def _word(self, ends: str = "") -> str:
        self._next()
        found = re.compile(
            r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|[^,\[\]{}"\']'
            + (f"[^,\\[\\]{{}}{ends}]*" if ends else r"[^,\[\]{}]*")
        ).match(self._text, self._at)
        if not found:
            raise ValueError(f"{self._text!r}: expected a value at {self._at}")
        self._at = found.end()
        return found[0].strip()


def _uncommented(text: str) -> str:
    quoted = ""
    for index, sign in enumerate(text):
        if quoted:
            quoted = "" if sign == quoted and text[index - 1] != "\\" else quoted
        elif sign in "\"'" and (index == 0 or text[index - 1] in " [{,"):
            quoted = sign
        elif sign == "#" and (index == 0 or text[index - 1] == " "):
            return text[:index].rstrip()
    return text.rstrip()


def _scalar(text: str) -> Any:
    if text[:1] == '"':
        if not re.fullmatch(r'"(?:[^"\\]|\\["\\nt])*"', text):
            raise ValueError(f'{text}: only \\" \\\\ \\n and \\t are read here')
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text[1:-1])
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text in _WORDS:
        return _WORDS[text]
    if text.lower() in _AMBIGUOUS or text[:1] in "!%@`?":
        raise ValueError(f"{text}: one reader takes it for this, another for that")
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
