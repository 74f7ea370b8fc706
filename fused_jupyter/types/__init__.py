"""What users annotate the spatial parameter of a UDF with.

Each name is a class that the runtime recognises, and for a type checker the type of the value that arrives:

=============== ==========================================================================================
annotation      value that the UDF gets for a tile (or for ``?bounds=west,south,east,north``)
=============== ==========================================================================================
``Bounds``      list ``[west, south, east, north]`` in degrees, EPSG:4326
``Bbox``        ``shapely.Polygon`` of the same rectangle
``TileXYZ``     ``mercantile.Tile`` with ``x``, ``y``, ``z``
``TileGDF``     one-row ``GeoDataFrame`` with ``x``, ``y``, ``z`` and ``geometry``, EPSG:4326
``Tile``        the same as ``TileGDF`` (today's name)
``ViewportGDF`` one-row ``GeoDataFrame`` with ``geometry`` only
=============== ==========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fused_jupyter.errors import UdfRecursionError as UdfSelfRecursionError
from fused_jupyter.errors import UdfRuntimeError, UdfSerializationError, UdfTimeoutError
from fused_jupyter.types._bounds import Bounds

if TYPE_CHECKING:
    from geopandas import GeoDataFrame as Tile
    from geopandas import GeoDataFrame as TileGDF
    from geopandas import GeoDataFrame as ViewportGDF
    from mercantile import Tile as TileXYZ
    from shapely import Polygon as Bbox
else:

    class Bbox:
        """Marks a parameter that takes the tile's rectangle as a ``shapely.Polygon`` in EPSG:4326."""

    class TileXYZ:
        """Marks a parameter that takes a ``mercantile.Tile``."""

    class TileGDF:
        """Marks a parameter that takes a one-row ``GeoDataFrame`` with ``x``, ``y``, ``z``, ``geometry``."""

    class Tile:
        """Marks a parameter that takes a one-row ``GeoDataFrame`` with ``x``, ``y``, ``z``, ``geometry``."""

    class ViewportGDF:
        """Marks a parameter that takes a one-row ``GeoDataFrame`` with the viewport's ``geometry``."""


JobPoolTailTimeoutError = TimeoutError
"""What `JobPool.tail` raises; it and the errors here have their place in `fused.errors`."""

__all__ = [
    "Bbox",
    "Bounds",
    "JobPoolTailTimeoutError",
    "Tile",
    "TileGDF",
    "TileXYZ",
    "UdfRuntimeError",
    "UdfSelfRecursionError",
    "UdfSerializationError",
    "UdfTimeoutError",
    "ViewportGDF",
]
