"""How a picture or tile is drawn, as the request says: `rescale`, `colormap`, `nodata`, `max_features`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from math import isfinite
from typing import Any, Final, Self

from fused_jupyter.errors import ArgumentError

STYLE_NAMES: Final = frozenset({"rescale", "colormap", "nodata", "max_features"})
"""Query parameters that say how to draw; where a UDF has a parameter of that name, it is the UDF's."""

_BRACKETS: Final = str.maketrans("", "", "[]() ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the request says of drawing; what it leaves open is decided by the value."""

    rescale: tuple[tuple[float, float], ...] = ()
    """(least, greatest) value of each band; one pair stands for all bands."""
    colormap: str = ""
    """A name such as ``viridis`` or ``rdylgn_r``; or JSON: a list of colours, a list of [value, colour], or an object
    from values to colours."""
    nodata: float | None = None
    """The value that is no data; NaN is always none."""
    max_features: int | None = None
    """Features that a vector tile may have; the largest ones are kept."""

    @classmethod
    def of(cls, texts: Mapping[str, Any]) -> Self:
        """Read the query's texts.

        Raises:
            ArgumentError: a text does not mean what its name asks for.

        >>> Style.of({"rescale": "0,1000", "nodata": "-9999"}).rescale
        ((0.0, 1000.0),)
        """
        return cls(
            rescale=_read_rescale(texts.get("rescale")),
            colormap=_read_colormap(texts.get("colormap")),
            nodata=_read_number(texts.get("nodata"), name="nodata", example="-9999"),
            max_features=_read_count(texts.get("max_features")),
        )


def _read_rescale(given: Any) -> tuple[tuple[float, float], ...]:
    if given is None or given == "":
        return ()
    texts = [str(text) for text in given] if isinstance(given, list) else [str(given)]
    try:
        ends = [float(part) for text in texts for part in text.translate(_BRACKETS).split(",")]
    except ValueError:
        ends = []
    pairs = tuple(zip(ends[::2], ends[1::2], strict=False))
    if not pairs or len(ends) % 2 or not all(isfinite(low) and isfinite(high) and low < high for low, high in pairs):
        raise ArgumentError(
            f"rescale: got {given!r}, need least,greatest, e.g. 0,1000; or one such pair for each band",
            parameter="rescale",
        )
    return pairs


def _read_colormap(given: Any) -> str:
    # Python callers may give the list or the object itself; what the text means is read where it is drawn.
    return dumps(given) if isinstance(given, list | dict) and given else str(given or "")


def _read_number(given: Any, *, name: str, example: str) -> float | None:
    if given is None or given == "":
        return None
    try:
        return float(given)
    except (TypeError, ValueError) as exc:
        raise ArgumentError(f"{name}: got {given!r}, need a number, e.g. {example}", parameter=name) from exc


def _read_count(given: Any) -> int | None:
    number = _read_number(given, name="max_features", example="20000")
    if number is None:
        return None
    if not number.is_integer() or number < 1:
        raise ArgumentError(
            f"max_features: got {given!r}, need a whole number above 0, e.g. 20000", parameter="max_features"
        )
    return int(number)
