"""Walks the table of formats and kinds of value, each cell with an independent reader."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import geopandas as gpd
import lxml.etree
import lxml.html
import mapbox_vector_tile
import matplotlib.figure
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import rasterio
import shapely
import xarray as xr
from PIL import Image

from fused_jupyter.errors import NotAcceptableError
from fused_jupyter.formats import FORMATS, Kind, Target, TileFrame, Wanted, encode, kind_of
from fused_jupyter.formats.negotiation import formats_for
from fused_jupyter.tiles import Tile

ROWS = [{"name": "Oslo", "people": 717710}, {"name": "Ålesund", "people": 67520}]
POINTS = [(10.75, 59.91), (6.15, 62.47)]
PIXELS = np.arange(1, 49, dtype=np.uint8).reshape(3, 4, 4)
NUMBERS = np.array([1.5, 2.5, -3.0])


def _grid() -> xr.DataArray:
    coords = {"band": [1, 2, 3], "y": [3.5, 2.5, 1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]}
    return xr.DataArray(PIXELS, dims=("band", "y", "x"), coords=coords)


def _png() -> bytes:
    sink = BytesIO()
    Image.fromarray(np.moveaxis(PIXELS, 0, 2)).save(sink, "png")
    return sink.getvalue()


def _chart() -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 3, 2])
    return figure


SAMPLES: dict[Kind, Callable[[], Any]] = {
    Kind.NOTHING: lambda: None,
    Kind.GEOMETRIES: lambda: gpd.GeoDataFrame(ROWS, geometry=shapely.points(POINTS), crs=4326).to_crs(25832),
    Kind.TABLE: lambda: pd.DataFrame(ROWS),
    Kind.ARRAY: PIXELS.copy,
    Kind.NUMBERS: NUMBERS.copy,
    Kind.RASTER: _grid,
    Kind.PICTURE: _png,
    Kind.BYTES: lambda: b"%PDF-1.7 and so on",
    Kind.CHART: _chart,
    Kind.PAGE: lambda: "<html><body><p>hello</p></body></html>",
    Kind.PLAIN: lambda: {"answer": [42, None, "Ålesund"]},
    Kind.BUNDLE: lambda: {"towns": pd.DataFrame(ROWS), "pixels": PIXELS, "note": "two towns"},
}
"""One value of each kind; a response that a UDF made itself has no format."""

CELLS = [(name, kind) for name in FORMATS for kind in SAMPLES]


def _frame() -> TileFrame:
    tile = Tile(4, 8, 4)  # southern Norway
    return TileFrame(z=4, x=8, y=4, bounds=tile.bounds, mercator_bounds=tile.mercator_bounds)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{"name": str(row["name"]), "people": int(row["people"])} for row in frame.to_dict("records")]


# -- one reader a format: it gives what the value is compared with


def read_picture(body: bytes) -> Any:
    with Image.open(BytesIO(body)) as image:
        image.load()
        return image.size


def read_png(body: bytes) -> Any:
    with Image.open(BytesIO(body)) as image:
        return np.asarray(image.convert("RGB"))


def read_tiff(body: bytes) -> Any:
    with rasterio.MemoryFile(body) as memory, memory.open() as source:
        return source.read()


def read_npy(body: bytes) -> Any:
    return np.load(BytesIO(body), allow_pickle=False)


def read_mvt(body: bytes) -> Any:
    decoded = mapbox_vector_tile.decode(body)
    return [feature["properties"] for layer in decoded.values() for feature in layer["features"]]


def read_geojson(body: bytes) -> Any:
    features = json.loads(body)["features"]
    assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features)
    return [feature["properties"] for feature in features]


def read_parquet(body: bytes) -> Any:
    return _read_arrow(pyarrow.parquet.read_table(BytesIO(body)))


def read_feather(body: bytes) -> Any:
    return _read_arrow(pyarrow.feather.read_table(BytesIO(body)))


def _read_arrow(table: pa.Table) -> Any:
    return _rows(table.to_pandas()) if table.num_columns else []


def read_csv(body: bytes) -> Any:
    if not body:
        return []
    frame = pd.read_csv(StringIO(body.decode()))
    return _rows(frame) if "people" in frame else frame.iloc[:, 0].tolist()


def read_xlsx(body: bytes) -> Any:
    sheet = openpyxl.load_workbook(BytesIO(body)).active
    head, *rows = list(sheet.iter_rows(values_only=True)) or [()]
    return _rows(pd.DataFrame(rows, columns=list(head))) if rows else []


def read_xml(body: bytes) -> Any:
    rows = [{child.tag: child.text for child in row} for row in lxml.etree.fromstring(body)]
    return _rows(pd.DataFrame(rows)) if rows else []


def read_html(body: bytes) -> Any:
    return lxml.html.fromstring(body).text_content() if body else ""


def read_zip(body: bytes) -> Any:
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert archive.testzip() is None
        files = json.loads(archive.read("meta.json"))["files"]
        assert set(archive.namelist()) == {"meta.json", *files}
        return set(files)


READERS: dict[str, Callable[[bytes], Any]] = {
    "png": read_png,
    "jpg": read_picture,
    "webp": read_picture,
    "avif": read_picture,
    "gif": read_picture,
    "tiff": read_tiff,
    "npy": read_npy,
    "mvt": read_mvt,
    "geojson": read_geojson,
    "parquet": read_parquet,
    "feather": read_feather,
    "csv": read_csv,
    "xlsx": read_xlsx,
    "xml": read_xml,
    "json": json.loads,
    "html": read_html,
    "zip": read_zip,
    "bin": bytes,
}

PICTURES = ("png", "jpg", "webp", "avif", "gif")
TABLES = ("mvt", "geojson", "parquet", "feather", "csv", "xlsx", "xml", "json")


def check(name: str, kind: Kind, read: Any) -> None:
    """That what was read is what was written, as far as the format can tell."""
    if kind is Kind.NOTHING:
        assert _is_nothing(name, read)
    elif name == "html":
        assert {Kind.TABLE: "Ålesund", Kind.GEOMETRIES: "Ålesund", Kind.PAGE: "hello"}.get(kind, "") in read
    elif name == "zip":
        assert read == ({"towns", "pixels", "note"} if kind is Kind.BUNDLE else {"result"})
    elif name == "bin":
        assert read == SAMPLES[kind]()
    elif kind in {Kind.GEOMETRIES, Kind.TABLE}:
        assert _rows(pd.DataFrame(read)) == ROWS
    elif name == "csv":
        assert read == NUMBERS.tolist()
    elif kind is Kind.CHART and name in PICTURES:
        assert (read.shape[1::-1] if name == "png" else read) == (100, 50)
    elif kind in {Kind.ARRAY, Kind.RASTER, Kind.PICTURE, Kind.NUMBERS}:
        _check_pixels(name, kind, read)
    else:
        _check_json(kind, read)


def _is_nothing(name: str, read: Any) -> bool:
    if name in PICTURES:
        return not read.any() if name == "png" else bool(read)
    if name == "tiff":
        return not read.any()
    if name == "npy":
        return read.size == 0
    return name == "zip" or not read  # a bundle of one null


def _check_pixels(name: str, kind: Kind, read: Any) -> None:
    if name in {"jpg", "webp", "avif", "gif"}:
        assert read == (4, 4)
    elif name == "png":
        assert np.array_equal(read, np.moveaxis(PIXELS, 0, 2))
    elif name == "json" and kind is Kind.RASTER:
        assert read["data"] == PIXELS.tolist()
    else:
        assert np.array_equal(np.asarray(read), NUMBERS if kind is Kind.NUMBERS else _as_written(name, kind))


def _as_written(name: str, kind: Kind) -> Any:
    # The array of a picture has its bands last, as Pillow has it.
    return np.moveaxis(PIXELS, 0, 2) if name == "npy" and kind is Kind.PICTURE else PIXELS


def _check_json(kind: Kind, read: Any) -> None:
    if kind is Kind.BUNDLE:
        assert read == {"towns": ROWS, "pixels": PIXELS.tolist(), "note": "two towns"}
    elif kind in {Kind.PAGE, Kind.PLAIN}:
        assert read == SAMPLES[kind]()
    else:
        assert read


@pytest.mark.parametrize(("name", "kind"), CELLS, ids=[f"{name}-{kind.name}" for name, kind in CELLS])
def test_cell_of_the_table_is_true(name: str, kind: Kind) -> None:
    """What a format says it can hold, an independent reader finds in it; anything else is 406 with what can."""
    value = SAMPLES[kind]()
    target = Target(tile=_frame() if name == "mvt" else None)
    wanted = Wanted.of(name, None, None, None)

    if name not in formats_for(kind):
        with pytest.raises(NotAcceptableError) as caught:
            encode(value, wanted=wanted, target=target)
        assert all(able in caught.value.message for able in formats_for(kind))
        return
    encoded = encode(value, wanted=wanted, target=target)

    assert encoded.format == name
    assert kind is Kind.PICTURE or name == "bin" or encoded.media_type == FORMATS[name].media_type
    if encoded.status == 204:
        assert kind is Kind.NOTHING
        return
    check(name, kind, READERS[name](encoded.body))


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.name)
def test_sample_is_of_its_kind(kind: Kind) -> None:
    """The walk above is only as good as its samples."""
    assert kind_of(SAMPLES[kind]()) is kind


def test_every_kind_has_a_sample_and_every_format_a_reader() -> None:
    """A new kind or format is walked too."""
    assert set(SAMPLES) == set(Kind) - {Kind.RESPONSE}
    assert set(READERS) == set(FORMATS)
