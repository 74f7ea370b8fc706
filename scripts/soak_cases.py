"""The requests of the soak test, each with the answer that it has to get."""

from __future__ import annotations

import asyncio
import io
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pyarrow.feather
import pyarrow.parquet
import rasterio
from PIL import Image
from soak_udfs import bytes_of, place_of, places_of, raster_of, table_of, value_of

DEADLINE = 60.0
"""Seconds for any request: 30 in the queue, 2 of a tile or 20 of a file, and time for a busy machine."""
TILE_SECONDS = 2


class Timeline:
    """Which version of a cell was current when."""

    def __init__(self) -> None:
        self._turns: list[tuple[int, float, list[float]]] = []

    def begin(self, version: int) -> None:
        """Its cell is sent."""
        self._turns.append((version, time.monotonic(), []))

    def end(self) -> None:
        """Its cell has ended: nothing older may answer from now on."""
        self._turns[-1][2].append(time.monotonic())

    def between(self, start: float, end: float) -> set[int]:
        """The versions that were current at some moment between two."""
        over = [*(turn[2][0] if turn[2] else math.inf for turn in self._turns[1:]), math.inf]
        return {
            version
            for (version, begun, _), until in zip(self._turns, over, strict=True)
            if begun <= end and until >= start
        }


@dataclass(slots=True)
class Target:
    """A kernel that is asked."""

    kernel: str
    has_geo: bool
    timelines: dict[str, Timeline]
    tokens: list[tuple[str, float]] = field(default_factory=list)
    """Each with the moment from which on it may be revoked."""
    revoked: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    started: float
    ended: float

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(slots=True)
class Client:
    """One of those who ask, one request after another."""

    session: aiohttp.ClientSession
    root: str
    token: str
    rng: random.Random
    targets: list[Target]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Of each answer, by kind."""
    kind: str = ""
    target: Target = field(init=False)

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        login: bool = True,
        **query: Any,
    ) -> Got:
        """Send a request and read its answer.

        Raises:
            TimeoutError: none came within the deadline.
        """
        sent = dict(headers or {})
        if login:
            sent["Authorization"] = f"token {self.token}"
            query["kernel"] = self.target.kernel
        started = time.monotonic()
        async with (
            asyncio.timeout(DEADLINE),
            self.session.request(method, f"{self.root}fused/{path}", headers=sent, params=query) as response,
        ):
            body = await response.read()
        ended = time.monotonic()
        self.seconds.setdefault(self.kind, []).append(ended - started)
        return Got(status=response.status, headers=response.headers, body=body, started=started, ended=ended)

    def versions(self, udf: str, got: Got) -> set[int]:
        """Those that may have answered."""
        return self.target.timelines[udf].between(got.started, got.ended)

    def number(self) -> int:
        """An argument; half of the time one that was asked for before."""
        return self.rng.choice([self.rng.randrange(30), self.rng.randrange(1 << 30)])

    def tile(self) -> tuple[int, int, int]:
        """Any."""
        z = self.rng.randrange(12)
        return z, self.rng.randrange(2**z), self.rng.randrange(2**z)

    def options(self) -> dict[str, str]:
        """A few ask for a fresh run."""
        return {"cache_max_age": "0"} if self.rng.random() < 0.15 else {}


def check(holds: bool, got: Got, what: str) -> None:  # noqa: FBT001 - as assert
    """Raise where an answer is not right.

    Raises:
        AssertionError: says what came.
    """
    if not holds:
        raise AssertionError(f"{what}; {got.status} came, {len(got.body)} bytes, {got.body[:400]!r}")


def check_error(got: Got, status: int, kind: str, text: str) -> None:
    """The error that has to come."""
    check(got.status == status, got, f"status {status} should have come")
    told = got.json()
    check(told["type"] == kind and text in told["error"], got, f"a {kind} with {text!r} should have come")


# -- what goes well


async def value(client: Client) -> None:
    """JSON, with what the UDF printed."""
    n, word = client.number(), client.rng.choice(["", "über", "a b&c"])
    got = await client.ask("run/file/soak_value.json", n=n, word=word, **client.options())
    right = [value_of(version, n, word) for version in client.versions("soak_value", got)]
    check(got.status == 200 and got.json() in right, got, f"one of {right} should have come")
    printed = json.loads(got.headers["x-fused-metadata"])["stdout"]
    check(printed == f"n is {n}\n", got, f"another run's output came: {printed!r}")


async def raster(client: Client) -> None:
    """A tile as a picture or as numbers."""
    tile, n, extension = client.tile(), client.number(), client.rng.choice(["png", "png", "npy", "tiff"])
    path = f"run/tiles/soak_raster/{'/'.join(map(str, tile))}.{extension}"
    got = await client.ask(path, n=n, **client.options())
    check(got.status == 200, got, "a tile should have come")
    rows = _rows(got.body, extension)
    right = [raster_of(version, tile, n) for version in client.versions("soak_raster", got)]
    check(any(np.array_equal(rows, one) for one in right), got, f"other pixels should have come for {tile} n={n}")


async def table(client: Client) -> None:
    """A table as a file."""
    n, extension = client.number() % 1000, client.rng.choice(list(_READERS))
    got = await client.ask(f"run/file/soak_table.{extension}", n=n, **client.options())
    check(got.status == 200, got, "a table should have come")
    frame = _READERS[extension](got.body)
    right = [table_of(version, n) for version in client.versions("soak_table", got)]
    check(any(frame.equals(one) for one in right), got, f"other rows should have come for n={n} as {extension}")


async def places(client: Client) -> None:
    """A vector tile, or its file."""
    tile, n, extension = client.tile(), client.number(), client.rng.choice(["mvt", "mvt", "geojson"])
    got = await client.ask(f"run/tiles/soak_places/{'/'.join(map(str, tile))}.{extension}", n=n, **client.options())
    check(got.status == 200, got, "a tile should have come")
    found = _points_of_mvt(got.body) if extension == "mvt" else _points_of_geojson(got.body, tile)
    values = [point[0] for point in found]
    right = [places_of(version, n) for version in client.versions("soak_places", got)]
    check(values in right, got, f"one of {right} should have come")
    check(all(abs(at - (i + 0.5) / 10) < 0.001 for i, (_, *xy) in enumerate(found) for at in xy), got, "other places")


async def head(client: Client) -> None:
    """The headers of the answer alone."""
    n = client.rng.randrange(20)
    got = await client.ask("run/file/soak_bytes.bin", method="HEAD", n=n)
    check(got.status == 200 and not got.body, got, "no body should have come")
    check(got.headers["Content-Length"] == "128000", got, f"{got.headers['Content-Length']} is not its length")


async def part(client: Client) -> None:
    """Some bytes of a file, its end, or none of it."""
    n, start = client.rng.randrange(20), client.rng.randrange(140_000)
    stop = start + client.rng.randrange(5000)
    wanted, place = client.rng.choice(
        [(f"bytes={start}-{stop}", slice(start, stop + 1)), ("bytes=-100", slice(-100, None))]
    )
    got = await client.ask("run/file/soak_bytes.bin", headers={"Range": wanted}, n=n)
    right = [bytes_of(version, n)[place] for version in client.versions("soak_bytes", got)]
    if right[0]:
        check(got.status == 206 and got.body in right, got, f"{wanted} of n={n} should have come")
    else:
        check(got.status == 416, got, f"nothing is in {wanted}")


async def not_modified(client: Client) -> None:
    """The same twice, the second time only if it is another one."""
    n = client.number()
    first = await client.ask("run/file/soak_bytes.bin", n=n)
    had = [version for version in client.versions("soak_bytes", first) if first.body == bytes_of(version, n)]
    check(first.status == 200 and bool(had), first, f"the bytes of n={n} should have come")
    again = await client.ask("run/file/soak_bytes.bin", headers={"If-None-Match": first.headers["ETag"]}, n=n)
    current = client.versions("soak_bytes", again)
    if again.status == 304:
        check(bool(current & set(had)), again, f"version {had} is not current any more")
    else:
        right = [bytes_of(version, n) for version in current]
        check(again.status == 200 and again.body in right, again, f"the bytes of n={n} should have come")
        check(current != set(had), again, "it is still the same, which 304 should have said")


async def together(client: Client) -> None:
    """Six ask for the same at once, one of them goes away: all others get the answer of one run."""
    n = client.rng.randrange(1 << 40)
    asked = [asyncio.create_task(client.ask("run/file/soak_once.json", n=n)) for _ in range(6)]
    await asyncio.sleep(client.rng.uniform(0, 0.05))
    asked[client.rng.randrange(6)].cancel()
    all_got = await asyncio.gather(*asked, return_exceptions=True)
    answers = [got for got in all_got if not isinstance(got, asyncio.CancelledError)]
    for got in answers:
        if isinstance(got, BaseException):
            raise got
    bodies = {got.body for got in answers if isinstance(got, Got)}
    first = next(got for got in answers if isinstance(got, Got))
    check(first.status == 200 and len(bodies) == 1, first, f"{len(bodies)} answers to one question")


async def fresh(client: Client) -> None:
    """What nobody wants from the cache is another one each time."""
    n = client.rng.randrange(5)
    first = await client.ask("run/file/soak_once.json", n=n, cache_max_age="0")
    again = await client.ask("run/file/soak_once.json", n=n, cache_max_age="0")
    check(first.status == again.status == 200 and first.body != again.body, again, "it came from a cache")


async def nested(client: Client) -> None:
    """A UDF that runs a UDF, and one that uses threads and programs."""
    n = client.number() % 1000
    udf, right = client.rng.choice([("soak_nests", n * n + 1), ("soak_spawns", 285 + 2 * n)])
    got = await client.ask(f"run/file/{udf}.json", n=n, cache_max_age="0")
    check(got.status == 200 and got.json() == right, got, f"{right} should have come")


async def of_token(client: Client) -> None:
    """Somebody with a token of this kernel, with one that was taken back, or with none."""
    target, tile, n = client.target, client.tile(), client.number()
    place = "/".join(map(str, tile))
    token, until = target.tokens[-1]
    got = await client.ask(f"{token}/run/tiles/{place}.png", login=False, n=n)
    if got.status == 404 and target.tokens[-1][0] != token:
        return  # another one was given out meanwhile
    check(got.status == 200, got, f"the token of {until} should have opened it")
    right = [raster_of(version, tile, n) for version in client.versions("soak_raster", got)]
    check(any(np.array_equal(_rows(got.body, "png"), one) for one in right), got, "other pixels should have come")
    for closed in (*target.revoked[-1:], "fsh_" + "x" * 43):
        check_error(
            await client.ask(f"{closed}/run/tiles/{place}.png", login=False), 404, "ShareError", "opens nothing"
        )


# -- what does not


async def raises(client: Client) -> None:
    """The UDF raises."""
    n = client.number()
    got = await client.ask("run/file/soak_raises.json", n=n)
    check_error(got, 422, "UdfRuntimeError", f"ValueError: wanted {n}")


async def bad_input(client: Client) -> None:
    """Requests that no UDF can answer."""
    path, status, kind, query = client.rng.choice(_BAD)
    check_error(await client.ask(path, **query), status, kind, "")


async def stranger(client: Client) -> None:
    """Somebody without a login."""
    got = await client.ask("run/file/soak_value.json", login=False, n=1)
    check(got.status in {401, 403}, got, "nobody is let in without a login")


async def dies(client: Client) -> None:
    """The process of the UDF ends."""
    how = client.rng.choice(["segfault", "exit", "kill"])
    got = await client.ask("run/file/soak_dies.json", how=how, n=client.number())
    check_error(got, 500, "WorkerLostError", "soak_dies")


async def times_out(client: Client) -> None:
    """A tile that takes too long."""
    burn = client.rng.choice(["true", "false"])
    got = await client.ask("run/tiles/soak_sleeps/0/0/0.json", seconds=60, burn=burn, n=client.number())
    check_error(got, 504, "UdfTimeoutError", f"longer than {TILE_SECONDS} s")


async def hogs(client: Client) -> None:
    """A UDF that wants too much memory."""
    check_error(await client.ask("run/file/soak_hogs.json"), 422, "UdfMemoryError", "memory")


async def leaves(client: Client) -> None:
    """The browser closes the connection at any moment; whatever came before that has to be right."""
    udf = client.rng.choice(["soak_sleeps", "soak_value", "soak_bytes"])
    query = {"n": client.number(), **({"seconds": 5} if udf == "soak_sleeps" else {})}
    asking = asyncio.create_task(client.ask(f"run/file/{udf}", **query, cache_max_age="0"))
    await asyncio.wait([asking], timeout=client.rng.choice([client.rng.uniform(0, 0.02), client.rng.uniform(0, 0.5)]))
    if not asking.done():
        asking.cancel()
        await asyncio.wait([asking])
        return
    got = asking.result()
    check(got.status == 200, got, "an answer should have come")


Case = Callable[[Client], Awaitable[None]]

CASES: dict[Case, float] = {
    value: 12,
    raster: 16,
    table: 8,
    places: 8,
    head: 3,
    part: 4,
    not_modified: 4,
    together: 3,
    fresh: 2,
    nested: 2,
    of_token: 4,
    raises: 4,
    bad_input: 5,
    stranger: 1,
    dies: 2,
    times_out: 0.5,
    hogs: 0.5,
    leaves: 6,
}
"""How often each."""

NEEDS_GEO = frozenset({places})

_BAD: list[tuple[str, int, str, dict[str, Any]]] = [
    ("run/file/soak_value.json", 422, "ArgumentError", {"n": "many"}),
    ("run/file/soak_value.json", 422, "ArgumentError", {"m": "1"}),
    ("run/file/soak_value.doc", 400, "FormatError", {}),
    ("run/file/soak_value.png", 406, "NotAcceptableError", {"n": "1"}),
    ("run/file/soak_nothing", 404, "UnknownUdfError", {}),
    ("run/file/soak_dies", 422, "ArgumentError", {}),
    ("run/tiles/soak_raster/3/8/0.png", 400, "TileError", {}),
    ("run/tiles/soak_raster/a/b/c.png", 400, "TileError", {}),
    ("run/nowhere", 404, "UnknownUdfError", {}),
]

_READERS: dict[str, Callable[[bytes], pd.DataFrame]] = {
    "csv": lambda body: pd.read_csv(io.BytesIO(body)),
    "parquet": lambda body: pyarrow.parquet.read_table(io.BytesIO(body)).to_pandas(),
    "feather": lambda body: pyarrow.feather.read_table(io.BytesIO(body)).to_pandas(),
    "json": lambda body: pd.DataFrame(json.loads(body)).astype({"half": float}),
}


def _rows(body: bytes, extension: str) -> Any:  # an array
    if extension == "npy":
        return np.load(io.BytesIO(body))
    if extension == "tiff":
        with rasterio.MemoryFile(body) as memory, memory.open() as dataset:
            return dataset.read([1, 2, 3])
    return np.moveaxis(np.asarray(Image.open(io.BytesIO(body)).convert("RGB")), -1, 0)


def _points_of_mvt(body: bytes) -> list[tuple[int, float, float]]:
    """Value and place within the tile, from its upper left, of each point."""
    (layer,) = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True}).values()
    points = sorted(layer["features"], key=lambda feature: feature["properties"]["i"])
    places = [[at / layer["extent"] for at in point["geometry"]["coordinates"]] for point in points]
    return [(point["properties"]["value"], *place) for point, place in zip(points, places, strict=True)]


def _points_of_geojson(body: bytes, tile: tuple[int, int, int]) -> list[tuple[int, float, float]]:
    """The same; a place that is right is given as it should be."""
    points = sorted(json.loads(body)["features"], key=lambda feature: feature["properties"]["i"])
    found = []
    for i, point in enumerate(points):
        error = np.abs(np.subtract(point["geometry"]["coordinates"], place_of(tile, i))).max()
        step = (i + 0.5) / 10 + (error if error > 1e-6 else 0)
        found.append((point["properties"]["value"], step, step))
    return found
