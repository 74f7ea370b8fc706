from __future__ import annotations

import gzip
import json
import sqlite3
import zipfile
from io import BytesIO
from typing import Any

import geopandas as gpd
import matplotlib.figure
import numpy as np
import pandas as pd
import polars as pl
import pytest
import rasterio
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Wanted, encode
from fused_jupyter.formats.bundle import encode_bytes, encode_zip


def picture(name: str) -> bytes:
    sink = BytesIO()
    Image.new("RGB", (2, 2)).save(sink, name)
    return sink.getvalue()


def read_tiff(body: bytes) -> Any:
    with rasterio.MemoryFile(body) as memory, memory.open() as source:
        return source.read()


READERS: dict[str, Any] = {
    "application/json": json.loads,
    "application/octet-stream": lambda body: (gpd.read_parquet if b'"primary_column"' in body else pd.read_parquet)(
        BytesIO(body)
    ),
    "application/x-numpy-data": lambda body: np.load(BytesIO(body), allow_pickle=False),
    "image/tiff": read_tiff,
    "text/html; charset=utf-8": bytes.decode,
}
"""How the official client reads a member by its content type; any other it gives as bytes."""


def unpack(body: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert archive.testzip() is None
        files = json.loads(archive.read("meta.json"))["files"]
        assert sorted(archive.namelist()) == sorted(["meta.json", *files])
        return {name: READERS.get(file["content_type"], bytes)(archive.read(name)) for name, file in files.items()}


def test_a_dict_comes_back_as_it_was() -> None:
    """Each member is read by its content type, and the names are the keys."""
    value = {
        "towns": gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2)], crs=4326),
        "table": pd.DataFrame({"a": pd.array([1, None], "Int64")}),
        "from polars": pl.DataFrame({"a": [1, None]}),
        "array": np.arange(12, dtype=np.int16).reshape(3, 4),
        "numbers": np.array([1.5, 2.5]),
        "placed": (np.full((2, 2), 7, np.uint8), [0, 0, 1, 1]),
        "grid": xr.DataArray([[1.0, 2.0], [3.0, 4.0]], coords={"y": [1.5, 0.5], "x": [0.5, 1.5]}, dims=("y", "x")),
        "photo": picture("jpeg"),
        "paper": b"%PDF-1.7",
        "unknown": b"\x00\x01",
        "page": "<p>Ås</p>",
        "größe": {"list": [1, None], "more": [pd.DataFrame({"a": [1]})]},
        "none": None,
        "yes": True,
    }

    read = unpack(encode_zip(value))

    assert list(read) == list(value)
    assert read["towns"].geometry[0] == shapely.Point(1, 2)
    assert read["table"]["a"].tolist() == [1, pd.NA]
    assert read["from polars"]["a"].dropna().tolist() == [1]
    assert np.array_equal(read["array"], value["array"])
    assert np.array_equal(read["numbers"], value["numbers"])
    assert np.array_equal(read["placed"][0], value["placed"][0])
    assert np.array_equal(read["grid"][0], value["grid"].to_numpy())
    same = ("photo", "paper", "unknown", "page", "none", "yes")
    assert {name: read[name] for name in same} == {name: value[name] for name in same}
    assert read["größe"] == {"list": [1, None], "more": [[{"a": 1}]]}


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["a/b", "..", "../../etc/passwd", "C:\\x", ""], ["a_b", "__", ".._.._etc_passwd", "C:_x", "_"]),
        ([1, "1", (1, 2), None], ["1", "1_1", "(1, 2)", "None"]),
        (["meta.json", "meta.json_1", "a\nb"], ["meta.json_2", "meta.json_1", "a_b"]),
    ],
)
def test_names_are_safe_and_distinct(keys: list[Any], names: list[str]) -> None:
    """No member leaves the folder that the archive is unpacked in, and none hides another."""
    body = encode_zip({key: np.array([[number]]) for number, key in enumerate(keys)})

    assert {name: int(array.item()) for name, array in unpack(body).items()} == {
        name: number for number, name in enumerate(names)
    }


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=5) | st.integers(), st.just(b"x"), min_size=1, max_size=4))
def test_any_keys_make_an_archive(value: dict[Any, Any]) -> None:
    """Of which every member can be found and read, in the order of the dict."""
    assert list(unpack(encode_zip(value)).values()) == [b"x"] * len(value)


def test_other_values_are_one_member() -> None:
    """Whoever asks for zip gets one; a dict of plain data is one JSON."""
    assert unpack(encode_zip(None)) == {"result": None}
    assert unpack(encode_zip({"a": 1})) == {"result": {"a": 1}}
    assert unpack(encode_zip(pd.DataFrame({"a": [1]})))["result"]["a"].tolist() == [1]


def test_charts_are_pages() -> None:
    """A figure among tables is shown, not refused."""
    page = unpack(encode_zip({"chart": matplotlib.figure.Figure(figsize=(1, 1))}))["chart"]

    assert page.startswith("<!doctype html>")
    assert "data:image/png" in page


@pytest.mark.parametrize("bad", [object(), {"inner": object(), "more": b""}, [1j]])
def test_what_no_member_can_carry_names_its_key(bad: Any) -> None:
    """So that one finds it in a dict of many."""
    with pytest.raises(UdfSerializationError, match="'the key'"):
        encode_zip({"good": b"", "the key": bad})


def test_equal_dicts_give_equal_archives() -> None:
    """No clock is in them, so caches know them; what is compressed already is stored as it is."""
    value = {"photo": picture("jpeg"), "array": np.zeros((100, 100)), "text": "<p>" + "a" * 1000}

    body = encode_zip(value)

    assert body == encode_zip(value)
    with zipfile.ZipFile(BytesIO(body)) as archive:
        kinds = {member.filename: member.compress_type for member in archive.infolist()}
    assert kinds["photo"] == zipfile.ZIP_STORED
    assert kinds["array"] == kinds["text"] == kinds["meta.json"] == zipfile.ZIP_DEFLATED


def sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t(a)")
    return connection.serialize()


def parquet() -> bytes:
    return encode(pd.DataFrame({"a": [1]}), wanted=Wanted(formats=("parquet",))).body


@pytest.mark.parametrize(
    ("body", "media_type", "extension"),
    [
        (picture("png"), "image/png", "png"),
        (picture("jpeg"), "image/jpeg", "jpg"),
        (picture("gif"), "image/gif", "gif"),
        (picture("webp"), "image/webp", "webp"),
        (picture("avif"), "image/avif", "avif"),
        (picture("tiff"), "image/tiff", "tiff"),
        (b"%PDF-1.7", "application/pdf", "pdf"),
        (encode_zip(None), "application/zip", "zip"),
        (gzip.compress(b""), "application/gzip", "gz"),
        (parquet(), "application/octet-stream", "parquet"),
        (sqlite(), "application/vnd.sqlite3", "sqlite"),
        (b"<script>", "application/octet-stream", "bin"),
        (b"", "application/octet-stream", "bin"),
    ],
)
def test_bytes_say_what_they_are(body: bytes, media_type: str, extension: str) -> None:
    """They are passed on as they are, with the type that their beginning tells; never as a page that runs."""
    encoded = encode(BytesIO(body), wanted=Wanted(formats=("bin",)))

    assert (encoded.body, encoded.media_type, encoded.extension) == (body, media_type, extension)


def test_no_value_is_no_bytes() -> None:
    """None has an empty body."""
    assert encode_bytes(None).body == b""
