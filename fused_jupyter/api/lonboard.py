"""`udf.to_lonboard()`: which layer of lonboard shows a UDF, and where its tiles or its features come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from fused_jupyter.api.addresses import as_query
from fused_jupyter.api.given import carried, split
from fused_jupyter.errors import ArgumentError, FusedError, UnknownUdfError
from fused_jupyter.formats import STYLE_NAMES
from fused_jupyter.runtime import current, current_kernel

if TYPE_CHECKING:
    from lonboard import BaseLayer

    from fused_jupyter.udfs import UdfDefinition
    from fused_jupyter.widgets import FeatureTable

_KINDS: Final = ("auto", "raster", "vector")
_WORLD: Final = (-180.0, -85.0511287798066, 180.0, 85.0511287798066)
"""The tile 0/0/0."""
_OF_TRIAL: Final = (
    " (to_lonboard ran it to see what it gives, where you say nothing for the whole world; "
    "bounds=(west, south, east, north) runs it elsewhere, and kind='raster' asks for tiles without a run)"
)


def lonboard_of(definition: UdfDefinition, given: Mapping[str, Any]) -> BaseLayer:
    """A layer that follows the UDF of this name.

    Args:
        definition: the UDF.
        given: its arguments, how its tiles are drawn, what decides which layer it is, and what that takes.

    Raises:
        NoServerError: of tiles, this kernel was not started by a Jupyter server with the extension.
        ArgumentError: lonboard has no layer for that.
    """
    arguments, drawing, rest = split(definition, given)
    kind, geometry = rest.pop("kind", "auto"), rest.pop("geometry", None)
    if kind not in _KINDS:
        raise ArgumentError(f"kind: got {kind!r}, need one of {', '.join(_KINDS)}")
    area = rest.pop(getattr(definition.spatial_parameter, "name", "bounds"), rest.pop("bounds", None))
    features = _Features(definition, _area(definition, area), geometry)
    table = None if kind == "raster" else features.first(arguments)
    if table is not None:
        return features.layer(table, arguments, {**drawing, **rest})
    if kind == "vector":
        raise ArgumentError(f"{definition.name}: got kind='vector', and the UDF gives no table with places")
    return _tiles(definition, {**arguments, **drawing}, {**_extent(area), **rest})


@dataclass(frozen=True, slots=True)
class _Features:
    """The runs behind a layer of features."""

    definition: UdfDefinition
    area: Mapping[str, Any]
    geometry: str | None

    def first(self, params: Mapping[str, Any]) -> FeatureTable | None:
        """What it gives now; None where that is nothing with features."""
        from fused_jupyter.api.run import run
        from fused_jupyter.api.udf import Udf

        try:
            value = run(Udf(self.definition), parameters={**self.area, **params})
        except FusedError as exc:
            if self.area:
                exc.message += _OF_TRIAL
            raise
        return self.table(value)

    async def read(self, params: Mapping[str, Any]) -> FeatureTable:
        """What the newest version gives.

        Raises:
            ArgumentError: nothing with features.
        """
        from fused_jupyter.api.run import run_async
        from fused_jupyter.api.udf import Udf

        newest = Udf(_newest(self.definition))
        table = self.table(await run_async(newest, parameters={**self.area, **carried(self.definition, params)}))
        if table is None:
            raise ArgumentError(
                f"{self.definition.name} gives no table with places any more; run the cell of the layer again"
            )
        return table

    def table(self, value: Any) -> FeatureTable | None:
        """What lonboard draws of a result."""
        from fused_jupyter.widgets import feature_table

        return feature_table(value, udf=self.definition.name, geometry=self.geometry)

    def layer(self, table: FeatureTable, params: Mapping[str, Any], options: Mapping[str, Any]) -> BaseLayer:
        """The layer that begins with this table.

        Raises:
            ArgumentError: an option is about tiles.
        """
        from fused_jupyter.widgets import vector_layer

        if of_tiles := STYLE_NAMES.intersection(options):
            names = ", ".join(sorted(of_tiles))
            raise ArgumentError(f"{self.definition.name}: {names} is about tiles, and lonboard draws these features")
        check = _check(self.definition, also=frozenset())
        return vector_layer(self.definition.name, table, read=self.read, params=params, check=check, **options)


def _tiles(definition: UdfDefinition, params: Mapping[str, Any], options: Mapping[str, Any]) -> BaseLayer:
    """A layer of tiles, by addresses with a token of its own: lonboard sends no login."""
    from fused_jupyter.widgets import bitmap_tile_layer

    runtime = current_kernel()
    base_url = runtime.server().base_url
    token = runtime.grant(definition.name)

    def url(params: Mapping[str, Any]) -> str:
        version = runtime.registry.get(definition.name).digest
        query = urlencode({**as_query(carried(definition, params)), "v": version})
        return f"{base_url}fused/{token}/run/tiles/{{z}}/{{x}}/{{y}}.png?{query}"

    check = _check(definition, also=STYLE_NAMES)
    return bitmap_tile_layer(definition.name, url=url, params=params, check=check, **options)


def _area(definition: UdfDefinition, given: Any) -> Mapping[str, Any]:
    """For what area it runs, as arguments: that of the user, else the UDF's own, else the world."""
    from fused_jupyter.api.viewport import as_arguments

    spatial = definition.spatial_parameter
    if given is None:
        names = {parameter.name for parameter in definition.parameters}
        has_own = spatial is not None and spatial.default is not None
        if has_own or (spatial is None and not names >= {"x", "y", "z"}):
            return {}
    return as_arguments(definition, _WORLD if given is None else given)


def _extent(area: Any) -> Mapping[str, Any]:
    """Where alone lonboard asks for tiles."""
    from fused_jupyter.engines.spatial import Area

    return {} if area is None else {"extent": [*Area.of(area).bounds]}


def _check(definition: UdfDefinition, *, also: frozenset[str]) -> Callable[[Mapping[str, Any]], None]:
    """Refuses parameters that the UDF does not have in its newest version."""

    def check(params: Mapping[str, Any]) -> None:
        parameters = _newest(definition).parameters
        if any(parameter.kind == "variadic" for parameter in parameters):
            return
        names = [*(parameter.name for parameter in parameters if not parameter.is_spatial), *sorted(also)]
        for name in params:
            if name not in names:
                similar = get_close_matches(name, names, n=1)
                hint = f"did you mean {similar[0]!r}?" if similar else f"it has {', '.join(names) or 'none'}"
                raise ArgumentError(f"params: {definition.name} has no parameter {name!r}; {hint}")

    return check


def _newest(definition: UdfDefinition) -> UdfDefinition:
    try:
        return current().registry.get(definition.name)
    except UnknownUdfError:
        return definition
