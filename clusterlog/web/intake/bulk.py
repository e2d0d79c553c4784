"""The lines of a ``_bulk`` request as its items: what is to be done, under which id, and the document. Pure.

As Elasticsearch reads them, so that senders need not know who is asked: a line that says what to do cannot be mended
and breaks the whole request; a document is judged for itself. Lines with nothing in them are read over where something
to do is expected, as rsyslog sends them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from clusterlog.encode.compact import loads
from clusterlog.web.faults import ILLEGAL, Fault

_TAKEN = ("create", "index")
_WITHOUT_DOCUMENT = "delete"
_KNOWN = (*_TAKEN, "update", _WITHOUT_DOCUMENT)
_SPACE = b" \t\r"
_LONGEST_NAME = 255
_NOT_IN_NAMES = re.compile(r"[\s\x00-\x1f\\/*?\"<>|,#:]")
_DATE_MATH = re.compile(r"<[^<>,\x00-\x1f]+>").fullmatch


class Item(NamedTuple):  # as many as there are events: a fifth of what a frozen dataclass costs
    """One thing to do. ``refusal`` is why it cannot be done, whatever the document is; empty if it can.

    ``misnamed`` is whether that is for the name of its index.
    """

    action: str
    target: str
    id: str | None
    document: bytes
    refusal: str = ""
    misnamed: bool = False


def items(body: bytes, target: str) -> Iterator[Item]:
    """The items in order; ``target`` is the index of those that name none.

    Raises Fault for a request that cannot be read.
    """
    if not body.strip(b"\r\n\t "):
        raise Fault(400, ILLEGAL, "the request is empty: it takes lines of JSON, an action and a document in turn")
    if not body.endswith(b"\n"):
        raise Fault(400, ILLEGAL, "the request must end with a newline: without one it may have been cut off")
    lines = enumerate(body.split(b"\n"), 1)
    for number, line in lines:
        line = line.strip(_SPACE)
        if line:
            action, about = _read(line, number)
            _, document = (0, b"") if action == _WITHOUT_DOCUMENT else next(lines, (0, b""))
            yield _item(action, about, document.strip(_SPACE), target)


def _read(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    """What a line says that is to be done, and what about."""
    try:
        told = loads(line)
    except (ValueError, RecursionError):
        told = None
    if type(told) is dict and len(told) == 1:
        ((action, about),) = told.items()
        if action in _KNOWN and type(about) is dict:
            return action, about
    raise Fault(400, ILLEGAL, f'malformed action in line {number}: expected {{"create": {{…}}}} or {{"index": {{…}}}}')


def _item(action: str, about: dict[str, Any], document: bytes, target: str) -> Item:
    named, id = about.get("_index", target), about.get("_id")
    if type(id) is int:
        id = str(id)
    refusal, misnamed = "", False
    if action not in _TAKEN:
        refusal = f"events are neither changed nor removed: {action} is not taken"
    elif type(named) is not str:
        named, refusal, misnamed = target, "_index must be a text", True
    elif named and (wrong := misnomer(named)):
        refusal, misnamed = f"Invalid index name [{named[:100]}], {wrong}", True
    elif id is not None and type(id) is not str:
        id, refusal = None, "_id must be a text"
    elif id == "":
        refusal = "if _id is specified it must not be empty"
    return Item(action, named, id, document, refusal, misnamed)


@lru_cache(1024)
def misnomer(name: str) -> str:
    """Why Elasticsearch has no index of this name; empty if it may have one."""
    if _DATE_MATH(name):
        return ""
    if found := _NOT_IN_NAMES.search(name):
        return f"must not contain {found[0]!a}"
    if name != name.lower():
        return "must be lowercase"
    if name.startswith(("-", "_", "+")):
        return "must not start with '_', '-', or '+'"
    if name in (".", ".."):
        return "must not be '.' or '..'"
    return f"longer than {_LONGEST_NAME} bytes" if len(name.encode()) > _LONGEST_NAME else ""
