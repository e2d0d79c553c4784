"""Who we are to a server."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from clusterlog.errors import NotAllowed, SettingError
from clusterlog.settings.servers.credentials import Credentials
from clusterlog.settings.servers.hosts import Host

HOST = Host("https", "es", 9200)
KNOWN = replace(HOST, login=("elastic", "pässword"))


def header(settings, host=HOST, kind="read", **given):
    return Credentials.of(settings(**given), kind).header(host)


def test_without_any_nothing_is_sent(settings):
    assert header(settings) == ""


def test_user_and_password_of_the_url_are_sent_as_basic(settings):
    assert base64.b64decode(header(settings, KNOWN).removeprefix("Basic ")).decode() == "elastic:pässword"


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("VnVhQ2ZHY0JDZGJrU=", "ApiKey VnVhQ2ZHY0JDZGJrU="),
        ("VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw", None),
        ("Bearer abc", "Bearer abc"),
        ("ApiKey abc", "ApiKey abc"),
        ("Basic abc", "Basic abc"),
    ],
)
def test_a_token_is_an_api_key_unless_it_says_otherwise(settings, token, sent):
    expected = sent or "ApiKey " + base64.b64encode(token.encode()).decode()
    assert header(settings, KNOWN, token=token) == expected, "and stronger than what the URL says"


def test_a_file_holds_one_token_or_those_of_a_server(settings, tmp_path):
    plain, served, made = (tmp_path / name for name in ("plain", "serve.json", "key.json"))
    plain.write_text("  abc\n")
    served.write_text(json.dumps({"url": "http://x", "tokens": {"write": "w", "read": "r", "control": "c"}}))
    made.write_text(json.dumps({"id": "i", "api_key": "k", "encoded": "ZW5jb2RlZA=="}))
    assert header(settings, token_file=str(plain)) == "ApiKey abc"
    assert [header(settings, kind=kind, token_file=str(served)) for kind in ("write", "read")] == [
        "ApiKey w",
        "ApiKey r",
    ]
    assert header(settings, token_file=str(made)) == "ApiKey ZW5jb2RlZA=="


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"{", b'{"tokens":{}}', b'{"tokens":{"read":5}}', b"\xff", b"a\nb", b"\xc3\xa4"]
)
def test_a_file_without_a_token_is_refused_in_one_line(settings, tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SettingError, match=rf"^token_file: {file} holds no token"):
        header(settings, token_file=str(file))


def test_a_file_that_is_not_there_is_named(settings, tmp_path):
    with pytest.raises(SettingError, match=r"token_file: cannot read .*: No such file"):
        header(settings, token_file=str(tmp_path / "nothing"))


def test_a_file_that_may_not_be_read_is_named(settings, tmp_path, monkeypatch):
    given = settings(token_file=str(tmp_path / "token"))
    monkeypatch.setattr("pathlib.Path.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(NotAllowed, match="permission denied"):
        Credentials.of(given, "read")


def test_of_token_and_file_the_stronger_origin_counts(settings, tmp_path):
    file = tmp_path / "token"
    file.write_text("of-the-file")
    both = settings(token="of-the-setting", token_file=str(file))
    origins = {"token": "environment", "token_file": "argument"}
    assert Credentials.of(replace(both, origins=origins), "read").header(HOST) == "ApiKey of-the-file"
    assert (
        Credentials.of(replace(both, origins={"token": "environment"}), "read").header(HOST) == "ApiKey of-the-setting"
    )
    with pytest.raises(SettingError, match="both set"):
        Credentials.of(both, "read")


def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(settings):
    with pytest.raises(SettingError) as told:
        header(settings, token="sécret")
    assert "cret" not in str(told.value)


def test_a_replaced_file_is_read_again_when_asked(settings, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    credentials = Credentials.of(settings(token_file=str(file)), "read")
    file.write_text("new")
    assert credentials.header(HOST) == "ApiKey old"
    credentials.again()
    assert credentials.header(HOST) == "ApiKey new"


def test_no_token_is_seen_where_settings_or_credentials_are_printed(settings):
    given = settings(token="hidden")
    assert "hidden" not in repr(given) + repr(Credentials.of(given, "read"))


@pytest.mark.parametrize(
    ("given", "host", "source"),
    [
        ({"token": "x"}, KNOWN, "token"),
        ({}, KNOWN, "user and password in the URL"),
        ({}, HOST, ""),
    ],
)
def test_where_credentials_come_from_is_told(settings, given, host, source):
    assert Credentials.of(settings(**given), "read").source(host) == source
