"""Tables against pandas, GeoPandas and what they write with: ten thousand buildings with five columns.

python benchmarks/tables.py [--quick]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from measuring import Case, Work, is_quick, report
from samples import attributes, shapes

from fused_jupyter.formats import Wanted, encode

FEW = 0.5
"""The share of each target that holds below some thousand rows, where the table's own overhead is most of it."""


def main() -> None:
    quick = is_quick(__doc__.splitlines()[0])
    rounds, count = (3, 1000) if quick else (7, 10_000)
    cases = [*geometry_cases(count), *plain_cases(count)]
    report([replace(case, target=case.target * FEW) for case in cases] if quick else cases, rounds=rounds)


def geometry_cases(count: int) -> Iterator[Case]:
    round_ones = gpd.GeoDataFrame(attributes(count), geometry=shapes(count)["polygons"], crs=4326)
    houses = gpd.GeoDataFrame(attributes(count), geometry=rectangles(count), crs=4326)
    mixed = houses.assign(
        geometry=[shapely.MultiPolygon([shape]) if row % 3 else shape for row, shape in enumerate(houses.geometry)]
    )
    yield Case(name=f"geojson {count} polygons", target=10, ours=file(round_ones, "geojson"), theirs=round_ones.to_json)
    yield Case(
        name=f"geojson {count} polygons and multipolygons", target=8, ours=file(mixed, "geojson"), theirs=mixed.to_json
    )
    yield Case(name=f"json {count} polygons", target=8, ours=file(round_ones, "json"), theirs=round_ones.to_json)
    # Ours may take 1.05 times the CPU of to_parquet with its own defaults, for four fifths of the bytes.
    snappy = into_memory(houses.to_parquet, index=False)
    yield Case(
        name=f"parquet {count} polygons", target=1 / 1.05, ours=file(houses, "parquet"), theirs=snappy, bytes_target=0.8
    )
    lz4 = into_memory(houses.to_feather, index=False, compression="lz4")
    yield Case(
        name=f"feather {count} polygons", target=1 / 1.05, ours=file(houses, "feather"), theirs=lz4, bytes_target=1.05
    )


def plain_cases(count: int) -> Iterator[Case]:
    table = pd.DataFrame(attributes(count))
    yield Case(name=f"csv {count} rows", target=3, ours=file(table, "csv"), theirs=lambda: table.to_csv(index=False))
    yield Case(
        name=f"json {count} rows", target=1, ours=file(table, "json"), theirs=lambda: table.to_json(orient="records")
    )
    yield Case(
        name=f"xml {count} rows, lxml", target=4, ours=file(table, "xml"), theirs=lambda: table.to_xml(index=False)
    )
    openpyxl = into_memory(table.to_excel, index=False, engine="openpyxl")
    yield Case(name=f"xlsx {count} rows, openpyxl", target=4, ours=file(table, "xlsx"), theirs=openpyxl)


def file(value: Any, name: str) -> Work:
    return lambda: encode(value, wanted=Wanted(formats=(name,))).body


def into_memory(write: Work, **options: Any) -> Work:
    def work() -> bytes:
        sink = BytesIO()
        write(sink, **options)
        return sink.getvalue()

    return work


def rectangles(count: int) -> Any:
    """Houses as mapped: four corners that stand at right angles, seven decimals."""
    random = np.random.default_rng(0)
    corners = np.array([-122.5, 37.7]) + random.random((count, 2)) * 0.1
    angles, sides = random.random(count) * np.pi, (6 + random.gamma(2, 4, (2, count))) / 111_000
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1) * sides[0][:, None]
    across = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * sides[1][:, None]
    rings = np.stack([corners, corners + along, corners + along + across, corners + across], axis=1)
    return shapely.polygons(rings.round(7))


if __name__ == "__main__":
    main()
