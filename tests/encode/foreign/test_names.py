"""The table of names: shipped, and extended by a user's own file."""

import re
from pathlib import Path

import pytest

from clusterlog.encode.foreign import kinds
from clusterlog.encode.foreign.kinds import Kinds
from clusterlog.encode.foreign.names import load, own, shipped, squeezed
from clusterlog.encode.foreign.times import Times
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.errors import NotAllowed, SettingError
from clusterlog.record.redact import Redactor


def test_the_shipped_table_can_be_read_and_every_kind_has_a_reader():
    readers = Kinds(Sanitizer(Redactor()), Times()).readers
    assert {rule.kind for rule in shipped().rules} <= readers.keys() == set(kinds.NAMES)


def test_no_name_stands_twice_for_one_field():
    rules = [(rule.field, rule.kind, rule.name) for rule in shipped().rules]
    assert len(rules) == len(set(rules))


@pytest.mark.parametrize("name", ["X-Request-ID", "x_request_id", "xRequestId", "X_REQUEST_ID", "XRequestID"])
def test_names_that_differ_in_how_they_are_written_are_one(name):
    assert squeezed(name) == "xrequestid"


def test_an_own_name_fills_a_field_before_all_others(translate, room):
    mine = room(names='["http.request.id"]\nid = ["vorgang"]\n["labels.branch"]\nkeyword = ["node"]\n')
    line = {"vorgang": "V-7", "request_id": "R-1", "message": "hi", "node": "berlin"}
    event = mine(line)
    assert event["http"]["request"]["id"] == "V-7"
    assert event["labels"] == {"branch": "berlin", "request_id": "R-1"}
    assert event["service"]["node"]["name"] == "shop"
    assert translate(line)["service"]["node"]["name"] == "berlin"


def test_an_own_name_that_cannot_be_read_leaves_the_field_to_the_others(room):
    mine = room(names='["http.request.id"]\nid = ["vorgang"]\n')
    assert mine({"vorgang": None, "request_id": "R-1", "message": "hi"})["http"]["request"]["id"] == "R-1"


def test_a_file_of_ones_own_goes_before_the_shipped_one(tmp_path):
    file = tmp_path / "names.toml"
    file.write_text('inside = ["payload"]\n["event.duration"]\nmilliseconds = ["took_ms"]\n')
    table = load(file)
    assert table.rules[0].field == "event.duration"
    assert table.rules[1:] == shipped().rules
    assert table.inside == shipped().inside | {"payload"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", '"x" is no table'),
        ('["log.levl"]\nlevel = ["a"]', "did you mean log.level?"),
        ('["order"]\nkeyword = ["a"]', 'no field "order"'),
        ('["log.level"]\nlevl = ["a"]', "did you mean level?"),
        ('["log.level"]\nzzz = ["a"]', "there are address"),
        ('["event.id"]\nid = ["a"]', "clusterlog's own"),
        ('["process.entity_id"]\nid = ["a"]', "clusterlog's own"),
        ('[stay]\nkeyword = ["event.dataset"]', "clusterlog's own"),
        ('["log.level"]\nlevel = "a"', "expected a list of names"),
        ('["log.level"]\nlevel = [1]', "expected a list of names"),
        ('["log.level"]\nlevel = [""]', "expected a list of names"),
        ('inside = "a"', "inside: expected a list"),
        ("[[", "own.toml"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_in_one_line(text, told):
    with pytest.raises(SettingError, match=r"^own\.toml: [^\n]+$") as caught:
        own(text, "own.toml")
    assert told in str(caught.value)


def test_a_table_that_is_missing_or_no_text_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match="cannot read"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingError, match="cannot read"):
        load(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="UTF-8"):
        load(binary)

    def forbidden(*about, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", forbidden)
    with pytest.raises(NotAllowed):
        load(binary)


def test_the_table_in_the_documentation_is_one_and_its_kinds_are_all_there_are():
    text = (Path(__file__).parents[3] / "docs/ingest.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(own(example, "docs").rules) > len(shipped().rules)
    rows = re.search(r"\| kind \| reads \|\n(.*?)\n\n", text, re.DOTALL)[1]
    assert sorted(re.findall(r"`([a-z]+)`", "\n".join(row.split("|")[1] for row in rows.splitlines()))) == sorted(
        kinds.NAMES
    )
