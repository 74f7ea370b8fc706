"""`fused._optional_deps`: which libraries are there, and their classes; each is imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

_LIBRARIES = {
    "GEOPANDAS": "geopandas",
    "MERCANTILE": "mercantile",
    "PANDAS": "pandas",
    "PYARROW": "pyarrow",
    "RASTERIO": "rasterio",
    "SHAPELY": "shapely",
    "XARRAY": "xarray",
}
_CLASSES = {
    "GPD_GEODATAFRAME": "geopandas.GeoDataFrame",
    "GPD_GEOSERIES": "geopandas.GeoSeries",
    "MERCANTILE_TILE": "mercantile.Tile",
    "PD_DATAFRAME": "pandas.DataFrame",
    "PD_SERIES": "pandas.Series",
    "SHAPELY_GEOMETRY": "shapely.Geometry",
    "SHAPELY_POLYGON": "shapely.Polygon",
    "XR_DATAARRAY": "xarray.DataArray",
    "XR_DATASET": "xarray.Dataset",
}

_NAMES = (*(f"HAS_{name}" for name in _LIBRARIES), *_CLASSES)


def __getattr__(name: str) -> Any:  # a class, or whether a library is there
    if name.startswith("HAS_") and (library := _LIBRARIES.get(name.removeprefix("HAS_"))):
        return importlib.util.find_spec(library) is not None
    if name in _CLASSES:
        library, _, kind = _CLASSES[name].partition(".")
        return getattr(importlib.import_module(library), kind)
    raise AttributeError(f"module 'fused._optional_deps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_NAMES)
