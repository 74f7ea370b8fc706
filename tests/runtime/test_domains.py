from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.caching import ResultCache
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Reply, Run

Define = Callable[..., UdfDefinition]


class DrawingEngine:
    """Says with which range each tile was drawn; a tile that has none proposes that of its own values."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate: asyncio.Event | None = None
        self.waiting = 0

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: Any = None
    ) -> tuple[Reply, bytes]:
        self.runs += 1
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
        assert run.tile is not None
        own = (0.0, float(run.tile[1])) if run.tile[1] else None
        drawn = run.domain or own
        reply = Reply(id=run.id, media_type="image/png", domain=None if run.domain else own)
        return reply, repr(tuple(drawn) if drawn else None).encode()


@pytest.fixture
def engine() -> DrawingEngine:
    return DrawingEngine()


@pytest.fixture
def make_gateway(engine: DrawingEngine, options: Options, definition: Define) -> Callable[[], Gateway]:
    def make() -> Gateway:
        results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
        made = Gateway(engine, results, options, kernel_id="kernel-1")
        made.publish(definition("def f(bounds=None, n=1): pass"), register=True)
        return made

    return make


def tile(x: int, **fields: Any) -> Run:
    return replace(Run(id=1, udf="f", tile=(4, x, 2), parameters={}), **fields)


async def bodies(gateway: Gateway, *runs: Run) -> list[bytes]:
    return [(await gateway.run(run))[1] for run in runs]


def test_first_tile_settles_the_range_of_its_layer(make_gateway: Callable[[], Gateway], engine: DrawingEngine) -> None:
    """Neighbours are drawn with one range, so no edge shows; each ran once."""
    gateway = make_gateway()

    drawn = asyncio.run(bodies(gateway, tile(5), tile(9), tile(3)))

    assert drawn == [b"(0.0, 5.0)"] * 3
    assert engine.runs == 3


def test_tile_without_values_settles_nothing(make_gateway: Callable[[], Gateway]) -> None:
    """The sea around an island says nothing of its heights."""
    drawn = asyncio.run(bodies(make_gateway(), tile(0), tile(7)))

    assert drawn == [b"None", b"(0.0, 7.0)"]


def test_other_arguments_are_another_layer(make_gateway: Callable[[], Gateway]) -> None:
    """Temperature and rain have ranges of their own."""
    drawn = asyncio.run(bodies(make_gateway(), tile(5), tile(9, parameters={"n": "2"})))

    assert drawn == [b"(0.0, 5.0)", b"(0.0, 9.0)"]


def test_tiles_that_run_at_the_same_time_agree(make_gateway: Callable[[], Gateway], engine: DrawingEngine) -> None:
    """Whoever ends first settles it; the others are drawn again."""

    async def main() -> list[bytes]:
        gateway = make_gateway()
        engine.gate = asyncio.Event()
        calls = [asyncio.create_task(gateway.run(tile(x))) for x in (5, 9)]
        while engine.waiting < 2:
            await asyncio.sleep(0.001)
        engine.gate.set()
        return [(await call)[1] for call in calls]

    drawn = asyncio.run(main())

    assert len(set(drawn)) == 1
    assert engine.runs == 3


def test_range_outlives_the_host(make_gateway: Callable[[], Gateway]) -> None:
    """Browsers keep tiles; those that are drawn after a restart must fit them."""

    async def first() -> None:
        gateway = make_gateway()
        await gateway.run(tile(5))
        await gateway.close()

    asyncio.run(first())

    assert asyncio.run(bodies(make_gateway(), tile(9))) == [b"(0.0, 5.0)"]


def test_layer_that_keeps_nothing_agrees_while_the_host_lives(
    make_gateway: Callable[[], Gateway], engine: DrawingEngine
) -> None:
    """Results of age 0 are made each time, and still with one range."""
    run = tile(5, cache_max_age="0")

    drawn = asyncio.run(bodies(make_gateway(), run, replace(run, tile=(4, 9, 2)), run))

    assert drawn == [b"(0.0, 5.0)"] * 3
    assert asyncio.run(bodies(make_gateway(), replace(run, tile=(4, 9, 2)))) == [b"(0.0, 9.0)"]


def test_layer_without_a_range_asks_the_disk_once(
    make_gateway: Callable[[], Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vector tiles never have one, and each of them would wait for a file that is not there."""
    looked: list[str] = []
    on_disk = ResultCache.on_disk
    monkeypatch.setattr(
        ResultCache, "on_disk", lambda self, key, **age: (looked.append(key), on_disk(self, key, **age))[1]
    )

    drawn = asyncio.run(bodies(make_gateway(), *(tile(0, tile=(4, 0, y)) for y in range(5))))

    assert drawn == [b"None"] * 5
    assert max(Counter(looked).values()) == 2  # each result, before and after its lock
    assert sum(count == 1 for count in Counter(looked).values()) == 1  # the range


def test_range_that_another_host_settled_counts(make_gateway: Callable[[], Gateway]) -> None:
    """Also after this one had looked for it in vain."""

    async def main() -> list[bytes]:
        one, other = make_gateway(), make_gateway()
        first = await bodies(one, tile(0))
        await bodies(other, tile(5))
        await other.close()
        return first + await bodies(one, tile(9))

    assert asyncio.run(main()) == [b"None", b"(0.0, 5.0)"]


def test_deleted_range_is_settled_anew(make_gateway: Callable[[], Gateway]) -> None:
    """It was of data that nobody wants any more."""

    async def main() -> list[bytes]:
        gateway = make_gateway()
        first = await bodies(gateway, tile(5))
        await gateway.close()
        assert await gateway.delete_results("f") == 1
        return first + await bodies(gateway, tile(9))

    assert asyncio.run(main()) == [b"(0.0, 5.0)", b"(0.0, 9.0)"]
