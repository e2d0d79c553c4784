"""Why a store refused an event, without the values of the event that servers quote when they say so. Pure.

A reason is shown, kept and sent on where the event itself is not; names of fields, types and positions stay in it.
"""

from __future__ import annotations

import re

from clusterlog.record.redact import Redactor
from clusterlog.record.shapes import MARK

LONGEST = 512
"""Characters of a reason that are kept."""

_PREVIEW = re.compile(r"(Preview of field's value: )'(?:.*'(?=: |$)|.*$)", re.DOTALL)
_QUOTED = re.compile(r"(?P<before>field=|\bid )?(?:\"(?P<double>[^\"]*)(?:\"|$)|(?<!\w)'(?P<single>[^']*)(?:'|$))")
_BRACKETED = re.compile(r"\b(value|date field|date|string|number|term)\s+\[[^\]]*(?:\]|$)")
_LITERAL = re.compile(r"(^|: )[^:]{1,256}( is not an IP string literal)")
_redactor = Redactor(())


def redacted(reason: str) -> str:
    """The reason in one line, with quoted values taken out."""
    text = _PREVIEW.sub(rf"\1{MARK}", " ".join(reason.split()))
    text = _QUOTED.sub(lambda found: found[0] if found["before"] else MARK, text)
    text = _BRACKETED.sub(rf"\1 {MARK}", text)
    text = _LITERAL.sub(rf"\1{MARK}\2", text)
    if _redactor.suspicious(text):
        text = _redactor.text(text)
    return text[:LONGEST]
