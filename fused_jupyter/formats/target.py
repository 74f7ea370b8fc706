"""What an encoder is told of the request, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fused_jupyter.formats.frame import TileFrame
from fused_jupyter.formats.style import Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the body is for."""

    tile: TileFrame | None = None
    """The tile that was asked for; None for a file."""
    style: Style = field(default_factory=Style)
    domain: tuple[float, float] | None = None
    """The least and greatest value of the tile's layer, where an earlier tile of it has settled them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A body of which there is more to say than that it has the format's own media type."""

    body: bytes
    media_type: str = ""
    """Where it is not the format's: bytes that are passed on as they are."""
    extension: str = ""
    """The same for the end of a file's name."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, e.g. a warning."""
    domain: tuple[float, float] | None = None
    """The range of values that this encoder chose by itself, for the other tiles of the layer."""


Encoder = Callable[[Any, Target], bytes | Written]  # Any: a value of one of the format's kinds
"""Takes a value, None where there is nothing to show, and what it is for; gives the body."""
