"""Mapbox Vector Tiles, version 2: one layer ``udf``, extent 4096, by whole columns instead of feature by feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fused_jupyter.errors import FormatError
from fused_jupyter.formats import _mvt_numpy
from fused_jupyter.formats._mvt_numpy import Ints, Tokens
from fused_jupyter.formats._mvt_paths import EXTENT, Paths, collect_paths
from fused_jupyter.formats._mvt_tags import Tags, encode_tags, varint
from fused_jupyter.formats.frames import geometry_columns, to_frame

if TYPE_CHECKING:
    import pandas as pd

    from fused_jupyter.formats.target import Target

LAYER: Final = "udf"
"""The layer's name; clients of Fused ask for it."""

_VERSION: Final = 2
_MANY_POINTS: Final = 4000
"""From here on compiled loops pay; below, loading them would cost a small tile more than they save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The two inner loops; see `_mvt_numpy` for what they do."""

    encode_paths: Callable[..., tuple[Tokens, Ints]]
    encode_features: Callable[..., bytes]


NUMPY: Final = Kernel(encode_paths=_mvt_numpy.encode_paths, encode_features=_mvt_numpy.encode_features)


def encode_mvt(value: Any, target: Target | None = None, *, kernel: Kernel | None = None) -> bytes:
    """The vector tile of a table's geometries; empty bytes if none is in the tile.

    Polygons come before lines before points; the members of a geometry collection are features of their own. Attributes
    are numbers, booleans and strings; moments are ISO 8601, lists and dicts JSON; what is missing is left out.

    Args:
        value: a value of kind GEOMETRIES, or None.
        target: the tile.
        kernel: the inner loops; by default the compiled ones if numba is there and the work is worth it. The bytes are
            the same.

    Raises:
        FormatError: the request is not for a tile.
    """
    tile = None if target is None else target.tile
    if tile is None:
        raise FormatError("mvt is for tiles: ask for run/tiles/{z}/{x}/{y}.mvt, or for geojson or parquet as a file")
    if value is None:
        return b""
    frame: Any = to_frame(value, kept_crs=(4326, 3857))
    names = geometry_columns(frame)
    geometry = frame[names[0]]
    epsg = 3857 if geometry.crs.to_epsg() == 3857 else 4326
    families = collect_paths(geometry.to_numpy(), tile, epsg=epsg)
    if not families:
        return b""
    if kernel is None:
        kernel = best_kernel() if sum(len(paths.points) for paths in families) >= _MANY_POINTS else NUMPY
    return _encode_layer({name: frame[name] for name in frame.columns if name not in names}, families, kernel)


@lru_cache(maxsize=1)
def best_kernel() -> Kernel:
    """The compiled loops where numba works, else those of numpy."""
    try:
        from fused_jupyter.formats import _mvt_kernel
    except (ImportError, RuntimeError):  # not installed, too old for this numpy, or no place for its cache
        return NUMPY
    return Kernel(encode_paths=_mvt_kernel.encode_paths, encode_features=_mvt_kernel.encode_features)


def _encode_layer(columns: Mapping[str, pd.Series[Any]], families: list[Paths], kernel: Kernel) -> bytes:
    commands, counts, rows, kinds = [], [], [], []
    for paths in families:
        tokens, sizes = kernel.encode_paths(paths.points, paths.starts, paths.roles, paths.features)
        drawn = sizes > 0
        commands.append(tokens)
        counts.append(sizes[drawn])
        rows.append(paths.rows[drawn])
        kinds.append(np.full(int(drawn.sum()), paths.kind, np.uint32))
    shown = np.concatenate(rows)
    if not len(shown):
        return b""
    # Only now: a zoomed-out tile draws few of its features, and the attributes of the others need not be read.
    tags = encode_tags({name: column.take(shown) for name, column in columns.items()}, len(shown))
    features = kernel.encode_features(
        np.concatenate(kinds), np.concatenate(commands), np.concatenate(counts), tags.tokens, tags.counts
    )
    return _wrap(features, tags)


def _wrap(features: bytes, tags: Tags) -> bytes:
    name = LAYER.encode()
    keys = [key.encode() for key in tags.keys]
    layer = b"".join(
        [
            bytes((0x78, _VERSION, 0x0A, len(name))),
            name,
            features,
            *(b"\x1a" + varint(len(key)) + key for key in keys),
            tags.fields,
            b"\x28" + varint(EXTENT),
        ]
    )
    return b"\x1a" + varint(len(layer)) + layer
