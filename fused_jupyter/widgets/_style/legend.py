"""Whether and how a legend names a layer."""

from __future__ import annotations

from fused_jupyter.errors import ArgumentError

LegendLike = bool | str | None


def legend_to_json(legend: LegendLike) -> bool | str:
    """Whether the layer is in the legend, or under which title; its twin is `LayerSpec.legend`.

    Raises:
        ArgumentError: neither a bool nor a title.

    >>> legend_to_json(None), legend_to_json("Depth in km")
    (True, 'Depth in km')
    """
    if legend is None:
        return True
    if not isinstance(legend, (bool, str)):
        raise ArgumentError(f"legend: got {legend!r}, need True, False or a title")
    return legend
