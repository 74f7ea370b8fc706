"""Which properties the pointer shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fused_jupyter.errors import ArgumentError

Tooltip = bool | Sequence[str] | Mapping[str, str] | None


def tooltip_to_json(tooltip: Tooltip) -> str | list[list[str]]:
    """Which properties the page shows; its twin is `TooltipSpec` in js/src/protocol.ts.

    Raises:
        ArgumentError: neither a bool nor names nor labels by name.

    >>> tooltip_to_json({"mag": "Magnitude"}), tooltip_to_json(["mag"]), tooltip_to_json(None)
    ([['mag', 'Magnitude']], [['mag', 'mag']], 'auto')
    """
    if tooltip is None or isinstance(tooltip, bool):
        return _WORDS[tooltip]
    labels = tooltip if isinstance(tooltip, Mapping) else None
    if isinstance(tooltip, str) or not isinstance(tooltip, (Mapping, Sequence)):
        raise ArgumentError(f'tooltip: got {tooltip!r}, need True, False, ["name", …] or {{"name": "Label", …}}')
    return [[str(name), str(name if labels is None else labels[name])] for name in tooltip]


_WORDS: dict[bool | None, str] = {None: "auto", True: "all", False: "none"}
