"""Protocol Buffers by a schema of ours, from and to what the JSON of the same message says. Pure.

It is a dozen rules (protobuf.dev, "Encoding"), so no library is asked for. Texts that are no UTF-8 are mended instead
of losing a whole request.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

from clusterlog.encode.otlp.schema import Field, Kind, Message

DEEPEST = 100
"""Messages within each other, as in Google's own."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE: dict[Kind | None, int] = {
    None: _LENGTH,
    "text": _LENGTH,
    "bytes": _LENGTH,
    "hex": _LENGTH,
    "bool": _VARINT,
    "integer": _VARINT,
    "double": _FIXED64,
    "fixed": _FIXED64,
}
_SIGN = 1 << 63


def decoded(data: bytes, message: Message) -> dict[str, Any]:
    """The message in these bytes. Raises ValueError for what is none."""
    return _message(data, 0, len(data), message, 0)


def _message(data: bytes, at: int, end: int, message: Message, depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    told: dict[str, Any] = {}
    while at < end:
        tag, at = _varint(data, at, end)
        wire, known = tag & 7, message.fields.get(tag >> 3)
        if not tag >> 3:
            raise ValueError("a field has the number 0")
        number, begin, at = _value(data, at, end, wire)
        if known is None or _WIRE[known.kind] != wire:  # of a later version
            continue
        if known.message is not None:
            inner = _message(data, begin, at, known.message, depth + 1)
            if known.repeated:
                told.setdefault(known.name, []).append(inner)
            else:
                told[known.name] = {**told.get(known.name, {}), **inner}
        else:
            told[known.name] = _plain(known, number, data[begin:at])
    return told


def _value(data: bytes, at: int, end: int, wire: int) -> tuple[int, int, int]:
    """A value at a place: its number if it is one, where its bytes begin, and where they end."""
    if wire == _VARINT:
        number, after = _varint(data, at, end)
        return number, at, after
    if wire == _LENGTH:
        size, at = _varint(data, at, end)
    elif wire in (_FIXED64, _FIXED32):
        size = 8 if wire == _FIXED64 else 4
    else:
        raise ValueError(f"wire type {wire} at byte {at}")
    if size > end - at:
        raise ValueError(f"it ends in the middle of a field, at byte {end}")
    return 0, at, at + size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (2 * _SIGN - 1), at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number of more than 10 bytes, at byte {at}")
    raise ValueError(f"it ends in the middle of a number, at byte {end}")


def _plain(field: Field, number: int, data: bytes) -> Any:
    kind = field.kind
    if kind == "text":
        return data.decode("utf-8", "replace")
    if kind == "hex":
        return data.hex()
    if kind == "integer":
        return number - 2 * _SIGN if number >= _SIGN else number
    if kind == "fixed":
        return int.from_bytes(data, "little")
    if kind == "double":
        return struct.unpack("<d", data)[0]
    return bool(number) if kind == "bool" else base64.b64encode(data).decode()


def encoded(told: Mapping[str, Any], message: Message) -> bytes:
    """The bytes of a message, which holds nothing but what the schema names. Raises KeyError for anything else."""
    known = _by_name(message)
    out = bytearray()
    for name, value in told.items():
        tag, field = known[name]
        if field.message is None:
            out += tag
            out += _written(field.kind, value)
        else:
            for each in value if field.repeated else (value,):
                inner = encoded(each, field.message)
                out += tag
                out += _size(len(inner))
                out += inner
    return bytes(out)


@cache
def _by_name(message: Message) -> dict[str, tuple[bytes, Field]]:
    """Each field with the bytes before its value."""
    return {each.name: (_size(number << 3 | _WIRE[each.kind]), each) for number, each in message.fields.items()}


def _written(kind: Kind | None, value: Any) -> bytes:
    data: bytes
    match kind:
        case "text":
            data = value.encode("utf-8", "replace")
        case "hex":
            data = bytes.fromhex(value)
        case "bytes":
            data = base64.b64decode(value)
        case "double":
            return struct.pack("<d", value)
        case "fixed":
            return int(value).to_bytes(8, "little")
        case _:
            return _size(int(value) & (2 * _SIGN - 1))
    return _size(len(data)) + data


def _size(number: int) -> bytes:
    """A varint."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
