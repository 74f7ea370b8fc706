"""Running a UDF for what a map shows, or for what was drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fused_jupyter.api.given import own_and_options
from fused_jupyter.errors import ArgumentError

if TYPE_CHECKING:
    from fused_jupyter.api.udf import Udf
    from fused_jupyter.udfs import UdfDefinition
    from fused_jupyter.widgets import FusedMap


def run_on(udf: Udf, where: Any, **arguments: Any) -> Any:
    """Run it for what a map shows, with the values that the map's parameters have; or for an area.

    The area goes to the parameter that takes the tile, in the form that its annotation asks for: `Bounds` gets the
    viewport, `Tile` and `x, y, z` the smallest tile that holds it, a GeoDataFrame what was drawn.

    Args:
        udf: the UDF.
        where: a `FusedMap`; or an area: what was drawn, as `map.drawn`, bounds, a geometry, GeoJSON, WKT.
        **arguments: arguments of the UDF, which win over those of the map, and options of `fused.run`.

    Returns:
        What the UDF returns.

    Raises:
        ArgumentError: the map shows nothing yet, nothing is drawn, or the UDF takes no area.
    """
    from fused_jupyter.api.run import run
    from fused_jupyter.widgets import FusedMap

    own, options = own_and_options(udf.definition, arguments)
    is_map = isinstance(where, FusedMap)
    values = _values_on(where, udf.definition) if is_map else {}
    area = where.area if is_map else where
    if getattr(area, "empty", False) is True:
        raise ArgumentError(
            f"{udf.name}.run_on: nothing is drawn; draw a shape first, or give the map for its viewport"
        )
    return run(udf, parameters={**values, **as_arguments(udf.definition, area), **own}, **options)


def as_arguments(definition: UdfDefinition, area: Any) -> dict[str, Any]:
    """The area, as the UDF takes it.

    Raises:
        ArgumentError: it takes none.
    """
    if (spatial := definition.spatial_parameter) is not None:
        return {spatial.name: area}
    if {parameter.name for parameter in definition.parameters} >= {"x", "y", "z"}:
        from fused_jupyter.engines.spatial import Area

        tile = Area.of(area).tile
        return {"x": tile.x, "y": tile.y, "z": tile.z}
    raise ArgumentError(
        f"{definition.name} takes no area; give it a parameter for one, e.g. bounds: fused.types.Bounds = None"
    )


def _values_on(shown: FusedMap, definition: UdfDefinition) -> dict[str, Any]:
    """What the map's tiles of this UDF are made with: the shared values, and those of its topmost layer."""
    names = {parameter.name for parameter in definition.parameters if not parameter.is_spatial}
    values = dict(shown.params)
    for layer in shown.layers:
        udf = getattr(layer, "udf", None)
        if (udf if isinstance(udf, str) else getattr(udf, "name", None)) == definition.name:
            values |= layer.params
    return {name: value for name, value in values.items() if name in names}
