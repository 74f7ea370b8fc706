"""Colours as users write them, and palettes by name, as lists of colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Final

from fused_jupyter.errors import ArgumentError

_FUNCTION: Final = re.compile(r"(rgb|hsl)a?\(([^()]+)\)", re.IGNORECASE)
_NOTHING: Final = frozenset({"transparent", "none"})
_STOPS: Final = 16
"""Colours of a ramp that has a name: between them the eye sees no difference."""


def is_color(value: object) -> bool:
    """Whether it is one colour.

    >>> is_color("tomato"), is_color([255, 0, 0]), is_color("viridis"), is_color(["get", "color"])
    (True, True, False, False)
    """
    try:
        read_color(value, name="")
    except ArgumentError:
        return False
    return True


def read_color(value: object, *, name: str) -> str:
    """A colour as ``#rrggbb``, or ``#rrggbbaa`` where one can see through it.

    Args:
        value: a colour as in CSS, or a list of red, green, blue and perhaps alpha, each from 0 to 255; floats up to 1
            mean what they mean to matplotlib.
        name: what an error calls it.

    Raises:
        ArgumentError: it is none.

    >>> [read_color(value, name="") for value in ("tomato", [255, 0, 0, 128], "rgba(0, 0, 255, 0.5)")]
    ['#ff6347', '#ff000080', '#0000ff80']
    """
    channels = _of_text(value) if isinstance(value, str) else _of_numbers(value)
    if channels is None:
        raise ArgumentError(
            f"style: {name or 'colour'}: got {value!r}, need a colour: a name of CSS, '#rrggbb', 'rgba(255, 0, 0, 0.5)'"
            " or [red, green, blue, alpha] from 0 to 255"
        )
    text = "#" + "".join(f"{channel:02x}" for channel in channels)
    return text.removesuffix("ff") if len(text) == 9 and channels[3] == 255 else text


def named_colors(name: str, *, count: int | None = None) -> tuple[str, ...]:
    """The colours of a ramp with a name of matplotlib's or CARTO's.

    Raises:
        ArgumentError: there is no such palette; with those that are called nearly so.
    """
    from fused_jupyter.formats.rasters.colormaps import ramp_colours

    try:
        return ramp_colours(name, count or _STOPS)
    except ArgumentError as exc:
        raise ArgumentError(f"style: palette: {exc.message.removeprefix('colormap: ')}") from exc


def class_colors(name: str) -> tuple[str, ...]:
    """The colours of a named palette for categories; none where it is not one."""
    from fused_jupyter.formats.rasters.colormaps import class_colours

    return class_colours(name)


def read_palette(value: object, *, count: int | None = None) -> tuple[str, ...]:
    """The colours of a ramp: a name, or a list of two or more.

    Args:
        value: a name of a palette, or colours.
        count: how many; None leaves a list as it is.

    Raises:
        ArgumentError: neither.

    >>> read_palette(["black", "white"], count=3), read_palette("gray_r", count=2)
    (('#000000', '#808080', '#ffffff'), ('#ffffff', '#000000'))
    """
    if isinstance(value, str):
        # Teal and Magenta are colours too, but one colour is no palette.
        return named_colors(value, count=count)
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Sequence) or len(value) < 2:
        raise ArgumentError(
            f"style: palette: got {value!r}, need the name of a palette such as 'viridis' or 'Teal', or a list of two "
            "colours or more"
        )
    colors = tuple(read_color(each, name="palette") for each in value)
    return colors if count is None or count == len(colors) else sample(colors, count)


def sample(colors: Sequence[str], count: int) -> tuple[str, ...]:
    """So many colours, evenly spaced along others; one colour is the first.

    >>> sample(("#000000", "#ffffff"), 3)
    ('#000000', '#808080', '#ffffff')
    """
    stops = [_of_text(color) or () for color in colors]
    rows = [(*stop, 255)[:4] for stop in stops]
    mixed = []
    for number in range(count):
        place = number / max(1, count - 1) * (len(rows) - 1)
        low = min(int(place), len(rows) - 2)
        pairs = zip(rows[low], rows[low + 1], strict=True)
        mixed.append([int(a + (b - a) * (place - low) + 0.5) for a, b in pairs])
    return tuple(read_color(channels, name="palette") for channels in mixed)


def _of_text(text: str) -> tuple[int, ...] | None:
    from PIL import ImageColor

    plain = text.strip()
    if plain.lower() in _NOTHING:
        return 0, 0, 0, 0
    if match := _FUNCTION.fullmatch(plain):
        return _of_function(match[1].lower(), re.split(r"[\s,/]+", match[2].strip()))
    try:
        return ImageColor.getrgb(plain)
    except ValueError:
        return None


def _of_function(kind: str, parts: list[str]) -> tuple[int, ...] | None:
    """``rgb()`` and ``hsl()`` with an alpha as in CSS, which pillow does not know."""
    from PIL import ImageColor

    opaque, alpha = parts[:3], parts[3:]
    opaque = [part.removesuffix("deg") for part in opaque]
    try:
        channels = ImageColor.getrgb(f"{kind}({','.join(opaque)})")
        shares = [float(part.removesuffix("%")) / (100 if part.endswith("%") else 1) for part in alpha]
    except ValueError:
        return None
    if len(shares) > 1 or not all(0 <= share <= 1 for share in shares):
        return None
    return (*channels[:3], *(round(share * 255) for share in shares))


def _of_numbers(value: object) -> tuple[int, ...] | None:
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Sequence) or len(value) not in {3, 4}:
        return None
    if not all(isinstance(channel, Real) and not isinstance(channel, bool) for channel in value):
        return None
    numbers: list[Any] = [*value]
    is_unit = any(isinstance(channel, float) and not channel.is_integer() for channel in numbers) and max(numbers) <= 1
    scaled = [float(channel) * (255 if is_unit else 1) for channel in numbers]
    if not all(0 <= channel <= 255 for channel in scaled):
        return None
    return tuple(round(channel) for channel in scaled)
