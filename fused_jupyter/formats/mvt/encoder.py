"""Mapbox Vector Tiles, version 2: one layer ``udf``, extent 4096, by whole columns instead of feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fused_jupyter.errors import FormatError
from fused_jupyter.formats.mvt.ids import feature_ids
from fused_jupyter.formats.mvt.kernels import NUMPY, Kernel, best_kernel, kernel_for
from fused_jupyter.formats.mvt.outlines import TIDY
from fused_jupyter.formats.mvt.paths import EXTENT, Paths, collect_paths
from fused_jupyter.formats.mvt.protobuf import NO_ID, Ints
from fused_jupyter.formats.mvt.tags import Tags, encode_tags, varint
from fused_jupyter.formats.tabular.frames import geometry_columns, to_frame
from fused_jupyter.formats.target import Written

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target

__all__ = ["LAYER", "NUMPY", "Kernel", "best_kernel", "encode_mvt"]

LAYER: Final = "udf"
"""The layer's name; clients of Fused ask for it."""

HEAVY_BYTES: Final = 500_000
"""Mapbox's own limit for a tile; beyond it, maps stutter. 50,000 points without attributes have it too."""

_VERSION: Final = 2


def encode_mvt(value: Any, target: Target | None = None, *, kernel: Kernel | None = None) -> Written:
    """The vector tile of a table's geometries; empty bytes if none is in the tile.

    Polygons come before lines before points; the members of a geometry collection are features of their own. What lies
    past 180 degrees is seen on the other side, and what is near it in the buffers of both sides, so at zoom 0 twice.
    Polygons are valid, also after rounding to the tile's units. Of crowded outlines, the points that nobody sees are
    left out (see `thin`), and so are polygons without area and lines without length at this zoom.

    Attributes are numbers, booleans and strings; moments are ISO 8601, lists and dicts JSON; infinity is a number; what
    is missing, NaN too, is left out; and so are columns of geometries but the active one.

    Features have ids if the table has some that can be the same in all tiles (see `feature_ids`).

    Args:
        value: a value of kind GEOMETRIES, or None.
        target: the tile, and how many features it may have. Of more, the most visible ones are kept, and the header
            ``X-Fused-Features`` says how many of how many.
        kernel: the inner loops; by default the compiled ones if numba is there and the work is worth it. The bytes are
            the same.

    Returns:
        The tile; if it is too heavy for a browser, with a header ``X-Fused-Warning`` that says what to do.

    Raises:
        FormatError: the request is not for a tile.
    """
    tile = None if target is None else target.tile
    if target is None or tile is None:
        raise FormatError("mvt is for tiles: ask for run/tiles/{z}/{x}/{y}.mvt, or for geojson or parquet as a file")
    if value is None:
        return Written(body=b"")
    frame: Any = to_frame(value, kept_crs=(4326, 3857))
    names = geometry_columns(frame)
    geometry = frame[names[0]]
    epsg = 3857 if geometry.crs.to_epsg() == 3857 else 4326
    found = collect_paths(geometry.to_numpy(), tile, epsg=epsg, limit=target.style.max_features)
    kernel = kernel or kernel_for(sum(len(paths.points) for paths in found.families))
    tidied = [paths for family in found.families if len((paths := TIDY[family.kind](family, kernel)).rows)]
    if not tidied:
        return Written(body=b"")
    rows = np.concatenate([paths.rows for paths in tidied])
    # Only now: a zoomed-out tile draws few of its features, and the attributes of the others need not be read.
    columns = {name: frame[name] for name in frame.columns if name not in names}
    if not np.array_equal(rows, np.arange(len(frame))):
        columns = {name: column.take(rows) for name, column in columns.items()}
    ids = feature_ids(frame, value)
    tags = encode_tags(columns, len(rows), kernel)
    body = _encode_layer(tidied, np.full(len(rows), NO_ID) if ids is None else ids[rows], tags, kernel)
    return Written(body=body, headers=_headers(len(rows), len(body), found.total, target.style.max_features))


def _encode_layer(families: list[Paths], ids: Ints, tags: Tags, kernel: Kernel) -> bytes:
    encoded = [kernel.encode_paths(paths.points, paths.starts, paths.roles, paths.features) for paths in families]
    kinds = np.repeat(np.array([paths.kind for paths in families], np.uint32), [len(paths.rows) for paths in families])
    commands, counts = (np.concatenate(parts) for parts in zip(*encoded, strict=True))
    features = kernel.encode_features(kinds, ids, commands, counts, tags.tokens, tags.counts)
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


def _headers(features: int, size: int, total: int, limit: int | None) -> Mapping[str, str]:
    headers = {}
    if limit is not None and total > limit:
        headers["X-Fused-Features"] = f"{features}/{total}"
    if size > HEAVY_BYTES:
        headers["X-Fused-Warning"] = (
            f"{features} features in {size / 1e6:.1f} MB are heavy for a browser: ask for max_features="
            f"{max(1, features * HEAVY_BYTES // size)}, return fewer columns, or simplify or aggregate at this zoom"
        )
    return headers
