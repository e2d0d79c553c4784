"""Bytes into lines, and lines into JSON objects: what can be read is read, and of the rest it is said why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from clusterlog.encode.compact import loads

CHUNK = 1 << 20
LINE_LIMIT = 16 << 20
"""Bytes of one line. An export request of a collector is one line, and has some megabytes."""
TAIL_BYTES = 4096
"""By so many bytes before a place in a file it is known again."""

EMPTY = "empty"
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n\0"


class Unreadable(ValueError):
    """A line that is no event: ``reason`` in one word for counting, the message for people."""

    def __init__(self, reason: str, told: str = "") -> None:
        super().__init__(told or reason.replace("_", " "))
        self.reason = reason


class Cutter:
    """Cuts what ``read(size)`` gives into lines.

    ``rest`` is what stands behind the last end of line when all is read, ``tail`` the last bytes of what was cut.
    A line longer than ``LINE_LIMIT`` is read over and comes as ``None``.
    """

    def __init__(self, read: Callable[[int], bytes], tail: bytes = b"") -> None:
        self._read = read
        self._skipped = 0
        self._passed = self.tail = tail
        self.rest = b""

    def __iter__(self) -> Iterator[tuple[list[bytes | None], int]]:
        """Whole lines, some thousand of them at once, and how many bytes they were with their ends."""
        kept: list[bytes] = []
        size = 0
        while chunk := self._read(CHUNK):
            cut = chunk.rfind(b"\n") + 1
            kept.append(chunk[:cut] if cut else chunk)
            size += len(kept[-1])
            if not cut:
                if self._skipped or size > LINE_LIMIT:
                    self._skip(b"".join(kept))
                    kept, size = [], 0
                continue
            data = b"".join(kept)
            yield self._lines(data), len(data) + self._skipped
            self._skipped = 0
            kept, size = [chunk[cut:]], len(chunk) - cut
        self.rest = b"".join(kept)

    def _lines(self, data: bytes) -> list[bytes | None]:
        self._pass(data)
        self.tail = self._passed
        lines: list[bytes | None] = list(data[:-1].split(b"\n"))
        if self._skipped or len(lines[0] or b"") > LINE_LIMIT:
            lines[0] = None
        return lines

    def _skip(self, data: bytes) -> None:
        self._pass(data)
        self._skipped += len(data)

    def _pass(self, data: bytes) -> None:
        self._passed = (self._passed + data[-TAIL_BYTES:])[-TAIL_BYTES:]

    @property
    def overlong(self) -> int:
        """Bytes of a line that is too long and was still not over when all was read."""
        return self._skipped

    def take_rest(self) -> int:
        """The rest counts as a line; gives its bytes."""
        self._pass(self.rest)
        self.tail = self._passed
        size, self._skipped = len(self.rest) + self._skipped, 0
        return size


def parsed(line: bytes) -> dict[str, Any]:
    """The JSON object of a line. Raises Unreadable.

    More is read than JSON allows, since loggers write it: NaN and Infinity, numbers without end, lone surrogates, bytes
    that are no UTF-8 (they become U+FFFD), and NUL bytes around a line, where a file was cut under its writer.
    """
    try:
        document = loads(line)
    except ValueError:
        document = _reread(line)
    if type(document) is dict:
        return document
    if type(document) is list:
        raise Unreadable("not_an_object", "a list and not an object: `jq -c '.[]'` makes lines of it")
    raise Unreadable("not_an_object", f"JSON, but no object: {_shown(line)}")


def _reread(line: bytes) -> Any:
    stripped = line.strip(_SPACE).removeprefix(_BOM).strip(_SPACE)
    if not stripped:
        raise Unreadable(EMPTY)
    if stripped in (b"{", b"["):
        raise Unreadable("not_json", "JSON over several lines: `jq -c .` makes lines of it")
    text = stripped.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("too_deep", "nested too deeply") from None
    except ValueError as error:
        place = f" in column {error.pos + 1}" if isinstance(error, json.JSONDecodeError) and error.pos else ""
        raise Unreadable("not_json", f"not JSON{place}: {_shown(stripped)}") from None


def _shown(line: bytes) -> str:
    text = line[:200].decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:57]}..."
