"""Tokens: three of them, made once, for their owner's eyes, and each good for one thing."""

from __future__ import annotations

import json
import os
from base64 import b64encode

import pytest

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.web import tokens
from clusterlog.web.tokens import RIGHTS, Tokens

MADE = Tokens("write-" * 4, "read-" * 4, "control-" * 4)


def base64(text):
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("right", RIGHTS)
def test_a_token_gives_its_own_right_however_it_is_shown(right):
    token = getattr(MADE, right)
    for shown in (
        f"Bearer {token}",
        f"bearer  {token} ",
        f"ApiKey {token}",
        f"ApiKey {base64(f'any id:{token}')}",
        f"Basic {base64(f'elastic:{token}')}",
        f"BASIC {base64(f':{token}')}",
    ):
        assert MADE.right(shown) == right, shown


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        MADE.write,
        f"Bearer {MADE.write}x",
        f"Bearer {MADE.write[:-1]}",
        f"Digest {MADE.write}",
        f"Basic {MADE.write}",
        f"Basic {base64(MADE.write)}",
        f"Basic {base64(f'{MADE.write}:')}",
        f"Bearer {base64(f'a:{MADE.write}')}",
        "ApiKey ====",
        "Basic \xff\xfe",
        f"Basic {b64encode(b':' + bytes([255])).decode()}",
    ],
)
def test_what_is_no_token_gives_no_right(shown):
    assert MADE.right(shown) is None


def test_every_token_is_compared_however_early_one_fits(monkeypatch):
    compared = []
    monkeypatch.setattr(tokens, "compare_digest", lambda one, other: compared.append(other) or one == other)
    assert MADE.right(f"Bearer {MADE.write}") == "write"
    assert [each.decode() for each in compared] == [MADE.write, MADE.read, MADE.control]


def test_tokens_are_not_shown_by_accident():
    assert "write-" not in repr(MADE)


def test_a_home_without_tokens_gets_three_that_nobody_can_guess(tmp_path):
    one, other = tokens.load(tmp_path), tokens.load(tmp_path)
    made = [getattr(each, right) for each in (one, other) for right in RIGHTS]
    assert len(set(made)) == 6
    assert all(len(each) >= 43 for each in made)


def test_they_are_kept_with_the_url_for_their_owner_alone(tmp_path):
    os.umask(0)
    try:
        path = tokens.publish(tmp_path, "http://127.0.0.1:1", MADE)
    finally:
        os.umask(0o022)
    assert json.loads(path.read_bytes()) == {
        "url": "http://127.0.0.1:1",
        "tokens": {"write": MADE.write, "read": MADE.read, "control": MADE.control},
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert tokens.load(tmp_path) == MADE


def test_a_file_that_others_may_read_is_closed_again(tmp_path):
    path = tokens.publish(tmp_path, "http://127.0.0.1:1", MADE)
    path.chmod(0o644)
    tokens.publish(tmp_path, "http://127.0.0.1:2", tokens.load(tmp_path))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"tokens": []}', b'{"tokens": {"write": "w", "read": "r", "control": "c"}}']
    + [json.dumps({"tokens": {right: "x" * 20 for right in RIGHTS if right != left}}).encode() for left in RIGHTS]
    + [json.dumps({"tokens": dict.fromkeys(RIGHTS, 5)}).encode()],
)
def test_a_damaged_file_is_told_of_and_not_replaced(tmp_path, content):
    path = tmp_path / "run" / "serve.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SettingError, match=r"does not hold the tokens: remove it"):
        tokens.load(tmp_path)
    assert path.read_bytes() == content


def test_a_disk_without_room_for_them_is_told_of(tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokens, "replace", fail)
    with pytest.raises(StoreUnavailable, match=r"serve\.json: No space left on device"):
        tokens.publish(tmp_path, "http://127.0.0.1:1", MADE)


def test_a_file_that_may_not_be_read_is_a_matter_of_rights(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(tokens.Path, "read_bytes", refuse)
    with pytest.raises(NotAllowed, match="permission denied"):
        tokens.load(tmp_path)
