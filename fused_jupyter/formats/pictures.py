"""Rasters as PNG: which colours a band, three bands or a mask become.

===================== ================================================================================
one band of uint8     gray
one band of bool      violet where True, transparent where False
one band else         viridis over the data's domain (see `_domain`), as 255 numbered colours
three bands           RGB; where all are 0 it is transparent, as UDFs written for Fused expect
four bands            RGBA
two, five and more    the first band, the first three
===================== ================================================================================

Floats of three and four bands reach from 0 to 1, integers from 0 to 255. NaN and masked pixels are transparent.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.formats.kinds import content
from fused_jupyter.formats.placement import TILE_SIDE, place
from fused_jupyter.formats.png import Pixels, transparent_png, write_palette_png, write_png
from fused_jupyter.formats.raster import Raster, any_band, to_raster
from fused_jupyter.formats.viridis import VIRIDIS

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target

_BLACK: Final = (0, 0, 0)
_STEPS: Final = 254


def encode_png(value: Any, target: Target | None = None) -> bytes:
    """The value as PNG, cut to the tile if it knows its place; None is a transparent picture.

    Raises:
        UdfSerializationError: pixels that are no numbers, or a shape that is no picture.
    """
    if value is None:
        return transparent_png(TILE_SIDE, TILE_SIDE)
    if isinstance(value, bytes | bytearray | memoryview | BytesIO):
        return content(value)
    raster = to_raster(value)
    tile = None if target is None else target.tile
    return _draw(raster) if tile is None else _draw(_with_tile_domain(place(raster, tile)))


def _with_tile_domain(raster: Raster) -> Raster:
    """The raster with a domain that its neighbours have too: a range taken from each tile would show seams."""
    if raster.domain is not None:
        return raster
    upper = 1.0 if raster.data.dtype.kind == "f" else 255.0
    return Raster(data=raster.data, mask=raster.mask, domain=(0.0, upper))


def _draw(raster: Raster) -> bytes:
    bands = len(raster.data)
    if bands > 4:
        warnings.warn(f"The picture shows the first 3 of {bands} bands; choose in the UDF: array[:3]", stacklevel=2)
    if bands == 4:
        return _draw_rgba(raster)
    if bands >= 3:
        return _draw_rgb(raster.data[:3], _missing(raster))
    return _draw_band(raster.data[0], _missing(raster), raster.domain)


def _missing(raster: Raster) -> NDArray[np.bool_] | None:
    if raster.data.dtype.kind != "f":
        return raster.mask
    missing = any_band(np.isnan(raster.data[:3] if len(raster.data) > 2 else raster.data[:1]))
    return missing if raster.mask is None else missing | raster.mask


def _draw_band(band: NDArray[Any], missing: NDArray[np.bool_] | None, domain: tuple[float, float] | None) -> bytes:
    if band.dtype == bool:
        shown = band if missing is None else band & ~missing
        return write_palette_png(shown.astype(np.uint8), _viridis()[[0, 1]])
    if band.dtype == np.uint8:
        if missing is None or not missing.any():
            return write_png(band)
        return write_png(np.dstack([band, np.where(missing, 0, 255).astype(np.uint8)]))
    return write_palette_png(_index(band, missing, domain or _domain(band, missing)), _viridis())


def _index(band: NDArray[Any], missing: NDArray[np.bool_] | None, domain: tuple[float, float]) -> Pixels:
    """Numbers of colours: 0 where nothing is, 1 to 255 from the lower to the upper end of the domain."""
    low, high = domain
    precise = np.float64 if band.dtype.itemsize >= 4 and band.dtype != np.float32 else np.float32
    scaled = np.subtract(band, low, dtype=precise)
    scaled *= _STEPS / ((high - low) or 1.0)
    scaled += 1.5
    # fmax and fmin, for they let NaN become a number: what a cast makes of NaN differs between processors.
    index: Pixels = np.fmin(np.fmax(scaled, 1, out=scaled), 255, out=scaled).astype(np.uint8)
    if missing is not None:
        index[missing] = 0
    return index


def _domain(band: NDArray[Any], missing: NDArray[np.bool_] | None) -> tuple[float, float]:
    """The least and greatest finite value; (0, 1) where there is none."""
    values = band if missing is None else band[~missing]
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _draw_rgb(bands: NDArray[Any], missing: NDArray[np.bool_] | None) -> bytes:
    empty = ~bands.any(axis=0) if bands.dtype.kind == "f" else (bands[0] | bands[1] | bands[2]) == 0
    empty = empty if missing is None else empty | missing
    pixels = _to_bytes(bands)
    if not empty.any():
        return write_png(pixels)
    pixels[empty] = 0
    looks_empty = ~(pixels[:, :, 0] | pixels[:, :, 1] | pixels[:, :, 2]).astype(bool)
    if np.array_equal(looks_empty, empty):
        # Black as the transparent colour: three quarters of the bytes that an alpha channel would need.
        return write_png(pixels, transparent=_BLACK)
    return write_png(np.dstack([pixels, np.where(empty, 0, 255).astype(np.uint8)]))


def _draw_rgba(raster: Raster) -> bytes:
    pixels = _to_bytes(raster.data)
    missing = _missing(raster)
    if missing is not None:
        pixels[missing] = 0
    return write_png(pixels)


def _to_bytes(bands: NDArray[Any]) -> Pixels:
    """A new array of shape (height, width, bands), 0 to 255."""
    if bands.dtype == bool:
        bands = bands * np.uint8(255)
    elif bands.dtype.kind == "f":
        bands = np.nan_to_num(np.clip(bands, 0, 1) * 255 + 0.5, copy=False).astype(np.uint8)
    elif bands.dtype != np.uint8:
        bands = np.clip(bands, 0, 255).astype(np.uint8)
    return np.stack(list(bands), axis=-1)


@lru_cache(maxsize=1)
def _viridis() -> NDArray[np.uint8]:
    """256 colours with alpha, the first one transparent."""
    colours = np.frombuffer(VIRIDIS, np.uint8).reshape(256, 3)
    palette = np.full((256, 4), 255, np.uint8)
    palette[0] = 0
    palette[1:, :3] = colours[np.rint(np.linspace(0, 255, 255)).astype(np.intp)]
    return palette
