"""Shapes that people draw on a map, or Python puts there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._callbacks import Listener, Listening

if TYPE_CHECKING:
    import geopandas

_WGS84 = "EPSG:4326"
_HALF_TURN = 180.0


class Drawing(Listening):
    """The part of a map that holds shapes; its twin is js/src/pointer/draw.ts."""

    shapes = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    """The shapes as GeoJSON features, in degrees; `drawn` has them as a frame. The page and `draw` write it.

    - Type: list of `dict`
    - Default: `[]`
    """

    draw_tools = traitlets.Bool(default_value=True).tag(sync=True)
    """Whether the map has buttons to draw boxes and polygons.

    - Type: `bool`
    - Default: `True`
    """

    def __init__(self, **traits: Any) -> None:
        self._own_shapes: object = None
        super().__init__(**traits)

    @property
    def drawn(self) -> geopandas.GeoDataFrame:
        """The shapes on the map, in EPSG:4326, the oldest first; without rows where there are none.

        Those that were drawn by hand have `box` or `polygon` in the column `kind`. Polygons are valid, and one that
        crosses the antimeridian is in two parts.
        """
        import geopandas

        if not self.shapes:
            return geopandas.GeoDataFrame({"kind": []}, geometry=[], crs=_WGS84)
        frame = geopandas.GeoDataFrame.from_features(self.shapes, crs=_WGS84)
        return frame.set_geometry(frame.geometry.map(_within_world), crs=_WGS84)

    def draw(self, shapes: Any) -> None:
        """Put these on the map, in the place of what is drawn there.

        Args:
            shapes: a GeoDataFrame or GeoSeries in any CRS, a geometry, GeoJSON, WKT, or west, south, east, north in
                degrees.

        Raises:
            ArgumentError: nothing of these.
        """
        self._put(_features_of(shapes))

    def clear_drawn(self) -> None:
        """Take all shapes off."""
        self._put([])

    def on_draw(self, callback: Listener) -> Listener:
        """Call this with `drawn` when somebody drew a shape or took them off; see `on_click`.

        Returns:
            The callback, for `forget`.

        Raises:
            ArgumentError: it is no function, or an async one.
        """
        return self._listen("on_draw", callback)

    def _put(self, features: Sequence[Mapping[str, Any]]) -> None:
        self._own_shapes = [*features]
        self.set_trait("shapes", [*features])
        self._own_shapes = None

    @traitlets.observe("shapes")
    def _tell_drawing(self, change: Mapping[str, Any]) -> None:
        if change["new"] != self._own_shapes:
            self._tell("on_draw", self.drawn)


def _features_of(shapes: Any) -> list[dict[str, Any]]:
    from fused_jupyter.engines.geometries import read_frame
    from fused_jupyter.udfs import UnfitError

    try:
        frame = read_frame(shapes)
    except UnfitError as exc:
        wanted = "a GeoDataFrame, a geometry, GeoJSON, WKT or west, south, east, north"
        raise ArgumentError(f"draw: got {type(shapes).__name__}, need {wanted} ({exc})") from exc
    frame = frame if frame.crs is None else frame.to_crs(_WGS84)
    features: list[dict[str, Any]] = json.loads(frame.to_json(na="null", drop_id=True, default=str))["features"]
    return [feature for feature in features if feature["geometry"] is not None]


def _within_world(geometry: Any) -> Any:
    """The same shape with longitudes from -180 to 180, and valid."""
    import shapely
    from shapely.affinity import translate

    geometry = shapely.make_valid(geometry)
    west, _, east, _ = geometry.bounds
    if west >= -_HALF_TURN and east <= _HALF_TURN:
        return geometry
    # The page lets a shape begin in the world, and go on to the east of it.
    here = shapely.box(-_HALF_TURN, -90, _HALF_TURN, 90)
    beyond = shapely.box(_HALF_TURN, -90, 3 * _HALF_TURN, 90)
    parts = [geometry.intersection(here), translate(geometry.intersection(beyond), -2 * _HALF_TURN)]
    return shapely.union_all(parts)
