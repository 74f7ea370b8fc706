"""Arrays as NumPy's own file: every type of number as it is, nothing that would have to be unpickled."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import content, picture_format
from fused_jupyter.formats.rasters.grids import pick_variable
from fused_jupyter.formats.rasters.images import open_image
from fused_jupyter.formats.rasters.placement import place
from fused_jupyter.formats.rasters.points import pixel_at
from fused_jupyter.formats.rasters.raster import Mask, Raster, in_dtype, missing_pixels
from fused_jupyter.formats.rasters.reading import to_raster

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame
    from fused_jupyter.formats.target import Target


def encode_npy(value: Any, target: Target | None = None) -> bytes:
    """The values without their place; None is an array of no values.

    For a tile, a raster that knows its place is cut to it. What a mask hides is NaN, and 0 or nodata in integers. As
    no number can say then what is missing, a second array follows on a tile where something is: booleans of shape
    (height, width), which `numpy.load` gives when it is called again for the same open file.

    Raises:
        UdfSerializationError: Python objects in the array.
    """
    array, missing = (_array_of(value), None) if target is None or target.tile is None else _on_tile(value, target)
    if array.dtype.hasobject:
        raise UdfSerializationError(
            f"The UDF returned an array of {array.dtype}, and NumPy's files hold no Python objects; give it one type,"
            " e.g. array.astype(float)"
        )
    return _saved(array, missing)


def encode_pixel(raster: Raster, longitude: float, latitude: float) -> bytes | None:
    """The values of the raster's pixel at a place, in degrees, as `encode_npy` writes a tile of one pixel.

    They are those of the raster itself, in whatever CRS it is. None where it has no pixel.
    """
    pixel = pixel_at(raster, longitude, latitude)
    return None if pixel is None else _saved(_filled(pixel, is_flat=False), _unsaid(pixel))


def _saved(array: NDArray[Any], missing: Mask | None) -> bytes:
    sink = BytesIO()
    np.save(sink, array, allow_pickle=False)
    if missing is not None:
        np.save(sink, missing, allow_pickle=False)
    return sink.getvalue()


def _array_of(value: Any) -> NDArray[Any]:
    if value is None:
        return np.empty(0)
    value = value[0] if isinstance(value, tuple) else value
    return _values_of(pick_variable(value) if hasattr(value, "dims") else value)


def _on_tile(value: Any, target: Target) -> tuple[NDArray[Any], Mask | None]:
    """The values, and where they are missing if they do not say so themselves."""
    value, bounds = value if isinstance(value, tuple) else (value, None)
    if hasattr(value, "dims"):
        value = pick_variable(value)
    if bounds is None and not _may_know_its_place(value):
        raster = to_raster(value) if _has_pixels(value) else None
        return _array_of(value), None if raster is None else _unsaid(_styled(raster, target))
    tile: TileFrame | None = target.tile
    raster = to_raster(value if bounds is None else (value, bounds), tile)
    placed = place(raster, tile) if tile else raster
    return _filled(placed, is_flat=getattr(value, "ndim", 3) == 2), _unsaid(_styled(placed, target))


def _has_pixels(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "buif" and value.ndim in {2, 3}


def _styled(raster: Raster, target: Target) -> Raster:
    nodata = target.style.nodata
    return raster if nodata is None else replace(raster, nodata=nodata)


def _unsaid(raster: Raster) -> Mask | None:
    """What a picture of it leaves out, beside NaN."""
    missing = missing_pixels(raster, slice(None))
    if missing is None:
        return None
    is_told = raster.data.dtype.kind == "f" and not (missing & ~np.isnan(_hidden_as_nan(raster)).all(axis=0)).any()
    return None if is_told or not missing.any() else missing


def _hidden_as_nan(raster: Raster) -> NDArray[Any]:
    return raster.data if raster.mask is None else np.where(raster.mask, np.nan, raster.data)


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
