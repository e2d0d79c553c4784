"""Exceptions as data: type, message, stack trace, causes, and a fingerprint that tells one fault from another.

Plain tracebacks are drawn here, byte by byte as the standard library draws them. Exception groups, syntax errors and
whatever else is unusual are left to ``traceback`` itself, as long as there are not too many of them.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Literal

from clusterlog.record import stack
from clusterlog.record.redact import Redactor

STACK_TRACE_LIMIT = 64 << 10
SMALLEST_LIMIT = 512
MESSAGE_LIMIT = 32 << 10
CHAIN = 100
"""So many causes are described; of a longer chain the newest half and the oldest."""
WALKED = 10_000
MEMBERS = 64
"""So many members of exception groups are described."""
DRAWN_ELSEWHERE = 1_000
"""So many frames and exceptions are left to the standard library, which takes twenty microseconds for each."""

Relation = Literal["cause", "context", "member"]
_BETWEEN = {
    "cause": "\nThe above exception was the direct cause of the following exception:\n\n",
    "context": "\nDuring handling of the above exception, another exception occurred:\n\n",
}

# The slots of the C type itself: a subclass may put properties in front of them, which then are not called.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppressed_of = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__
_attributes_of = BaseException.__dict__["__dict__"].__get__
_name_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__

# From 3.12 on the standard library appends suggestions to these.
_SUGGESTED = (NameError, AttributeError, ImportError) if sys.version_info >= (3, 12) else ()
_UNUSUAL: tuple[type[BaseException], ...] = (BaseExceptionGroup, SyntaxError, *_SUGGESTED)


@dataclass(frozen=True, slots=True)
class Link:
    """An exception behind the one that was logged; ``relation`` says how it stands to the one before it."""

    type: str
    message: str
    relation: Relation


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of an exception; each text can be encoded as UTF-8.

    ``type`` as Python prints it (ECS ``error.type``); ``message`` and ``stack_trace`` within their limits; ``chain``
    from the nearest cause to the oldest, then the members of groups; ``left_out`` counts causes and members that were
    too many. ``fingerprint``: 16 hex digits, made of the types and of the application's own functions on the way, not
    of messages, line numbers, paths or Python's version.
    """

    type: str
    message: str
    stack_trace: str
    fingerprint: str
    chain: tuple[Link, ...]
    left_out: int = 0


_NOT_DESCRIBED = Failure("Exception", "[not described]", "Exception: [not described]\n", "0" * 16, ())


def exception_of(exc_info: Any) -> BaseException | None:
    """The exception that ``exc_info`` means, as logging takes it: itself, a tuple, or anything true for "this one"."""
    kind = type(exc_info)
    if exc_info is None or exc_info is False:
        return None
    if issubclass(kind, BaseException):
        return exc_info  # type: ignore[no-any-return]
    if kind is tuple:
        found = exc_info[1] if len(exc_info) == 3 else None
        return found if issubclass(type(found), BaseException) else None
    try:
        return sys.exc_info()[1] if exc_info else None
    except Exception as error:
        if raised_by_signal(error):
            raise
        return None


def describe(exc: BaseException, *, limit: int = STACK_TRACE_LIMIT, redactor: Redactor | None = None) -> Failure:
    """An exception as data; never raises. ``limit`` bounds the stack trace in characters.

    With ``redactor`` every text is without secrets, and lines of program text are searched for them only once.
    """
    try:
        return _describe(exc, max(limit, SMALLEST_LIMIT), redactor)
    except Exception as error:  # RecursionError where little stack is left, MemoryError
        if raised_by_signal(error):
            raise
        try:
            name, told = _type_name(type(exc)), f"[not described: {type(error).__name__}]"
            return Failure(name, told, f"{name}: {told}\n", fingerprint([name]), ())
        except Exception as error:
            if raised_by_signal(error):
                raise
            return _NOT_DESCRIBED


def _describe(exc: BaseException, limit: int, redactor: Redactor | None) -> Failure:
    told, left_out = _told(exc, limit, redactor)
    unusual = any(each.unusual for each in told) or getattr(sys, "tracebacklimit", None) is not None
    members: list[_Told] = []
    drawn = None
    if unusual:
        inside, more = _members([each.exc for each in told])
        members = [_Told(each, "member", limit, redactor) for each in inside]
        left_out += more
        drawn = _drawn_elsewhere(exc, redactor)
    trace = _shortened(drawn or _drawn(told, left_out, redactor), limit)
    names = [name for each in (*told, *members) for name in each.identity()]
    chain = tuple([Link(each.type, each.message, each.relation) for each in (*told[1:], *members) if each.relation])
    return Failure(told[0].type, told[0].message, _legal(trace), fingerprint(names), chain, left_out)


class _Told:
    """One exception of a chain, read once."""

    __slots__ = ("exc", "frames_left_out", "message", "notes", "places", "relation", "type", "unusual")

    def __init__(self, exc: BaseException, relation: Relation | None, limit: int, redactor: Redactor | None) -> None:
        kind = type(exc)
        self.exc = exc
        self.relation: Relation | None = relation
        self.type = _type_name(kind)
        self.message = _said(_text_of(exc), limit, redactor)
        self.places, self.frames_left_out = stack.places(_traceback_of(exc))
        notes = _attributes_of(exc).get("__notes__")
        if notes is None:
            self.notes: list[str] = []
            self.unusual = issubclass(kind, _UNUSUAL)
        else:
            plain = type(notes) is list and all(type(note) is str for note in notes)
            self.notes = [_said(note, limit, redactor) for note in notes] if plain else []
            self.unusual = not plain or issubclass(kind, _UNUSUAL)

    def identity(self) -> list[str]:
        """What the fingerprint is made of: type and functions, each of these once, however deep a recursion went."""
        own = [place.mark for place in self.places if place.owner == 2]
        if not own:  # an exception that never passed the application is told by the package it came from
            own = [place.mark for place in self.places if place.owner == 1]
        return list(dict.fromkeys((self.type, *own)))


def _told(exc: BaseException, limit: int, redactor: Redactor | None) -> tuple[list[_Told], int]:
    """The exception and what stands behind it, nearest first, as a traceback would show them; how many are left out."""
    found: list[tuple[BaseException, Relation | None]] = [(exc, None)]
    seen = {id(exc)}
    while len(found) <= WALKED:
        cause, context = _cause_of(exc), _context_of(exc)
        if cause is not None and id(cause) not in seen:
            exc = cause
            found.append((exc, "cause"))
        elif context is not None and id(context) not in seen and not _suppressed_of(exc):
            exc = context
            found.append((exc, "context"))
        else:
            break
        seen.add(id(exc))
    left_out = max(0, len(found) - CHAIN)
    if left_out:
        found = found[: CHAIN // 2] + found[-CHAIN // 2 :]
    return [_Told(each, relation, limit, redactor) for each, relation in found], left_out


def _members(chain: list[BaseException]) -> tuple[list[BaseException], int]:
    """The members of the groups in a chain, groups in groups included; how many are left out."""
    found: list[BaseException] = []
    waiting = [iter([each]) for each in reversed(chain) if issubclass(type(each), BaseExceptionGroup)]
    count = -len(waiting)
    while waiting and count < WALKED:
        each = next(waiting[-1], None)
        if each is None:
            waiting.pop()
            continue
        if 0 <= count < MEMBERS:
            found.append(each)
        count += 1
        if issubclass(type(each), BaseExceptionGroup):
            waiting.append(iter(_members_of(each)))
    return found, count - len(found)


def _drawn(told: list[_Told], left_out: int, redactor: Redactor | None) -> list[str]:
    drawn: list[str] = []
    for number in range(len(told) - 1, -1, -1):
        each = told[number]
        if number + 1 < len(told):
            drawn.append(_BETWEEN[told[number + 1].relation or "context"])
        if left_out and number == CHAIN // 2 - 1:
            drawn.append(f"[{left_out} causes left out]\n\n")
        if each.places:
            drawn.append("Traceback (most recent call last):\n")
            drawn += stack.draw(each.places, each.frames_left_out, redactor)
        drawn.append(f"{each.type}: {each.message}\n" if each.message else each.type + "\n")
        for note in each.notes:
            drawn.append(note + "\n")
    return drawn


def _drawn_elsewhere(exc: BaseException, redactor: Redactor | None) -> list[str] | None:
    """The standard library's own text; ``None`` if it would take too long or fails."""
    if not _affordable(exc):
        return None
    try:
        text = "".join(traceback.format_exception(exc))
    except Exception as error:
        if raised_by_signal(error):
            raise
        return None
    return [text if redactor is None else redactor.text(text)]


def _affordable(exc: BaseException) -> bool:
    """Whether all that ``traceback`` would visit is within bounds."""
    waiting, seen, spent, said = [exc], {id(exc)}, 0, 0
    while waiting:
        each = waiting.pop()
        said += len(_text_of(each))
        tb: TracebackType | None = _traceback_of(each)
        while tb is not None and spent <= DRAWN_ELSEWHERE:
            spent += 1
            tb = tb.tb_next
        more = [_cause_of(each), _context_of(each)]
        if issubclass(type(each), BaseExceptionGroup):
            more += _members_of(each)
        spent += 1 + len(more)
        if spent > DRAWN_ELSEWHERE or said > MESSAGE_LIMIT:
            return False
        waiting += [next_ for next_ in more if next_ is not None and id(next_) not in seen]
        seen.update(map(id, waiting))
    return True


def _text_of(exc: BaseException) -> str:
    try:
        text = str(exc)
    except Exception as error:
        if raised_by_signal(error):
            raise
        return "<exception str() failed>"
    return text if type(text) is str else str.__str__(text)


def _said(text: str, limit: int, redactor: Redactor | None) -> str:
    """A message or note: within half the limit of the whole, without secrets, legal."""
    most = min(MESSAGE_LIMIT, limit // 2)
    if len(text) > most:
        text = _shortened([text], most)
    if redactor is not None and redactor.suspicious(text):
        text = redactor.text(text)
    return _legal(text)


def _shortened(parts: list[str], limit: int) -> str:
    """Joined; if longer than ``limit`` characters, one third from the beginning, two from the end, what is missing."""
    size = sum(map(len, parts))
    if size <= limit:
        return "".join(parts)
    room = limit - 64
    head, tail = _ends(parts, room // 3, room - room // 3)
    return f"{head}\n[... {size - len(head) - len(tail)} characters left out ...]\n{tail}"


def _ends(parts: list[str], first: int, last: int) -> tuple[str, str]:
    """So many characters from either end, without joining what lies between; whole lines where there are lines."""
    head: list[str] = []
    for part in parts:
        head.append(part[:first])
        first -= len(part)
        if first <= 0:
            break
    tail: list[str] = []
    for part in reversed(parts):
        tail.append(part[-last:])
        last -= len(part)
        if last <= 0:
            break
    begin, end = "".join(head), "".join(reversed(tail))
    return begin[: begin.rfind("\n")] if "\n" in begin else begin, end[end.find("\n") + 1 :] or end


def raised_by_signal(error: BaseException) -> bool:
    """Whether a signal handler raised it: then it is the host's own, whoever was interrupted.

    Python calls a handler with the signal's number and the interrupted frame (``signal.signal``), so one of the frames
    it came through was called with these two, one behind the other.
    """
    if type(error) is RecursionError:  # where little stack is left, not even this question should be asked
        return False
    trace = error.__traceback__
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        before: Any = None
        for name in code.co_varnames[: code.co_argcount]:
            given = values.get(name)
            if type(given) is FrameType and isinstance(before, int):
                return True
            before = given
        trace = trace.tb_next
    return False


def _type_name(kind: type) -> str:
    """As Python prints it: without module if that is ``builtins`` or ``__main__``."""
    name, module = _name_of(kind), _module_of(kind)
    if type(module) is not str:
        module = "<unknown>"
    return _legal(name if module in ("builtins", "__main__") else f"{module}.{name}")


def _legal(text: str) -> str:
    """Without lone surrogates, which UTF-8 has no bytes for."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def fingerprint(names: list[str]) -> str:
    """What tells one fault from another: 16 hex digits, of an exception's type and the functions it came through."""
    return hashlib.blake2b("\n".join(names).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
