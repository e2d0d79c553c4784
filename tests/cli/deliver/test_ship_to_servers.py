"""What `clusterlog ship`, `status` and `doctor` say of a server that does not take events, and that nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faults import FaultProxy, always, wait_until

SECRET = "hidden-password"


@pytest.fixture
def answering():
    """A server that answers everything alike."""
    servers = []

    def start(status, content=b"{}", **headers):
        class Answering(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(status)
                for name, value in {"Content-Length": len(content), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST  # noqa: N815 # the library's own way to name them

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answering))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://u:{SECRET}@127.0.0.1:{servers[-1].server_port}"

    yield start
    for each in servers:
        each.shutdown()
        each.server_close()


@pytest.fixture
def refused(run, said):
    """What is said where nothing could be delivered; nothing of it is lost."""

    def ship(url, code=3):
        result = run("ship", "--once", "--sink", url)
        assert result.code == code, result.err
        assert result.out == "" and result.err.count("\n") == 1 and SECRET not in result.err
        told = json.loads(run("status", "--json").out)
        assert (told["shipped"], told["dead"], told["dropped"]) == (0, 0, {})
        assert told["backlog"]["events"] >= 5
        return result.err

    return ship


def test_a_port_nobody_listens_on(refused):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    assert f"http://127.0.0.1:{port}: nothing listens there" in refused(f"http://u:{SECRET}@127.0.0.1:{port}")


def test_a_name_that_resolves_to_nothing(refused):
    told = refused(f"https://u:{SECRET}@nothing.invalid:9200")
    assert "no host of that name is known" in told or "its name cannot be looked up" in told


def test_a_server_that_does_not_speak_tls(refused, answering):
    url = answering(200).replace("http", "https")
    assert "does not speak TLS: write http://127.0.0.1" in refused(url)


def test_a_wrong_password_is_a_matter_of_credentials(refused, answering):
    assert "does not accept our user and password in the URL (401)" in refused(answering(401), code=4)


def test_rights_that_do_not_suffice_are_a_matter_of_credentials(refused, answering):
    error = {"error": {"type": "security_exception", "reason": "action [indices:data/write/bulk] is unauthorized"}}
    told = refused(answering(403, json.dumps(error).encode()), code=4)
    assert "may not do this (403)" in told and "unauthorized" in told


@pytest.mark.parametrize("fault", ["html", "cut", "cut within", "fewer", "429", "503"])
def test_faults_of_networks_and_gateways(refused, answering, fault):
    items = {"errors": False, "items": [{"create": {"status": 201}}] * 5}
    with FaultProxy(answering(200, json.dumps(items).encode()), always(fault)) as proxy:
        said = {
            "html": "answers 200, but not as a store does (text/html)",
            "cut": "closed the connection without an answer",
            "cut within": "connection",  # in the middle of its answer, or before what was sent of it had arrived
            "fewer": "so for none of them",
            "429": "has too much to do (429)",
            "503": "has too much to do (503)",
        }
        assert said[fault] in refused(proxy.url)


def test_an_address_where_no_store_is(refused, answering):
    assert "does not do what a store does (404)" in refused(answering(404, b"not found"))


def test_a_redirection_names_where_to(refused, answering):
    assert "leads elsewhere (301): use https://es.example/" in refused(answering(301, Location="https://es.example/"))


def test_status_and_doctor_tell_why_a_running_shipper_does_not_deliver(process, run, said, answering, until):
    process("ship", "--sink", answering(403), "--home", said)
    published = said.path / "run" / "status.json"
    until(lambda: published.exists() and json.loads(published.read_bytes())["error"], "trouble is published")
    told = json.loads(run("status", "--json").out)["store"]
    assert told["state"] == "refusing" and "may not do this (403)" in told["error"]
    assert SECRET not in json.dumps(told)
    assert "may not do this (403)" in run("status").out
    findings = {each["check"]: each for each in json.loads(run("doctor", "--json").out)["findings"]}
    assert findings["shipper"]["state"] == "problem"
    assert "it runs, and cannot deliver to http://127.0.0.1" in findings["shipper"]["text"]


def test_a_token_file_is_named_where_it_holds_no_token(run, said, tmp_path):
    (tmp_path / "token").write_text("")
    result = run("ship", "--once", "--sink", "http://127.0.0.1:1", "--token-file", tmp_path / "token")
    assert result.code == 2 and f"token_file: {tmp_path / 'token'} holds no token" in result.err


@pytest.mark.campaign
def test_a_shipper_that_is_asked_to_end_does_not_wait_for_a_server_that_hangs(process, run, said, answering):
    """A request may take sixty seconds; ten of them are waited for."""
    with FaultProxy(answering(200), always("hang"), seconds=600) as proxy:
        shipper = process("ship", "--sink", proxy.url, "--home", said)
        wait_until(lambda: proxy.requests, "a request is under way")
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(50) == 0
    assert run("ship", "--once").code == 0  # into the home's own store
    told = json.loads(run("status", "--json").out)
    assert (told["backlog"]["events"], told["dead"], told["dropped"]) == (0, 0, {})
