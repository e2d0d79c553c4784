"""The README says what the code does: its settings, its commands and its snippets."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from clusterlog import errors
from clusterlog.cli import commands
from clusterlog.cli.commands import FAMILIES
from clusterlog.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SPOKEN = {
    "service": "the program's name",
    "node": "the host's name",
    "disk_limit": "1 GiB",
    "linger": "60 s",
    "ceiling": "`DEBUG`, and `INFO` for `botocore`, `httpcore` and `urllib3`",
    "longest": "none",
}


def rows():
    """The table of settings as it should stand in the README."""
    yield "| setting | default | |"
    yield "|---|---|---|"
    for each in fields(Settings):
        if each.name == "origins":
            continue
        default = SPOKEN.get(each.name)
        if default is None:
            assert each.default is not MISSING, f"{each.name} needs its default in words"
            default = f"`{each.default}`" if each.default else ""
        yield f"| `{each.name}` | {default} | {each.metadata['doc']} |"


def test_the_table_of_settings_is_the_one_the_code_has():
    assert "\n".join(rows()) in README, "\n" + "\n".join(rows())


def test_every_command_is_named_and_every_named_command_exists():
    existing = {name for family in FAMILIES.values() for name in family}
    named = set(re.findall(r"^\| `clusterlog ([a-z]+)", README, re.MULTILINE))
    assert named == existing


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_every_snippet_is_python(snippet):
    compile(snippet, "README.md", "exec")


def test_the_exit_codes_are_those_of_the_errors():
    codes = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.ClusterlogError)
    }
    named = {int(code) for code in re.findall(r"(?:^|· )(\d+) [a-z]", README, re.MULTILINE)}
    assert codes <= named


def test_the_readme_and_the_help_name_the_same_exit_codes():
    text = README[README.index("0 done") : README.index("On a terminal there are")]
    told = commands.clusterlog.help or ""
    in_help = re.findall(r"(?:: |, )(\d+) [a-z]", " ".join(told[told.index("Exit codes") :].split()))
    assert re.findall(r"(?:^|· |\s)(\d+) [a-z`]", text) == in_help
    assert {str(commands.INTERNAL), str(commands.INTERRUPTED), str(commands.CLOSED_PIPE)} <= set(in_help)
