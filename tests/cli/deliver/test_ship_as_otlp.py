"""What `ship`, `status`, `doctor` and `dead` say of a receiver of OTLP."""

from __future__ import annotations

import json

import pytest
from otlp_receiver import Receiver, partly, records


def lines(receiver):
    """The messages of what an application said, without the shipper's own."""
    texts = [each.body.string_value for each in receiver.records if hasattr(each, "body")]
    return sorted(text for text in texts if text.startswith("line "))


@pytest.mark.parametrize("scheme", ["otlp+http", "otlp-json+http"])
def test_everything_is_delivered_once_and_told_with_what_that_means(run, said, scheme):
    with Receiver() as receiver:
        url = f"{scheme}://127.0.0.1:{receiver.port}"
        result = run("ship", "--once", "--sink", url)
        assert result.code == 0 and f"to {url} (acknowledged once the far end has queued them" in result.err
        assert lines(receiver) == ["line 0", "line 1", "line 2"]
        assert len(set(receiver.uids())) == len(receiver.uids())
        (said.path / "clusterlog.toml").write_text(f'sink = "{url}"\n')
        told = json.loads(run("status", "--json").out)["store"]
        assert (told["url"], told["promise"]) == (url, "queued")


def test_what_was_rejected_in_part_is_kept_aside_and_can_be_sent_again(run, said):
    bad = []

    def answers(number, path, message):
        bad.append(len(records(message)))
        return partly(path, 1, "no such tenant") if len(bad) == 1 and bad[0] > 1 else None

    with Receiver(answers) as receiver:
        url = f"otlp+http://127.0.0.1:{receiver.port}"
        assert run("ship", "--once", "--sink", url).code == 0
        kept = json.loads(run("dead", "ls", "--json").out)["letters"]
        assert kept and all("OTLP does not say which: no such tenant" in each["reason"] for each in kept)
        assert run("dead", "replay", "--all").code == 0
        assert run("ship", "--once", "--sink", url).code == 0
        assert set(lines(receiver)) == {"line 0", "line 1", "line 2"}


def test_doctor_connects_and_sends_nothing(run, said):
    with Receiver() as receiver:
        told = json.loads(run("doctor", "--json", "--sink", f"otlp+http://127.0.0.1:{receiver.port}").out)["findings"]
        (found,) = [each for each in told if each["check"] == "sink"]
        assert found["state"] == "ok" and "lets itself be connected to" in found["text"]
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("otlp+http://h/v1/logs", "leave out /v1/logs"),
        ("otlps://h", "did you mean otlp+https:?"),
        ("otlp+https://h:99999", "99999 is no port"),
        ("otlp+https://h,otlp+grpc://h", "begins with otlp+http:// or"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_a_line(run, said, url, told):
    result = run("ship", "--once", "--sink", url)
    assert result.code == 2 and told in result.err and result.err.count("\n") == 1
