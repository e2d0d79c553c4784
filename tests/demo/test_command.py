from __future__ import annotations

import http.server
import threading

import pytest

from clusterlog.cli import commands
from clusterlog.cli.demo.command import MARK, _as_environment, _configure, _introduced
from clusterlog.errors import ClusterlogError
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


def test_every_way_to_a_store_is_kept_that_was_said_and_no_default(tmp_path):
    given = {"store": "https://es:9200", "ca_file": "/ca.pem", "cert_file": "/own.pem", "proxy": "none"}
    _configure(load({"home": str(tmp_path), **given}), URLS)
    read = load({"home": str(tmp_path)})
    assert {name: getattr(read, name) for name in given} == given
    assert "fingerprint" not in (tmp_path / "clusterlog.toml").read_text()


@pytest.fixture
def answering():
    """A server that gives the same status to whatever it is asked; its URL."""
    started = []

    def begin(status):
        class Answering(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    for server in started:
        server.shutdown()
        server.server_close()


def test_a_store_that_does_not_know_us_ends_it_before_anything_has_begun(tmp_path, answering, capfd):
    url = answering(401)
    assert commands.call(["demo", "--home", str(tmp_path / "home"), "--store", url]) == 4
    assert capfd.readouterr().err == (f"clusterlog: {url}: wants to know who we are (401): set token or token_file\n")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_a_store_that_is_away_or_does_not_say_who_it_is_may_take_events_by_then(tmp_path, answering, status):
    for url in (answering(status), "http://127.0.0.1:1"):
        try:
            _introduced(load({"home": str(tmp_path), "store": url}))
        except ClusterlogError as error:
            pytest.fail(f"the demo would not begin: {error}")


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
