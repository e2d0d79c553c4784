"""Secrets that give themselves away by their shape: tokens, keys and cards inside any text.

Every expression is linear: it either fails within a bounded number of characters from where it starts, or consumes
what it has read. ``possible`` looks at single characters first, because finding one costs a fifth of finding a word.
"""

from __future__ import annotations

import base64
import binascii
import re

MARK = "[redacted]"
SHORTEST = 13
"""No shape is shorter than this; a card number of thirteen digits is."""

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# RFC 3986: what stands between "//" and "@" is userinfo; a token may be the name as well as the password. Not every
# password in a URL is quoted as it should be; a port is none.
_USERINFO = re.compile(
    r"://(?!\[redacted\]@)(?:[^\s/?#\"'<>]+"
    r"|[^\s/?#@:\[\"'<>]{0,128}:(?![0-9]{1,5}(?:[/?#\s]|\Z))[^\s\"'<>]{1,128})@"
)
# RFC 6750; but not the words that follow "bearer" in a sentence about it.
_BEARER = re.compile(
    r"\b([Bb]earer(?: {1,8}|%20))(?!(?i:authentication|authorization|credentials?)\.?(?![\w.~+/=-]))"
    r"[A-Za-z0-9._~+/-]{8,}=*"
)
_BASIC = re.compile(r"\b([Bb]asic(?: {1,8}|%20))([A-Za-z0-9+/]{7,}={0,2}|[A-Za-z0-9+/]{6}==)")
# RFC 7519: the first part is the base64url of '{"'. camelCase has such letters too, hence what may not stand before.
_JWT = re.compile(r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]{10,}(?:\.{1,2}[\w-]+)*", re.ASCII)
_KEYS = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))(?:"
    r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS access key id
    r"|AIza[\w-]{30,}"  # Google
    r"|gh[pousr]_\w{16,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}"  # GitLab
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{10,}"  # Slack
    r"|[rs]k_(?:live|test)_\w{8,}"  # Stripe
    r"|sk-(?=[\w-]{0,64}[0-9])[\w-]{20,}"  # OpenAI, Anthropic
    r")",
    re.ASCII,
)
# Not the fraction of a number, nor what stands before one.
_DIGITS = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]{4,}(?:[ -][0-9]+)*")
_FRACTION = re.compile(r"\.[0-9]")
# What hangs on a run of digits: letters may (``PAN4111…``), but letters and digits mixed are a hexadecimal id.
_ID_BEFORE = re.compile(r"[0-9][A-Za-z]{1,64}\Z")
_ID_BEHIND = re.compile(r"[A-Za-z]{1,64}[0-9]")
_LENGTHS = {"2": (16,), "3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19)}
"""ISO/IEC 7812: the lengths of card numbers by their first digit."""
_FLAT = bytes.maketrans(b"123456789 ", b"000000000-")
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)) + bytes(246)


def possible(text: str) -> bool:
    """Whether ``redacted`` might change a ``text`` without URL: false alarms are allowed, a false all-clear is not."""
    if " " in text and ("earer " in text or "asic " in text):
        return True
    if "J" in text and "eyJ" in text:
        return True
    if "I" in text and ("IA" in text or "AIza" in text or "-----BEGIN" in text):
        return True
    if ("_" in text or "-" in text) and _prefix_possible(text):
        return True
    if "%" in text and ("earer%" in text or "asic%" in text):
        return True
    try:
        flat = text.encode().translate(_FLAT).decode()
    except UnicodeEncodeError:  # lone surrogates: whoever repairs them looks again
        return True
    return "0000000000000" in flat or "0000-0000" in flat


def _prefix_possible(text: str) -> bool:
    if "k" in text and ("sk-" in text or "k_live_" in text or "k_test_" in text):
        return True
    if "x" in text and ("xox" in text or "xapp-" in text):
        return True
    return "g" in text and ("gh" in text or "glpat-" in text)


def redacted(text: str) -> str:
    """``text`` with every secret of a known shape replaced; the very same object if there is none."""
    given = text
    if "-----BEGIN" in text:
        text = _PEM.sub(MARK, text)
    if "@" in text and "://" in text:
        text = _USERINFO.sub(f"://{MARK}@", text)
    if "earer" in text:
        text = _BEARER.sub(rf"\1{MARK}", text)
    if "asic" in text:
        text = _BASIC.sub(_basic, text)
    if "eyJ" in text:
        text = _JWT.sub(MARK, text)
    text = _DIGITS.sub(_cards, _KEYS.sub(MARK, text))
    return given if text == given else text


def _basic(found: re.Match[str]) -> str:
    """RFC 7617: the credentials are base64 of ``user:password``. "Basic Information" is not."""
    letters = found[2]
    whole = letters if len(letters) % 4 == 0 else letters[: len(letters) // 4 * 4]  # the end may have been cut off
    try:
        credentials = ":" in base64.b64decode(whole).decode()
    except (binascii.Error, UnicodeDecodeError):
        credentials = False
    return found[1] + MARK if credentials else found[0]


def _cards(found: re.Match[str]) -> str:
    """Replace the card numbers in a run of digit groups; a number before or after one does not hide it."""
    run, text = found[0], found.string
    groups = [(m.start(), m.end()) for m in re.finditer("[0-9]+", run)]
    if _FRACTION.match(text, found.end()) or _ID_BEHIND.match(text, found.end()):
        groups.pop()
    if _ID_BEFORE.search(text, max(0, found.start() - 65), found.start()):
        groups = groups[1:]
    told, done, first = "", 0, 0
    while first < len(groups):
        last = _card_at(run, groups, first)
        if last is None:
            first += 1
            continue
        told += run[done : groups[first][0]] + MARK
        done = groups[last][1]
        first = last + 1
    return told + run[done:] if done else run


def _card_at(run: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of a card number that begins with group ``first``, or ``None``."""
    digits = ""
    for last in range(first, min(first + 5, len(groups))):
        size = groups[last][1] - groups[last][0]
        # Cards are printed whole or in groups of four to six; only what follows the second may be shorter.
        if (size < 4 and last - first < 2) or (size > 6 and last > first):
            return None
        digits += run[slice(*groups[last])]
        if len(digits) in _LENGTHS.get(digits[0], ()) and _luhn(digits):
            return last
        if not 4 <= size <= 6:
            return None
    return None


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: from the right, every second digit is doubled, and the sum ends with 0."""
    values = digits.encode().translate(_VALUES)
    return (sum(values[-1::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0
