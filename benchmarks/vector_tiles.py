"""Vector tiles against mapbox-vector-tile and against DuckDB's spatial extension, one tile of each kind of geometry.

python benchmarks/vector_tiles.py [--quick]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_spatial
import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import shapely
from measuring import Case, Work, is_quick, report
from samples import FRAME, attributes, shapes

from fused_jupyter.formats.mvt import encoder
from fused_jupyter.formats.target import Target

TARGETS = {"polygons": (60, 8), "points": (40, 8), "lines": (20, 8), "coastlines": (15, 3)}
"""Times less CPU than mapbox-vector-tile, with numba and without."""
FEW = (15, 5)
"""Below some thousand features the table's own overhead is most of it."""


def main() -> None:
    quick = is_quick(__doc__.splitlines()[0])
    rounds, count = (3, 1000) if quick else (7, 10_000)
    report(tile_cases(count), rounds=rounds)


def tile_cases(count: int) -> Iterator[Case]:
    compiled = encoder.best_kernel()
    for name, geometries in {**shapes(count), "coastlines": coastlines(count // 50)}.items():
        table = gpd.GeoDataFrame(attributes(len(geometries)), geometry=geometries, crs=4326)
        fast, plain = TARGETS[name] if count >= 10_000 or name == "coastlines" else FEW
        usual, theirs = usual_mvt(table), duckdb_mvt(table)
        what = f"{len(geometries)} {name}"
        if compiled is not encoder.NUMPY:
            ours = tile(table, compiled)
            yield Case(name=f"{what}, mapbox-vector-tile", target=fast, ours=ours, theirs=usual)
            yield Case(name=f"{what}, DuckDB", target=1, ours=ours, theirs=theirs)
        ours = tile(table, encoder.NUMPY)
        yield Case(name=f"{what}, mapbox-vector-tile, no numba", target=plain, ours=ours, theirs=usual)


def tile(table: gpd.GeoDataFrame, kernel: encoder.Kernel) -> Work:
    return lambda: encoder.encode_mvt(table, Target(tile=FRAME), kernel=kernel).body


def usual_mvt(table: gpd.GeoDataFrame) -> Work:
    rows = table.drop(columns="geometry").to_dict("records")
    metres = table.to_crs(3857).geometry
    features = [{"geometry": shape, "properties": row} for shape, row in zip(metres, rows, strict=True)]
    options = {"quantize_bounds": FRAME.mercator_bounds}
    return lambda: mapbox_vector_tile.encode({"name": "udf", "features": features}, default_options=options)


def duckdb_mvt(table: gpd.GeoDataFrame) -> Work:
    """Projecting is not counted against it."""
    connection = _duckdb()
    columns = pd.DataFrame(table.drop(columns="geometry"))
    metres = table.to_crs(3857).geometry.to_numpy()
    fields = ", ".join(f'"{name}": "{name}"' for name in columns.columns)
    west, south, east, north = FRAME.mercator_bounds
    box = f"ST_Extent(ST_MakeEnvelope({west!r}, {south!r}, {east!r}, {north!r}))"
    shape = f"ST_AsMVTGeom(ST_GeomFromWKB(wkb), {box}, 4096, 64, true)"
    query = f"select ST_AsMVT({{'geometry': {shape}, {fields}}}, 'udf', 4096, 'geometry') from features"

    def work() -> bytes:
        connection.register("features", columns.assign(wkb=shapely.to_wkb(metres)))
        body: bytes = connection.execute(query).fetchone()[0]
        return body

    return work


def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 1})
    binary = next(Path(duckdb_extension_spatial.__file__).parent.rglob("*.duckdb_extension"))
    connection.execute(f"load '{binary}'")
    return connection


def coastlines(count: int) -> Any:
    """Islands as large as a sixth of the tile, each of 2000 points: far more than pixels."""
    random = np.random.default_rng(0)
    west, south, east, north = FRAME.bounds
    angles = np.linspace(0, 2 * np.pi, 2001)[:-1]
    numbers = np.arange(1, 1001)
    islands = []
    for x, y in random.random((count, 2)):
        waves = np.append(0, np.exp(1j * random.uniform(0, 2 * np.pi, 1000)) / numbers**1.25)
        bays = np.fft.irfft(waves, 2000)
        radii = (1 + 0.5 * bays / np.abs(bays).max()) / 12
        places = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
        islands.append(shapely.Polygon([west, south] + places * [east - west, north - south]))
    return np.array(islands)


if __name__ == "__main__":
    main()
