"""All that is a table, as one DataFrame: distinct string names, EPSG:4326, row numbers dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular.capsules import distinct, frame_of_arrow, is_arrow, read_arrow

if TYPE_CHECKING:
    import pandas as pd

WGS84: Final = 4326
_VALUE: Final = "value"


def to_frame(value: Any, *, kept_crs: tuple[int, ...] = (WGS84,)) -> pd.DataFrame:
    """The value as a DataFrame, or as a GeoDataFrame where it has an active geometry.

    Every column of geometries comes out in EPSG:4326, or in one of `kept_crs`; without a CRS it counts as EPSG:4326.
    An index is kept as columns if it has a name or holds anything but integers; unnamed integers are row numbers, often
    what a filter left of them. Column names become distinct strings.

    Raises:
        UdfSerializationError: geometries in a CRS from which no way leads to degrees.
    """
    named = _with_index_as_columns(_with_distinct_names(_make_frame(value)))
    frame: pd.DataFrame = _to_wgs84(_dense(named), kept_crs)
    return frame


def geometry_columns(frame: pd.DataFrame) -> list[str]:
    """The names of all columns of geometries, the active one first."""
    names = [str(name) for name, dtype in frame.dtypes.items() if str(dtype) == "geometry"]
    active = getattr(frame, "_geometry_column_name", None)
    return sorted(names, key=lambda name: name != active)


def with_wkt(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with geometries as WKT."""
    import pandas as pd
    import shapely

    names = geometry_columns(frame)
    if not names:
        return frame
    texts = {name: shapely.to_wkt(frame[name].to_numpy(), rounding_precision=-1) for name in names}
    return pd.DataFrame(frame).assign(**texts)


def _make_frame(value: Any) -> Any:  # Any: geopandas, pyarrow and shapely have no types
    import pandas as pd

    if value is None:
        return pd.DataFrame()
    if is_arrow(value):
        return frame_of_arrow(read_arrow(value))
    if isinstance(value, pd.DataFrame):
        return value
    make = next(maker for kind, maker in _MAKERS.items() if hasattr(value, kind))
    return make(value)


def _frame_of_series(series: Any) -> Any:
    if str(series.dtype) != "geometry":
        return series.to_frame(_VALUE if series.name is None else series.name)
    import geopandas as gpd

    # A GeoSeries taken from a frame bears the column's name, but to a reader it is just the geometry.
    return gpd.GeoDataFrame(geometry=gpd.GeoSeries(series))


def _frame_of_geometry(geometry: Any) -> Any:
    import geopandas as gpd

    return gpd.GeoDataFrame(geometry=[geometry], crs=WGS84)


def _frame_of_xarray(array: Any) -> Any:
    has_places = array.ndim == 1 and array.dims[0] in array.coords
    return _frame_of_series(array.to_series()) if has_places else _frame_of_array(array.values)


def _frame_of_array(array: Any) -> Any:
    import numpy as np
    import pandas as pd

    flat = array.reshape(-1)
    if flat.dtype.names:
        return pd.DataFrame({name: flat[name].tolist() for name in flat.dtype.names})
    native = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if not isinstance(native, np.ma.MaskedArray):
        return pd.DataFrame({_VALUE: native})
    import pyarrow as pa

    return frame_of_arrow(pa.table({_VALUE: pa.array(native.data, mask=np.ma.getmaskarray(native))}))


_MAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    "to_frame": _frame_of_series,
    "to_series": _frame_of_xarray,
    "geom_type": _frame_of_geometry,
    "dtype": _frame_of_array,
}
"""What a value can do that is neither Arrow nor a DataFrame → how it becomes one."""


def _with_distinct_names(frame: Any) -> Any:
    names = distinct([_join(name) for name in frame.columns])
    if names == list(frame.columns):
        return frame
    active = getattr(frame, "_geometry_column_name", None)
    position = None if active is None else list(frame.columns).index(active)
    frame = frame.set_axis(names, axis="columns")
    return frame if position is None else frame.set_geometry(names[position])


def _with_index_as_columns(frame: Any) -> Any:
    index = frame.index
    if index.nlevels == 1 and index.name is None and (index.dtype.kind in "iu" or len(frame) == 0):
        return frame
    unnamed = ["index"] if index.nlevels == 1 else [f"level_{level}" for level in range(index.nlevels)]
    named = [unnamed[level] if name is None else _join(name) for level, name in enumerate(index.names)]
    # A level with a column's name is that column: set_index(drop=False) and groupby leave such.
    levels = [level for level, name in enumerate(index.names) if name is None or named[level] not in set(frame.columns)]
    names = distinct([*frame.columns, *(named[level] for level in levels)])[frame.shape[1] :]
    frame = frame.reset_index(drop=True)
    for position, (name, level) in enumerate(zip(names, levels, strict=True)):
        frame.insert(position, name, index.get_level_values(level))
    return frame


def _dense(frame: Any) -> Any:
    sparse = {
        name: frame[name].sparse.to_dense() for name, dtype in frame.dtypes.items() if hasattr(dtype, "fill_value")
    }
    return frame.assign(**sparse) if sparse else frame


def _to_wgs84(frame: Any, kept_crs: tuple[int, ...]) -> Any:
    import geopandas as gpd

    changed = {}
    for name in geometry_columns(frame):
        column = gpd.GeoSeries(frame[name])
        epsg = None if column.crs is None else column.crs.to_epsg()
        if epsg in kept_crs:
            continue
        # The same degrees in the same order, but pyproj would transform them one by one.
        is_wgs84 = column.crs is None or column.crs.to_authority() == ("OGC", "CRS84")
        changed[name] = column.set_crs(WGS84, allow_override=True) if is_wgs84 else _transform(column)
    if not changed:
        return frame
    frame = frame.assign(**changed)
    active = getattr(frame, "_geometry_column_name", None)
    return frame.set_geometry(active) if active in changed else frame


def _transform(column: Any) -> Any:
    from pyproj.exceptions import ProjError

    try:
        return column.to_crs(WGS84)
    except ProjError as exc:
        raise UdfSerializationError(
            f"The UDF returned geometries in {column.crs.name!r}, from which no way leads to EPSG:4326 ({exc}); say the"
            " CRS that they are in with set_crs"
        ) from exc


def _join(name: object) -> str:
    return "_".join(str(part) for part in name if part not in ("", None)) if isinstance(name, tuple) else str(name)
