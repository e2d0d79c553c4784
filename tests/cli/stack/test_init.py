"""Writing a stack into a folder: once, whole, and over nothing."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from clusterlog.cli.stack import environment, files

ROOT = Path(__file__).parents[3]


def test_it_writes_the_files_of_the_stack_and_secrets_that_are_its_owners_alone(stack, folder):
    result = stack("init")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == [
        f"wrote {len(files.planned(folder)) + 1} files in {folder}",
        f"secrets are in .env, for you alone; now: clusterlog stack up {folder}",
    ]
    for name in (
        "docker-compose.yml",
        "examples/shop/haproxy.cfg",
        "logstash/pipeline/clusterlog.conf",
        ".dockerignore",
    ):
        assert (folder / name).read_bytes() == (ROOT / name).read_bytes()
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_secrets_are_long_random_and_readable_by_every_program(stack, folder, tmp_path):
    stack("init")
    first = environment.read(folder)
    (folder / ".env").unlink()
    stack("init")
    second = environment.read(folder)
    for name in environment.SECRETS:
        assert re.fullmatch(r"[A-Za-z0-9]{32}(-aZ9)?", first.value(name))
        assert first.value(name) != second.value(name)
    assert first.value("STACK_ID") != second.value("STACK_ID")
    assert len({first.value(name) for name in environment.SECRETS}) == len(environment.SECRETS)


def test_a_password_for_opensearch_has_every_kind_of_sign_it_asks_for():
    asked = re.compile(r"(?=.*[A-Z])(?=.*[^a-zA-Z\d])(?=.*[0-9])(?=.*[a-z]).{8,}")
    assert all(asked.fullmatch(environment.secret("OPENSEARCH_PASSWORD")) for _ in range(200))


def test_an_env_is_never_overwritten(stack, folder):
    stack("init")
    before = (folder / ".env").read_bytes()
    result = stack("init", "--profile", "logstash")
    assert result.code == 2
    assert result.err == (
        f"clusterlog: {folder}/.env is there already: it is written once, as volumes keep its passwords\n"
    )
    assert (folder / ".env").read_bytes() == before


def test_an_env_that_leads_nowhere_is_not_written_through(stack, folder, tmp_path):
    folder.mkdir()
    (folder / ".env").symlink_to(tmp_path / "elsewhere")
    assert stack("init").code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_files_that_are_as_they_should_be_stay(stack, folder):
    stack("init")
    (folder / ".env").unlink()
    os.utime(folder / "docker-compose.yml", (1, 1))
    result = stack("init", "--json")
    assert result.document["files"] == [".env"]
    assert (folder / "docker-compose.yml").stat().st_mtime == 1


def test_with_another_file_in_the_way_nothing_is_written(stack, folder):
    folder.mkdir()
    (folder / "docker-compose.yml").write_text("services: {}\n")
    result = stack("init")
    assert result.code == 2
    assert result.err == f"clusterlog: {folder}/docker-compose.yml is there, and another one: choose an empty DIR\n"
    assert [each.name for each in folder.iterdir()] == ["docker-compose.yml"]


def test_a_dry_run_lists_what_would_be_written_and_writes_nothing(stack, folder):
    result = stack("init", "--dry-run")
    assert result.code == 0
    assert set(result.out.splitlines()) == {each.name for each in files.planned(folder)} | {".env"}
    assert not folder.exists()


def test_told_to_programs_it_names_files_and_profiles_and_no_secret(stack, folder):
    result = stack("init", "--json", "--profile", "cluster", "--profile", "logstash")
    document = result.document
    assert document["schema"] == "clusterlog.stack/1"
    assert document["profiles"] == ["logstash", "cluster"]
    assert document["directory"] == str(folder) and document["written"] is True
    known = environment.read(folder)
    assert known.profiles == ("logstash", "cluster")
    assert not any(known.value(name) in result.out for name in environment.SECRETS)


@pytest.mark.parametrize(
    ("profiles", "told"),
    [
        (["direct", "logstash"], "profiles direct and logstash: events take one way; choose one of them"),
        (["opensearch", "cluster"], "profile cluster is three nodes of Elasticsearch: take it with direct or logstash"),
        (["kafka"], "no profile 'kafka': there are direct, logstash, opensearch, cluster"),
    ],
)
def test_profiles_that_do_not_go_together_are_refused_in_a_line(stack, folder, profiles, told):
    result = stack("init", *(word for each in profiles for word in ("--profile", each)))
    assert (result.code, result.err) == (2, f"clusterlog: {told}\n")
    assert not folder.exists()


def test_a_name_that_the_engine_would_not_take_is_refused(stack, folder):
    result = stack("init", "--name", "My Stack")
    assert result.code == 2
    assert "expected lower case letters, digits, - and _" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_said_so(stack, folder):
    folder.mkdir(mode=0o500)
    assert stack("init").code == 4


def test_a_file_where_the_folder_should_be_is_said_so(stack, folder):
    folder.mkdir()
    (folder / "examples").write_text("")
    result = stack("init")
    assert result.code == 2
    assert result.err.count("\n") == 1


def test_of_two_that_write_at_once_one_has_the_word(folder, monkeypatch):
    """What is written is linked into its place: it is there whole, and never replaced."""
    files.write(folder, ".env", b"first", 0o600)
    with pytest.raises(files.SettingError, match="is there already, and is left as it is"):
        files.write(folder, ".env", b"second", 0o600)
    assert (folder / ".env").read_bytes() == b"first"
    assert [each.name for each in folder.iterdir()] == [".env"]


def test_an_installed_clusterlog_has_the_files_with_it(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    code = "from clusterlog.cli.commands import call; import sys; sys.exit(call(['stack', 'init', 'here']))"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, check=True, capture_output=True)
    for each in files.planned(tmp_path / "nowhere"):
        assert (tmp_path / "here" / each.name).read_bytes() == each.content
