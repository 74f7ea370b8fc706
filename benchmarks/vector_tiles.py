"""Vector tiles against mapbox-vector-tile and against DuckDB's spatial extension, one tile of each kind of geometry.

    python benchmarks/vector_tiles.py [--quick]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import pandas as pd
import shapely
from measuring import Case, Work, is_quick, report
from samples import FRAME, attributes, shapes

from fused_jupyter.formats import mvt
from fused_jupyter.formats.target import Target

TARGETS = {"polygons": (60, 8), "points": (40, 8), "lines": (20, 8)}
"""Times less CPU than mapbox-vector-tile, with numba and without."""
FEW = (15, 5)
"""Below some thousand features the table's own overhead is most of it."""


def main() -> None:
    quick = is_quick(__doc__.splitlines()[0])
    rounds, count = (3, 1000) if quick else (7, 10_000)
    report(tile_cases(count), rounds=rounds)


def tile_cases(count: int) -> Iterator[Case]:
    compiled = mvt.best_kernel()
    for name, geometries in shapes(count).items():
        table = gpd.GeoDataFrame(attributes(count), geometry=geometries, crs=4326)
        fast, plain = TARGETS[name] if count >= 10_000 else FEW
        usual, theirs = usual_mvt(table), duckdb_mvt(table)
        if compiled is not mvt.NUMPY:
            ours = tile(table, compiled)
            yield Case(name=f"{count} {name}, mapbox-vector-tile", target=fast, ours=ours, theirs=usual)
            if theirs is not None:
                yield Case(name=f"{count} {name}, DuckDB", target=1, ours=ours, theirs=theirs)
        ours = tile(table, mvt.NUMPY)
        yield Case(name=f"{count} {name}, mapbox-vector-tile, no numba", target=plain, ours=ours, theirs=usual)


def tile(table: gpd.GeoDataFrame, kernel: mvt.Kernel) -> Work:
    return lambda: mvt.encode_mvt(table, Target(tile=FRAME), kernel=kernel).body


def usual_mvt(table: gpd.GeoDataFrame) -> Work:
    rows = table.drop(columns="geometry").to_dict("records")
    metres = table.to_crs(3857).geometry
    features = [{"geometry": shape, "properties": row} for shape, row in zip(metres, rows, strict=True)]
    options = {"quantize_bounds": FRAME.mercator_bounds}
    return lambda: mapbox_vector_tile.encode({"name": "udf", "features": features}, default_options=options)


def duckdb_mvt(table: gpd.GeoDataFrame) -> Work | None:
    """None where DuckDB or its extension is not installed. Projecting is not counted against it."""
    connection = _duckdb()
    if connection is None:
        return None
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


def _duckdb() -> Any:
    try:
        import duckdb
        import duckdb_extension_spatial
    except ImportError:
        return None
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 1})
    binary = next(Path(duckdb_extension_spatial.__file__).parent.rglob("*.duckdb_extension"))
    connection.execute(f"load '{binary}'")
    return connection


if __name__ == "__main__":
    main()
