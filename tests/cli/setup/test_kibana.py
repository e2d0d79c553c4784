"""Setting up Kibana: shown, asked, imported, told, written to a file, and taken back; against a stand-in for Kibana."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from kibana_double import PAGE, KibanaDouble, Reply

from clusterlog.cli import paint
from clusterlog.store.kibana import objects, sources

ROOT = Path(__file__).parents[3]
LOGIN = {"elastic": "secret"}
NAMES = ["events", "coming-and-going", "level-changes", "losses", "request", "cluster-health", "requests"]
IDS = [f"clusterlog-{name}" for name in NAMES]


@pytest.fixture
def kibana():
    """Start stand-ins for Kibana."""
    started = []

    def start(*arguments, **options):
        started.append(KibanaDouble(*arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def setup(run):
    return lambda *options: run("setup", "kibana", *options)


def test_a_dry_run_without_a_kibana_shows_every_dashboard_as_a_table(setup):
    result = setup("--dry-run")
    assert result.code == 0
    assert result.err == ("no Kibana is named (--kibana, or the setting kibana): this is all that one would get\n")
    assert {"dashboard  clusterlog: Requests", "dashboard  clusterlog: Cluster health"} <= set(result.lines)
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in result.lines}
    assert rows["panel"] == "panel kind of what matches shows"
    assert rows["Errors by service"] == (
        "Errors by service stacked bars log.level: (error or critical) count by service.name top 10, @timestamp"
    )
    told = {panel.title for each in sources.read().dashboards for panel in each.panels}
    assert told <= rows.keys()
    assert {each.title for each in sources.read().sessions} <= rows.keys()


def test_on_a_narrow_terminal_the_tables_become_lines_that_fit(setup, on_terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(paint, "width", lambda stream=None: 80)
    result = setup("--dry-run", "--no-pager")
    assert max(map(len, result.lines)) <= 80
    at = result.lines.index("Errors by service  stacked bars")
    assert result.lines[at + 1 : at + 3] == [
        " of    log.level: (error or critical)",
        " shows count by service.name top 10, @timestamp",
    ]


def test_a_dry_run_shows_what_would_be_changed_and_changes_nothing(kibana, setup):
    server = kibana()
    result = setup("--kibana", server.url, "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert f"Kibana 9.5.1 at {server.url}" in result.lines
    assert "create dashboard clusterlog-requests" in result.lines
    assert any(
        line.startswith('+    "Events by level": "0 11 24 12  stacked bars: count where') for line in result.lines
    )
    assert result.lines[-1] == "7 to create"
    assert server.ids() == []


def test_where_nobody_can_be_asked_all_of_it_is_imported_and_told(kibana, setup):
    server = kibana(users=LOGIN)
    result = setup("--kibana", server.url.replace("//", "//elastic:secret@"))
    assert result.code == 0
    assert result.err.splitlines()[0] == "created data view clusterlog-events"
    assert result.err.splitlines()[-1] == "7 changes made"
    assert server.ids() == sorted(IDS)
    assert "secret" not in result.out + result.err
    again = setup("--kibana", server.url.replace("//", "//elastic:secret@"))
    assert (again.code, again.err) == (0, "")
    assert again.lines[-1] == "nothing to do: 7 as they should be"
    assert len([each for each in server.asked if "_import" in each.path]) == 1


def test_an_object_that_is_gone_is_made_again_and_only_that(kibana, setup):
    server = kibana()
    setup("--kibana", server.url)
    del server.objects["default", "dashboard", "clusterlog-requests"]
    result = setup("--kibana", server.url)
    assert result.err == "created dashboard clusterlog-requests\n1 change made\n"


def test_what_another_source_has_made_is_updated_and_the_difference_shown(kibana, setup, monkeypatch, tmp_path):
    server = kibana()
    setup("--kibana", server.url)
    for each in sources.folder().glob("*.toml"):
        (tmp_path / each.name).write_text(each.read_text().replace("service.name top 10", "service.name top 5"))
    monkeypatch.setattr(sources, "_PACKAGED", tmp_path)
    result = setup("--kibana", server.url)
    assert result.err == "updated dashboard clusterlog-requests\n1 change made\n"
    changed = [line for line in result.lines if line[:1] in "+-" and "Errors by service" in line]
    assert [line[0] for line in changed] == ["-", "+"]
    assert "top 10" in changed[0] and "top 5" in changed[1]


@pytest.mark.parametrize(("typed", "code", "made"), [("y\n", 0, 7), ("n\n", 1, 0), ("\n", 1, 0)])
def test_on_a_terminal_it_asks_and_does_what_it_is_told(kibana, setup, on_terminal, monkeypatch, typed, code, made):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
    server = kibana()
    result = setup("--kibana", server.url, "--no-pager")
    assert (result.code, len(server.ids())) == (code, made)
    assert "make these changes? [y/N]" in result.err
    assert ("nothing was changed" in result.err) is (code == 1)


def test_what_it_made_is_taken_back_and_nothing_else(kibana, setup):
    server = kibana()
    setup("--kibana", server.url)
    server.objects["default", "dashboard", "mine"] = {"type": "dashboard", "id": "mine", "attributes": {}}
    assert setup("--kibana", server.url, "--remove").err.startswith("clusterlog: --remove needs --yes where nobody")
    shown = setup("--kibana", server.url, "--remove", "--dry-run")
    assert shown.lines[-1] == "7 to remove" and len(server.ids()) == 8
    result = setup("--kibana", server.url, "--remove", "--yes")
    assert result.code == 0 and result.err.endswith("7 changes made\n")
    assert server.ids() == ["mine"]
    assert setup("--kibana", server.url, "--remove", "--yes").lines[-1] == "nothing to do"


def test_what_somebody_else_made_is_not_touched_and_nothing_is_done(kibana, setup):
    server = kibana()
    mine = {"type": "dashboard", "id": "clusterlog-requests", "attributes": {"title": "mine"}, "references": []}
    server.objects["default", "dashboard", "clusterlog-requests"] = mine
    result = setup("--kibana", server.url)
    assert result.code == 2
    told = "dashboard clusterlog-requests is there, and clusterlog did not make it: remove it first"
    assert result.err == f"clusterlog: {server.url}: {told}\n"
    assert server.ids() == ["clusterlog-requests"]
    removed = setup("--kibana", server.url, "--remove", "--yes")
    assert "dashboard clusterlog-requests was not made by clusterlog, and stays" in removed.out
    assert server.objects["default", "dashboard", "clusterlog-requests"] is mine


def test_each_space_has_objects_of_its_own(kibana, setup):
    server = kibana(spaces=("default", "ops"))
    assert setup("--kibana", server.url).code == 0
    assert setup("--kibana", f"{server.url}/s/ops").code == 0
    assert server.ids("ops") == sorted(f"{each}.ops" for each in IDS)
    assert setup("--kibana", f"{server.url}/s/ops", "--remove", "--yes").code == 0
    assert (len(server.ids()), server.ids("ops")) == (7, [])


def test_what_was_not_taken_is_told_and_made_the_next_time(kibana, setup):
    server = kibana()
    server.refused["clusterlog-requests"] = {"type": "missing_references", "references": [{"type": "tag", "id": "x"}]}
    result = setup("--kibana", server.url)
    assert result.code == 3
    assert result.err.splitlines()[-2:] == [
        "clusterlog: 6 changes of 7 made: the same command again makes the rest",
        f"clusterlog: {server.url}: dashboard clusterlog-requests: refers to what is not there, tag x",
    ]
    told = json.loads(setup("--kibana", server.url, "--json").out)
    assert told["error"].endswith("refers to what is not there, tag x")
    assert [step["done"] for step in told["plan"]] == [False]
    server.refused = {}
    assert setup("--kibana", server.url).err.endswith("1 change made\n")


def test_json_tells_objects_plan_and_what_was_done(kibana, setup):
    server = kibana()
    told = json.loads(setup("--kibana", server.url, "--json").out)
    assert (told["schema"], told["kibana"], told["version"]) == ("clusterlog.kibana/1", server.url, "9.5.1")
    assert [each["id"] for each in told["objects"]] == IDS
    assert [(step["action"], step["name"], step["done"]) for step in told["plan"]] == [
        ("create", id, True) for id in IDS
    ]
    panels = {each["title"]: each for each in told["objects"][-1]["panels"]}
    assert panels["Failed requests"]["query"] == "event.dataset: clusterlog.access and event.outcome: failure"
    again = json.loads(setup("--kibana", server.url, "--json").out)
    assert again["plan"] == [] and len(again["kept"]) == 7
    alone = json.loads(setup("--dry-run", "--json").out)
    assert alone["plan"] is None and alone["kibana"] is None and len(alone["objects"]) == 7


def test_a_file_for_kibanas_own_import_is_written_without_asking_anybody(setup, tmp_path):
    target = tmp_path / "clusterlog.ndjson"
    result = setup("--output", target)
    assert (result.code, result.out, result.err) == (0, "", f"wrote 7 objects to {target}\n")
    assert target.read_bytes() == objects.ndjson(objects.build(sources.read()))
    spaced = setup("--output", "-", "--kibana", "http://127.0.0.1:9/s/ops")
    assert [json.loads(line)["id"] for line in spaced.lines] == [f"{each}.ops" for each in IDS]
    odd = setup("--output", tmp_path / "x.json", "--json")
    assert odd.err.startswith("Kibana imports a file only if its name ends in .ndjson\n")
    assert json.loads(odd.out)["file"] == str(tmp_path / "x.json")


def test_a_file_that_cannot_be_written_is_told_in_one_line(setup, tmp_path):
    (tmp_path / "taken.ndjson").mkdir()
    for target, told in [
        (tmp_path / "none" / "x.ndjson", "no such file or directory"),
        (tmp_path / "taken.ndjson", "is a directory"),
    ]:
        result = setup("--output", target)
        assert (result.code, result.out, result.err) == (2, "", f"clusterlog: cannot write {target}: {told}\n")


def test_a_file_that_must_not_be_written_is_told(setup, tmp_path, monkeypatch):
    def refuses(path, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuses)
    result = setup("--output", tmp_path / "x.ndjson")
    assert (result.code, result.err) == (4, f"clusterlog: cannot write {tmp_path / 'x.ndjson'}: permission denied\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "no Kibana is named: --kibana https://host:5601, or the setting kibana"),
        (
            ("--kibana", "kibana:5601"),
            "kibana = 'kibana:5601' (argument): expected a URL that begins with http:, https:",
        ),
        (("--kibana", "http://u:secret@"), "'http://' is no URL"),
        (("--kibana", "http://a,http://b"), "kibana: expected the address of one Kibana, these are 2"),
        (("--output", "x.ndjson", "--dry-run"), "--output writes a file and asks no Kibana: it stands alone"),
        (("--output", "x.ndjson", "--remove"), "--output writes a file and asks no Kibana: it stands alone"),
        (("--output", ""), "--output: name a file"),
        (("--remove",), "--remove needs --yes where nobody can be asked"),
        (("--remove", "--dry-run"), "no Kibana is named: --kibana https://host:5601, or the setting kibana"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(setup, options, told):
    result = setup(*options)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert told in result.err and "secret" not in result.err


def test_what_is_wrong_with_a_kibana_is_told_in_one_line(kibana, setup):
    old, protected, page = kibana("8.8.2"), kibana(users=LOGIN), kibana()
    page.instead["GET", "/api/status"] = Reply(200, PAGE, "text/html")
    for url, code, told in [
        ("http://127.0.0.1:9", 3, "nothing listens there (connection refused)"),
        (old.url, 2, "is of version 8.8.2, and needed is Kibana 8.9.0 or newer"),
        (protected.url, 4, "wants to know who we are (401)"),
        (protected.url.replace("//", "//elastic:wrong@"), 4, "does not accept our user and password in the URL (401)"),
        (f"{page.url}/s/nope", 3, "not as Kibana does: is a proxy or a log-in page in between?"),
        (f"{kibana().url}/s/nope", 2, "has no space 'nope'"),
    ]:
        result = setup("--kibana", url)
        assert (result.code, result.err.count("\n")) == (code, 1), result
        assert told in result.err and "wrong@" not in result.err


def test_certificates_are_verified_as_for_the_store(kibana, setup, tmp_path):
    import ssl

    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subject = ("-days", "2", "-subj", "/CN=kibana", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run([*command, *files, *subject], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = kibana(tls=tls)
    result = setup("--kibana", server.url)
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert "its certificate is signed by nobody this machine trusts: set ca_file or fingerprint" in result.err
    plain = setup("--kibana", server.url.replace("https", "http"))
    assert (plain.code, plain.err.count("\n")) == (3, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTERLOG_CA_FILE", str(tmp_path / "cert.pem"))
        assert setup("--kibana", server.url).code == 0
    assert len(server.ids()) == 7


def test_an_installed_clusterlog_has_the_sources_with_it(tmp_path):
    """They stand at the top of the repository; a wheel carries them."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
        packaged = {name.rpartition("/")[2] for name in packed.namelist() if "/store/kibana/sources/" in name}
    assert packaged == {each.name for each in (ROOT / "kibana").iterdir()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    program = "import clusterlog; from clusterlog.cli import main; assert 'installed' in clusterlog.__file__; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "setup", "kibana", "--output", "-"],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        check=True,
    )
    assert done.stdout == objects.ndjson(objects.build(sources.read()))
