"""Traits that check early and say what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.udfs.controls import plain_params

_LATITUDE_LIMIT = 90.0


class BoundsTrait(traitlets.TraitType[Any, Any]):  # traitlets' two parameters are what is got and what may be set
    """A rectangle ``[west, south, east, north]`` in degrees, or None."""

    default_value = None
    allow_none = True

    def validate(self, _obj: Any, value: Any) -> Bounds:
        """The rectangle; raises ArgumentError."""
        return Bounds(value)


class CenterTrait(traitlets.TraitType[Any, Any]):  # same
    """A place ``[longitude, latitude]`` in degrees, or None."""

    default_value = None
    allow_none = True

    def validate(self, _obj: Any, value: Any) -> list[float]:
        """The place; raises ArgumentError."""
        try:
            longitude, latitude = (float(number) for number in value)
        except (TypeError, ValueError) as exc:
            raise ArgumentError(f"center: got {value!r}, need longitude, latitude, e.g. (4.9, 52.4)") from exc
        if not (abs(latitude) <= _LATITUDE_LIMIT and abs(longitude) <= 2 * 360):
            raise ArgumentError(f"center: got {value!r}; longitude comes first, and latitude is between -90 and 90")
        return [longitude, latitude]


class ParamsTrait(traitlets.TraitType[Any, Any]):  # same
    """Values of parameters by name."""

    default_value: Any = traitlets.Undefined

    def make_dynamic_default(self) -> dict[str, Any]:
        """An empty dict of its own for each map."""
        return {}

    def validate(self, _obj: Any, value: Any) -> dict[str, Any]:
        """The values as JSON has them; raises ArgumentError."""
        if not isinstance(value, Mapping):
            raise ArgumentError(f"params: got {value!r}, need a dict such as {{'min_mag': 6}}")
        return plain_params(value)


class HeightTrait(traitlets.TraitType[Any, Any]):  # same
    """A CSS length; a number means pixels."""

    default_value = "480px"

    def validate(self, _obj: Any, value: Any) -> str:
        """The CSS length; raises ArgumentError."""
        if isinstance(value, (int, float)) and value > 0:
            return f"{value}px"
        if isinstance(value, str) and value[:1].isdigit():
            return value
        raise ArgumentError(f"height: got {value!r}, need pixels or a CSS length, e.g. 480 or '60vh'")


class ServerUrlTrait(traitlets.TraitType[Any, Any]):  # same
    """The root of the Jupyter server, or an empty string for the one that the page names."""

    default_value = ""

    def validate(self, _obj: Any, value: Any) -> str:
        """The root; raises ArgumentError."""
        parts = urlsplit(str(value))
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ArgumentError(
                "server_url: need the address alone, without login or token, e.g. http://localhost:8888/"
            )
        return str(value)


class LayerPanelTrait(traitlets.TraitType[Any, Any]):  # same
    """Whether there is a layer panel."""

    default_value = "auto"

    def validate(self, _obj: Any, value: Any) -> bool | str:
        """The same; raises ArgumentError."""
        if isinstance(value, bool) or value == "auto":
            return value if isinstance(value, bool) else "auto"
        raise ArgumentError(f'layer_panel: got {value!r}, need True, False or "auto"')


class TransportTrait(traitlets.TraitType[Any, Any]):  # same
    """Which way tiles are to take."""

    default_value = "auto"

    def validate(self, _obj: Any, value: Any) -> str:
        """The way; raises ArgumentError."""
        if value not in _TRANSPORTS:
            raise ArgumentError(f"transport: got {value!r}, need one of {', '.join(_TRANSPORTS)}")
        return str(value)


_TRANSPORTS = ("auto", "http", "comm")
"""Twin: `Transport` in js/src/protocol.ts."""
