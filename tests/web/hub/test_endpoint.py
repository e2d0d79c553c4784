"""What a server answers to requests of a hub that are not those of our own client."""

import json
import secrets
import socket
from base64 import b64encode
from contextlib import closing

import pytest

from clusterlog.control.bus.hub.protocol import MOST_REQUEST, ROOT
from clusterlog.errors import BusDenied
from clusterlog.testing.buses import changed, heard, subscribed

PATHS = [
    ("GET", "/document"),
    ("PUT", "/document"),
    ("GET", "/leases"),
    ("PUT", "/leases"),
    ("DELETE", "/leases?key=a"),
    ("GET", "/leased?version=e/1"),
    ("POST", "/messages"),
    ("GET", "/notices?hold=0"),
]
B64 = b64encode(b"body").decode()


@pytest.fixture
def cluster():
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def asked(hub_server, cluster):
    """Asks with the token to control, for a name space of one's own."""

    def ask(method, path, body=None, right="control"):
        query = f"{'&' if '?' in path else '?'}cluster={cluster}" if "cluster=" not in path else ""
        content = json.dumps(body) if isinstance(body, dict | list) else body
        return hub_server.ask(method, f"{ROOT}{path}{query}", content, right)

    return ask


@pytest.mark.parametrize("right", ["write", "read"])
@pytest.mark.parametrize(("method", "path"), PATHS)
def test_f32_a_token_to_read_or_write_events_controls_nothing(asked, method, path, right):
    said = asked(method, path, right=right)
    assert said.status == 403
    assert f"the token may {right}" in said.reason


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_f32_without_a_token_nothing_is_answered(asked, method, path):
    assert asked(method, path, right="").status == 401


@pytest.mark.parametrize("right", ["write", "read"])
def test_f32_a_link_with_another_token_says_whose_it_is_and_never_what_it_is(hub_server, bus_of, tmp_path, right):
    token = json.loads((hub_server.home / "run" / "serve.json").read_bytes())["tokens"][right]
    (tmp_path / "token").write_text(token)
    with pytest.raises(BusDenied, match="not the token to control") as denied:
        bus_of(hub_server, token_file=str(tmp_path / "token")).open()
    assert token not in str(denied.value)
    assert str(tmp_path / "token") in str(denied.value)


def test_f32_a_link_with_a_token_of_another_server_is_denied(hub_server, bus_of):
    with pytest.raises(BusDenied, match="does not accept our token"):
        bus_of(hub_server, token_file="", token="another-server-of-ours").open()


def test_f32_a_link_without_a_token_is_told_where_it_is(hub_server, bus_of):
    with pytest.raises(BusDenied, match=r"token_file to its run/serve\.json"):
        bus_of(hub_server, token_file="").open()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/document", b"\xff\xfe", 400),
        ("PUT", "/document", b"[" * 100_000, 400),
        ("PUT", "/document", [], 400),
        ("PUT", "/document", {}, 400),
        ("PUT", "/document", {"document": "no base64!"}, 400),
        ("PUT", "/document", {"document": None}, 400),
        ("PUT", "/document", {"document": B64, "instead_of": 7}, 400),
        ("PUT", "/document", {"document": B64, "instead_of": B64}, 409),
        ("PUT", "/leases", {"key": "a", "body": B64, "version": "e/1"}, 400),
        ("PUT", "/leases", {"key": "a", "body": B64, "version": "e/1", "ttl_s": "30"}, 400),
        ("PUT", "/leases", {"key": "a", "body": B64, "version": "e/1", "ttl_s": True}, 400),
        ("PUT", "/leases", {"key": "a", "body": B64, "version": "e/1", "ttl_s": -1}, 400),
        ("PUT", "/leases", {"key": "a", "body": B64, "version": "e/1", "ttl_s": 1e12}, 400),
        ("PUT", "/leases", b'{"key": "a", "body": "", "version": "e/1", "ttl_s": NaN}', 400),
        ("PUT", "/leases", b'{"key": "a", "body": "", "version": "e/1", "ttl_s": Infinity}', 400),
        ("PUT", "/leases", b'{"key": "\\ud800", "body": "", "version": "e/1", "ttl_s": 30}', 400),
        ("PUT", "/leases", {"key": "x" * 1025, "body": B64, "version": "e/1", "ttl_s": 30}, 400),
        ("PUT", "/leases", {"key": None, "body": B64, "version": "e/1", "ttl_s": 30}, 400),
        ("GET", "/notices?hold=soon", None, 400),
        ("GET", "/notices?hold=nan", None, 400),
        ("GET", "/notices?hold=1e9", None, 400),
        ("GET", "/leases?what=1", None, 400),
        ("GET", "/leases?cluster=", None, 400),
        ("GET", f"/leases?cluster={'x' * 129}", None, 400),
        ("GET", "/leases?cluster=a%0Ab", None, 400),
        ("POST", "/document", None, 405),
        ("GET", "/nothing", None, 404),
        ("POST", "/messages", b"x" * (256 << 10), 200),
        ("POST", "/messages", b"x" * ((256 << 10) + 1), 413),
        ("PUT", "/document", b"x" * (10 << 20), 413),
    ],
)
def test_f14_a_request_that_cannot_be_is_refused_and_changes_nothing(asked, method, path, body, status):
    assert asked(method, path, body).status == status
    assert asked("GET", "/document").json["document"] is None
    assert asked("GET", "/leases").json == {"leases": []}


def test_f14_a_body_of_which_half_comes_changes_nothing_and_hinders_nobody(hub_server, bus_of, asked, cluster):
    token = json.loads((hub_server.home / "run" / "serve.json").read_bytes())["tokens"]["control"]
    head = f"PUT {ROOT}/document?cluster={cluster} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    body = json.dumps({"document": B64, "instead_of": None})
    with closing(subscribed(bus_of(hub_server, cluster).open())) as link:
        for length, sent in ((len(body), body[:-1]), (MOST_REQUEST, body), (len(body), "")):
            with socket.create_connection(("127.0.0.1", hub_server.port)) as half:
                half.sendall(f"{head}Content-Length: {length}\r\n\r\n{sent}".encode())
        assert link.read().document is None
        link.write(b"one", None)
        changed(link, b"one")


def test_f14_half_a_head_hinders_nobody(hub_server, bus_of, cluster):
    halves = [socket.create_connection(("127.0.0.1", hub_server.port)) for _ in range(20)]
    for each in halves:
        each.sendall(f"GET {ROOT}/document?clu".encode())
    with closing(subscribed(bus_of(hub_server, cluster).open())) as link:
        link.send(b"message")
        assert heard(link, 1) == [b"message"]
    for each in halves:
        each.close()


def test_name_spaces_that_nobody_uses_make_room_for_others(hub_server, bus_of):
    """There are more of them here than a hub has at a time; what is kept in them stays."""
    names = [f"t{secrets.token_hex(6)}" for _ in range(20)]
    for name in names:
        with closing(bus_of(hub_server, name).open()) as link:
            link.write(name.encode(), None)
    for name in names:
        with closing(bus_of(hub_server, name).open()) as link:
            assert link.read().document == name.encode()


def test_what_is_left_of_a_home_is_its_owners_alone(hub_server, bus_of):
    with closing(bus_of(hub_server).open()):
        pass
    control = hub_server.home / "control"
    assert {each.stat().st_mode & 0o077 for each in (control, *control.glob("bus.db*"))} == {0}
