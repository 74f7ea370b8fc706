"""How a layer looks: from the few words of a user to MapLibre's paint properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fused_jupyter.errors import ArgumentError

PALETTE = ("#1c9fb0", "#e8703a", "#8b6fe0", "#d6a100", "#e0559a", "#4fa83d")
"""Of middle lightness, so that each reads over a light and over a dark page."""

_COLORED = ("fill", "line", "circle")
_DEFAULTS: dict[str, dict[str, Any]] = {
    "fill": {"fill-opacity": 0.4},
    "line": {"line-width": ["interpolate", ["linear"], ["zoom"], 3, 0.8, 12, 2.0], "line-opacity": 0.95},
    "circle": {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 0, 1.5, 4, 3, 14, 7],
        "circle-opacity": 0.85,
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": ["interpolate", ["linear"], ["zoom"], 2, 0, 6, 1],
    },
    # A new version replaces the old tiles at once instead of shining through them.
    "raster": {"raster-fade-duration": 0},
}


def paint_of(style: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The paint properties for each kind of style layer: fill, line, circle, raster.

    Args:
        style: ``color`` for all geometry types, and any MapLibre paint property, with ``-`` or ``_``. Values may be
            MapLibre expressions, such as ``["get", "color"]``.

    Raises:
        ArgumentError: a name that is neither.

    >>> paint_of({"color": "red", "line_width": 3})["line"]
    {'line-width': 3, 'line-opacity': 0.95, 'line-color': 'red'}
    """
    color = style.get("color", PALETTE[0])
    paint = {kind: dict(properties) for kind, properties in _DEFAULTS.items()}
    for kind in _COLORED:
        paint[kind][f"{kind}-color"] = color
    for name, value in style.items():
        if name != "color":
            prop = name.replace("_", "-")
            paint[_kind_of(prop)][prop] = value
    return paint


def free_color(taken: set[Any]) -> str:
    """The first colour of the palette that no other layer has; the first one again when all are taken."""
    return next((color for color in PALETTE if color not in taken), PALETTE[0])


def _kind_of(prop: str) -> str:
    kind = prop.partition("-")[0]
    if kind not in _DEFAULTS or prop == kind:
        raise ArgumentError(
            f"style: got {prop!r}, need 'color' or a MapLibre paint property that begins with fill-, line-, circle- or "
            "raster-, e.g. fill-opacity; check the spelling"
        )
    return kind
