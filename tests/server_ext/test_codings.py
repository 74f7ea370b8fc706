from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.server_ext import codings
from fused_jupyter.server_ext.codings import CODINGS, Packer, coding_for
from fused_jupyter.server_ext.recent import LARGEST
from fused_jupyter.wire import Reply
from fused_jupyter.wire.http.codings import tag_in, tag_in_hand, without_codings

TEXT = b'{"type":"Feature","properties":{"name":"Rome"}},' * 100
READERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "br": brotli.decompress}


def coding(accept: str, *, media_type: str = "application/json", length: int = 5000, **fields: object) -> str:
    return coding_for(Reply(id=1, media_type=media_type, **fields), length, accept)


def test_every_coding_has_its_reader_here() -> None:
    """A new one needs its line above; with brotli installed there are both."""
    assert set(CODINGS) == set(READERS)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("gzip", "gzip"),
        ("GZIP ; Q=0.5", "gzip"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=nonsense, gzip", "gzip"),
        ("*", "br"),
        ("*;q=0.1, br;q=0", "gzip"),
        ("identity;q=0.5, *;q=0", ""),
        ("gzip;q=0.5, identity", ""),
        ("identity", ""),
        ("deflate", ""),
        ("gzip;q=0", ""),
        ("gzipped", ""),
        (",;=", ""),
        ("", ""),
    ],
)
def test_the_client_chooses_the_coding(accept: str, expected: str) -> None:
    """By its weights, then the denser one; what it does not name it does not get."""
    assert coding(accept) == expected


@pytest.mark.parametrize(
    ("media_type", "is_packed"),
    [
        ("application/json", True),
        ("application/geo+json", True),
        ("application/xml", True),
        ("text/csv; charset=utf-8", True),
        ("text/html", True),
        ("TEXT/PLAIN", True),
        ("image/svg+xml", True),
        ("application/vnd.mapbox-vector-tile", True),
        ("image/png", False),
        ("image/webp", False),
        ("image/tiff", False),
        ("application/octet-stream", False),
        ("application/zip", False),
        ("application/x-numpy-data", False),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", False),
        ("", False),
    ],
)
def test_only_text_and_vector_tiles_are_packed(media_type: str, is_packed: bool) -> None:
    """All else is dense already, and readers of parts count its bytes."""
    assert bool(coding("gzip", media_type=media_type)) is is_packed


def test_what_is_small_special_or_packed_already_stays_as_it_is() -> None:
    """One packet more or less is no gain, an error is seldom, and a UDF's own coding is its own."""
    assert coding("gzip", length=999) == ""
    assert coding("gzip", status=404) == ""
    assert coding("gzip", headers={"Content-Encoding": "br"}) == ""


def test_what_is_not_kept_is_packed_fast() -> None:
    """Brotli is ten times slower, and pays only where it is done once."""
    assert coding("gzip, br", length=LARGEST) == "br"
    assert coding("gzip, br", length=LARGEST + 1) == "gzip"
    assert coding("br", length=LARGEST + 1) == ""


@pytest.mark.parametrize("name", CODINGS)
def test_a_packed_body_is_the_body(name: str) -> None:
    """Read by somebody else's decoder."""
    body = random.Random(1).randbytes(3000) + TEXT

    assert READERS[name](asyncio.run(Packer(10**6).pack(body, name, etag=""))) == body


def test_a_body_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it has its ETag; without one, each time."""
    packed: list[bytes] = []
    monkeypatch.setitem(codings._MAKERS, "gzip", lambda body: packed.append(body) or body[:10])
    packer = Packer(10**6)

    async def main() -> None:
        for etag in ('"a"', '"a"', '"b"', '"a"', "", ""):
            await packer.pack(TEXT, "gzip", etag=etag)

    asyncio.run(main())
    assert len(packed) == 4


def test_equal_bodies_are_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ETag promises it, and a gzip header could hold the time."""
    first = asyncio.run(Packer(0).pack(TEXT, "gzip", etag=""))
    monkeypatch.setattr("time.time", lambda: 10**9)

    assert asyncio.run(Packer(0).pack(TEXT, "gzip", etag="")) == first


@given(st.text("abcdef0123456789", min_size=1).map('"{}"'.format), st.sampled_from(["", "gzip", "br"]))
def test_a_tag_is_recognised_in_any_coding(etag: str, name: str) -> None:
    """The host sees its own tag, and the client hears the one that it has."""
    shown = tag_in(name, etag) if name else etag

    assert without_codings(f'W/"x", {shown}') == f'W/"x", {etag}'
    assert tag_in_hand(etag, f'"x", {shown}') == shown
