"""File and standard output: lines in order, no half lines, nothing doubled after a kill."""

import errno
import os
import sys

import pytest

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.sinks.file import FileSink
from clusterlog.store.base import Delivery


def delivery(n):
    document = f"{'a' * 32}-{n:011x}"
    return Delivery(document, "a" * 32, n, b'{"event":{"id":"%s"}}' % document.encode())


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_events_are_lines_in_order(tmp_path):
    sink = FileSink(tmp_path / "below" / "events.jsonl")
    assert statuses(sink.deliver([delivery(1), delivery(2)])) == ["stored", "stored"]
    sink.close()
    assert (tmp_path / "below" / "events.jsonl").read_bytes().split(b"\n") == [delivery(1).body, delivery(2).body, b""]


def test_what_a_killed_shipper_had_written_is_not_written_again_and_its_half_line_is_cut(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(delivery(1).body + b"\n" + delivery(2).body[:10])
    sink = FileSink(path)
    assert statuses(sink.deliver([delivery(1), delivery(2)])) == ["duplicate", "stored"]
    sink.close()
    assert path.read_bytes() == delivery(1).body + b"\n" + delivery(2).body + b"\n"


def test_a_short_write_is_taken_back_and_nothing_of_the_batch_is_claimed(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path)
    real = os.write
    with monkeypatch.context() as broken:
        broken.setattr("clusterlog.ship.sinks.file.os.write", lambda fd, data: real(fd, data[:20]))
        with pytest.raises(StoreUnavailable, match="no space left"):
            sink.deliver([delivery(1)])
    assert path.read_bytes() == b""
    assert statuses(sink.deliver([delivery(1)])) == ["stored"]
    sink.close()


def test_a_full_disk_is_no_answer(tmp_path, monkeypatch):
    sink = FileSink(tmp_path / "events.jsonl")

    def full(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr("clusterlog.ship.sinks.file.os.write", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            sink.deliver([delivery(1)])
    sink.close()


def test_standard_output_prints_each_document_on_a_line(capfdbinary, tmp_path, monkeypatch):
    sink, name, _ = open_sink(load({"sink": "stdout:", "home": str(tmp_path)}, environ={}, directory=tmp_path))
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w"))
    assert statuses(sink.deliver([delivery(1)])) == ["stored"]
    sys.stdout.close()
    assert name == "stdout:" and capfdbinary.readouterr().out == delivery(1).body + b"\n"


@pytest.mark.parametrize("url", ["file:", "file://"])
def test_a_sink_that_cannot_be_is_refused_in_one_line(tmp_path, url):
    with pytest.raises(SettingError, match="file:PATH"):
        open_sink(load({"sink": url, "home": str(tmp_path)}, environ={}, directory=tmp_path))


def test_credentials_are_not_shown_where_a_sink_is_refused(tmp_path):
    with pytest.raises(SettingError) as told:
        open_sink(load({"sink": "https://user:secret@es:0", "home": str(tmp_path)}, environ={}, directory=tmp_path))
    assert "secret" not in str(told.value)


def test_a_url_is_shipped_to_by_bulk_requests_and_shown_without_its_password(tmp_path):
    given = {"store": "https://user:secret@a:9200,b", "home": str(tmp_path)}
    sink, name, limits = open_sink(load(given, environ={}, directory=tmp_path))
    assert type(sink).__name__ == "ElasticsearchSink" and name == "https://a:9200,https://b:9200"
    assert (limits.events, limits.bytes) == (1000, 5 << 20)
    sink.close()


def test_a_file_below_a_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises((SettingError, NotAllowed), match="cannot write"):
        FileSink(tmp_path / "x" / "y")


def test_a_file_that_was_renamed_or_removed_is_made_anew_and_nothing_goes_into_the_old_one(tmp_path):
    path = tmp_path / "logs" / "events.jsonl"
    sink = FileSink(path)
    sink.deliver([delivery(1)])
    path.rename(tmp_path / "events.jsonl.1")
    sink.deliver([delivery(2)])
    path.unlink()
    path.parent.rmdir()
    sink.deliver([delivery(3)])
    sink.close()
    assert (tmp_path / "events.jsonl.1").read_bytes() == delivery(1).body + b"\n"
    assert path.read_bytes() == delivery(3).body + b"\n"


def test_ids_are_remembered_until_what_came_before_them_is_acknowledged(tmp_path):
    sink = FileSink(tmp_path / "events.jsonl")
    sink.deliver([delivery(1)])
    sink.flush()
    assert statuses(sink.deliver([delivery(1)])) == ["duplicate"]
    for _ in range(2):
        sink.flush()
    assert not sink._older
    assert not sink._newer
    sink.close()
