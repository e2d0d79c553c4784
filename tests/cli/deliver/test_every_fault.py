"""Each fault of a server and of the way to it: told by status and doctor, mended, nothing lost, dead or doubled."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections import Counter
from contextlib import ExitStack

import pytest
from certificates import Certificates
from engine_servers import free_ports
from faults import FaultProxy, always, everywhere, wait_until

from clusterlog.cli.deliver.ship import Teller
from clusterlog.context.ids import new_entity_id
from clusterlog.encode.ecs import Encoder
from clusterlog.encode.facts import Origin
from clusterlog.record.redact import Redactor
from clusterlog.settings import load
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.shipper import Shipper
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.state.voice import Voice
from clusterlog.spool.writer import Writer
from clusterlog.store.elasticsearch import bulk
from clusterlog.store.elasticsearch.wire import node

PASSWORD = "hidden-password"
HASHED = "$2b$10$cw6COq.HIw2W7uQbKI146uuFFqhpL/yUCZD8fove4hOv0czxgldRW"
"""The password of the server's administrator as bcrypt."""
MAPPINGS = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date_nanos"},
        "message": {"type": "keyword"},
        "labels": {"properties": {"count": {"type": "long"}}},
    },
}


class Scene:
    """A process that speaks, a shipper whose clock goes when it is told to, and the way from there to a real server."""

    def __init__(self, home, run, engine, certificates, monkeypatch):
        self.home, self.run, self.engine, self.certificates = home, run, engine, certificates
        self.environment = f"f{secrets.token_hex(4)}"
        self.streams = f"logs-clusterlog.*-{self.environment}"
        self.said = 0
        self._encoder = Encoder(Origin("shop", "shop-1", self.environment, "host-1"), redactor=Redactor(()))
        self._writer = Writer(
            home.path / "spool", head=self._encoder.head, state=self._encoder.state, new_instance=new_entity_id
        )
        self.now = 1000.0
        self.patch = monkeypatch
        (self.port,) = free_ports(1)
        self.proxy = None
        self.set(proxy="none")
        self._ending = ExitStack()
        self.template(MAPPINGS)

    def template(self, mappings):
        made = {
            "index_patterns": [self.streams],
            "priority": 900,
            "data_stream": {},
            "template": {"mappings": mappings, "settings": {"number_of_replicas": 0}},
        }
        status, answer = self.engine.call("PUT", f"/_index_template/{self.environment}", made)
        assert status == 200, answer

    def say(self, times=3, **fields):
        for _ in range(times):
            self.said += 1
            line = self._encoder.line(20, "shop.api", f"line {self.said}", (), fields)
            self._writer.append(False, time.time_ns(), line)

    def set(self, **settings):
        for name, value in settings.items():
            self.patch.setenv(f"CLUSTERLOG_{name.upper()}", str(value))

    def listen(self, fault="none", tls=None):
        """From now on a proxy listens at the port, which does this to every request that brings events."""
        self.proxy = FaultProxy(self.engine.url, always(fault), seconds=0.1, tls=tls, port=self.port)
        self._ending.enter_context(self.proxy)

    def block(self, name, value):
        """Block, or not, the index that the lines of the process are written to."""
        path = f"/logs-clusterlog.app-{self.environment}/_settings"
        status, answer = self.engine.call("PUT", path, {f"index.blocks.{name}": value})
        assert status == 200, answer

    def begin(self, scheme="http", host="127.0.0.1", login=f"shop:{PASSWORD}@"):
        """A shipper begins, to deliver to the port."""
        self.url = f"{scheme}://{host}:{self.port}"
        self.set(store=self.url.replace("://", f"://{login}"), environment=self.environment)
        settings = load({"home": str(self.home)})
        self._ending.enter_context(HomeLock.take(settings.home_path))
        sink, name, limits = open_sink(settings)
        self.shipper = Shipper(
            settings.home_path,
            sink,
            voice=Voice(settings),
            sink_name=name,
            limits=limits,
            monotonic=lambda: self.now,
        )
        self._ending.callback(self.shipper.finish)
        self.teller = Teller(settings, name, lambda: self.now)

    def ship(self, seconds=0.0):
        """Ship for so long, or once; ``status`` is told of it."""
        until = self.now + seconds
        while True:
            self.shipper.step()
            self.teller.tell(self.shipper)
            if self.now >= until:
                return
            self.now += max(0.2, min(self.shipper.dispatch.due_in(), until - self.now))

    def status(self):
        """As data, and as people see it."""
        shown = self.run("status").out
        assert PASSWORD not in shown
        return json.loads(self.run("status", "--json").out), shown

    def doctor(self):
        """Findings by what was looked at."""
        told = self.run("doctor", "--json").out
        assert PASSWORD not in told
        return {each["check"]: each for each in json.loads(told)["findings"]}

    def copies(self):
        """How often each id lies in each backing index."""
        self.engine.call("POST", f"/{self.streams}/_refresh")
        asked = {"size": 10_000, "_source": False}
        status, answer = self.engine.call("POST", f"/{self.streams}/_search", asked)
        assert status == 200, answer
        return Counter((hit["_index"], hit["_id"]) for hit in answer["hits"]["hits"])

    def stored(self):
        """The ids of all that is stored."""
        return {id for _, id in self.copies()}

    def ids(self):
        """What the process has said so far: its own word that it is there, and its lines."""
        return {f"{self._writer.instance}-{number:011x}" for number in range(1, self.said + 2)}

    def assert_each_once(self):
        copies = self.copies()
        assert set(copies.values()) == {1} and self.ids() <= self.stored()
        assert len(copies) == len(self.stored())
        assert list(letters(self.home.path / "dead")) == []

    def close(self):
        if self.proxy is not None:
            self.proxy.script = always("none")
        self._writer.close(time.time_ns())
        self._ending.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def scene(home, run, elasticsearch, certificates, monkeypatch):
    made = Scene(home, run, elasticsearch, certificates, monkeypatch)
    yield made
    made.close()


@pytest.fixture(scope="module")
def own(_engines):
    """A server that wants to know who comes, and may be treated badly."""
    files = {"users": f"admin:{HASHED}\n", "users_roles": "superuser:admin\n"}
    return _engines(
        "elasticsearch-8.19", {"xpack.security.enabled": True}, files=files, login=("admin", "clusterlog-tests")
    )


@pytest.fixture
def strict(home, run, own, certificates, monkeypatch):
    """A scene before that server."""
    made = Scene(home, run, own, certificates, monkeypatch)
    yield made
    made.close()


class Fault:
    """What is wrong, from the beginning or after some events have arrived, until it is mended."""

    seconds = 120.0

    def __init__(self, scene):
        self.scene = scene

    def plant(self):
        self.scene.listen()
        self.scene.begin()

    def mend(self):
        self.scene.proxy.script = always("none")


class Wire(Fault):
    """A proxy does this to every request that brings events."""

    name: str

    def plant(self):
        self.scene.listen(self.name)
        self.scene.begin()


def wire(fault):
    return type("Wire", (Wire,), {"name": fault})


class Busy(Wire):
    name, seconds = "429", 3600.0


class TooLarge(Wire):
    """A gateway takes nothing at all, and later what is small."""

    name = "413"

    def mend(self):
        self.scene.proxy.most = 3000


class Page(Wire):
    """A proxy that wants people to sign in answers everything with its page."""

    def plant(self):
        self.scene.listen()
        self.scene.proxy.script = everywhere("html")
        self.scene.begin()


class Certificate(Fault):
    """Something is wrong with the certificate of whoever answers."""

    def plant(self):
        made = self.scene.certificates
        self.scene.set(ca_file=made.authority())
        self.scene.listen(tls=made.context(self.bad(made)))
        self.scene.begin("https")

    def mend(self):
        made = self.scene.certificates
        self.scene.proxy.tls = made.context(made.server())


class Expired(Certificate):
    def bad(self, made):
        return made.server("expired", days=-1)


class OtherName(Certificate):
    def bad(self, made):
        return made.server("elsewhere", names="DNS:elsewhere.example")


class Unknown(Certificate):
    def bad(self, made):
        return made.server("stranger", authority="nobody")


class Nobody(Fault):
    def plant(self):
        self.scene.begin()

    def mend(self):
        self.scene.listen()


class Silent(Nobody):
    """Packets to it are lost."""

    def plant(self):
        self.scene.patch.setattr(node, "CONNECT_S", 0.2)
        full = socket.create_server(("127.0.0.1", self.scene.port), backlog=0)
        self.sockets = [full, *(socket.socket() for _ in range(4))]
        for each in self.sockets[1:]:  # nobody is accepted, and the queue is full: who comes now is not answered
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        super().plant()

    def mend(self):
        for each in self.sockets:
            each.close()
        super().mend()


class Nameless(Fault):
    def plant(self):
        self.known, asked = False, socket.getaddrinfo

        def look_up(host, *more, **named):
            if host != "es.example":
                return asked(host, *more, **named)
            if not self.known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return asked("127.0.0.1", *more, **named)

        self.scene.patch.setattr(socket, "getaddrinfo", look_up)
        self.scene.listen()
        self.scene.begin(host="es.example")

    def mend(self):
        self.known = True


class Stalled(Wire):
    """It takes requests and does not answer."""

    name = "hang"

    def plant(self):
        self.scene.patch.setattr(bulk, "TIMEOUT_S", 0.05)
        super().plant()

    def mend(self):
        self.scene.patch.setattr(bulk, "TIMEOUT_S", 60.0)
        super().mend()


class Blocked(Fault):
    """The server wrote, and does not any more."""

    kind: str

    def plant(self):
        super().plant()
        self.scene.ship()
        self.scene.block(self.kind, True)
        self.scene.say()

    def mend(self):
        self.scene.block(self.kind, None)


class FullDisk(Blocked):
    """The block that a server sets itself at the flood stage."""

    kind = "read_only_allow_delete"


class ReadOnly(Blocked):
    kind = "write"


class NoTemplate(Fault):
    def plant(self):
        assert self.scene.engine.call("DELETE", f"/_index_template/{self.scene.environment}")[0] == 200
        super().plant()

    def mend(self):
        self.scene.template(MAPPINGS)


FAULTS = {
    "wrong password": (wire("401"), "refusing", "does not accept our user and password in the URL (401)", "right user"),
    "expired certificate": (Expired, "unreachable", "its certificate has expired", "give the server a new certificate"),
    "wrong host name": (OtherName, "unreachable", "its certificate is for another name", "use a name that"),
    "unknown authority": (Unknown, "unreachable", "signed by nobody this machine trusts", "set ca_file"),
    "nobody listens": (Nobody, "unreachable", "nothing listens there (connection refused)", "start the server"),
    "unreachable host": (Silent, "unreachable", "cannot be reached, nothing answers there", "firewalls"),
    "name of nothing": (Nameless, "unreachable", "no host of that name is known", "correct the name in the URL"),
    "no answer in time": (Stalled, "busy", "connected, but no answer within 0.05 s", "look at the server's load"),
    "full disk": (FullDisk, "refusing", "disk usage exceeded flood-stage watermark", "make room on the server's disk"),
    "read-only index": (ReadOnly, "refusing", "FORBIDDEN/8/index write", "take the block off the index"),
    "no template": (NoTemplate, "refusing", "run `clusterlog setup elasticsearch`", ""),
    "413": (TooLarge, "refusing", "too much for one request (413)", "client_max_body_size"),
    "429 for an hour": (Busy, "busy", "has too much to do (429)", "if it lasts, look at the server's load"),
    "503": (wire("503"), "busy", "has too much to do (503)", "if it lasts, look at the server's load"),
    "page": (
        wire("html"),
        "unreachable",
        "is a proxy or a log-in page in between?",
        "name the server itself",
    ),
    "sign in": (Page, "unreachable", "is a proxy or a log-in page in between?", "name the server itself"),
    "fewer items": (wire("fewer"), "unreachable", "so for none of them", "shortens the server's answers"),
    "cut before": (wire("cut"), "unreachable", "closed the connection without an answer", "firewalls on the way"),
    "cut within": (wire("cut within"), "unreachable", "broke in the middle of the answer", "firewalls on the way"),
    "lost answer": (wire("lost"), "unreachable", "closed the connection without an answer", "firewalls on the way"),
}
"""What is wrong, what `status` calls the store then, what is said of it and what is to be done."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_what_mends_it_and_costs_nothing_but_time(scene, name):
    made, state, said, cure = FAULTS[name]
    fault = made(scene)
    scene.say()
    fault.plant()
    scene.ship(fault.seconds)
    told, shown = scene.status()
    assert told["store"]["state"] == state and said in told["store"]["error"]
    assert said in shown and cure in shown and shown.count(scene.url) == 1
    assert told["backlog"]["events"] >= 3 and told["dead"] == 0 and told["dropped"] == {}
    finding = scene.doctor()["shipper"]
    assert finding["state"] == "problem"
    assert finding["text"].startswith(f"it runs, and cannot deliver to {scene.url}: ") and said in finding["text"]
    assert cure in finding["mend"] and finding["mend"].endswith("events wait in the spool meanwhile")
    assert told["delivery"]["batches"] < 25 + fault.seconds / 20
    fault.mend()
    scene.ship(130)
    scene.assert_each_once()
    told, shown = scene.status()
    assert (told["store"]["state"], told["store"]["error"], told["backlog"]["events"]) == ("reachable", None, 0)
    assert told["shipped"] == told["accepted"] and told["delivery"]["warnings"] == []


def test_of_events_that_do_not_fit_the_mapping_the_field_is_moved_and_that_is_told(scene):
    scene.listen()
    scene.begin()
    scene.say(2)
    scene.say(1, count="many")
    scene.say(2)
    scene.ship(60)
    scene.assert_each_once()
    told, shown = scene.status()
    assert (told["store"]["state"], told["dead"]) == ("reachable", 0)
    assert "1 event was repaired before it was stored" in shown
    assert "1 event was repaired before it was stored" in scene.doctor()["delivery"]["text"]


def test_of_events_that_cannot_be_made_to_fit_the_mapping_those_alone_are_kept_aside(scene):
    wrong = {**MAPPINGS, "properties": {**MAPPINGS["properties"], "labels": {"type": "long"}}}
    scene.template(wrong)
    scene.listen()
    scene.begin()
    scene.say(2)
    scene.say(1, count="many")
    scene.say(2)
    scene.ship(60)
    (letter,) = letters(scene.home.path / "dead")
    assert (letter.sequence, json.loads(letter.body)["labels"]) == (4, {"count": "many"})
    assert scene.ids() - scene.stored() == {letter.id}
    told, shown = scene.status()
    assert (told["store"]["state"], told["dead"], told["backlog"]["events"]) == ("reachable", 1, 0)
    assert "1 event in dead/, the first for: document_parsing_exception" in shown
    finding = scene.doctor()["refused"]
    assert "1 event in dead/ was refused for: document_parsing_exception" in finding["text"]
    assert "`clusterlog dead ls`" in finding["mend"] and "`clusterlog dead replay --all`" in finding["mend"]


def test_after_a_rollover_between_two_sendings_no_index_has_a_double_and_what_may_be_in_two_is_told(scene):
    scene.say()
    scene.listen("lost")
    scene.begin()
    scene.ship()
    status, answer = scene.engine.call("POST", f"/logs-clusterlog.app-{scene.environment}/_rollover")
    assert status == 200, answer
    scene.proxy.script = always("none")
    scene.ship(120)
    copies = scene.copies()
    assert set(copies.values()) == {1} and scene.ids() <= scene.stored()
    twice = len(copies) - len(scene.stored())
    assert twice == 3
    warning = "3 events may be stored twice, in two indices of one stream: `clusterlog verify` finds them"
    told, shown = scene.status()
    assert (told["store"]["state"], told["dead"], told["backlog"]["events"]) == ("reachable", 0, 0)
    assert told["delivery"]["warnings"] == [warning] and warning in shown
    assert scene.doctor()["delivery"]["text"] == warning


def key_of(engine, name):
    """A new API key that may ship and nothing else."""
    rights = [{"names": ["logs-clusterlog.*-*"], "privileges": ["auto_configure", "create_doc"]}]
    asked = {"name": name, "role_descriptors": {"ship": {"indices": rights}}}
    status, made = engine.call("POST", "/_security/api_key", asked)
    assert status == 200, made
    return made


@pytest.mark.engines
def test_a_key_that_is_revoked_is_told_and_one_in_its_place_is_taken_at_once(strict, tmp_path):
    made, file = key_of(strict.engine, "old"), tmp_path / "key"
    file.write_text(made["encoded"])
    strict.set(token_file=file)
    strict.say()
    strict.listen()
    strict.begin(login="")
    strict.ship()
    assert strict.engine.call("DELETE", "/_security/api_key", {"ids": [made["id"]]})[0] == 200
    strict.say()
    strict.ship(120)
    told, shown = strict.status()
    assert told["store"]["state"] == "refusing" and told["dead"] == 0 and told["backlog"]["events"] >= 3
    assert f"does not accept our token_file {file} (401)" in shown and "a key into token_file" in shown
    assert "(401)" in strict.doctor()["shipper"]["text"]
    file.write_text(key_of(strict.engine, "new")["encoded"])
    strict.ship(130)
    strict.assert_each_once()


@pytest.mark.engines
@pytest.mark.parametrize("login", ["admin:wrong@", ""])
def test_a_server_with_security_does_not_take_everybody(strict, login):
    strict.say()
    strict.listen()
    strict.begin(login=login)
    strict.ship(120)
    told, shown = strict.status()
    assert told["store"]["state"] == "refusing" and told["dead"] == 0 and told["backlog"]["events"] >= 3
    said = "does not accept our user and password in the URL (401)" if login else "wants to know who we are (401)"
    assert said in shown and "wrong@" not in shown
    findings = strict.doctor()
    assert all(said in findings[check]["text"] for check in ("shipper", "store"))


@pytest.mark.engines
def test_a_disk_of_the_server_that_is_full_keeps_events_waiting_until_it_is_not(strict):
    strict.say()
    strict.listen()
    strict.begin(login="admin:clusterlog-tests@")
    strict.ship()
    watermark = "cluster.routing.allocation.disk"
    full = {f"{watermark}.watermark.{name}": "1%" for name in ("low", "high", "flood_stage")}
    change = {f"{watermark}.threshold_enabled": True, "cluster.info.update.interval": "10s", **full}
    assert strict.engine.call("PUT", "/_cluster/settings", {"persistent": change})[0] == 200

    def refused():
        strict.say(1)
        strict.ship(61)
        return "flood-stage" in strict.shipper.error

    wait_until(refused, "the server's disk is full")
    told, shown = strict.status()
    assert told["store"]["state"] == "refusing" and told["dead"] == 0 and told["backlog"]["events"] >= 1
    assert "make room on the server's disk" in shown and "flood-stage" in strict.doctor()["shipper"]["text"]
    empty = {**dict.fromkeys(change), f"{watermark}.threshold_enabled": False}
    assert strict.engine.call("PUT", "/_cluster/settings", {"persistent": empty})[0] == 200
    strict.block("read_only_allow_delete", None)
    strict.ship(130)
    strict.assert_each_once()
