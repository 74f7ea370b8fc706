"""Features that Python holds: tables with places, geometries, GeoJSON."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from fused_jupyter.errors import ArgumentError, UdfSerializationError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._layers.base import Layer, LayerType
from fused_jupyter.widgets._layers.content import Content

MOST_FEATURES = 250_000
"""Features that a page is sent; more are slow to send and to draw."""
MOST_BYTES = 100_000_000
"""Bytes of GeoJSON, before compression."""

_DIGITS = 7
"""Decimals of degrees that are kept: a centimetre."""
_NEEDED = (
    "need a GeoDataFrame or GeoSeries, a DataFrame with a column hex of H3 cells or with columns lat and lng, an Arrow "
    "table with geometry, GeoJSON, or anything with __geo_interface__"
)


@dataclass(frozen=True, slots=True)
class FeatureLayer(Layer):
    """Features on a map: what Python has at hand, in any CRS. The page gets it once.

    Raises:
        ArgumentError: nothing in it says where its rows lie; or it is too much for a page.

    >>> import pandas as pd
    >>> FeatureLayer(pd.DataFrame({"lat": [52.4, 51.9], "lng": [4.9, 4.5]})).extent
    Bounds(west=4.5, south=51.9, east=4.9, north=52.4)
    """

    type: ClassVar[LayerType] = "features"

    data: Any = field(repr=False, compare=False)
    """A GeoDataFrame or GeoSeries; a DataFrame with a column ``hex`` of H3 cells, or with ``lat`` and ``lng``; an Arrow
    table with geometry; GeoJSON as dict or text; a geometry, or anything with ``__geo_interface__``."""
    _: KW_ONLY
    content: Content | None = field(default=None, repr=False)
    """What the page gets. It makes itself."""

    def __post_init__(self) -> None:
        if self.content is None or self.content.made_of is not self.data:
            object.__setattr__(self, "content", features_of(self.data))
        Layer.__post_init__(self)

    @property
    def extent(self) -> Bounds | None:
        """Where its features lie."""
        return None if self.content is None else self.content.bounds

    def to_json(self) -> dict[str, Any]:
        """As in the base; the twin is `FeatureSpec`."""
        return Layer.to_json(self) | {"data": "" if self.content is None else self.content.digest}


def features_of(data: Any) -> Content:
    """The features as compressed GeoJSON, in degrees of EPSG:4326.

    Raises:
        ArgumentError: as `FeatureLayer`.
    """
    from isal import igzip

    from fused_jupyter.formats.tabular.tables import encode_geojson

    frame = _frame_of(data)
    if len(frame) > MOST_FEATURES:
        raise ArgumentError(_too_much(f"{len(frame):,} features", f"{MOST_FEATURES:,}"))
    text = encode_geojson(frame)
    if len(text) > MOST_BYTES:
        raise ArgumentError(_too_much(f"{len(text) / 1e6:.0f} MB of GeoJSON", f"{MOST_BYTES / 1e6:.0f} MB"))
    # Without the time of day in its header, equal data have equal digests.
    body = igzip.compress(text, compresslevel=1, mtime=0)
    return Content.of(body, _bounds_of(frame), made_of=data)


def _too_much(given: str, most: str) -> str:
    return (
        f"features: got {given}, and a page takes {most} at most; return them from a UDF with a parameter "
        "`bounds: fused.types.Bounds` and show its tiles, or take fewer rows, columns or points: "
        "gdf.sample(…), gdf[[…]], gdf.simplify(…)"
    )


def _frame_of(data: Any) -> Any:  # Any: geopandas has no types
    import geopandas as gpd
    import shapely

    from fused_jupyter.formats.kinds import Kind, kind_of
    from fused_jupyter.formats.tabular.frames import to_frame
    from fused_jupyter.formats.tabular.places import with_geometry

    table = _table_of(data)
    try:
        kind = kind_of(table)
        frame: Any = to_frame(table) if kind is Kind.GEOMETRIES else None
        if kind is Kind.TABLE:
            frame = with_geometry(table)
    except UdfSerializationError as exc:
        raise ArgumentError(f"features: {str(exc).removeprefix('The UDF returned ')}") from exc
    if frame is None:
        raise ArgumentError(f"features: got {type(data).__name__} that says nowhere where its rows lie; {_NEEDED}")
    shapes = gpd.GeoSeries(frame.geometry).to_numpy()
    _check_degrees(shapes)
    rounded = shapely.transform(shapes, lambda points: points.round(_DIGITS))
    return frame.set_geometry(gpd.GeoSeries(rounded, index=frame.index, crs=4326))


def _check_degrees(shapes: Any) -> None:
    """Data without a CRS count as degrees: metres would lie nowhere on the map, and nobody would know why."""
    import numpy as np
    import shapely

    if not len(shapes):
        return
    west, south, east, north = np.nan_to_num(shapely.total_bounds(shapes), posinf=0, neginf=0)
    if max(abs(west), abs(east)) > 2 * 360 or max(abs(south), abs(north)) > 90 + 1e-6:
        box = [float(round(side, 2)) for side in (west, south, east, north)]
        raise ArgumentError(
            f"features: their bounds {box} are no degrees; say which CRS their coordinates are in: gdf.set_crs(…)"
        )


def _table_of(data: Any) -> Any:
    """What is a table or geometry already as it is; GeoJSON as a GeoDataFrame."""
    if isinstance(data, (str, bytes)):
        import orjson

        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise ArgumentError(f"features: got text that is no GeoJSON; {_NEEDED}") from exc
    if not isinstance(data, dict):
        is_known = hasattr(data, "columns") or hasattr(data, "geom_type") or hasattr(data, "__arrow_c_stream__")
        if is_known or not hasattr(data, "__geo_interface__"):
            return data
        data = data.__geo_interface__
    return _frame_of_geojson(data)


def _frame_of_geojson(data: Any) -> Any:
    import geopandas as gpd

    kind = data.get("type")
    features = data.get("features") if kind == "FeatureCollection" else [data]
    if kind not in {"FeatureCollection", "Feature"}:
        features = [{"type": "Feature", "geometry": data, "properties": {}}]
    if not features:
        return gpd.GeoDataFrame(geometry=[], crs=4326)
    try:
        return gpd.GeoDataFrame.from_features(features, crs=4326)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ArgumentError(f"features: got a dict that is no GeoJSON ({exc}); {_NEEDED}") from exc


def _bounds_of(frame: Any) -> Bounds | None:
    import numpy as np

    sides = frame.total_bounds
    return Bounds([float(side) for side in sides]) if len(frame) and np.isfinite(sides).all() else None
