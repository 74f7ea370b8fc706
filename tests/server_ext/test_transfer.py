"""How answers travel: HEAD, parts, compression and file names, on a real server with a real kernel."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import brotli
import pytest
from real_jupyter import Answer, JupyterServer, Kernel

Ask = Callable[..., Answer]

LARGE = 3_000_000
CHANGING = {"Date", "Server-Timing", "X-Fused-Cached", "X-Fused-Run"}


@pytest.fixture(scope="module", autouse=True)
def udfs(kernel: Kernel) -> None:
    """Bytes of any number, text, a table, and a tile."""
    kernel.define(
        """
        @fused.udf
        def octets(n: int = 1000):
            import random
            return random.Random(n).randbytes(n)
        """
    )
    kernel.define("def text(n: int = 500):\n    return ['Rome and Zürich'] * n")
    kernel.define(
        """
        import geopandas as gpd, shapely
        @fused.udf
        def dots(n: int = 500):
            points = shapely.points([[i % 170, i // 170] for i in range(n)])
            return gpd.GeoDataFrame({"name": [f"dot {i}" for i in range(n)]}, geometry=points, crs=4326)
        """
    )
    kernel.define(
        """
        class Response:
            status_code = 200
            def __init__(self, body, headers):
                self.body, self.headers = body, headers
        Response.__module__ = "starlette.responses"
        @fused.udf
        def packed():
            import gzip
            return Response(gzip.compress(b"text " * 1000), {"content-type": "text/plain", "content-encoding": "gzip"})
        """
    )


def sent(answer: Answer) -> dict[str, str]:
    """The headers that the answer itself decides."""
    return {name: text for name, text in answer.headers.items() if name not in CHANGING}


# -- HEAD


@pytest.mark.parametrize("encoding", ["identity", "gzip, br"])
@pytest.mark.parametrize(
    "address",
    [
        "fused/ping",
        "fused/udfs",
        "fused/udfs/text",
        "fused/run/file/text",
        "fused/run/file/text?cache_max_age=0",
        "fused/run/file/octets?n=1000",
        f"fused/run/file/octets?n={LARGE}",
        "fused/run/tiles/dots/0/0/0",
        "fused/run/tiles/dots/0/0/0?n=0",
        "fused/run/tiles/dots/tilejson.json",
        "fused/static/map.js",
        "fused/nothing/here",
        "fused/run/file/nobody",
        "fused/run/file/text?n=x",
        "fused/run/file/text.exe",
        "fused/run/file/dots.png",
    ],
)
def test_head_is_get_without_the_body(address: str, encoding: str, server: JupyterServer) -> None:
    """On every route, for errors too: clients that look before they fetch see the same headers."""
    get = server.get(address, headers={"Accept-Encoding": encoding})

    head = server.request("HEAD", address, headers={"Accept-Encoding": encoding})

    assert (head.status, head.body) == (get.status, b"")
    assert sent(head) == sent(get)
    assert get.status == 204 or int(head.headers["Content-Length"]) == len(get.body)


def test_head_of_a_result_that_nobody_has_fetched_runs_once(ask: Ask, server: JupyterServer, kernel: Kernel) -> None:
    """What it ran for is kept for the GET that follows."""
    before = kernel.status()["runs"]

    head = server.request("HEAD", "fused/run/file/octets?n=1234")

    assert head.headers["Content-Length"] == "1234"
    assert ask("fused/run/file/octets?n=1234").headers["ETag"] == head.headers["ETag"]
    assert kernel.status()["runs"] == before + 1


# -- parts


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("0-3", 0, 4), ("500-", 500, None), ("-7", -7, None), ("990-99999999", 990, None)]
)
def test_a_range_is_a_part_of_the_file(size: int, asked: str, start: int, stop: int | None, ask: Ask) -> None:
    """206 with its place; of a small answer, which the server keeps, and of a large one, which only the host has."""
    whole = ask(f"fused/run/file/octets?n={size}")

    part = ask(f"fused/run/file/octets?n={size}", headers={"Range": f"bytes={asked}", "Accept-Encoding": "gzip"})

    first, last, _ = slice(start, stop).indices(size)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert part.status == 206
    assert part.body == whole.body[start:stop]
    assert part.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
    assert part.headers["Content-Length"] == str(len(part.body))
    assert part.headers["ETag"] == whole.headers["ETag"]
    assert "Content-Encoding" not in part.headers


@pytest.mark.parametrize("asked", ["1000-", "5000-6000", "-0"])
def test_a_range_behind_the_end_is_416(asked: str, ask: Ask, server: JupyterServer) -> None:
    """It says how long the file is."""
    answer = ask("fused/run/file/octets?n=1000", headers={"Range": f"bytes={asked}"})

    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */1000"
    assert answer.headers["Content-Type"] == "application/json"
    assert "1000 bytes" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-3,10-20"},
        {"Range": "bytes=9-3"},
        {"Range": "rows=0-3"},
        {"Range": "bytes=0-3", "If-Range": '"older"'},
        {"Range": "bytes=0-3", "If-Range": "Sun, 06 Nov 1994 08:49:37 GMT"},
    ],
    ids=str,
)
def test_all_other_ranges_are_the_whole(headers: dict[str, str], ask: Ask) -> None:
    """Several parts, nonsense, and a file that is another one than the reader has begun with."""
    answer = ask("fused/run/file/octets?n=1000", headers=headers)

    assert (answer.status, len(answer.body)) == (200, 1000)
    assert "Content-Range" not in answer.headers


def test_a_file_goes_on_where_it_was_interrupted(ask: Ask) -> None:
    """`If-Range` with its ETag; text is cut as it is, not as it travels compressed."""
    whole = ask("fused/run/file/text")
    compressed = ask("fused/run/file/text", headers={"Accept-Encoding": "gzip"})

    def rest(etag: str) -> Answer:
        wanted = {"Range": "bytes=100-", "If-Range": etag, "Accept-Encoding": "gzip"}
        return ask("fused/run/file/text", headers=wanted)

    assert (rest(whole.headers["ETag"]).status, rest(whole.headers["ETag"]).body) == (206, whole.body[100:])
    assert (rest(compressed.headers["ETag"]).status, rest(compressed.headers["ETag"]).body) == (200, whole.body)


def test_what_is_not_kept_has_no_parts(ask: Ask) -> None:
    """A second run might give other bytes, and parts of two files are none."""
    answer = ask("fused/run/file/octets?cache_max_age=0", headers={"Range": "bytes=0-3"})

    assert (answer.status, len(answer.body)) == (200, 1000)
    assert answer.headers["Accept-Ranges"] == "none"
    assert "ETag" not in answer.headers


def test_a_part_does_not_replace_the_whole(ask: Ask) -> None:
    """Who asks for all after somebody asked for some gets all, and the other way round; the ETag comes first."""
    address = "fused/run/file/octets?n=4321"
    part = ask(address, headers={"Range": "bytes=1-2"})
    whole = ask(address)

    assert len(whole.body) == 4321
    assert ask(address, headers={"Range": "bytes=1-2"}).body == part.body == whole.body[1:3]
    assert ask(address, headers={"Range": "bytes=1-2", "If-None-Match": whole.headers["ETag"]}).status == 304


# -- compression


@pytest.mark.parametrize(
    ("encoding", "reader"), [("gzip, deflate", gzip.decompress), ("gzip, deflate, br", brotli.decompress)]
)
@pytest.mark.parametrize(
    "address", ["file/text", "file/dots.geojson", "file/dots.csv", "tiles/dots/0/0/0", "file/text.html"]
)
def test_text_and_vector_tiles_are_compressed(
    address: str, encoding: str, reader: Callable[[bytes], bytes], ask: Ask
) -> None:
    """The same bytes in the end, a fraction on the way, each coding with an ETag of its own."""
    plain = ask(f"fused/run/{address}")

    answer = ask(f"fused/run/{address}", headers={"Accept-Encoding": encoding})

    assert reader(answer.body) == plain.body
    assert len(answer.body) < 0.6 * len(plain.body)
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Content-Type"] == plain.headers["Content-Type"]
    assert answer.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert answer.headers["Vary"] == plain.headers["Vary"]


@pytest.mark.parametrize(
    "address", ["file/octets", "file/dots.parquet", "file/text?n=3", "tiles/dots/0/0/0.png", "file/text?n=x"]
)
def test_all_else_is_not(address: str, ask: Ask) -> None:
    """Pictures, Parquet, bytes, what is small, errors."""
    answer = ask(f"fused/run/{address}", headers={"Accept-Encoding": "gzip, br"})

    assert "Content-Encoding" not in answer.headers


def test_a_large_text_is_compressed_too(ask: Ask) -> None:
    """It passes through the server without being kept there."""
    answer = ask("fused/run/file/text?n=200000", headers={"Accept-Encoding": "br, gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body)) == ["Rome and Zürich"] * 200_000


def test_what_a_udf_has_compressed_is_left_alone(ask: Ask) -> None:
    """Its coding is passed on."""
    answer = ask("fused/run/file/packed", headers={"Accept-Encoding": "br"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"text " * 1000
    assert "Accept-Encoding" not in answer.headers["Vary"]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br", "gzip, br"])
def test_who_has_it_in_one_coding_has_it(encoding: str, ask: Ask) -> None:
    """304 with the ETag that the client has, whatever it takes now."""
    tags = [
        ask("fused/run/file/text", headers={"Accept-Encoding": coding}).headers["ETag"] for coding in ("", "gzip", "br")
    ]

    for tag in tags:
        answer = ask("fused/run/file/text", headers={"Accept-Encoding": encoding, "If-None-Match": tag})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
        assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(set(tags)) == 3


# -- file names


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("file/dots", 'attachment; filename="dots.parquet"'),
        ("file/dots.csv", 'inline; filename="dots.csv"'),
        ("file/dots?=geojson", 'inline; filename="dots.geojson"'),
        ("file/dots.arrow", 'attachment; filename="dots.feather"'),
        ("file/text", 'inline; filename="text.json"'),
        ("file/packed", 'inline; filename="packed.txt"'),
        ("tiles/dots/3/4/3", 'attachment; filename="dots-3-4-3.mvt"'),
    ],
)
def test_a_saved_file_has_the_name_of_the_udf(address: str, expected: str, ask: Ask) -> None:
    """With the tile, and the ending of the format that it got."""
    assert ask(f"fused/run/{address}").headers["Content-Disposition"] == expected
