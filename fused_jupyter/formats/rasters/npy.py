"""Arrays as NumPy's own file: every type of number as it is, nothing that would have to be unpickled."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import content, picture_format
from fused_jupyter.formats.rasters.grids import pick_variable
from fused_jupyter.formats.rasters.images import open_image
from fused_jupyter.formats.rasters.placement import place
from fused_jupyter.formats.rasters.raster import Raster, in_dtype
from fused_jupyter.formats.rasters.reading import to_raster

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target


def encode_npy(value: Any, target: Target | None = None) -> bytes:
    """The values without their place; None is an array of no values.

    For a tile, a raster that knows its place is cut to it. What a mask hides is NaN, and 0 or nodata in integers.

    Raises:
        UdfSerializationError: Python objects in the array.
    """
    array = _array_of(value, target)
    if array.dtype.hasobject:
        raise UdfSerializationError(
            f"The UDF returned an array of {array.dtype}, and NumPy's files hold no Python objects; give it one type,"
            " e.g. array.astype(float)"
        )
    sink = BytesIO()
    np.save(sink, array, allow_pickle=False)
    return sink.getvalue()


def _array_of(value: Any, target: Target | None) -> NDArray[Any]:
    if value is None:
        return np.empty(0)
    value, bounds = value if isinstance(value, tuple) else (value, None)
    if hasattr(value, "dims"):
        value = pick_variable(value)
    tile = None if target is None else target.tile
    if tile is None or not (bounds is not None or _may_know_its_place(value)):
        return _values_of(value)
    raster = to_raster(value if bounds is None else (value, bounds), tile)
    return _filled(place(raster, tile), is_flat=getattr(value, "ndim", 3) == 2)


def _may_know_its_place(value: Any) -> bool:
    if isinstance(value, bytes | bytearray | memoryview | BytesIO):
        return picture_format(content(value)[:16]) == "tiff"
    return hasattr(value, "dims") and value.ndim > 1


def _values_of(value: Any) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        # Zero, an empty text or NaT where there is no NaN.
        return np.asarray(value.filled(np.nan if value.dtype.kind in "fc" else value.dtype.type()))
    if isinstance(value, bytes | bytearray | memoryview | BytesIO):
        if picture_format(content(value)[:16]) == "tiff":
            return _filled(to_raster(value), is_flat=False)
        return np.asarray(open_image(value))
    return np.asarray(value)


def _filled(raster: Raster, *, is_flat: bool) -> NDArray[Any]:
    """The pixels, without their first dimension where the value had but two; NaN or nodata where they are missing."""
    data = raster.data
    if raster.mask is not None:
        nodata = in_dtype(raster.nodata, data.dtype)
        hidden = np.nan if data.dtype.kind == "f" else data.dtype.type(0 if nodata is None else nodata)
        data = np.where(raster.mask, hidden, data)
    return data[0] if is_flat else data
