"""The bytes of a request: as many as one may have, as many as all together may, and no more out of a small gzip."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from starlette.datastructures import Headers

from clusterlog.web.faults import Fault
from clusterlog.web.intake import body
from clusterlog.web.intake.body import LONGEST, Load, received, unpacked

PLAIN, PACKED = Headers({}), Headers({"content-encoding": "GZIP "})


@pytest.fixture
def share():
    with Load().begin() as made:
        yield made


def receive(chunks, share, headers=PLAIN):
    async def sent():
        for chunk in chunks:
            if chunk is None:
                await asyncio.sleep(60)
            yield chunk

    return asyncio.run(received(headers, sent(), share))


def test_a_body_is_put_together(share):
    assert receive([b"ab", b"", b"c"], share) == b"abc"


def test_a_body_that_says_it_is_too_large_is_not_read_and_the_limit_is_said(share):
    with pytest.raises(Fault, match=r"33,554,432 bytes \(32 MiB\), and this one has 33,554,433: send less") as caught:
        receive([None], share, Headers({"content-length": str(LONGEST + 1)}))
    assert caught.value.status == 413


def test_one_that_does_not_say_so_is_read_no_further(share):
    with pytest.raises(Fault, match="32 MiB") as caught:
        receive([bytes(LONGEST), b"x", None], share)
    assert caught.value.status == 413


def test_a_body_of_just_the_limit_is_taken(share):
    assert len(receive([bytes(LONGEST)], share, Headers({"content-length": str(LONGEST)}))) == LONGEST


def test_one_that_does_not_come_is_not_waited_for(share, monkeypatch):
    monkeypatch.setattr(body, "PATIENCE_S", 0.01)
    with pytest.raises(Fault) as caught:
        receive([b"a", None], share)
    assert caught.value.status == 408


def test_gzip_is_unpacked_with_several_members_as_well(share):
    assert unpacked(PACKED, gzip.compress(b"ab") + gzip.compress(b"") + gzip.compress(b"c" * 3_000_000), share) == (
        b"ab" + b"c" * 3_000_000
    )
    assert unpacked(PLAIN, b"as it is", share) == b"as it is"
    assert unpacked(Headers({"content-encoding": "identity"}), b"as it is", share) == b"as it is"


def test_gzip_of_members_without_number_is_refused_as_each_costs_a_copy_of_the_rest(share):
    assert unpacked(PACKED, gzip.compress(b"a") * 1_000, share) == b"a" * 1_000
    with pytest.raises(Fault, match="more than 1,000 members") as caught:
        unpacked(PACKED, gzip.compress(b"") * 1_000_000, share)
    assert caught.value.status == 400


@pytest.mark.parametrize("sent", [b"no gzip", gzip.compress(b"abc")[:-3], gzip.compress(b"abc") + b"more", b"\x1f\x8b"])
def test_what_is_no_whole_gzip_is_refused(share, sent):
    with pytest.raises(Fault) as caught:
        unpacked(PACKED, sent, share)
    assert (caught.value.status, caught.value.reason.startswith("the body is no gzip: ")) == (400, True)


def test_a_small_gzip_of_very_much_is_not_unpacked(share, monkeypatch):
    made = []
    real = zlib.decompressobj
    monkeypatch.setattr(body.zlib, "decompressobj", lambda *form: made.append(real(*form)) or made[-1])
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(4 * (LONGEST >> 20))) + packer.flush()
    with pytest.raises(Fault, match="more when it is unpacked") as caught:
        unpacked(PACKED, bomb, share)
    assert caught.value.status == 413
    assert not made[0].eof


@pytest.mark.parametrize("coding", ["deflate", "zstd", "gzip, gzip"])
def test_other_codings_are_named_and_refused(share, coding):
    with pytest.raises(Fault) as caught:
        unpacked(Headers({"content-encoding": coding}), b"", share)
    assert caught.value.status == 415
    assert coding in caught.value.reason


def test_all_that_is_under_way_is_bounded_in_bytes_and_each_gives_its_own_back():
    load = Load(most_bytes=10)
    with load.begin() as one, load.begin() as other:
        one.take(6)
        other.take(4)
        with pytest.raises(Fault) as caught:
            other.take(1)
    assert (caught.value.status, caught.value.kind) == (429, "es_rejected_execution_exception")
    assert caught.value.headers == {"Retry-After": "1"}
    assert load.bytes == 0


def test_unpacking_counts_as_well():
    load = Load(most_bytes=1 << 20)
    with load.begin() as share, pytest.raises(Fault) as caught:
        unpacked(PACKED, gzip.compress(bytes(2 << 20)), share)
    assert caught.value.status == 429


def test_all_that_is_under_way_is_bounded_in_number():
    load = Load(most_requests=2)
    with load.begin(), load.begin():
        with pytest.raises(Fault) as caught:
            load.begin()
        assert caught.value.status == 429
    with load.begin():
        pass
