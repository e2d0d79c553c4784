"""Events as syslog on the way: to a strict server, to the real rsyslogd, with TLS and without."""

import json
import socket
import ssl

import pytest
from syslog_server import PATIENCE, Rsyslog, SyslogNg, SyslogServer, free_port

from clusterlog.errors import SettingError, StoreUnavailable
from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.sinks.promise import in_words
from clusterlog.ship.sinks.reach import touch


def bodies(messages):
    return [json.loads(each["text"]) for each in messages]


def sent_bodies(batch):
    return [json.loads(each.body) for each in batch]


def test_each_event_is_a_frame_and_comes_in_order(opened, batch, statuses):
    with SyslogServer() as server:
        sink = opened(f"syslog+tcp://127.0.0.1:{server.port}")
        sent = batch(1, 200, pad=5000)
        assert statuses(sink.deliver(sent)) == ["stored"] * 200
        sink.close()
        assert bodies(server.wait_for(200)) == sent_bodies(sent) and not server.wrong


def test_over_tls_all_arrive_and_the_far_end_knows_us_by_our_certificate(opened, certificates, batch):
    context = certificates.context(certificates.server())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority())
    own = certificates.server("sender")
    with SyslogServer(context) as server:
        given = {
            "ca_file": str(certificates.authority()),
            "cert_file": str(own),
            "key_file": str(own.with_suffix(".key")),
        }
        sink = opened(f"syslog+tls://localhost:{server.port}", **given)
        sink.deliver(batch(1, 50))
        sink.close()
        assert len(server.wait_for(50)) == 50


def test_a_certificate_of_somebody_unknown_is_not_sent_to(opened, certificates, batch):
    with SyslogServer(certificates.context(certificates.server("stranger", "others"))) as server:
        sink = opened(f"syslog+tls://localhost:{server.port}", ca_file=str(certificates.authority()))
        with pytest.raises(StoreUnavailable, match="certificate"):
            sink.deliver(batch(1, 1))
        assert not server.messages


def test_what_is_no_json_is_refused_and_the_others_are_sent(opened, make, statuses):
    from dataclasses import replace

    with SyslogServer() as server:
        sink = opened(f"syslog+tcp://127.0.0.1:{server.port}")
        assert statuses(sink.deliver([replace(make(1), body=b"NaN"), make(2)])) == ["refused", "stored"]
        assert len(server.wait_for(1)) == 1


def test_ports_are_those_of_syslog_and_users_and_paths_mean_nothing_there():
    def name(url):
        sink, shown, _ = open_sink(load({"home": "/nowhere", "sink": url}, environ={}))
        sink.close()
        return shown

    assert name("syslog+tls://a,b:7") == "syslog+tls://a:6514,syslog+tls://b:7"
    assert name("syslog+tcp://a") == "syslog+tcp://a:514"
    for url in ("syslog+tls://u:p@a", "syslog+tls://a/path"):
        with pytest.raises(SettingError):
            name(url)


def test_it_is_called_best_effort_and_can_be_asked_whether_it_is_there():
    assert in_words("syslog+tls://h").startswith("best effort")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"syslog+tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert touch(load({"home": "/nowhere", "sink": url}, environ={})) == url


@pytest.mark.skipif(Rsyslog.binary is None, reason="rsyslogd is not installed")
def test_rsyslogd_reads_every_event_as_it_was(opened, batch, tmp_path):
    port, out = free_port(), tmp_path / "out"
    configuration = f"""
        module(load="imtcp")
        input(type="imtcp" port="{port}" address="127.0.0.1")
        template(name="parts" type="string" string="%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
        action(type="omfile" file="{out}" template="parts")
    """
    sent = batch(1, 100, pad=20_000)
    with Rsyslog(tmp_path, configuration) as server:
        server.wait_for_port(port)
        sink = opened(f"syslog+tcp://127.0.0.1:{port}")
        sink.deliver(sent)
        sink.close()
        _wait_for_lines(out, 100)
    lines = [line.split("|", 4) for line in out.read_text().splitlines()]
    assert [json.loads(each[4]) for each in lines] == sent_bodies(sent)
    assert all(each[2] == "clusterlog.access" and "event_id=" in each[3] for each in lines)


@pytest.mark.skipif(not Rsyslog.speaks_tls(), reason="rsyslogd is not installed, or without TLS")
def test_rsyslogd_reads_them_by_tls_from_whom_it_knows(opened, batch, certificates, tmp_path):
    port, out = free_port(), tmp_path / "out"
    server, own = certificates.server(), certificates.server("sender")
    configuration = f"""
        global(defaultNetstreamDriverCAFile="{certificates.authority()}" defaultNetstreamDriverCertFile="{server}"
               defaultNetstreamDriverKeyFile="{server.with_suffix(".key")}")
        module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
        input(type="imtcp" port="{port}" address="127.0.0.1")
        template(name="body" type="string" string="%msg%\\n")
        action(type="omfile" file="{out}" template="body")
    """
    sent = batch(1, 100, pad=5_000)
    with Rsyslog(tmp_path, configuration) as rsyslog:
        rsyslog.wait_for_port(port)
        given = {"cert_file": str(own), "key_file": str(own.with_suffix(".key"))}
        sink = opened(f"syslog+tls://localhost:{port}", ca_file=str(certificates.authority()), **given)
        sink.deliver(sent)
        sink.close()
        _wait_for_lines(out, 100)
    assert [json.loads(each) for each in out.read_text().splitlines()] == sent_bodies(sent)


def test_syslog_ng_reads_them_by_tls_from_whom_it_knows(opened, batch, certificates, tmp_path):
    port, out = free_port(), tmp_path / "out"
    server, own = certificates.server(), certificates.server("sender")
    configuration = f"""
        source clusterlog {{
            syslog(ip("127.0.0.1") port({port}) transport("tls") tls(
                cert-file("{server}") key-file("{server.with_suffix(".key")}")
                ca-file("{certificates.authority()}") peer-verify(required-trusted)));
        }};
        destination out {{ file("{out}" template("$PROGRAM|$MSGID|${{.SDATA.clusterlog@32473.event_id}}|$MSG\\n")); }};
        log {{ source(clusterlog); destination(out); }};
    """
    sent = batch(1, 100, pad=5_000)
    with SyslogNg(tmp_path, configuration) as syslog_ng:
        syslog_ng.wait_for_port(port)
        given = {"cert_file": str(own), "key_file": str(own.with_suffix(".key"))}
        sink = opened(f"syslog+tls://localhost:{port}", ca_file=str(certificates.authority()), **given)
        sink.deliver(sent)
        sink.close()
        _wait_for_lines(out, 100)
    lines = [line.split("|", 3) for line in out.read_text().splitlines()]
    assert [json.loads(each[3]) for each in lines] == sent_bodies(sent)
    assert [each[2] for each in lines] == [each.id for each in sent]
    assert {each[1] for each in lines} == {"clusterlog.access"}


def _wait_for_lines(file, count):
    import time

    end = time.monotonic() + PATIENCE
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end, "they never came"
        time.sleep(0.02)
