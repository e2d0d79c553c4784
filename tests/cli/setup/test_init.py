"""`clusterlog init` writes a file that changes nothing until somebody uncomments a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from clusterlog.cli.setup.init import FILE, lines
from clusterlog.settings import Settings, load, names


@pytest.fixture
def init(tmp_path):
    """The command, in an empty directory."""

    def called(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "clusterlog", "init", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return called


def uncommented(content):
    """The file with every setting in force."""
    return re.sub(r"^# ([a-z_]+ = )", r"\1", content, flags=re.MULTILINE)


def test_the_file_is_toml_and_sets_nothing(init, tmp_path):
    done = init()
    assert (done.returncode, done.stdout) == (0, "")
    assert tomllib.loads((tmp_path / FILE).read_text()) == {}


def test_every_setting_is_in_it_with_its_default(tmp_path):
    content = "\n".join(lines())
    values = tomllib.loads(uncommented(content))
    assert set(values) == set(names())
    (tmp_path / FILE).write_text(uncommented(content))
    loaded = load(environ={}, directory=tmp_path)
    plain = Settings()
    found_out = {"service", "node", "home"}
    assert {name: getattr(loaded, name) for name in names() if name not in found_out} == {
        name: getattr(plain, name) for name in names() if name not in found_out
    }


def test_the_name_of_the_service_is_set(init, tmp_path):
    assert init("--service", 'a "quoted" näme\x7f').returncode == 0
    assert tomllib.loads((tmp_path / FILE).read_text()) == {"service": 'a "quoted" näme\x7f'}


def test_a_file_that_is_there_is_kept(init, tmp_path):
    (tmp_path / FILE).write_text("service = 'mine'")
    refused = init()
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--force" in refused.stderr
    assert (tmp_path / FILE).read_text() == "service = 'mine'"
    assert init("--force").returncode == 0
    assert "mine" not in (tmp_path / FILE).read_text()


def test_a_directory_is_made_and_told(init, tmp_path):
    done = init("deploy/shop", "--json", "--service", "shop")
    assert json.loads(done.stdout) == {
        "schema": "clusterlog.init/1",
        "file": str(tmp_path / "deploy" / "shop" / FILE),
        "service": "shop",
    }
    assert (tmp_path / "deploy" / "shop" / FILE).is_file()


def test_where_git_would_take_the_events_it_is_said(init, tmp_path):
    (tmp_path / ".git").mkdir()
    assert "add that line to .gitignore" in init().stderr
    (tmp_path / ".gitignore").write_text("/.clusterlog/\n")
    assert ".gitignore" not in init("--force").stderr
