from __future__ import annotations

import pytest

from clusterlog.cli.demo.command import MARK, _as_environment, _configure
from clusterlog.settings import load

URLS = {"bank": "http://127.0.0.1:1", "shop-1": "http://127.0.0.1:2"}


@pytest.mark.parametrize("name", ["home", 'a "quoted" one', "näin – 🛒", "back\\slash"])
def test_what_is_written_into_a_home_is_read_from_it_whatever_it_is_called(tmp_path, name):
    home = tmp_path / name
    home.mkdir()
    _configure(load({"home": str(home), "store": "http://localhost:9200"}), URLS)
    read = load({"home": str(home)})
    assert read.user_key == str(home / "user.key")
    assert read.store == "http://localhost:9200"
    text = (home / "clusterlog.toml").read_text("utf-8")
    assert text.startswith(MARK)
    assert "# shop-1 http://127.0.0.1:2\n" in text
    assert "bank" not in text


def test_a_home_that_is_moved_takes_its_key_along(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    _configure(load({"home": str(before)}), URLS)
    _configure(load({"home": str(before)}), URLS)  # a second run reads what the first has written
    before.rename(after)
    assert load({"home": str(after)}).user_key == str(after / "user.key")


def test_a_key_that_is_elsewhere_stays_there(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    _configure(load({"home": str(home), "user_key": str(tmp_path / "shared.key")}), URLS)
    assert load({"home": str(home)}).user_key == str(tmp_path / "shared.key")


def test_a_file_that_somebody_else_has_written_is_left_alone(tmp_path):
    mine = tmp_path / "clusterlog.toml"
    mine.write_text('level = "WARNING"\n')
    _configure(load({"home": str(tmp_path)}), URLS)
    assert mine.read_text() == 'level = "WARNING"\n'


def test_the_nodes_get_every_setting_that_was_made_wherever_it_was_made(tmp_path):
    (tmp_path / "clusterlog.toml").write_text('redact = ["plate", "iban"]\nlinger = "5s"\nnode = "mine"\n')
    settings = load({"home": str(tmp_path / "home")}, environ={"CLUSTERLOG_DEBUG": "shop.api"}, directory=tmp_path)
    told = _as_environment(settings)
    assert "CLUSTERLOG_NODE" not in told
    again = load(environ=told, directory=tmp_path / "nowhere")
    assert (again.home, again.redact, again.linger, again.debug) == (
        str(tmp_path / "home"),
        ("plate", "iban"),
        5.0,
        ("shop.api",),
    )
