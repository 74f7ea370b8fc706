"""All that is a table, as one DataFrame: string names, EPSG:4326, row numbers dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from fused_jupyter.formats.kinds import Kind, kind_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WGS84: Final = 4326


def to_frame(value: Any, *, kept_crs: tuple[int, ...] = (WGS84,)) -> pd.DataFrame:
    """The value as a DataFrame, or as a GeoDataFrame in EPSG:4326, or one of `kept_crs`, where it has geometries.

    An index is kept as columns if it has a name or holds anything but integers; unnamed integers are row numbers, often
    what a filter left of them. Coordinates without a CRS count as EPSG:4326. Column names become distinct strings.
    """
    frame = _make_frame(value)
    if kind_of(frame) is Kind.GEOMETRIES:
        frame = _to_wgs84(frame, kept_crs)
    return _with_distinct_names(_with_index_as_columns(frame))


def geometry_columns(frame: pd.DataFrame) -> list[str]:
    """The names of all columns of geometries, the active one first."""
    names = [str(name) for name, dtype in frame.dtypes.items() if str(dtype) == "geometry"]
    active = getattr(frame, "_geometry_column_name", None)
    return sorted(names, key=lambda name: name != active)


def _make_frame(value: Any) -> Any:  # Any: geopandas, pyarrow and shapely have no types
    import pandas as pd

    if value is None:
        return pd.DataFrame()
    if isinstance(value, pd.DataFrame):
        return value if kind_of(value) is Kind.GEOMETRIES else pd.DataFrame(value)
    if isinstance(value, pd.Series):
        return _frame_of_series(value)
    if hasattr(value, "to_pandas"):
        return _frame_of_arrow(value)
    import geopandas as gpd

    return gpd.GeoDataFrame(geometry=[value], crs=WGS84)


def _frame_of_series(series: pd.Series[Any]) -> Any:
    if kind_of(series) is not Kind.GEOMETRIES:
        return series.to_frame("value" if series.name is None else series.name)
    import geopandas as gpd

    # A GeoSeries taken from a frame bears the column's name, but to a reader it is just the geometry.
    return gpd.GeoDataFrame(geometry=gpd.GeoSeries(series))


def _frame_of_arrow(table: pa.Table) -> Any:
    if kind_of(table) is not Kind.GEOMETRIES:
        return table.to_pandas()
    import geopandas as gpd

    geo = (table.schema.metadata or {}).get(b"geo")
    if geo is None:
        return gpd.GeoDataFrame.from_arrow(table)
    import orjson

    description = orjson.loads(geo)
    frame = table.to_pandas()
    for name, column in description["columns"].items():
        if name in frame.columns:
            frame[name] = gpd.GeoSeries.from_wkb(frame[name], crs=column.get("crs") or WGS84)
    return gpd.GeoDataFrame(frame, geometry=description["primary_column"])


def _to_wgs84(frame: Any, kept_crs: tuple[int, ...]) -> pd.DataFrame:  # Any: geopandas has no types
    for name in geometry_columns(frame):
        column = frame[name]
        if column.crs is None:
            frame = frame.assign(**{name: column.set_crs(WGS84)})
        elif column.crs.to_epsg() not in kept_crs:
            frame = frame.assign(**{name: column.to_crs(WGS84)})
    active: pd.DataFrame = frame.set_geometry(frame._geometry_column_name)  # noqa: SLF001  the one name of it
    return active


def _with_index_as_columns(frame: pd.DataFrame) -> pd.DataFrame:
    index = frame.index
    is_row_number = index.nlevels == 1 and index.name is None and (index.dtype.kind in "iu" or len(frame) == 0)
    if is_row_number:
        return frame
    clashing = [name for name in index.names if name is not None and name in frame.columns]
    if clashing:
        frame = frame.reset_index(level=clashing, drop=True)
        return _with_index_as_columns(frame) if len(clashing) < index.nlevels else frame
    return frame.reset_index()


def _with_distinct_names(frame: pd.DataFrame) -> pd.DataFrame:
    names = [_join(name) for name in frame.columns]
    if len(set(names)) < len(names):
        seen: dict[str, int] = {}
        for position, name in enumerate(names):
            seen[name] = seen.get(name, -1) + 1
            names[position] = f"{name}_{seen[name]}" if seen[name] else name
    if names == list(frame.columns):
        return frame
    active = getattr(frame, "_geometry_column_name", None)
    old_names = list(frame.columns)
    frame = frame.set_axis(names, axis="columns")
    if active is not None:
        frame = cast("Any", frame).set_geometry(names[old_names.index(active)])
    return frame


def _join(name: object) -> str:
    return "_".join(str(part) for part in name if part not in ("", None)) if isinstance(name, tuple) else str(name)
