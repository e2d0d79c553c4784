"""Reasons say which field and why, and quote no value of the event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.dead.reason import LONGEST, redacted

SECRET = "hunter2-4111111111111111"

PARSE = "document_parsing_exception: [1:204] failed to parse field [a.b] of type [x] in document with id 'i-1'. "
FORMS = [
    PARSE + "Preview of field's value: '{}': For input string: \"{}\"",
    PARSE + "Preview of field's value: '{}': failed to parse date field [{}] with format [strict_date_optional_time]",
    PARSE + "Failed to parse value [{}] as only [true] or [false] are allowed.",
    "failed to parse field [a.b] of type [ip]: '{}' is not an IP string literal.",
    "illegal_argument_exception: immense term in field=\"a.b\": the prefix is: '{}'...",
    'cannot read field [a.b] in {{"password":"{}"}}',
    'field [a.b]: For input string: "{}',
]


@pytest.mark.parametrize("form", FORMS)
def test_values_are_taken_out_and_the_field_stays(form):
    told = redacted(form.format(*(SECRET,) * form.count("{}")))
    assert SECRET not in told
    assert "a.b" in told


def test_quotes_inside_a_previewed_value_hide_nothing_of_it():
    told = redacted("failed to parse field [a]. Preview of field's value: 'it's my 'own' secret': caused by this")
    assert "secret" not in told and "own" not in told and told.endswith(": caused by this")


@given(st.text(max_size=3000))
def test_a_reason_is_one_line_within_its_limit(text):
    told = redacted(text)
    assert len(told) <= LONGEST and "\n" not in told
