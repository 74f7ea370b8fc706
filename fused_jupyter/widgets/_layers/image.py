"""A picture that Python holds, at its place on Earth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from math import atan, degrees, pi, sinh
from typing import Any, ClassVar

from fused_jupyter.errors import ArgumentError, UdfSerializationError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._layers.base import Layer, LayerType
from fused_jupyter.widgets._layers.content import Content

LONGEST_SIDE = 4096
"""Pixels that a side of the picture has on the page, at most; what is finer is averaged or thinned."""

_EARTH_RADIUS = 6378137.0


@dataclass(frozen=True, slots=True)
class ImageLayer(Layer):
    """A picture or array on a map, drawn where it lies. The page gets it once.

    Raises:
        ArgumentError: it is no picture, or nobody knows where it lies.

    >>> import numpy as np
    >>> ImageLayer(np.zeros((2, 2)), bounds=[4, 51, 6, 53], colormap="viridis").extent.west
    4.0
    """

    type: ClassVar[LayerType] = "image"

    image: Any = field(repr=False, compare=False)
    """An array of shape (height, width) or (bands, height, width), a PIL image, the bytes of a PNG, JPEG or GeoTIFF; or
    an xarray object with coordinates."""
    _: KW_ONLY
    bounds: Sequence[float] | None = None
    """Its outer edges: (west, south, east, north) in degrees. What has coordinates or a CRS of its own needs none."""
    colormap: Any = ""
    """For one band: a name such as ``viridis``, a list of colours, or a dict from values to colours."""
    rescale: Any = None
    """The values at both ends of the colours: (least, greatest), or one such pair for each band. None takes those of
    the data."""
    nodata: float | None = None
    """The value that is no data; NaN is always none."""
    content: Content | None = field(default=None, repr=False)
    """What the page gets. It makes itself."""

    def __post_init__(self) -> None:
        content = self.content
        if content is None or content.made_of is not self.image or content.look != self._look:
            object.__setattr__(self, "content", image_of(self, look=self._look))
        Layer.__post_init__(self)

    @property
    def extent(self) -> Bounds | None:
        """Where the picture lies."""
        return None if self.content is None else self.content.bounds

    @property
    def _look(self) -> str:
        bounds = None if self.bounds is None else [*self.bounds]
        return repr((bounds, self.colormap, self.rescale, self.nodata))

    def to_json(self) -> dict[str, Any]:
        """As in the base; the twin is `ImageSpec`."""
        content = self.content
        return Layer.to_json(self) | {
            "data": "" if content is None else content.digest,
            "headers": {} if content is None else dict(content.headers),
        }


def image_of(layer: ImageLayer, *, look: str) -> Content:
    """The picture in EPSG:3857 as PNG, with its bounds in degrees.

    Raises:
        ArgumentError: as `ImageLayer`.
    """
    from fused_jupyter.formats import Style, Target
    from fused_jupyter.formats.rasters.npy import encode_pixel
    from fused_jupyter.formats.rasters.pictures import draw_png
    from fused_jupyter.formats.rasters.placement import place_in_mercator
    from fused_jupyter.formats.rasters.reading import to_raster

    value = layer.image if layer.bounds is None else (layer.image, [*layer.bounds])
    wanted = {"colormap": layer.colormap, "rescale": _pairs(layer.rescale), "nodata": layer.nodata}
    style = Style.of({name: each for name, each in wanted.items() if each is not None})
    try:
        raster = to_raster(value)
        placed, frame = place_in_mercator(raster, longest=LONGEST_SIDE)
        written = draw_png(placed, Target(style=style))
    except UdfSerializationError as exc:
        hint = (
            ""
            if layer.bounds is not None
            else "; or say where it lies: ImageLayer(…, bounds=(west, south, east, north))"
        )
        raise ArgumentError(f"image: {str(exc).removeprefix('The UDF returned ')}{hint}") from exc
    values = raster if layer.nodata is None else replace(raster, nodata=layer.nodata)
    at = partial(encode_pixel, values)
    return Content.of(written.body, _degrees(frame), made_of=layer.image, look=look, headers=written.headers, at=at)


def _pairs(rescale: Any) -> Any:
    """The numbers of a pair or of several pairs, in a row."""
    if rescale is None or isinstance(rescale, str):
        return rescale
    flat = [number for pair in rescale for number in (pair if isinstance(pair, (list, tuple)) else (pair,))]
    return ",".join(str(number) for number in flat)


def _degrees(frame: tuple[float, float, float, float]) -> Bounds:
    west, south, east, north = frame
    x_of = [x / _EARTH_RADIUS * 180 / pi for x in (west, east)]
    y_of = [degrees(atan(sinh(y / _EARTH_RADIUS))) for y in (south, north)]
    return Bounds([round(side, 9) for side in (x_of[0], y_of[0], x_of[1], y_of[1])])
